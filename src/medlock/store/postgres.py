"""The back end for many processes and hosts: PostgreSQL 15 or newer. docs/postgres.md is its page.

Same tables, same promises as the embedded file. Reads go through a few connections, single ones gathered; commits
through one connection of each process, in turn with those of all others; a snapshot has a connection of its own. The
server sees keys and sealed rows; what it can tell beyond that (which transaction wrote a row, old bytes in its journal
and free space) is written down in docs/postgres.md §7.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from medlock.store import pgstatements as sql
from medlock.store.pgconnect import Connection, Connections, refusing, setting_up
from medlock.store.pgcounters import PgCounters
from medlock.store.pglayout import lay_out, size_of, sweep
from medlock.store.pgreads import GatheredReads
from medlock.store.pgschema import migrate, on_one_server
from medlock.store.pgwriter import PgWriter
from medlock.store.tables import Batch, Ledger, Table
from medlock.store.tally import Tally

GATHERED_MAX = 64
"""Keys of one read, above which it asks by itself."""
REWRITE_SHARE = 0.8
"""The share of the bytes now that were there at first, above which laying them out anew is not worth it."""


class PostgresBackend:
    """`Backend` on one PostgreSQL database. Use `open_postgres`; it connects when it is first asked for something."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self._connections = Connections(url)
        self._writer = PgWriter(self._connections, ledger)
        counters = PgCounters(self._connections)
        self.bump, self.claim, self.refund = counters.bump, counters.claim, counters.refund
        self.settle, self.peek, self.lapse = counters.settle, counters.peek, counters.lapse
        self._reads = GatheredReads(self._fetch)
        self._held: Connection = None
        self._turn = asyncio.Lock()
        self._size = 0

    @property
    def file(self) -> None:
        """The tables are on the server."""

    async def start(self, store: bytes) -> None:
        """Bring the schema forward. Raises SetupError when the server, the role or the database is not fit."""
        with setting_up():
            async with self._connections.alone(patient=True) as db:
                await migrate(db, store)
                self._size = await size_of(db)
                self._writer.short_way = await on_one_server(db)

    async def _fetch(self, statement: str, *bound: Any) -> Sequence[Any]:
        """The rows of one question; inside a snapshot on its connection, where one asks after the other."""
        with refusing("read"):
            if self._held is None:
                async with self._connections.reading() as db:
                    return await db.fetch(statement, *bound)  # type: ignore[no-any-return]
            async with self._turn:
                return await self._held.fetch(statement, *bound)  # type: ignore[no-any-return]

    async def get(self, table: Table, key: int) -> bytes | None:
        """One row, or None."""
        return (await self._reads.get(table, (key,)))[0].get(key)

    async def get_many(self, table: Table, keys: Sequence[int]) -> dict[int, bytes]:
        """The rows that exist among `keys`, in one statement."""
        return dict(await self._fetch(sql.MANY[table], list(keys))) if keys else {}

    async def get_proven(
        self, table: Table, keys: Sequence[int], deltas: Sequence[int]
    ) -> tuple[dict[int, bytes], set[int]]:
        """Rows and deltas in one statement, gathered when they are few."""
        if len(keys) + len(deltas) <= GATHERED_MAX:
            return await self._reads.get(table, keys, deltas)
        rows = await self._fetch(sql.PROVEN[table], list(keys), list(deltas))
        return {key: ct for key, ct in rows if ct is not None}, {key for key, ct in rows if ct is None}

    async def scan(self, table: Table, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` rows with key > `after`, ascending."""
        asked = (sql.FIRST[table], limit) if after is None else (sql.SCAN[table], after, limit)
        return [(key, ct) for key, ct in await self._fetch(*asked)]

    async def last_key(self, table: Table) -> int | None:
        """The greatest key, or None when the table is empty."""
        found: int | None = (await self._fetch(sql.LAST[table]))[0][0]
        return found

    async def commit(self, batch: Batch) -> int:
        """Durable when it returns; Conflict or Unavailable otherwise, and nothing written."""
        return await self._writer.submit(batch)

    def tally(self) -> Tally:
        """What was committed so far, and how many wait."""
        return self._writer.tally()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """One read-only transaction of isolation level REPEATABLE READ."""
        async with AsyncExitStack() as kept:
            with refusing("read"):
                db = await kept.enter_async_context(self._connections.alone())
                await db.execute(sql.STANDING)
                await db.fetchval("SELECT 1")  # BEGIN alone does not pin a state
            self._held = db
            try:
                yield
            finally:
                async with self._turn:
                    self._held = None

    async def scrub(self) -> None:
        """Take deleted rows out of tables and indexes. Not out of the journal and its archives: nobody can."""
        with refusing("scrubbed"):
            async with self._connections.alone(patient=True) as db:
                await sweep(db)

    async def rewrite(self) -> None:
        """Write the rows anew in the order of keys, in one transaction; passed over when little has grown."""
        with refusing("laid out anew", "; it stays as it is"):
            async with self._connections.alone(patient=True) as db:
                if await size_of(db) * REWRITE_SHARE >= self._size:
                    await lay_out(db)
                    self._size = await size_of(db)

    async def close(self) -> None:
        """Finish queued commits and close all connections."""
        await self._writer.close()
        await self._reads.close()
        await self._connections.close()


async def open_postgres(url: str, ledger: Ledger, store: bytes) -> PostgresBackend:
    """Connect, judge the server, bring its schema forward.

    store  name of the keystore whose rows the database holds
    Raises SetupError with what the operator must do, Unavailable when the server cannot be reached.
    """
    backend = PostgresBackend(url, ledger)
    await backend.start(store)
    return backend
