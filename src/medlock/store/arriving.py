"""A PostgreSQL database that is about to be a store: filled by a migration, refused to everybody else until then.

While table `medlock_arriving` is there, no server opens the database (`pgschema.migrate`): it may be half a copy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_bytes

from medlock.errors import SetupError
from medlock.store import pgstatements as sql
from medlock.store.grouping import Group, chunked
from medlock.store.pgconnect import Connection, Connections, refusing, setting_up
from medlock.store.pgschema import ARRIVING, LOCK, migrate
from medlock.store.pgwriter import ROWS_MAX, WRITERS
from medlock.store.tables import Batch, Row, Table

# ruff: noqa: S608 - names come from the enum

_DIGESTS = "SELECT key, sha256(ct) FROM {} WHERE ($1::bigint IS NULL OR key > $1) AND ($2::bigint IS NULL OR key <= $2)"
_DIGESTS_OF = "SELECT key, sha256(ct) FROM {} WHERE key = ANY($1::bigint[])"


class ArrivingDatabase:
    """`migrating.Target` on one connection. Use `arriving_database`."""

    def __init__(self, db: Connection, mark: bytes) -> None:
        self._db = db
        self.mark = mark

    async def digests(self, table: Table, after: int | None, upto: int | None) -> dict[int, bytes]:
        """SHA-256 of each row with `after` < key ≤ `upto`; None is no bound."""
        return await self._digests(_DIGESTS.format(table.value), after, upto)

    async def digests_of(self, table: Table, keys: Sequence[int]) -> dict[int, bytes]:
        """The same for those of `keys` that exist."""
        return await self._digests(_DIGESTS_OF.format(table.value), list(keys))

    async def write(self, puts: Sequence[Row], deletes: Sequence[tuple[Table, int]]) -> None:
        """All together and durable. Raises Unavailable."""
        state = Group(())
        state.play(Batch(puts=list(puts), deletes=list(deletes)))
        with refusing("written", "; run the command again and it goes on"):
            async with self._db.transaction():
                await self._db.execute(f"SELECT pg_advisory_xact_lock({WRITERS})")
                for portion in chunked(state.pieces(), ROWS_MAX):
                    await self._db.execute(sql.writing(sql.shape_of(portion)), *sql.bound_for(portion))

    async def count(self, table: Table) -> int:
        """How many rows it has."""
        with refusing("read"):
            return int(await self._db.fetchval(f"SELECT count(*) FROM {table.value}"))

    async def open_to_all(self) -> None:
        """The copy is whole: from now on it is a store like any other."""
        with refusing("opened", "; run the command again and it goes on"):
            await self._db.execute(f"DROP TABLE IF EXISTS {ARRIVING}")

    async def _digests(self, statement: str, *bound: object) -> dict[int, bytes]:
        with refusing("read"):
            return dict(await self._db.fetch(statement, *bound))


@asynccontextmanager
async def arriving_database(url: str, store: bytes) -> AsyncIterator[ArrivingDatabase]:
    """A database that is empty, or holds what an earlier migration of the keystore named `store` left there.

    Raises SetupError when it is a store already, or is not fit to be one; Unavailable.
    """
    async with AsyncExitStack() as kept:
        with setting_up():
            db = await kept.enter_async_context(Connections(url).alone(patient=True))
            mark = await _take(db, store)
        yield ArrivingDatabase(db, mark)


async def _take(db: Connection, store: bytes) -> bytes:
    """Mark the database as arriving; its mark. Raises SetupError when it is a store already."""
    async with db.transaction():
        await db.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        if not await db.fetchval("SELECT to_regclass($1) IS NOT NULL", ARRIVING):
            if await db.fetchval("SELECT to_regclass('medlock') IS NOT NULL"):
                raise SetupError("The PostgreSQL database is a store already: name an empty one to move to.")
            await db.execute(f"CREATE TABLE {ARRIVING} (mark BYTEA NOT NULL)")
            await db.execute(f"INSERT INTO {ARRIVING} VALUES ($1)", token_bytes(16))
    await migrate(db, store, arriving=True)
    mark: bytes = await db.fetchval(f"SELECT mark FROM {ARRIVING}")
    return mark
