"""Stores to be stolen: filled by the same program from two sets of patients, one known to the attacker and one not.

At rest: loaded bundle by bundle, as `medlock load` does, then stopped. In use: written resource by resource while the
journal is kept whole, so that every commit can be looked at.
"""

from __future__ import annotations

import gzip
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptance.loot import Loot, steal
from acceptance.scene import DATA, SCALE, TODAY
from medlock.access.principal import Role
from medlock.errors import Unprocessable
from medlock.fhir.clinic import clinic
from medlock.fhir.question import Interaction
from medlock.oauth.requests import TokenRequest
from medlock.oauth.tokens import TokenStore
from records.world import World, clinician, open_world

Json = dict[str, Any]
Bundles = list[list[Json]]

SYNTHEA = Path(__file__).resolve().parents[3] / "shared" / "data" / "synthea"
CLINIC_PATIENTS = 24 * SCALE
WRITES = 1_200 * SCALE  # one by one


def clinic_bundles(seed: int) -> Bundles:
    """Our synthetic clinic: what everybody shares, then household by household."""
    return [bundle["entry"] for bundle in clinic(seed, CLINIC_PATIENTS, today=TODAY)]


def synthea_bundles(half: int) -> Bundles:
    """Every other patient of the records in shared data, each resource under its own id."""
    return [_literal(gzip.decompress(path.read_bytes())) for path in sorted(SYNTHEA.glob("*.gz"))[half::2]]


def _literal(data: bytes) -> list[Json]:
    for entry in json.loads(data)["entry"]:
        name = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        data = data.replace(b'"%b"' % entry["fullUrl"].encode(), b'"%b"' % name.encode())
    return [
        {
            "resource": each["resource"],
            "request": {"method": "PUT", "url": f"{each['resource']['resourceType']}/{each['resource']['id']}"},
        }
        for each in json.loads(data)["entry"]
    ]


CORPORA = {"clinic": clinic_bundles, "synthea": synthea_bundles}
"""By name; the argument chooses one of two sets of patients."""


@dataclass
class Victim:
    """A stolen store and what its rows are: key of the body → resource, and the number of the bundle it came in."""

    loot: Loot
    resources: dict[int, Json]
    bundle: dict[int, int]

    def gender(self, resource: Json) -> str:
        """That of the patient whose resource it is; empty when there is none."""
        named = resource.get("subject", resource.get("patient", {})).get("reference", "")
        return self._genders.get(named.rpartition("/")[2], "")

    def __post_init__(self) -> None:
        patients = [each for each in self.resources.values() if each["resourceType"] == "Patient"]
        self._genders = {each["id"]: each["gender"] for each in patients}


def _named(world: World, bundles: Bundles) -> tuple[dict[int, Json], dict[int, int]]:
    found = {
        world.vault.rid(entry["request"]["url"]): (entry["resource"], number)
        for number, entries in enumerate(bundles)
        for entry in entries
    }
    return {rid: resource for rid, (resource, _) in found.items()}, {rid: number for rid, (_, number) in found.items()}


async def at_rest(directory: Path, bundles: Bundles, *, rewritten: bool = True) -> Victim:
    """Load bundle by bundle and stop; `rewritten` as every load ends, or left as the commits left it."""
    world = await open_world(directory)
    for entries in bundles:
        await world.transact(entries)
    if rewritten:
        await world.backend.rewrite()
    named = _named(world, bundles)
    await world.close()
    return Victim(steal(directory / DATA), *named)


def interleaved(bundles: Bundles, seed: int) -> Iterator[Json]:
    """The resources as a day brings them: each patient's in order, all patients' among each other."""
    rng = random.Random(seed)
    queues = [[entry["resource"] for entry in entries][::-1] for entries in bundles]
    while queues:
        queue = rng.choice(queues)
        yield queue.pop()
        if not queue:
            queues.remove(queue)


async def in_use(directory: Path, bundles: Bundles, seed: int) -> Victim:
    """Write resource by resource, read and ask meanwhile, and steal the running store, journal and all."""
    world = await open_world(directory)
    await world.transact(bundles[0])
    await world.backend.scrub()
    with closing(sqlite3.connect(directory / DATA)) as reader:  # as long as it reads, the journal is not cut
        reader.execute("BEGIN").execute("SELECT count(*) FROM body").fetchone()
        written: list[Json] = []
        for resource in interleaved(bundles[1:], seed):
            with suppress(Unprocessable):  # it refers to what is not written yet
                await world.put(dict(resource))
                written.append(resource)
                if len(written) % 10 == 0:
                    await _ask(world, written)
            if len(written) == WRITES:
                break
        loot = steal(directory / DATA)
    named = _named(world, bundles)
    await world.close()
    return Victim(loot, *named)


async def _ask(world: World, written: Sequence[Json]) -> None:
    """A visit of every kind: what is read, and how much of it there is, differs."""
    resource = written[-1]
    type_, id_ = resource["resourceType"], resource["id"]
    await world.read(clinician(), f"{type_}/{id_}")
    for interaction, more in ((Interaction.HISTORY, {}), (Interaction.VREAD, {"version": "1"})):
        await world.ask(clinician(), interaction, type_, id_, **more)
    await world.search(clinician(), type_, f"_count={len(written) % 50 + 1}")
    if len(written) % 100 == 0:
        patient = next(each for each in written if each["resourceType"] == "Patient")
        await world.ask(clinician(), Interaction.EVERYTHING, "Patient", patient["id"])
        await world.door.give_receipt(clinician(), b"%032d" % len(written))
        tokens = TokenStore(world.backend, world.keystore.tenant, world.clock, world.log)
        await tokens.create(TokenRequest(Role.PATIENT, "root", patient=patient["id"]))
