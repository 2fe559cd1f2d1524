"""The PostgreSQL back end: the common suite, and what is its own (servers that would tell, lost connections, shape)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from medlock.store.postgres import PostgresBackend, open_postgres
from store.backend_conformance import BackendConformance, CountingLedger, Reopen
from store.pgserver import database

STORE = b"store 1"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The address of an empty database."""
    async with database() as address:
        yield address


@pytest.fixture
async def reopen(url: str) -> AsyncIterator[Reopen]:
    """Opens connections to one database."""
    opened: list[PostgresBackend] = [await open_postgres(url, CountingLedger(), STORE)]

    def again() -> PostgresBackend:
        opened.append(PostgresBackend(url, CountingLedger()))
        return opened[-1]

    yield again
    for each in opened:
        await each.close()


class TestPostgres(BackendConformance):
    """The common suite."""
