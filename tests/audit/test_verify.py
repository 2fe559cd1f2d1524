"""Verification: silent when all is well, and the very row named when not."""

from __future__ import annotations

import random

import pytest

from audit.tamper import Tamperer
from audit.world import World
from medlock.audit.events import Action, Position
from medlock.audit.findings import Kind
from medlock.audit.heads import Head, HeadSealer
from medlock.audit.ledger import tile_key
from medlock.audit.log import AuditLog
from medlock.audit.verify import verify_log
from medlock.crypto.merkle import leaf_hash
from medlock.store.memory import Disk, Fault
from medlock.store.tables import Batch, Table

RUN = 4_096


async def lived_in(counts=(8_000, 300, 80)):
    """A log with a past: filled, indexed and signed several times. The world, and snapshots of its earlier states."""
    world, earlier = World(), []
    for count in counts:
        await world.fill(count, 500)
        await world.settle()
        earlier.append(world.disk.copy())
    await world.fill(60)
    return world, earlier


def said(findings):
    """Findings as {(table, key): kinds}."""
    shown = {}
    for finding in findings:
        shown.setdefault((finding.table, finding.key), set()).add(finding.kind)
    return shown


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 4_095, 4_096, 4_097, 9_000])
async def test_a_log_that_nobody_touched_verifies(count):
    """Nothing is found at any size, before and after indexing and signing."""
    world = World()
    await world.fill(count, 500)
    assert await world.verify() == []
    await world.settle()
    assert await world.verify() == []


@pytest.mark.parametrize("seed", range(4))
async def test_every_single_row_change_is_found_and_named(seed):
    """100 random changes a seed over all four tables: exactly the changed rows are named, with what was done."""
    world, earlier = await lived_in()
    whole = world.disk.copy()
    rng = random.Random(seed)
    for _ in range(100):
        world.disk.restore(whole.copy())
        way, expected = Tamperer(world.disk, earlier, rng).tamper()
        assert said(await world.verify()) == expected, way


@pytest.mark.parametrize("seed", range(2))
async def test_small_logs_hide_nothing_either(seed):
    """The same with fewer entries than a tile and a few tiles, where there is no index and little tree."""
    for counts in ((30, 20, 10), (700, 200, 56)):
        world, earlier = await lived_in(counts)
        whole = world.disk.copy()
        rng = random.Random(seed)
        for _ in range(60):
            world.disk.restore(whole.copy())
            way, expected = Tamperer(world.disk, earlier, rng).tamper()
            assert said(await world.verify()) == expected, way


@pytest.mark.parametrize(("first", "count"), [(0, 1), (17, 3), (5_000, 40), (8_438, 1)])
async def test_entries_taken_out_with_the_rest_renumbered(first, count):
    """Closing the gap does not hide a deletion: one finding says where and how many."""
    world, _ = await lived_in()
    rows = [row for _, row in sorted(world.disk.rows[Table.LOG].items())]
    del rows[first : first + count]
    rewrite(world.disk, rows)
    (finding,) = await world.verify()
    assert (finding.table, finding.key, finding.kind) == (Table.LOG, first, Kind.DELETED)


@pytest.mark.parametrize(("first", "count"), [(0, 1), (17, 3), (5_000, 40)])
async def test_entries_put_in_with_the_rest_renumbered(first, count):
    """Room made for forged entries is found where it was made, not row by row."""
    world, _ = await lived_in()
    rows = [row for _, row in sorted(world.disk.rows[Table.LOG].items())]
    rows[first:first] = [random.Random(number).randbytes(573) for number in range(count)]
    rewrite(world.disk, rows)
    findings = said(await world.verify())
    assert findings.pop((Table.LOG, first)) == {Kind.INSERTED}
    assert set(findings) == {(Table.LOG, 8_440 + number) for number in range(count)}  # pushed beyond the head


def rewrite(disk, rows):
    for key in list(disk.keys[Table.LOG]):
        disk.delete(Table.LOG, key)
    for key, row in enumerate(rows):
        disk.put(Table.LOG, key, row)


