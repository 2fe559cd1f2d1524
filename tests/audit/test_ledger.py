"""The ledger in the commit: one tree however many processes append to it, and no going back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import naive
from audit.world import NOW, Keys, World
from medlock.audit.heads import Head, HeadSealer
from medlock.audit.ledger import MerkleLedger, tile_key
from medlock.errors import Tampered, Unavailable
from medlock.store.memory import Disk, Fault, MemoryBackend
from medlock.store.tables import Batch, Table


def backend(disk, keys, watermark=0):
    return MemoryBackend(MerkleLedger(keys, lambda: NOW, watermark), disk)


def root_on(disk, keys):
    return HeadSealer(keys).open(disk.rows[Table.TIP].get(0)).root()


def naive_root(disk):
    return naive.mth([naive.leaf_hash(entry) for _, entry in sorted(disk.rows[Table.LOG].items())])


def some(count, mark=b""):
    return [mark + number.to_bytes(4, "big") for number in range(count)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 200)), max_size=12))
async def test_processes_that_take_turns_grow_one_tree(turns):
    """Whoever appends, in whatever turn, the head is that of the naive tree and the numbers have no gap."""
    disk, keys = Disk(), Keys()
    processes = [backend(disk, keys) for _ in range(3)]
    expected = 0
    for process, count in turns:
        assert await processes[process].commit(Batch(entries=some(count))) == expected
        expected += count
    assert disk.keys[Table.LOG] == list(range(expected))
    assert root_on(disk, keys) == naive_root(disk)
    above = [tile_key(1, 0)] if expected > 255 else []
    assert disk.keys[Table.TILE] == [*(tile_key(0, index) for index in range(expected // 256)), *above]


async def test_tiles_hold_their_leaves():
    """After 66,000 entries there are 257 tiles of level 0 and one of level 1, as C2SP tlog-tiles lays them out."""
    disk, keys = Disk(), Keys()
    process = backend(disk, keys)
    for _ in range(66):
        await process.commit(Batch(entries=some(1_000)))
    assert disk.keys[Table.TILE] == [
        *(tile_key(0, index) for index in range(257)),
        *(tile_key(1, 0), tile_key(1, 1), tile_key(2, 0)),
    ]
    leaves = [naive.leaf_hash(entry) for _, entry in sorted(disk.rows[Table.LOG].items())]
    assert disk.rows[Table.TILE][tile_key(0, 200)] == b"".join(leaves[200 * 256 : 201 * 256])
    level_1 = b"".join(naive.mth(leaves[256 * index : 256 * (index + 1)]) for index in range(256))
    assert disk.rows[Table.TILE][tile_key(1, 0)] == level_1
    assert disk.rows[Table.TILE][tile_key(1, 1)] == naive.mth(leaves[65_536 : 65_536 + 256])
    assert disk.rows[Table.TILE][tile_key(2, 0)] == naive.mth(leaves[:65_536])
    assert root_on(disk, keys) == naive.mth(leaves)


async def test_nothing_is_read_again_while_one_process_appends(monkeypatch):
    """As long as the head on disk is the one written last, it is not even opened."""
    disk, keys = Disk(), Keys()
    process = backend(disk, keys)
    await process.commit(Batch(entries=some(3)))
    monkeypatch.setattr(HeadSealer, "open", lambda *_: pytest.fail("opened"))
    await process.commit(Batch(entries=some(3)))


async def test_entries_that_others_appended_are_read_once():
    """Of two processes in turn, each reads what came since, not the whole tile, and no tile at all."""
    disk, keys = Disk(), Keys()
    read: list[list] = []

    class Reading(MerkleLedger):
        def load(self, rows):
            read.append([(table, key) for table, key, _ in rows])
            super().load(rows)

    one, other = (MemoryBackend(Reading(keys, lambda: NOW), disk) for _ in range(2))
    for _ in range(40):
        await one.commit(Batch(entries=some(10)))
        await other.commit(Batch(entries=some(3)))
    assert read[2:] == [
        [(Table.LOG, key) for key in range(at, at + count)]
        for number in range(1, 40)
        for at, count in ((13 * number - 3, 3), (13 * number, 10))
    ]


@pytest.mark.parametrize("table", [Table.LOG, Table.TILE])
@pytest.mark.parametrize("change", ["edited", "cut", "gone"])
async def test_a_log_whose_end_was_changed_is_not_built_upon(table, change):
    """The last entries and the last tiles must make the tree that the head says, or nothing is appended."""
    disk, keys = Disk(), Keys()
    await backend(disk, keys).commit(Batch(entries=some(600)))
    key = disk.keys[table][-1]
    row = disk.rows[table][key]
    disk.put(table, key, {"edited": bytes([row[0] ^ 1]) + row[1:], "cut": row[:-1]}.get(change, b""))
    if change == "gone":
        disk.delete(table, key)
    before = dict(disk.rows[Table.LOG])
    with pytest.raises(Tampered):
        await backend(disk, keys).commit(Batch(entries=some(1)))
    assert disk.rows[Table.LOG] == before


async def test_a_head_fits_one_page():
    """However the size falls, the row that every commit replaces is short."""
    for size in (255, 2**31 - 1, 2**32 - 1):
        head = Head(1, size, NOW, bytes(32 * size.bit_count()), bytes(8 * (size % 256)))
        assert len(HeadSealer(Keys()).seal(head)) <= 3_200


async def test_a_commit_that_failed_leaves_no_trace_in_the_tree():
    """After a refusal the next append goes on from what is on disk."""
    disk, keys = Disk(), Keys()
    process = backend(disk, keys)
    await process.commit(Batch(entries=some(300)))
    process.fault = Fault.REFUSE
    with pytest.raises(Unavailable):
        await process.commit(Batch(entries=some(500, b"lost")))
    process.fault = None
    assert await process.commit(Batch(entries=some(2))) == 300
    assert root_on(disk, keys) == naive_root(disk)


async def test_a_log_put_back_while_running_is_not_appended_to():
    """When the head on disk is older than one seen before, appending would overwrite entries: it is refused."""
    disk, keys = Disk(), Keys()
    process, other = backend(disk, keys), backend(disk, keys)
    await process.commit(Batch(entries=some(5)))
    earlier = disk.copy()
    await process.commit(Batch(entries=some(5)))
    await other.commit(Batch(entries=some(5)))
    disk.restore(earlier)
    for each in (process, other):
        with pytest.raises(Tampered):
            await each.commit(Batch(entries=some(1)))
    assert disk.keys[Table.LOG] == list(range(5))


async def test_a_log_shorter_than_the_watermark_is_not_appended_to():
    """A process that starts on a restored database learns from the keystore that entries are missing."""
    disk, keys = Disk(), Keys()
    await backend(disk, keys).commit(Batch(entries=some(5)))
    with pytest.raises(Tampered):
        await backend(disk, keys, watermark=6).commit(Batch(entries=some(1)))
    assert await backend(disk, keys, watermark=5).commit(Batch(entries=some(1))) == 5


@pytest.mark.parametrize("head", [None, b"", b"x" * 500, "of another store"])
async def test_a_head_that_was_taken_away_or_changed_is_not_built_upon(head):
    """No head, no append: nothing is overwritten, nothing is invented."""
    disk, keys = Disk(), Keys()
    process = backend(disk, keys)
    await process.commit(Batch(entries=some(5)))
    before = dict(disk.rows[Table.LOG])
    if head is None:
        disk.delete(Table.TIP, 0)
    elif isinstance(head, str):
        other = Disk()
        await backend(other, Keys(bytes(16))).commit(Batch(entries=some(5)))
        disk.put(Table.TIP, 0, other.rows[Table.TIP][0])
    else:
        disk.put(Table.TIP, 0, head)
    with pytest.raises(Tampered):
        await backend(disk, keys).commit(Batch(entries=some(1)))
    with pytest.raises(Tampered):
        await process.commit(Batch(entries=some(1)))
    assert disk.rows[Table.LOG] == before


def test_extending_without_resuming_is_a_mistake():
    """The ledger does not guess where the tree stands."""
    with pytest.raises(RuntimeError):
        MerkleLedger(Keys(), lambda: NOW).extend([b"entry"])


async def test_the_head_says_when():
    """The time sealed into the head is the clock's at the append."""
    world = World()
    world.clock.now += 5
    await world.fill(1)
    assert HeadSealer(world.keys).open(world.disk.rows[Table.TIP][0]).time == NOW + 5
