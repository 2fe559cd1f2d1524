"""The shape of the PostgreSQL database and how it moves forward from version to version.

Every sealed table is `key BIGINT PRIMARY KEY, ct BYTEA`, as in the embedded file. An operator may make the tables
beforehand, partitioned by hash (docs/postgres.md §5); whatever else they have more or less than this shape is refused,
because a column, an index or a trigger would tell or change what nobody should. Table `medlock` holds the version and
the name of the keystore that everything here is sealed under: two keystores on one database would destroy both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from medlock.errors import SetupError
from medlock.store.pgconnect import Connection
from medlock.store.schema import COUNTER, FIRST_TABLES, THIRD_TABLES, VERSION, demand_known
from medlock.store.tables import Table

LOCK = 0x6D65646C6F636B00
"""Advisory lock of whoever brings the schema forward; one above it is the writers'."""
ARRIVING = "medlock_arriving"
"""The table that is there while a migration fills the database."""
_VERSION = "SELECT version, store FROM medlock"
_SHAPE = """
SELECT c.relname::text AS name, c.relpersistence::text AS kept,
    c.relhasrules OR c.relrowsecurity
        OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS acts,
    (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    (SELECT string_agg(pg_get_indexdef(i.indexrelid, 1, true) || ' ' || i.indnatts || ' ' || i.indisprimary, ', ')
     FROM pg_index i WHERE i.indrelid = c.oid) AS indexes
FROM pg_class c WHERE c.oid = ANY($1::text[]::regclass[]::oid[])
"""
_ELSEWHERE = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') OR EXISTS (SELECT FROM pg_foreign_table)"
_SEALED = ("p", False, "key bigint, ct bytea", "key 1 true")
"""Logged; nothing acts by itself; two columns; one index, on one column, the primary key's."""
_COUNTING = ("p", False, "key bigint, n bigint, until bigint", "key 1 true")


async def _create_sealed_tables(db: Connection) -> None:
    """Version 1: the sealed tables, unless the operator made them. Compressing ciphertext is lost labour."""
    for table in FIRST_TABLES:
        await _create_sealed(db, table)


async def _create_sealed(db: Connection, table: Table) -> None:
    await db.execute(f"CREATE TABLE IF NOT EXISTS {table.value} (key BIGINT PRIMARY KEY, ct BYTEA NOT NULL)")
    await db.execute(f"ALTER TABLE {table.value} ALTER COLUMN ct SET STORAGE EXTERNAL")


async def _take_short_entries(_db: Connection) -> None:
    """Version 2: the audit log takes shorter entries. Those that lie there stay as they are (spec/audit.md §12)."""


async def _create_third_tables(db: Connection) -> None:
    """Version 3: tables of sign-in and of apps, of large contents, and counters."""
    for table in THIRD_TABLES:
        await _create_sealed(db, table)
    await db.execute(
        f"CREATE TABLE IF NOT EXISTS {COUNTER} (key BIGINT PRIMARY KEY, n BIGINT NOT NULL, until BIGINT NOT NULL)"
    )


async def _take_bodies_apart(_db: Connection) -> None:
    """Version 4: bodies of sensitive classes lie under a sub-key. Those that are there stay, until a relabelling."""


MIGRATIONS: Mapping[int, Callable[[Connection], Awaitable[None]]] = {
    1: _create_sealed_tables,
    2: _take_short_entries,
    3: _create_third_tables,
    4: _take_bodies_apart,
}
"""Version → the step that leads to it from the version before. Steps are only ever added at the end."""


async def migrate(db: Connection, store: bytes, *, arriving: bool = False) -> None:
    """Bring the database to `VERSION` in one transaction, and bind it to the keystore named `store`.

    arriving  whether the caller is the migration that fills it
    Raises SetupError when it was written by a newer medlock, is sealed under another keystore, or half a copy.
    """
    async with db.transaction():
        await db.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        if not arriving and await db.fetchval("SELECT to_regclass($1) IS NOT NULL", ARRIVING):
            raise SetupError(
                "The PostgreSQL database is being filled by medlock migrate-store: unset MEDLOCK_STORE until that "
                "command says that the records were moved, or run it again to finish."
            )
        await db.execute("CREATE TABLE IF NOT EXISTS medlock (version INTEGER NOT NULL, store BYTEA NOT NULL)")
        row = await db.fetchrow(_VERSION)
        found, bound = (0, store) if row is None else row
        demand_known(found)
        if bound != store:
            raise SetupError(
                "The PostgreSQL database is sealed under another keystore than that of this data directory: start "
                "with the data directory that belongs to it, or name another database in MEDLOCK_STORE."
            )
        for step in range(found + 1, VERSION + 1):
            await MIGRATIONS[step](db)
        if row is None:
            await db.execute("INSERT INTO medlock (version, store) VALUES ($1, $2)", VERSION, store)
        elif found < VERSION:
            await db.execute("UPDATE medlock SET version = $1", VERSION)
        await _demand_shape(db)


async def on_one_server(db: Connection) -> bool:
    """Whether no row can lie on another server: no Citus, no foreign partition."""
    return not await db.fetchval(_ELSEWHERE)


async def _demand_shape(db: Connection) -> None:
    """Raises SetupError unless every table is what it should be, kept in the journal, and nothing else."""
    for row in await db.fetch(_SHAPE, [*(table.value for table in Table), COUNTER]):
        shape = row["kept"], row["acts"], row["columns"], row["indexes"]
        wanted, columns = (_COUNTING, "n BIGINT, until BIGINT") if row["name"] == COUNTER else (_SEALED, "ct BYTEA")
        if shape != wanted:
            raise SetupError(
                f"Table {row['name']} of the PostgreSQL database is not `key BIGINT PRIMARY KEY, {columns}` alone: "
                "drop what was added to it (columns, indexes, triggers, rules), and make it a logged table."
            )