async def test_an_entry_edited_together_with_its_tile():
    """Whoever recomputes the tile still meets its parent: entry and tile are both named."""
    world, _ = await lived_in()
    world.disk.put(Table.LOG, 300, b"forged")
    leaves = world.disk.rows[Table.TILE][tile_key(0, 1)]
    world.disk.put(Table.TILE, tile_key(0, 1), leaves[:-32] + bytes(32))
    findings = said(await world.verify())
    assert {(Table.LOG, 300), (Table.TILE, tile_key(0, 1))} <= set(findings)


@pytest.mark.parametrize("way", ["edited", "put back", "swapped"])
async def test_an_entry_edited_together_with_a_tile_that_grows(way):
    """The tile of the second level is lost with the entry: the tile of the entry still tells which entry it was."""
    world, earlier = await lived_in((6_000, 300, 80))
    disk, key = world.disk, tile_key(1, 0)
    row = disk.rows[Table.TILE][key]
    others = {"edited": row[:-1] + bytes([row[-1] ^ 1]), "put back": earlier[0].rows[Table.TILE][key]}
    disk.put(Table.TILE, key, others.get(way, disk.rows[Table.LOG][300]))
    disk.put(Table.LOG, 300, row if way == "swapped" else b"forged")
    kind = Kind.ROLLED_BACK if way == "put back" else Kind.EDITED
    assert said(await world.verify()) == {(Table.LOG, 300): {Kind.EDITED}, (Table.TILE, key): {kind}}


async def test_checks_in_the_head_prove_nothing():
    """Were an entry forged to have the eight bytes of another, its subtree's root would still give it away."""
    world = World()
    await world.fill(300)
    heads = HeadSealer(world.keys)
    head = heads.open(world.disk.rows[Table.TIP][0])
    world.disk.put(Table.LOG, 290, b"forged")
    checks = head.checks[: 34 * 8] + leaf_hash(b"forged")[:8] + head.checks[35 * 8 :]
    row = heads.seal(Head(head.format, head.size, head.time, head.nodes, checks))  # 300 = 256 + 32 + 8 + 4
    world.disk.put(Table.TIP, 0, row)
    assert said(await world.verify()) == {(Table.LOG, seq): {Kind.EDITED} for seq in range(288, 296)}


async def test_without_a_head_far_rows_are_not_the_end_of_the_log():
    """An entry and a tile put far beyond the end, and the head taken away: verification ends, and names them."""
    world, _ = await lived_in((700, 200, 56))
    world.disk.delete(Table.TIP, 0)
    world.disk.put(Table.LOG, 1 << 61, b"far")
    world.disk.put(Table.TILE, 1 << 40, b"far")
    findings = said(await world.verify())
    assert {(Table.TIP, 0), (Table.LOG, 1 << 61), (Table.TILE, 1 << 40)} <= set(findings)


async def test_the_whole_log_put_back_is_found_by_the_watermark():
    """A consistent older copy of all tables is betrayed by what the keystore remembers."""
    world, earlier = await lived_in()
    await world.log.seal_checkpoint()
    world.disk.restore(earlier[0].copy())
    findings = said(await world.verify())
    assert findings[Table.TIP, 0] == {Kind.ROLLED_BACK}
    assert findings[Table.TIP, 1] == {Kind.ROLLED_BACK}


async def test_a_log_put_back_and_continued_is_found_by_the_watermark():
    """Even when it has grown past the watermark again: its root there is another one."""
    world, earlier = await lived_in()
    await world.log.seal_checkpoint()
    watermark = world.watermark
    world.disk.restore(earlier[0].copy())
    fork = World(world.keys, world.clock, world.disk)
    await fork.fill(1_000, 500)
    await fork.settle()
    world.disk.restore(fork.disk)
    world.watermark = watermark
    assert said(await world.verify()) == {(Table.TIP, 0): {Kind.ROLLED_BACK}}


