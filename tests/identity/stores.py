"""Real stores for tests of sign-in: a file and a database, each opened by as many processes as wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from medlock.store.postgres import open_postgres
from medlock.store.sqlite import open_sqlite
from store.backend_conformance import CountingLedger
from store.pgserver import database

NAMES = ("sqlite", "postgres")


@asynccontextmanager
async def opened(name, tmp_path) -> AsyncIterator:
    """A coroutine function that opens one more connection to the same store."""
    async with AsyncExitStack() as kept:
        if name == "postgres":
            url = await kept.enter_async_context(database())

        async def again():
            if name == "postgres":
                backend = await open_postgres(url, CountingLedger(), b"store 1")
            else:
                backend = open_sqlite(tmp_path / "medlock.db", CountingLedger())
            kept.push_async_callback(backend.close)
            return backend

        yield again
