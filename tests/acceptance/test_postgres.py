"""The acceptance of the embedded store once more on PostgreSQL: tamper, crash and thief, on a real server.

Leaks run on both back ends in test_leaks. A thief of the database server has its whole directory with journal and log, and a dump.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from acceptance import test_crash, test_tamper, test_thief
from acceptance.needles import Needles
from acceptance.scene import SCALE, Past, live_through
from acceptance.tamper import Cell, Tamperer, Touched
from acceptance.test_thief import Theft
from acceptance.verifier import offline
from medlock.store.schema import FIRST_TABLES
from medlock.store.tables import Table
from records.world import store_of
from store.pgserver import ask, database, dumped, server
from web.running import Server, medlock

T = TypeVar("T")
CASES = 120 * SCALE
KILLS = 8 * SCALE
READS = 300


_THREAD, _RUNNER = ThreadPoolExecutor(1), asyncio.Runner()


def blocking(work: Coroutine[Any, Any, T]) -> T:
    """The result of something asynchronous, from anywhere: a thread has a loop of its own for it."""
    return _THREAD.submit(_RUNNER.run, work).result()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose rows lie in an empty database."""
    entered = database()
    (tmp_path / "data.store").write_text(blocking(entered.__aenter__()))
    yield tmp_path / "data"
    blocking(entered.__aexit__(None, None, None))


async def rows_of(url: str) -> dict[Table, Cell]:
    """Every row of the sealed tables."""
    return {table: dict(await ask(url, f"SELECT key, ct FROM {table}")) for table in Table}  # noqa: S608 - enum


@dataclass
class PostgresPast(Past):
    """A database and its rows at earlier times."""

    rows: list[dict[Table, Cell]] = field(default_factory=list)

    def keep(self) -> None:
        """Remember the rows as they are now."""
        self.rows.append(blocking(rows_of(store_of(self.directory))))


@dataclass
class PostgresTamperer(Tamperer):
    """Changes rows of a database as its administrator may, and puts them back."""

    url: str = ""

    def _put(self, table: Table, rows: Cell) -> Touched:
        put = f"INSERT INTO {table} SELECT * FROM unnest($1::bigint[], $2::bytea[]) ON CONFLICT (key) DO UPDATE SET ct = excluded.ct"  # noqa: S608 - enum
        blocking(ask(self.url, put, list(rows), list(rows.values())))
        return {(table, key) for key in rows}

    def _remove(self, table: Table, keys: list[int]) -> Touched:
        blocking(ask(self.url, f"DELETE FROM {table} WHERE key = ANY($1::bigint[])", keys))  # noqa: S608 - enum
        return {(table, key) for key in keys}

    def restore(self) -> None:
        """All rows as they were."""
        there = blocking(rows_of(self.url))
        for table in Table:
            wrong = {key: ct for key, ct in self.now[table].items() if there[table].get(key) != ct}
            if wrong:
                self._put(table, wrong)
            if extra := list(there[table].keys() - self.now[table].keys()):
                self._remove(table, extra)


async def test_every_changed_row_of_a_database_is_named(directory: Path) -> None:
    """120 single-row changes by whoever owns the database server: each is named, and nothing else."""
    past = await live_through(directory.parent, READS, PostgresPast)
    assert isinstance(past, PostgresPast)
    url = store_of(directory)
    assert await offline(directory).verify() == []
    tamperer = PostgresTamperer(await rows_of(url), past.rows, random.Random(400), url=url)
    assert all(map(len, (tamperer.now[table] for table in FIRST_TABLES if table is not Table.LOGINDEX)))
    for _ in range(CASES):
        way, touched = tamperer.tamper(Path())
        found = {(finding.table, finding.key) for finding in await offline(directory).verify()}
        assert touched <= found, way
        assert found - touched <= test_tamper.beside(found, touched, tamperer), way
        tamperer.restore()
    assert await offline(directory).verify() == []


async def test_kill_9_loses_nothing_on_postgres(directory: Path) -> None:
    """Writers killed at any moment: all that was acknowledged is in the database, no transaction by half, and it verifies."""
    rng, safe = random.Random(17), test_crash.Acknowledged()
    for _ in range(KILLS):
        test_crash.run_and_kill(directory, rng, safe)
        assert await offline(directory).verify() == []
    async with test_crash.reopened(directory) as world:
        await safe.check(world)
        assert await test_crash.no_half_groups(world, safe) > KILLS
        logged = await test_crash.versions_in_log(world)
        assert len(logged) == len(set(logged))
        assert set(logged) == await test_crash.versions_in_store(world)
    assert safe.count >= 45 * KILLS


@pytest.fixture
def theft(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Theft:
    """A clinic under watch whose rows lie in a database."""
    return test_thief.watched(directory.parent, monkeypatch)


def test_ten_thousand_markers_are_nowhere_on_the_database_server(theft: Theft) -> None:
    """Running and stopped: 0 found in the server's tables, indexes, journal, log and temporary files, nor in a dump."""
    place = server().pgdata
    loot = [*theft.loot(), place]
    running = Server(theft.data, "--log-requests", log=theft.log)
    try:
        needles: Needles = test_thief.live(theft, running)
        blocking(ask(store_of(theft.data), "CHECKPOINT"))
        assert needles.in_tree(*loot) == {}
        exported = medlock(theft.data, "export", str(theft.root / "export"))
        assert exported.returncode == 0, exported.stderr
    finally:
        running.stop()
    assert len(set(theft.mint.all())) >= 10_000
    (theft.root / "dump").mkdir()
    dumped(store_of(theft.data), theft.root / "dump" / "dump.sql")
    assert (theft.root / "dump" / "dump.sql").stat().st_size > 1_000_000
    assert needles.in_tree(*loot, theft.root / "dump") == {}
    assert any("pg_wal" in str(path) for path in place.rglob("*"))
    assert set().union(*needles.in_tree(theft.root / "export").values()) >= set(theft.mint.minted["stored"])
