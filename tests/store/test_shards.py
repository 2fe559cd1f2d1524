"""Two PostgreSQL servers, rows placed by hash: the same answers as one, so no statement joins rows across shards."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from medlock.store.pgconnect import Connections
from medlock.store.pgschema import migrate
from medlock.store.postgres import PostgresBackend
from medlock.store.tables import Batch, Table
from store.backend_conformance import BackendConformance, CountingLedger, Reopen
from store.pgrouter import RoutedConnections
from store.pgserver import ask, database, shard

STORE = b"store 1"


@pytest.fixture
async def urls() -> AsyncIterator[list[str]]:
    """Empty databases on two servers, each with the sealed tables."""
    async with database(shard(1)) as one, database(shard(2)) as two:
        for url in (one, two):
            async with Connections(url).alone() as db:
                await migrate(db, STORE)
        yield [one, two]


@pytest.fixture
async def reopen(urls: list[str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reopen]:
    """Opens stores on both servers."""
    monkeypatch.setattr("medlock.store.postgres.Connections", RoutedConnections)
    monkeypatch.setattr(RoutedConnections, "asked", set())
    opened: list[PostgresBackend] = []

    def again() -> PostgresBackend:
        opened.append(PostgresBackend(" ".join(urls), CountingLedger()))
        return opened[-1]

    yield again
    for each in opened:
        await each.close()


class TestTwoShards(BackendConformance):
    """The common suite on two servers."""


async def test_rows_lie_on_both_servers(reopen: Reopen, urls: list[str]) -> None:
    """One commit reaches both, and neither has it all."""
    await reopen().commit(Batch(puts=[(Table.BODY, key, b"x") for key in range(64)], entries=[b"e"] * 8))
    counts = [(await ask(url, "SELECT count(*) FROM body"))[0][0] for url in urls]
    assert sum(counts) == 64
    assert min(counts) > 16
    assert sum([(await ask(url, "SELECT count(*) FROM log"))[0][0] for url in urls]) == 8


async def test_no_statement_names_two_tables_at_once(reopen: Reopen) -> None:
    """Of all that was asked, each SELECT and each write is about one table, by key; parts are laid together, not joined."""
    store = reopen()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"x")], inserts=[(Table.DELTA, 2, b"y")], entries=[b"e"]))
    await store.commit(Batch(requires=[(Table.BODY, 1)], deletes=[(Table.DELTA, 2)], puts=[(Table.BODY, 3, b"z")]))
    await store.get(Table.BODY, 1)
    await store.get_many(Table.BODY, range(100))
    await store.get_proven(Table.CAPSULE, range(100), [2])
    await store.scan(Table.LOG, None, 9)
    await store.scan(Table.LOG, 0, 9)
    await store.last_key(Table.LOG)
    names = "|".join(table.value for table in Table)
    asked = {statement for statement in RoutedConnections.asked if re.search(rf"\b({names})\b", statement)}
    assert len(asked) > 8
    for statement in asked:
        for part in re.split(r"UNION ALL|\bw[0-9]+ AS", statement):
            assert len(set(re.findall(rf"\b(?:FROM|INTO) ({names})\b", part))) <= 1, part
            assert "JOIN" not in part.upper()
