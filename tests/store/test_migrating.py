"""Moving a store from the file to PostgreSQL while it is written to: nothing acknowledged is lost, nothing is left behind."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing

import pytest

from medlock.errors import Conflict, Raced, SetupError, Tampered, Unavailable
from medlock.store.arriving import arriving_database
from medlock.store.leaving import leaving_file, moved_to
from medlock.store.migrating import Migration
from medlock.store.postgres import open_postgres
from medlock.store.sqlite import open_sqlite
from medlock.store.tables import Batch, Table
from store.backend_conformance import CountingLedger
from store.pgserver import ask, database

STORE = b"store 1"
TABLES = [Table.BODY, Table.HISTORY, Table.DELTA, Table.CAPSULE]


@pytest.fixture
async def url():
    """The address of an empty database."""
    async with database() as address:
        yield address


@pytest.fixture
def path(tmp_path):
    """Where the file lies."""
    return tmp_path / "medlock.db"


def silent(*_):
    """Nobody watches the progress."""


async def move(path, url, turn=silent):
    """The whole migration."""
    async with arriving_database(url, STORE) as target:
        with leaving_file(path) as source:
            done = await Migration(source, target, lambda: 0, turn).run()
        await target.open_to_all()
    return done


async def contents(store):
    """All rows of a store."""
    return {(table, key): ct for table in Table for key, ct in await store.scan(table, None, 100_000)}


class Writers:
    """Some who put, insert and delete at random until the store refuses; what was acknowledged is in `model`."""

    def __init__(self, store, seed):
        self.store, self.random, self.model, self.busy = store, random.Random(seed), {}, asyncio.Event()

    async def run(self):
        """Write until refused."""
        while True:
            batch = self.batch()
            try:
                first = await self.store.commit(batch)
            except Raced:
                continue
            except Unavailable:
                return
            for table, key, ct in (*batch.inserts, *batch.puts):
                self.model[table, key] = ct
            for name in batch.deletes:
                self.model.pop(name, None)
            self.model.update({(Table.LOG, first + at): entry for at, entry in enumerate(batch.entries)})
            if len(self.model) > 5_050:
                self.busy.set()
            await asyncio.sleep(0)

    def batch(self):
        """A few rows that nobody else writes at the same time (one writer a store)."""
        some = self.random
        names = {(some.choice(TABLES), some.randrange(2_000)) for _ in range(6)}
        rows = [(*name, some.randbytes(24)) for name in names]
        return Batch(
            inserts=[row for row in rows[:1] if row[:2] not in self.model],
            puts=rows[1:4],
            deletes=[row[:2] for row in rows[4:]],
            entries=[some.randbytes(8)],
        )


@pytest.mark.parametrize("seed", range(4))
async def test_every_acknowledged_write_arrives(path, url, seed):
    """While somebody writes all the time, the copy ends as exactly what was acknowledged; after it the file refuses."""
    store = open_sqlite(path, CountingLedger())
    await store.commit(Batch(puts=[(Table.BODY, key << 40, b"%d" % key) for key in range(5_000)]))
    writers = Writers(store, seed)
    writers.model = {(Table.BODY, key << 40): b"%d" % key for key in range(5_000)}
    writing = asyncio.create_task(writers.run())
    await writers.busy.wait()
    done = await move(path, url)
    await asyncio.wait_for(writing, 60)
    with pytest.raises(Unavailable):
        await store.get(Table.BODY, 1)
    await store.close()
    arrived = await open_postgres(url, CountingLedger(), STORE)
    there = await contents(arrived)
    await arrived.close()
    assert there.pop((Table.TIP, 0)) == sum(table is Table.LOG for table, _ in there).to_bytes(8, "big")
    assert there == writers.model
    assert done.rows == len(there) + 1


async def test_the_file_says_where_its_records_went(path, url):
    """A file that was left does not open, and the sentence says what to do."""
    await open_sqlite(path, CountingLedger()).close()
    assert moved_to(path) is None
    await move(path, url)
    assert moved_to(path) is not None
    with pytest.raises(SetupError, match="set MEDLOCK_STORE"):
        open_sqlite(path, CountingLedger())


async def test_half_a_copy_is_no_store(path, url):
    """A database that is being filled is refused; an interrupted move is taken up again and leaves no stale row behind."""
    store = open_sqlite(path, CountingLedger())
    await store.commit(Batch(puts=[(Table.BODY, key, b"old %d" % key) for key in range(5_000)], entries=[b"e"]))

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await move(path, url, interrupted)
    assert len(await ask(url, "SELECT FROM body")) == 2_000
    with pytest.raises(SetupError, match="run it again"):
        await open_postgres(url, CountingLedger(), STORE)
    await store.commit(
        Batch(puts=[(Table.BODY, 1, b"new")], deletes=[(Table.BODY, 2)], inserts=[(Table.BODY, 5_000, b"more")])
    )
    expected = await contents(store)
    await move(path, url)
    await store.close()
    arrived = await open_postgres(url, CountingLedger(), STORE)
    assert await contents(arrived) == expected
    assert await arrived.commit(Batch(entries=[b"f"])) == 1
    await arrived.close()


async def test_an_abandoned_move_leaves_the_file_as_it_was(path, url):
    """Nothing is noted any more, and the file goes on as the store."""
    store = open_sqlite(path, CountingLedger())
    before = sqlite3.connect(path).execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    async with arriving_database(url, STORE):
        with leaving_file(path) as source:
            source.begin()
            assert sqlite3.connect(path).execute("SELECT count(*) FROM sqlite_master").fetchone() != (len(before),)
            source.abandon()
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_master ORDER BY name").fetchall() == before
    await store.commit(Batch(puts=[(Table.BODY, 1, b"x")]))
    await store.close()


async def test_one_move_at_a_time(path, url):
    """A second one is refused: it would begin the notes of changes anew, and the first one's copy would be a stale one."""
    store = open_sqlite(path, CountingLedger())
    await store.commit(Batch(puts=[(Table.BODY, 1, b"old")]))
    await store.close()
    refusals = []

    def turn(*_):
        with closing(sqlite3.connect(path)) as server, server:
            server.execute("UPDATE body SET ct = ? WHERE key = 1", (b"new",))
        try:
            with leaving_file(path) as second:
                second.begin()
        except Conflict as refusal:
            refusals.append(refusal)

    await move(path, url, turn)
    arrived = await open_postgres(url, CountingLedger(), STORE)
    assert await arrived.get(Table.BODY, 1) == b"new"
    await arrived.close()
    assert refusals


