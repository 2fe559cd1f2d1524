"""Bodies opened lately: found by their very ciphertext, never by name alone, and never without their key."""

from pathlib import Path

import pytest

from medlock.errors import NotFound, Tampered
from medlock.store.bodies import Meta, Opened
from medlock.store.capsule import IndexRow
from medlock.store.opened import BODY_BYTES, OpenedBodies
from medlock.store.tables import Batch, Table
from records.world import World, clinician, open_world


def opened(rid: int, ct: bytes) -> Opened:
    return Opened(Meta("Patient", str(rid), 1, 0), b"{}", rid, 1, ct, tag=7)


def test_only_the_same_ciphertext_is_known():
    """One byte of difference, and nothing is known."""
    known = OpenedBodies()
    known.put(opened(1, b"aaaa"))
    assert known.get(1, b"aaaa") is not None
    assert known.get(1, b"aaab") is None
    assert known.get(2, b"aaaa") is None


def test_of_many_only_those_that_lie_there_and_are_named():
    """The row just read must hold the same ciphertext, and the index must name it."""
    known = OpenedBodies()
    known.put(opened(1, b"aaaa"))
    rows = [IndexRow(1, 1, 1, 7), IndexRow(1, 1, 1, 8), IndexRow(3, 1, 1, 7)]
    assert [each is not None for each in known.get_all(rows, {1: b"aaaa", 3: b"aaaa"})] == [True, False, False]
    assert known.get_all(rows[:1], {1: b"aaab"}) == [None]
    assert known.get_all(rows[:1], {}) == [None]


def test_the_longest_unused_leaves_first():
    """Bounded, whatever is opened."""
    known = OpenedBodies(kept=2)
    for rid in (1, 2):
        known.put(opened(rid, b"ct"))
    assert known.get(1, b"ct") is not None
    known.put(opened(3, b"ct"))
    assert known.get(2, b"ct") is None
    assert known.get(1, b"ct") is not None
    known.clear()
    assert known.get(1, b"ct") is None


def test_long_bodies_are_not_kept():
    """A body that a million equal letters fill takes one row, and would take a megabyte here."""
    known = OpenedBodies()
    known.put(Opened(Meta("Patient", "1", 1, 0), b"a" * (BODY_BYTES + 1), 1, 1, b"ct"))
    assert known.get(1, b"ct") is None


@pytest.fixture
async def world(tmp_path: Path):
    """A record that was read."""
    made = await open_world(tmp_path / "data")
    await made.put({"resourceType": "Patient", "id": "ann", "gender": "female"})
    assert (await made.read(clinician(), "Patient/ann"))["gender"] == "female"
    yield made
    await made.close()


async def test_a_changed_row_is_refused_although_it_was_known(world: World) -> None:
    """What lies on disk decides: an edited row does not open, a row put back is not what the index names."""
    rid = world.vault.rid("Patient/ann")
    ct = await world.backend.get(Table.BODY, rid)
    assert ct is not None
    await world.backend.commit(Batch(puts=[(Table.BODY, rid, ct[:40] + bytes([ct[40] ^ 1]) + ct[41:])]))
    with pytest.raises(Tampered):
        await world.read(clinician(), "Patient/ann")
    await world.backend.commit(Batch(puts=[(Table.BODY, rid, ct)]))
    await world.put({"resourceType": "Patient", "id": "ann", "gender": "male"})
    await world.backend.commit(Batch(puts=[(Table.BODY, rid, ct)]))
    with pytest.raises(Tampered):
        await world.read(clinician(), "Patient/ann")


async def test_nothing_is_served_without_its_key(world: World) -> None:
    """The key is asked for each time: when it is gone, so is what it once opened."""
    slot = await world.vault.any_slot("ann")
    assert slot is not None
    world.keystore.destroy(slot)
    with pytest.raises(NotFound):
        await world.read(clinician(), "Patient/ann")
