"""Capsules: two processes that write the same index, folds between reads, and rows that were tampered with."""

from __future__ import annotations

import asyncio
import random
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlock.errors import Raced, Tampered
from medlock.store.capsules import Capsules
from medlock.store.entries import DELETED, DROPPED, IndexEntry
from medlock.store.keyring import PatientKeys
from medlock.store.memory import Disk, MemoryBackend
from medlock.store.tables import Batch, Table
from store.backend_conformance import CountingLedger

SLOT = 77
KEYS = PatientKeys(SLOT, 0, bytes(range(32)))


def entry(rid: int, version: int, flags: int = 0) -> IndexEntry:
    """A row whose values depend on rid and version, so that mixed-up rows show."""
    hashes = (rid * 1000 + version, 5)
    return IndexEntry(
        rid, SLOT, version, rid + version, 7, flags, version, ("a|b",) if rid % 2 else (), hashes,
        ((1, version, version + 1),), ((2, f"text {rid}"),),
    )  # fmt: skip


def capsules(disk: Disk) -> Capsules:
    """A process of its own over the same disk."""
    return Capsules(MemoryBackend(CountingLedger(), disk), lambda _slot: [KEYS])


async def write(process: Capsules, rows: list[IndexEntry]) -> None:
    """Append one delta, starting over when the other process was first."""
    while True:
        backend = process._backend
        fresh = not backend.disk.rows[Table.DELTA]
        capsule = process.fresh(SLOT) if fresh else await process.for_change(SLOT)
        batch = Batch()
        appended = capsule.change("pat", rows, batch)
        try:
            await backend.commit(batch)
        except Raced:
            process.lost(SLOT)
            continue
        process.committed(appended)
        return


async def test_a_writer_who_slept_through_folds_does_not_write_into_the_gap() -> None:
    """Its next number was taken, folded and deleted meanwhile: the key is free again, and the write is refused."""
    disk = Disk()
    one, other = capsules(disk), capsules(disk)
    await write(one, [entry(1, 1)])
    batch = Batch()
    (await other.open(SLOT)).change("pat", [entry(2, 1)], batch)
    for version in range(1, 40):
        await write(one, [entry(3, version)])
    assert batch.inserts[0][1] not in disk.rows[Table.DELTA]
    with pytest.raises(Raced):
        await other._backend.commit(batch)
    assert state(await other.open(SLOT)) == {1: 1, 3: 39}


async def test_a_writer_that_lost_once_asks_before_the_next_change() -> None:
    """Nobody asks about an index that only this process writes; after a lost race it is looked at first, and is current."""
    disk = Disk()
    one, other = capsules(disk), capsules(disk)
    await write(one, [entry(1, 1)])
    await write(other, [entry(2, 1)])
    assert (await one.for_change(SLOT)).number == 1
    batch = Batch()
    (await one.for_change(SLOT)).change("pat", [entry(3, 1)], batch)
    with pytest.raises(Raced):
        await one._backend.commit(batch)
    one.lost(SLOT)
    await write(one, [entry(3, 1)])
    await write(other, [entry(4, 1)])
    assert state(await one.for_change(SLOT)) == {1: 1, 2: 1, 3: 1, 4: 1}


def state(capsule: object) -> dict[int, int]:
    """Version of every row that is alive, through the columns a search sees."""
    found: dict[int, int] = {}
    for segment in capsule.view():
        for at in segment.alive.nonzero()[0].tolist():
            rid = int(segment.rows["rid"][at])
            assert rid not in found, "a row is alive twice"
            found[rid] = int(segment.rows["version"][at])
    return found


def flat(lists: list[list[int]]) -> list[int]:
    """All lists as one."""
    return list(chain.from_iterable(lists))


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1), st.lists(st.integers(1, 40), min_size=1, max_size=30, unique=True), st.sampled_from("uudx")
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_two_processes_see_one_index(steps: list[tuple[int, list[int], str]]) -> None:
    """Whatever two processes write in turn, both see exactly what a dictionary would hold, before and after folds."""

    async def story() -> None:
        disk = Disk()
        processes = [capsules(disk), capsules(disk)]
        model: dict[int, int] = {}
        for version, (who, rids, kind) in enumerate(steps, 1):
            flags = {"u": 0, "d": DELETED, "x": DROPPED}[kind]
            await write(processes[who], [entry(rid, version, flags) for rid in rids])
            for rid in rids:
                model.pop(rid, None)
                if kind == "u":
                    model[rid] = version
            for process in (*processes, capsules(disk)):
                assert state(await process.open(SLOT)) == model

    asyncio.run(story())


