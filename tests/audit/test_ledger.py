"""The ledger in the commit: one tree however many processes append to it, and no going back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import naive
from audit.world import NOW, Keys, World
from medlock.audit.heads import HeadSealer
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
    assert disk.keys[Table.TILE] == [tile_key(0, index) for index in range(expected // 256)]


async def test_tiles_are_put_when_complete_and_hold_their_leaves():
    """After 66,000 entries there are 257 tiles of level 0 and one of level 1, as C2SP tlog-tiles lays them out."""
    disk, keys = Disk(), Keys()
    process = backend(disk, keys)
    for _ in range(66):
        await process.commit(Batch(entries=some(1_000)))
    assert disk.keys[Table.TILE] == [*(tile_key(0, index) for index in range(257)), tile_key(1, 0)]
    leaves = [naive.leaf_hash(entry) for _, entry in sorted(disk.rows[Table.LOG].items())]
    assert disk.rows[Table.TILE][tile_key(0, 200)] == b"".join(leaves[200 * 256 : 201 * 256])
    level_1 = b"".join(naive.mth(leaves[256 * index : 256 * (index + 1)]) for index in range(256))
    assert disk.rows[Table.TILE][tile_key(1, 0)] == level_1
    assert root_on(disk, keys) == naive.mth(leaves)


async def test_nothing_is_read_again_while_one_process_appends(monkeypatch):
    """As long as the head on disk is the one written last, it is not even opened."""
    disk, keys = Disk(), Keys()
    process = backend(disk, keys)
    await process.commit(Batch(entries=some(3)))
    monkeypatch.setattr(HeadSealer, "open", lambda *_: pytest.fail("opened"))
    await process.commit(Batch(entries=some(3)))


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
