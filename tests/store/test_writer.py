"""The writer when something goes wrong that nobody foresaw: everybody is answered, and it goes on."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from medlock.errors import MedlockError, Unavailable
from medlock.store.sqlite import SqliteBackend, open_sqlite
from medlock.store.tables import Batch, Table
from records.world import clinician, open_world
from store.backend_conformance import CountingLedger


class FaultyLedger(CountingLedger):
    """Breaks once, in a way that no contract mentions."""

    broken = False

    def extend(self, entries):
        if self.broken:
            self.broken = False
            raise ValueError("a fault of ours")
        return super().extend(entries)


async def answered(waiting: asyncio.Future) -> object:
    """What came of it within a moment."""
    done, _ = await asyncio.wait([waiting], timeout=5)
    assert done, "nobody was answered"
    return waiting.exception() or waiting.result()


async def test_a_fault_answers_all_and_frees_the_file(tmp_path: Path) -> None:
    """All who waited get a refusal, another process can write, and the next commit goes through."""
    heard: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context))
    ledger = FaultyLedger()
    store = open_sqlite(tmp_path / "a.db", ledger)
    ledger.broken = True
    waiting = [asyncio.ensure_future(store.commit(Batch(entries=[b"%d" % n]))) for n in range(600)]
    outcomes = [await answered(each) for each in waiting]
    assert {type(each) for each in outcomes[:512]} == {Unavailable}
    assert sorted(each for each in outcomes[512:]) == list(range(88))
    with sqlite3.connect(tmp_path / "a.db", timeout=1) as other:
        other.execute("BEGIN IMMEDIATE")
    other.close()
    assert await store.commit(Batch(entries=[b"after"])) == 88
    await store.close()


async def test_a_cell_made_text_is_refused(tmp_path: Path) -> None:
    """A row whose type somebody changed is like any row that was edited: it does not open, and the caller hears so."""
    world = await open_world(tmp_path / "data")
    await world.put({"resourceType": "Patient", "id": "ann"})
    with sqlite3.connect(tmp_path / "data" / "medlock.db") as db:
        db.execute("UPDATE tip SET ct = 'x' WHERE key = 0")
    db.close()
    outcome = await answered(asyncio.ensure_future(world.read(clinician(), "Patient/ann")))
    assert isinstance(outcome, MedlockError)


def opened(tmp_path: Path) -> SqliteBackend:
    return open_sqlite(tmp_path / "a.db", CountingLedger())


async def test_closing_waits_for_what_follows(tmp_path: Path) -> None:
    """Who commits again while the store closes is told that it does; nothing hangs."""
    store = opened(tmp_path)

    async def two() -> None:
        await store.commit(Batch(puts=[(Table.BODY, 1, b"x")]))
        await store.commit(Batch(puts=[(Table.BODY, 2, b"x")]))

    writing = asyncio.ensure_future(two())
    await asyncio.sleep(0)
    await store.close()
    assert isinstance(await answered(writing), Unavailable)
    with pytest.raises(Unavailable):
        await store.commit(Batch(puts=[(Table.BODY, 3, b"x")]))


async def test_whoever_closes_may_be_cancelled(tmp_path: Path) -> None:
    """The commit that was under way is finished all the same."""
    store = opened(tmp_path)
    writing = asyncio.ensure_future(store.commit(Batch(puts=[(Table.BODY, 1, b"x")])))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    closing.cancel()
    assert await answered(writing) == -1
    await store.close()


async def test_a_fault_between_groups_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wished for a scrub that breaks is told, and the writer goes on."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    store = open_sqlite(tmp_path / "a.db", CountingLedger())

    def broken() -> bool:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(store._writer, "_cut", broken)
    assert isinstance(await answered(asyncio.ensure_future(store.scrub())), Unavailable)
    monkeypatch.undo()
    await store.scrub()
    assert await store.commit(Batch(entries=[b"after"])) == 0
    await store.close()


async def test_a_long_list_of_deletions_takes_all_of_them(tmp_path: Path) -> None:
    """However many rows go, from two tables in any order: those go, the others stay, and others are served between."""
    store = opened(tmp_path)
    keys = range(1500)
    await store.commit(Batch(puts=[(table, key, b"x") for key in keys for table in (Table.BODY, Table.DELTA)]))
    gone = [(table, key) for key in reversed(keys) if key % 7 for table in (Table.DELTA, Table.BODY)]
    await store.commit(Batch(deletes=[*gone, (Table.DELTA, 9999)]))
    for table in (Table.BODY, Table.DELTA):
        assert [key for key, _ in await store.scan(table, None, 2000)] == [key for key in keys if not key % 7]
    await store.close()