async def test_columns_answer_like_a_list() -> None:
    """Hashes, types, dates and texts select the rows that a plain loop would, across segments and deltas."""
    disk = Disk()
    process = capsules(disk)
    rng = random.Random(1)
    newest: dict[int, int] = {}
    for version in range(1, 120):
        rid = rng.randrange(1, 60)
        newest[rid] = version
        await write(process, [entry(rid, version)])
    segments = (await process.open(SLOT)).view()
    assert len(segments) > 1
    for rid, version in newest.items():
        hits = [seg.rows["rid"][seg.with_hashes([rid * 1000 + version]) & seg.alive].tolist() for seg in segments]
        assert flat(hits) == [rid]
        texts = [seg.rows["rid"][seg.with_prefix(2, f"text {rid}") & seg.alive].tolist() for seg in segments]
        assert sorted(flat(texts)) == sorted(other for other in newest if f"text {other}".startswith(f"text {rid}"))
    late = [s.rows["rid"][(row := (d := s.dates_of(1)).row[d.low > 100])[s.alive[row]]].tolist() for s in segments]
    assert sorted(flat(late)) == sorted(rid for rid, version in newest.items() if version > 100)


async def test_find_gives_the_newest_row() -> None:
    """`find` knows tombstones, forgets dropped rows, and finds rows inside segments."""
    process = capsules(Disk())
    for version in range(1, 50):
        await write(process, [entry(version % 10 + 1, version)])
    await write(process, [entry(3, 50, DELETED), entry(4, 51, DROPPED)])
    capsule = await process.open(SLOT)
    assert capsule.find(3).version == 50
    assert capsule.find(4) is None
    assert capsule.find(2).version == 41
    assert {row.rid for row in capsule.rows()} == set(range(1, 11)) - {4}
    assert capsule.live_rows() == 8


async def test_every_row_is_needed() -> None:
    """Taking away, or swapping in an older copy of, any row of an index is noticed when it is opened afresh.

    The newest delta is the exception: only the audit log knows that it was there.
    """
    disk = Disk()
    process = capsules(disk)
    olds: list[Disk] = []
    for version in range(1, 70):
        olds.append(disk.copy())
        await write(process, [entry(version, version)])
    number = (await process.open(SLOT)).number
    newest = (await process.open(SLOT)).cipher.key("delta", number)
    for table in (Table.CAPSULE, Table.DELTA):
        for key in list(disk.rows[table]):
            if key == newest:
                continue
            damaged = disk.copy()
            damaged.delete(table, key)
            with pytest.raises(Tampered):
                assert state(await capsules(damaged).open(SLOT)) == {}
    head = (await process.open(SLOT)).cipher.key("head")
    for old in olds:
        if old.rows[Table.CAPSULE].get(head, disk.rows[Table.CAPSULE][head]) != disk.rows[Table.CAPSULE][head]:
            damaged = disk.copy()
            damaged.put(Table.CAPSULE, head, old.rows[Table.CAPSULE][head])
            with pytest.raises(Tampered):
                await capsules(damaged).open(SLOT)


@pytest.mark.parametrize("kept", range(3, 28))
async def test_up_to_three_changes_are_missed_between_others(kept: int) -> None:
    """Wherever a look ends, it goes on where so many follow on one another that are not there."""
    disk = Disk()
    process = capsules(disk)
    for version in range(1, 31):
        await write(process, [entry(1, version)])
    capsule = await process.open(SLOT)
    assert capsule.head.base == 0
    for gap in (1, 2, 3):
        if kept + gap < 30:
            damaged = disk.copy()
            for number in range(kept + 1, kept + gap + 1):
                damaged.delete(Table.DELTA, capsule.cipher.key("delta", number))
            with pytest.raises(Tampered):
                await capsules(damaged).open(SLOT)


async def test_a_flipped_bit_does_not_open() -> None:
    """Any byte changed in any row of an index makes it Tampered."""
    disk = Disk()
    process = capsules(disk)
    for version in range(1, 70):
        await write(process, [entry(version, version)])
    rng = random.Random(2)
    for table in (Table.CAPSULE, Table.DELTA):
        for key, ct in list(disk.rows[table].items()):
            damaged = disk.copy()
            at = rng.randrange(len(ct))
            damaged.put(table, key, ct[:at] + bytes([ct[at] ^ 1]) + ct[at + 1 :])
            with pytest.raises(Tampered):
                await capsules(damaged).open(SLOT)
