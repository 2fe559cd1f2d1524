"""Where rows lie in PostgreSQL's files, and what becomes of those that are deleted.

A row carries the number of the transaction that wrote it (xmin), and lies beside those that were written with it: after
a load both tell which rows are one patient's. Freezing does not take the number away. So `lay_out` writes all rows anew
in one transaction, which gives them one number, and has the server copy them in the order of keys.
"""

from __future__ import annotations

from medlock.store.pgconnect import Connection
from medlock.store.pgschema import LOCK
from medlock.store.tables import Table

_NAMED_BY_PRF = (
    Table.BODY,
    Table.HISTORY,
    Table.CAPSULE,
    Table.DELTA,
    Table.DIRECTORY,
    Table.TOKEN,
    Table.JOB,
    Table.IDENTITY,
    Table.OAUTH,
    Table.ONCE,
    Table.CHUNK,
)
"""Tables whose keys are no counters: in the others the order of keys is the order of writing."""
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(name::regclass)), 0)
    + coalesce(sum((SELECT sum(pg_total_relation_size(part.relid)) FROM pg_partition_tree(name::regclass) part)), 0)
FROM unnest($1::text[]) name
"""  # of a partitioned table the first is 0, of a plain one the second
_BY_KEY = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = $1::text::regclass AND indisprimary"
_ANEW = (
    "WITH gone AS (DELETE FROM {table} RETURNING key, ct)"
    " INSERT INTO {table} (key, ct) SELECT key, ct FROM gone ORDER BY key"
)


async def size_of(db: Connection) -> int:
    """Bytes of the tables that `lay_out` would write anew."""
    return int(await db.fetchval(_SIZE, [table.value for table in _NAMED_BY_PRF]))


async def sweep(db: Connection) -> None:
    """Free what deleted rows took; some of their bytes stay in free space until it is used again."""
    await db.execute(f"VACUUM {', '.join(table.value for table in _NAMED_BY_PRF)}")


async def lay_out(db: Connection) -> None:
    """Give all rows one transaction, then each table the order of its keys; writers wait, readers for the copy."""
    async with db.transaction():
        await db.execute(f"SELECT pg_advisory_xact_lock({LOCK + 1})")
        for table in _NAMED_BY_PRF:
            await db.execute(_ANEW.format(table=table.value))
    await db.execute("SET lock_timeout = '1s'")  # who waits for a table makes all others wait behind it
    for table in _NAMED_BY_PRF:
        await db.execute(f"CLUSTER {table.value} USING {await db.fetchval(_BY_KEY, table.value)}")