class Forgetful:
    """A target whose disk loses or changes what `lost` says."""

    def __init__(self, target, lost, instead):
        self._target, self._lost, self._instead = target, lost, instead
        self.digests, self.digests_of, self.count, self.mark = (
            target.digests,
            target.digests_of,
            target.count,
            target.mark,
        )

    async def write(self, puts, deletes):
        """Lose a row, or write another one."""
        good = [row for row in puts if row[:2] != self._lost]
        await self._target.write(good + [(*self._lost, ct) for ct in self._instead], deletes)


@pytest.mark.parametrize("lost", [(Table.BODY, 7), (Table.LOG, 1)])
@pytest.mark.parametrize("instead", [[], [b"other"]])
async def test_a_copy_that_is_not_whole_never_becomes_the_store(path, url, lost, instead):
    """A row that did not arrive is noticed before the file is left: it is still the store."""
    store = open_sqlite(path, CountingLedger())
    await store.commit(Batch(puts=[(Table.BODY, key, b"x") for key in range(10)], entries=[b"e", b"f"]))
    async with arriving_database(url, STORE) as target:
        with leaving_file(path) as source, pytest.raises(Tampered):
            await Migration(source, Forgetful(target, lost, instead), lambda: 0, silent).run()
    assert moved_to(path) is None
    await store.commit(Batch(puts=[(Table.BODY, 8, b"y")]))
    await store.close()


async def test_a_database_that_is_a_store_is_not_written_over(path, url):
    """Neither one that has records of its own, nor one that is sealed under another keystore."""
    await open_sqlite(path, CountingLedger()).close()
    other = await open_postgres(url, CountingLedger(), b"store 2")
    await other.commit(Batch(puts=[(Table.BODY, 1, b"x")]))
    await other.close()
    with pytest.raises(SetupError, match="a store already"):
        await move(path, url)
    assert len(await ask(url, "SELECT FROM body")) == 1


async def test_a_half_copy_of_another_keystore_is_refused(path, url):
    """The mark of one keystore is not taken up by another."""
    await open_sqlite(path, CountingLedger()).close()
    async with arriving_database(url, b"store 2"):
        pass
    with pytest.raises(SetupError, match="another keystore"):
        await move(path, url)


async def test_a_writer_that_does_not_end_is_waited_for_in_vain(path, url, monkeypatch):
    """Somebody holds the file's write lock: the move gives up with a sentence, and the file is still the store."""
    monkeypatch.setattr("medlock.store.leaving.WAIT_SECONDS", 0.1)
    await open_sqlite(path, CountingLedger()).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises((Unavailable, SetupError)):
        await move(path, url)
    holder.execute("ROLLBACK")
    assert moved_to(path) is None


async def test_long_rows_are_moved_a_few_at_a_time(path, url):
    """Chunks of large contents arrive, also those written while the rest is copied; never many are held together."""
    store = open_sqlite(path, CountingLedger())
    long = {key << 40: bytes([key]) * 262_160 for key in range(1, 60)}
    await store.commit(Batch(puts=[(Table.CHUNK, *row) for row in long.items()]))
    most = 0
    async with arriving_database(url, STORE) as target:
        write = target.write

        async def watched(puts, deletes):
            nonlocal most
            most = max(most, sum(len(ct) for _, _, ct in puts))
            if len(long) < 120:
                more = {(len(long) + 1 + at) << 40: b"x" * 262_160 for at in range(30)}
                long.update(more)
                await store.commit(Batch(puts=[(Table.CHUNK, *row) for row in more.items()]))
            await write(puts, deletes)

        target.write = watched
        with leaving_file(path) as source:
            await Migration(source, target, lambda: 0, silent).run()
        await target.open_to_all()
    await store.close()
    arrived = await open_postgres(url, CountingLedger(), STORE)
    assert {key: ct for (table, key), ct in (await contents(arrived)).items() if table is Table.CHUNK} == long
    await arrived.close()
    assert most <= 8 * 262_160
