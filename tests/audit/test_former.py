"""A log that an earlier medlock began is read, searched, proven and verified as before, and goes on in place."""

from __future__ import annotations

import sqlite3

import pytest

from audit.former import former_entry
from audit.test_on_sqlite import findings, opened
from audit.world import World
from medlock.audit.events import Position
from medlock.audit.findings import Kind
from medlock.audit.search import AuditQuery
from medlock.crypto.merkle import leaf_hash, verify_inclusion
from medlock.store.schema import COUNTER, THIRD_TABLES, VERSION
from medlock.store.tables import Batch, Table

FORMER, ADDED = 4_300, 700


async def begun(world, backend):
    """Events of a log that version 1 began and this program went on with."""
    before = [world.event(number) for number in range(FORMER)]
    for start in range(0, FORMER, 500):
        await backend.commit(Batch(entries=[former_entry(event) for event in before[start : start + 500]]))
    return before


@pytest.fixture
async def grown():
    """A world whose log holds entries of both versions, indexed and signed; its events."""
    world = World()
    before = await begun(world, world.backend)
    after = await world.fill(ADDED)
    await world.settle()
    return world, [*before, *after]


async def test_every_event_reads_as_it_was(grown):
    """Searches and single reads give the same events, whichever version they were written in."""
    world, events = grown
    assert [len(world.disk.rows[Table.LOG][seq]) for seq in (0, FORMER - 1, FORMER)] == [893, 893, 571]
    found = await world.log.find(AuditQuery(limit=9_999, newest_first=False))
    assert [recorded.event for recorded in found] == events
    one = await world.log.find(AuditQuery(slot=7, account="account-3", limit=9_999))
    assert {each.event for each in one} == {each for each in events if (each.slot, each.account) == (7, "account-3")}
    assert (await world.log.event(3)).event == events[3]


async def test_it_verifies_and_proves(grown):
    """Nothing is found, positions are the last ones, and a former entry is proven in the tree of today."""
    world, events = grown
    positions: dict[int, Position] = {}
    assert await world.verify(positions) == []
    assert positions == {event.position.slot: event.position for event in events if event.position}
    proof = await world.log.inclusion_proof(FORMER - 1)
    assert proof.leaf == leaf_hash(world.disk.rows[Table.LOG][FORMER - 1])
    verify_inclusion(proof.leaf, proof.seq, proof.size, proof.path, proof.root)


@pytest.mark.parametrize("seq", [0, 4_095, FORMER - 1, FORMER, FORMER + ADDED - 1])
async def test_a_changed_entry_is_named_whatever_its_version(grown, seq):
    """Also when it is relabelled as one of the other version."""
    world, _ = grown
    row = world.disk.rows[Table.LOG][seq]
    for changed in (bytes([3 - row[0]]) + row[1:], row[:-1] + bytes([row[-1] ^ 1]), b"\x00" + row, row[1:]):
        world.disk.put(Table.LOG, seq, changed)
        (finding,) = await world.verify()
        assert (finding.table, finding.key, finding.kind) == (Table.LOG, seq, Kind.EDITED)


async def test_detail_dies_with_the_patient_in_both(grown):
    """After erasure no entry about the patient opens in full, and all minimal copies still do."""
    world, events = grown
    world.keys.destroy(7)
    found = await world.log.find(AuditQuery(slot=7, limit=9_999))
    assert len(found) == sum(event.slot == 7 for event in events)
    assert not any(recorded.full or recorded.event.touched or recorded.event.patient for recorded in found)
    assert await world.verify() == []


async def test_a_store_of_schema_version_1_moves_forward_in_place(tmp_path):
    """Opening is all that it takes: former entries stay, new ones come behind them, and an older program is told."""
    world, path = World(), tmp_path / "store.db"
    backend, _ = opened(world, path)
    before = await begun(world, backend)
    await backend.close()
    mark(path, 1)
    without_later_tables(path)
    backend, log = opened(world, path)
    assert mark(path) == VERSION == 4
    assert await log.append(*[world.event(number) for number in range(ADDED)]) == FORMER
    assert [each.event for each in await log.find(AuditQuery(limit=FORMER, newest_first=False))] == before
    await backend.close()
    assert await findings(world, path) == []


def without_later_tables(path):
    """As a file of version 1 was: without the tables that later versions brought."""
    with sqlite3.connect(path) as db:
        for name in (*(table.value for table in THIRD_TABLES), COUNTER):
            db.execute(f"DROP TABLE {name}")
    db.close()


def mark(path, version=None):
    """The schema version of a file; written when it is given."""
    with sqlite3.connect(path) as db:
        if version is not None:
            db.execute(f"PRAGMA user_version = {version}")
        (found,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return found
