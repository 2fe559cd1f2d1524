"""The SQLite back end: the common suite, and what is its own (erasure of bytes, versions, refusals of the disk)."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from medlock.errors import SetupError, Tampered, Unavailable
from medlock.store.reader import FileReader
from medlock.store.schema import COUNTER, THIRD_TABLES
from medlock.store.sqlite import SqliteBackend, open_sqlite
from medlock.store.tables import Batch, Table
from store.backend_conformance import BackendConformance, CountingLedger, Reopen


@pytest.fixture
async def reopen(tmp_path: Path) -> AsyncIterator[Reopen]:
    """Opens connections to one file."""
    opened: list[SqliteBackend] = []

    def again() -> SqliteBackend:
        opened.append(open_sqlite(tmp_path / "medlock.db", CountingLedger()))
        return opened[-1]

    yield again
    for each in opened:
        await each.close()


class TestSqlite(BackendConformance):
    """The common suite."""


def _bytes_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_deleted_bytes_are_nowhere_after_scrub(tmp_path: Path, reopen: Reopen) -> None:
    """After delete and scrub neither the file nor its journal holds the row's bytes."""
    store = reopen()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"MARKER" * 300)]))
    assert b"MARKER" in _bytes_in(tmp_path)
    await store.commit(Batch(deletes=[(Table.BODY, 1)]))
    await store.scrub()
    assert b"MARKER" not in _bytes_in(tmp_path)


async def test_a_newer_file_is_refused(tmp_path: Path, reopen: Reopen) -> None:
    """A file from a newer program is not opened, and the sentence says what to do."""
    await reopen().commit(Batch(puts=[(Table.BODY, 1, b"x")]))
    with sqlite3.connect(tmp_path / "medlock.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SetupError, match=r"newer medlock .*99.*upgrade"):
        reopen()


async def test_a_file_of_version_2_is_brought_forward(tmp_path: Path, reopen: Reopen) -> None:
    """A store from before there was sign-in opens, keeps its rows, and has the tables that it lacked."""
    path = tmp_path / "medlock.db"
    store = open_sqlite(path, CountingLedger())
    await store.commit(Batch(puts=[(Table.BODY, 1, b"kept")], entries=[b"e"]))
    await store.close()
    with sqlite3.connect(path) as db:
        for name in (*THIRD_TABLES, COUNTER):
            db.execute(f"DROP TABLE {name}")
        db.execute("PRAGMA user_version = 2")
    db.close()
    store = reopen()
    assert await store.get(Table.BODY, 1) == b"kept"
    assert await store.commit(Batch(puts=[(Table.IDENTITY, 1, b"x")], entries=[b"f"])) == 1
    assert await store.bump([1], 0, [5]) == [(1, 5)]


async def test_those_who_count_at_once_share_a_sync(reopen: Reopen) -> None:
    """200 counts that are asked for together are a few transactions, not 200."""
    store = reopen()
    got = await asyncio.gather(*(store.bump([1], 0, [100]) for _ in range(200)))
    assert sorted(n for ((n, _),) in got) == list(range(1, 201))
    assert sum(store.tally().sizes[:-1]) <= 4


async def test_a_full_disk_counts_for_nobody(reopen: Reopen) -> None:
    """A counter that cannot be made durable is a refusal, never a number."""
    store = reopen()
    store._writer._db.execute("PRAGMA max_page_count = 24")
    with pytest.raises(Unavailable, match="full"):
        await store.bump(range(20_000), 0, [100] * 20_000)
    assert await store.peek([1]) == [(0, 0)]


async def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    """A file that is no database is left alone and named."""
    path = tmp_path / "medlock.db"
    path.write_bytes(b"not a database at all" * 400)
    with pytest.raises(SetupError, match=r"medlock\.db cannot be opened"):
        open_sqlite(path, CountingLedger())
    assert path.read_bytes().startswith(b"not a database")


async def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    """No directory: one sentence."""
    with pytest.raises(SetupError, match="check that the directory exists"):
        open_sqlite(tmp_path / "nowhere" / "medlock.db", CountingLedger())


async def test_a_full_disk_is_a_refusal_without_damage(reopen: Reopen) -> None:
    """When the file may not grow the commit is Unavailable, and everything acknowledged before is still there."""
    store = reopen()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"before")], entries=[b"e0"]))
    store._writer._db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(Unavailable, match="full"):
        await store.commit(Batch(puts=[(Table.BODY, 2, os.urandom(400_000))], entries=[b"lost"]))
    store._writer._db.execute("PRAGMA max_page_count = 4294967294")
    assert await store.commit(Batch(puts=[(Table.BODY, 3, b"after")], entries=[b"e1"])) == 1
    assert await store.get_many(Table.BODY, [1, 2, 3]) == {1: b"before", 3: b"after"}
    assert [ct for _, ct in await store.scan(Table.LOG, None, 9)] == [b"e0", b"e1"]


