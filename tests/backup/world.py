"""A clinic that is backed up: writes through the real door, backups to a real directory, restores into real stores."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.roles import DEFAULT_SCOPES
from medlock.access.scopes import parse_scopes
from medlock.app import verify_checks
from medlock.backup.create import Made, Maker
from medlock.backup.fitting import fit
from medlock.backup.restore import Ground, Restored, Restorer, building
from medlock.backup.shelf import look
from medlock.fhir.question import Interaction
from medlock.records.opening import Records
from medlock.records.projects import Projects
from medlock.records.shred import Shredder
from medlock.records.verify import verify_all
from medlock.settings import Settings
from medlock.store.keycopy import KeyExport
from medlock.store.tables import Table
from records.world import StillClock, World, clinician, open_world, provider

OFFICER = mint_principal(
    "officer", frozenset({Role.PRIVACY_OFFICER}), parse_scopes(DEFAULT_SCOPES[Role.PRIVACY_OFFICER])
)


def records_of(world: World, store: str = "") -> Records:
    """The same open directory as the product sees it."""
    settings = Settings(world.directory, store=store)
    return Records(settings, world.clock, world.keystore, world.backend, world.log, world.vault, world.door, Projects())


async def back_up(world: World, shelf: Path, *, incremental: bool = False) -> Made:
    """One backup."""
    return await Maker(records_of(world), "operator").make(shelf, incremental=incremental)


async def restore(
    place: Path, shelf: Path, keys: KeyExport, name: str = "", *, checkpoint: str = "", store: str = ""
) -> Restored:
    """A store at `place`, under a cheap passphrase beside it."""
    with building(place) as partial:
        guard = provider(place)
        guard._data_dir = partial
        ground = Ground(Settings(partial, store=store), guard, StillClock(), verify_checks, OFFICER, "operator")
        found = look(shelf)
        fitting = fit(found, keys, name, checkpoint, StillClock().now_ms())
        return await Restorer(ground, found, fitting).restore()


async def shred(world: World, patient: str) -> int:
    """Erase a patient; the slot that was theirs."""
    slot = await world.vault.any_slot(patient)
    assert slot is not None
    await Shredder(world.vault, world.log, world.clock).shred(OFFICER, patient)
    return slot


@asynccontextmanager
async def opened(place: Path, store: str = "") -> AsyncIterator[World]:
    """A process on a directory; it must be sound."""
    world = await open_world(place, store=store)
    try:
        records = records_of(world, store)
        assert await verify_all(records, verify_checks(records)) == []
        yield world
    finally:
        await world.close()


def person(name: str, city: str = "Bern") -> dict:
    return {"resourceType": "Patient", "id": name, "name": [{"family": f"{name}son"}], "address": [{"city": city}]}


def weight(name: str, patient: str, kilos: float, **more) -> dict:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueQuantity": {"value": kilos, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        **more,
    }


async def lives(world: World) -> None:
    """Erin's, Ann's and Bob's records: changed, deleted, shared both ways, moved both ways, long, and folded."""
    for name in ("erin", "ann", "bob"):
        await world.put(person(name))
    for number in range(24):
        await world.put(weight(f"e{number}", "erin", number + 1))
        await world.put(weight(f"e{number}", "erin", number + 2))
        await world.put(weight(f"a{number}", "ann", number + 1))
    for number in range(3):
        await world.put(weight("e5", "erin", number + 1, note=[{"text": os.urandom(1500 * number + 1).hex()}]))
    await world.ask(clinician(), Interaction.DELETE, "Observation", "e3")
    await world.put(weight("of-erin", "erin", 1, performer=[{"reference": "Patient/ann"}]))
    await world.put(weight("of-ann", "ann", 2, performer=[{"reference": "Patient/erin"}]))
    for kilos, owner in ((1, "erin"), (2, "erin"), (3, "ann")):
        await world.put(weight("moved-away", owner, kilos, note=[{"text": os.urandom(1000).hex()}]))
    for kilos, owner in ((1, "ann"), (2, "erin")):
        await world.put(weight("moved-here", owner, kilos))
    await world.put({"resourceType": "Organization", "id": "clinic", "name": "A clinic"})
    await world.put({"resourceType": "Organization", "id": "clinic", "name": "The clinic"})


async def rows(world: World) -> dict[Table, dict[int, bytes]]:
    """Every row of every table."""
    return {table: dict(await world.backend.scan(table, None, 1_000_000)) for table in Table}


async def reads(world: World, reference: str) -> dict:
    return json.loads(json.dumps(await world.read(clinician(), reference)))