async def test_a_log_cut_off_with_head_and_tiles_is_found_by_its_checkpoint():
    """Truncating everything but the checkpoint's row leaves a checkpoint larger than the log."""
    world, earlier = await lived_in()
    await world.log.seal_checkpoint()
    signed = {key: world.disk.rows[Table.TIP][key] for key in world.disk.keys[Table.TIP] if key == 1 or key > 2}
    cut = earlier[1].copy()
    for key in [key for key in cut.keys[Table.TIP] if key > 2]:
        cut.delete(Table.TIP, key)
    for key, row in signed.items():
        cut.put(Table.TIP, key, row)
    world.disk.restore(cut)
    world.watermark = None
    assert said(await world.verify()) == {(Table.TIP, 0): {Kind.ROLLED_BACK}}


async def test_a_log_emptied_is_found_by_the_watermark():
    """No rows at all is not a fresh start when the keystore knows better."""
    world, _ = await lived_in((100, 50, 10))
    world.disk.restore(Disk())
    assert (Table.TIP, 0) in said(await world.verify())


async def test_positions_are_the_last_ones_written():
    """Slot by slot, what the log last said of an index, whether read from run indexes or from entries."""
    world = World()
    events = [*await world.fill(5_000, 500), *await world.fill(4_000, 500)]
    wanted = {event.position.slot: event.position for event in events if event.position}
    unindexed: dict[int, Position] = {}
    assert await world.verify(unindexed) == []
    await world.settle()
    indexed: dict[int, Position] = {}
    assert await world.verify(indexed) == []
    assert indexed == unindexed == wanted


async def test_positions_survive_a_lost_index():
    """Without its index a run is read entry by entry."""
    world, _ = await lived_in()
    wanted: dict[int, Position] = {}
    await world.verify(wanted)
    world.disk.delete(Table.LOGINDEX, 1)
    found: dict[int, Position] = {}
    assert said(await world.verify(found)) == {(Table.LOGINDEX, 1): {Kind.DELETED}}
    assert found == wanted


async def test_erasure_does_not_disturb_the_log():
    """With patients' keys destroyed the log verifies as before."""
    world, _ = await lived_in((500, 100, 20))
    for slot in range(1, 41):
        world.keys.destroy(slot)
    assert await world.verify() == []


async def test_an_entry_written_as_rubbish_is_unreadable_not_edited():
    """What went into the tree that way was not changed afterwards; it is still reported."""
    world = World()
    await world.fill(5)
    await world.backend.commit(Batch(entries=[b"rubbish"]))
    await world.fill(5)
    assert said(await world.verify()) == {(Table.LOG, 5): {Kind.UNREADABLE}}


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.DUPLICATE])
async def test_storage_faults_do_not_look_like_tampering(fault):
    """Lost or doubled appends leave a log that is whole in itself."""
    world = World()
    await world.fill(300)
    world.backend.fault = fault
    await world.fill(10, 10)
    world.backend.fault = None
    assert await world.verify() == []


async def test_a_log_may_grow_while_it_is_verified():
    """Entries, tiles, indexes and checkpoints that come while verification runs are no findings."""
    world, _ = await lived_in((4_000, 50, 30))

    class Growing(type(world.backend)):
        async def scan(self, table, after, limit):
            if busy:
                busy.pop()
                await world.fill(150, 50)
                await world.settle()
            return await super().scan(table, after, limit)

    busy = [None] * 9
    backend = Growing(world.backend._ledger, world.disk)
    assert [finding async for finding in verify_log(backend, world.keys, world.watermark)] == []
    assert not busy


async def test_a_sentence_names_no_one():
    """Findings go to screens and logs: they carry numbers of rows and nothing of what is in them."""
    world, _ = await lived_in((100, 20, 10))
    event = world.event(1, action=Action.READ, account="ACCOUNT-MARK", patient="PATIENT-MARK")
    seq = await AuditLog(world.backend, world.keys, world.clock).append(event)
    world.disk.rows[Table.LOG][seq] = world.disk.rows[Table.LOG][3]
    (finding,) = await world.verify()
    assert str(seq) in finding.sentence
    assert "MARK" not in finding.sentence
