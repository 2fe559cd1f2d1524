"""The directory as a new process finds it, and as a running one keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from medlock.errors import Tampered
from medlock.fhir.question import Interaction
from medlock.store import directory
from medlock.store.directory import Directory
from medlock.store.entries import DROPPED
from medlock.store.tables import Batch, Table
from records.world import World, clinician, open_world

PATIENTS = [f"p{number}" for number in range(9)]


@pytest.fixture
async def world(tmp_path: Path, store: str) -> AsyncIterator[World]:
    """Nine patients, one of them changed, one deleted."""
    made = await open_world(tmp_path / "data", store=store)
    for number, each in enumerate(PATIENTS):
        await made.put({"resourceType": "Patient", "id": each, "name": [{"family": f"Fam{number}"}]})
    await made.put({"resourceType": "Patient", "id": "p1", "name": [{"family": "Other"}]})
    await made.ask(clinician(), Interaction.DELETE, "Patient", "p2")
    yield made
    await made.close()


async def loaded(world: World) -> Directory:
    """The directory as a process that starts now has it."""
    found = Directory(world.backend, world.keystore.tenant, world.keystore)
    await found.load()
    return found


async def slot_of(world: World, patient: str) -> int:
    slot = await world.vault.any_slot(patient)
    assert slot is not None
    return slot


@pytest.mark.parametrize("portion", [1, 4, 512])
async def test_a_start_finds_what_was_there(world: World, monkeypatch: pytest.MonkeyPatch, portion: int) -> None:
    """Rows and slots are the same as in the process that wrote them, however many rows are opened at once."""
    monkeypatch.setattr(directory, "PORTION", portion)
    found = await loaded(world)
    for each in PATIENTS:
        rid = world.vault.rid(f"Patient/{each}")
        assert found.find(rid) == world.vault.directory.find(rid) is not None
    assert len(found) == len(world.vault.directory) == len(PATIENTS) - 1
    assert set(found.slots()) == set(world.vault.directory.slots()) == {await slot_of(world, each) for each in PATIENTS}
    assert found.number == world.vault.directory.number


async def test_a_start_passes_over_a_destroyed_key(world: World) -> None:
    """An entry whose key is gone is as if it were not there; the others are."""
    slot = await slot_of(world, "p4")
    world.keystore.destroy(slot)
    found = await loaded(world)
    assert found.find(world.vault.rid("Patient/p4")) is None
    assert slot not in found.slots()
    assert len(found.slots()) == len(PATIENTS) - 1


async def test_a_start_refuses_rows_that_were_tampered_with(world: World) -> None:
    """An entry that was edited, or put under another's key, stops the start."""
    rows = await world.backend.scan(Table.DIRECTORY, None, 100)
    (one, ct), (_, other) = rows[0], rows[1]
    for forged in (ct[:-1] + bytes((ct[-1] ^ 1,)), bytes((ct[0] ^ 1,)) + ct[1:], other, ct[:36] + other[36:]):
        await world.backend.commit(Batch(puts=[(Table.DIRECTORY, one, forged)]))
        with pytest.raises(Tampered):
            await loaded(world)
    await world.backend.commit(Batch(puts=[(Table.DIRECTORY, one, ct)]))
    assert len((await loaded(world)).slots()) == len(PATIENTS)


@pytest.mark.parametrize("settled", [False, True])
async def test_slots_follow_changes(world: World, settled: bool) -> None:
    """Slots that were asked for before are not an answer any more once a patient comes or goes."""
    found = world.vault.directory
    if settled:
        found = await loaded(world)
    before = set(found.slots())
    slot = await slot_of(world, "p5")
    rid = world.vault.rid("Patient/p5")
    batch = Batch()
    last = found.shred(slot, batch)
    found.shredded(slot, last)
    assert set(found.slots()) == before - {slot}
    assert found.find(rid) is None
    keys = world.keystore.allot()[0]
    entry = next(each for part in found.view() for each in part.entries() if each.rid == rid and each.flags & DROPPED)
    reborn = type(entry)(rid, keys.slot, 1, 9, entry.type, 0, 0, (), (), (), ())
    found.committed([reborn], found.number)
    assert set(found.slots()) == (before - {slot}) | {keys.slot}
    assert sum(int(np.count_nonzero(each.alive)) for each in found.view()) == len(found)