async def test_the_file_is_private(tmp_path: Path, reopen: Reopen) -> None:
    """Other users of the machine may not even read the ciphertext."""
    reopen()
    assert (tmp_path / "medlock.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("value", ["7", "1.5", "'text'", "x'00'"])
async def test_whatever_was_put_into_a_cell_is_bytes(tmp_path: Path, reopen: Reopen, value: str) -> None:
    """SQLite keeps any value in any column: one that somebody put there does not open, and nothing falls over."""
    await reopen().commit(Batch(puts=[(Table.BODY, 1, b"body")]))
    with sqlite3.connect(tmp_path / "medlock.db") as db:
        db.execute(f"UPDATE body SET ct = {value}")  # noqa: S608 - one of four
    db.close()
    store = reopen()
    found = [await store.get(Table.BODY, 1), (await store.get_many(Table.BODY, [1]))[1]]
    found += [ct for _, ct in await store.scan(Table.BODY, None, 9)]
    found += FileReader(tmp_path / "medlock.db").within(Table.BODY, range(9))
    assert [type(each) for each in found] == [bytes] * 4
    assert len(set(found)) == 1


async def test_a_log_is_never_written_over(tmp_path: Path, reopen: Reopen) -> None:
    """When the head was put back behind our back, appending is refused: the entries it forgot are still there."""
    await reopen().commit(Batch(entries=[b"first", b"second"]))
    with sqlite3.connect(tmp_path / "medlock.db") as db:
        db.execute("DELETE FROM tip")
    db.close()
    store = reopen()
    with pytest.raises(Tampered):
        await store.commit(Batch(puts=[(Table.BODY, 1, b"x")], entries=[b"third"]))
    assert [ct for _, ct in await store.scan(Table.LOG, None, 9)] == [b"first", b"second"]
    assert await store.get(Table.BODY, 1) is None


async def test_a_snapshot_stays_as_it_was(reopen: Reopen) -> None:
    """Inside a snapshot nothing that others commit is seen, however long it lasts; afterwards all of it is."""
    store, other = reopen(), reopen()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"a")]))
    assert await store.get(Table.BODY, 1) == b"a"
    async with store.snapshot():
        for number in range(5):
            await other.commit(Batch(puts=[(Table.BODY, 1, b"b"), (Table.BODY, 2 + number, b"c")]))
            await asyncio.sleep(0)
            assert await store.get(Table.BODY, 1) == b"a"
            assert await store.last_key(Table.BODY) == 1
    assert await store.get(Table.BODY, 1) == b"b"


async def test_what_was_committed_is_read_in_the_same_turn(reopen: Reopen) -> None:
    """Readers and writers that share turns of the event loop: whoever was told that a write is durable reads it."""
    store = reopen()

    async def write_and_read(key: int) -> None:
        for number in range(20):
            await store.get(Table.BODY, key)
            await store.commit(Batch(puts=[(Table.BODY, key, b"%d" % number)]))
            assert await store.get(Table.BODY, key) == b"%d" % number

    await asyncio.gather(*(write_and_read(key) for key in range(16)))


async def test_a_row_is_read_once_a_turn(reopen: Reopen) -> None:
    """Within a turn of the event loop one answer serves all who ask; in the next turn what others wrote is seen."""
    store, other = reopen(), reopen()
    await store.commit(Batch(puts=[(Table.TOKEN, 1, b"valid")]))
    asked: list[str] = []
    store._read.set_trace_callback(asked.append)
    assert {await store.get(Table.TOKEN, 1) for _ in range(5)} == {b"valid"}
    assert await store.get(Table.TOKEN, 2) is None
    assert await store.get(Table.TOKEN, 2) is None
    assert len([each for each in asked if each.startswith("SELECT")]) == 2
    await other.commit(Batch(puts=[(Table.TOKEN, 1, b"revoked"), (Table.TOKEN, 2, b"new")]))
    assert await store.get(Table.TOKEN, 1) == b"revoked"
    assert await store.get(Table.TOKEN, 2) == b"new"
