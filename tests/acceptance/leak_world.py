"""A clinic full of traps for the leak test, and a naive idea of who may see what.

The rule is written from the role table's words and R4's compartment; it shares no code with the server.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from fhir_search import oracle
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.errors import Gone
from medlock.fhir.question import Interaction
from records.world import World, clinician

Resource = dict[str, Any]
PATIENTS = ("ann", "bob", "cat", "dan")
SHARED = ("Practitioner", "Organization", "Medication")
CODES = ("29463-7", "8867-4", "718-7")
LOINC = "http://loinc.org"


@dataclass(frozen=True)
class Caller:
    """Somebody who asks: `patient` when held to one, `types` as the scopes allow them ("*" for all)."""

    name: str
    principal: Principal
    patient: str
    types: frozenset[str]

    def allows(self, type_: str) -> bool:
        """Whether the scopes name the type."""
        return "*" in self.types or type_ in self.types


def callers() -> list[Caller]:
    """Patients with wide and narrow scopes, and a clinician who may see one type only."""
    made = []
    for who in PATIENTS:
        for types in (("*",), ("Observation", "Patient"), ("Appointment", "Practitioner"), ("Provenance", "Condition")):
            scopes = " ".join(f"patient/{type_}.rs" for type_ in types)
            principal = mint_principal(f"p-{who}", frozenset({Role.PATIENT}), parse_scopes(scopes), patient=who)
            made.append(Caller(f"{who} {types[0]}", principal, who, frozenset(types)))
    for types in (("*",), ("Observation",), ("Patient", "Practitioner")):
        scopes = " ".join(f"user/{type_}.rs" for type_ in types)
        principal = mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes(scopes))
        made.append(Caller(f"clinician {types[0]}", principal, "", frozenset(types)))
    return made


@dataclass
class Truth:
    """Every version of every resource, as the test wrote it."""

    versions: dict[str, list[Resource | None]] = field(default_factory=dict)
    order: list[tuple[str, int]] = field(default_factory=list)  # reference and version, as they were written

    def write(self, reference: str, version: Resource | None) -> None:
        """Remember the next version."""
        self.versions.setdefault(reference, []).append(version)
        self.order.append((reference, len(self.versions[reference])))

    def current(self) -> list[Resource]:
        """Resources that are alive."""
        return [last for history in self.versions.values() if (last := history[-1]) is not None]

    def members(self, resource: Resource) -> set[str]:
        """Whose record a resource is part of."""
        found = oracle.patients_of(resource)
        if found or resource["resourceType"] not in {"Provenance", "Device"}:
            return found
        if resource["resourceType"] == "Device":
            reference = resource.get("patient", {}).get("reference", "")
            return {reference.removeprefix("Patient/")} if reference.startswith("Patient/") else set()
        for target in resource["target"]:
            about = self.versions.get(target["reference"])
            if about and about[0] is not None and self.members(about[0]):
                return self.members(about[0])
        return set()

    def sees(self, caller: Caller, resource: Resource) -> bool:
        """The rule, said naively."""
        if not caller.allows(resource["resourceType"]):
            return False
        members = self.members(resource)
        if not members:
            return not caller.patient or resource["resourceType"] in SHARED
        return not caller.patient or caller.patient in members


class Builder:
    """Writes the clinic through the door, and remembers what it wrote."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.truth = Truth()

    async def put(self, resource: Resource) -> None:
        stored = await self.world.put(resource)
        self.truth.write(f"{resource['resourceType']}/{resource['id']}", stored)

    async def delete(self, reference: str) -> None:
        type_, _, id_ = reference.partition("/")
        await self.world.ask(clinician(), Interaction.DELETE, type_, id_)
        self.truth.write(reference, None)

    async def build(self) -> Truth:
        for who in PATIENTS:
            await self.put({"resourceType": "Patient", "id": who, "name": [{"family": f"F{who}"}], "gender": "female"})
        for id_ in ("doc", "nurse"):
            await self.put({"resourceType": "Practitioner", "id": id_, "name": [{"family": id_}]})
        await self.put({"resourceType": "Organization", "id": "org", "name": "Clinic"})
        await self.put({"resourceType": "Medication", "id": "med", "code": {"text": "x"}})
        for number in range(40):
            await self.put(self.observation(number))
        for number in range(10):
            await self.rest(number)
        await self.change()
        return self.truth

    def who(self) -> str:
        return self.rng.choice(PATIENTS)

    def observation(self, number: int) -> Resource:
        """An Observation, sometimes with another patient as performer, sometimes of nobody."""
        rng = self.rng
        made: Resource = {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": rng.choice(("final", "preliminary")),
            "code": {"coding": [{"system": LOINC, "code": rng.choice(CODES)}]},
            "effectiveDateTime": f"2024-0{rng.randrange(1, 9)}-11",
            "valueQuantity": {"value": rng.randrange(50, 90), "unit": "kg"},
            "identifier": [{"system": "urn:lab", "value": f"v{rng.randrange(12)}"}],
        }
        if rng.random() < 0.9:
            made["subject"] = {"reference": f"Patient/{self.who()}"}
        if rng.random() < 0.5:
            made["performer"] = [{"reference": rng.choice(("Practitioner/doc", f"Patient/{self.who()}"))}]
        if rng.random() < 0.2:
            made["focus"] = [{"reference": f"Patient/{self.who()}"}]
        if rng.random() < 0.3:
            made["meta"] = {"security": [{"system": "urn:s", "code": "R"}]}
        return made

    async def rest(self, number: int) -> None:
        """Appointments of two patients, conditions, devices, provenance."""
        one, two = self.who(), self.who()
        actors = [
            {"actor": {"reference": f"Patient/{each}"}, "status": "accepted"} for each in dict.fromkeys((one, two))
        ]
        await self.put({"resourceType": "Appointment", "id": f"a{number}", "status": "proposed", "participant": actors})
        await self.put(
            {
                "resourceType": "Condition",
                "id": f"c{number}",
                "subject": {"reference": f"Patient/{self.who()}"},
                "code": {"coding": [{"system": "urn:c", "code": f"k{number % 3}"}]},
            }
        )
        await self.put(
            {"resourceType": "Device", "id": f"d{number}", "patient": {"reference": f"Patient/{self.who()}"}}
        )
        await self.put(
            {
                "resourceType": "Provenance",
                "id": f"p{number}",
                "target": [{"reference": f"Observation/o{self.rng.randrange(40)}"}],
                "recorded": "2024-01-01T00:00:00Z",
                "agent": [{"who": {"reference": "Practitioner/doc"}}],
            }
        )

    async def change(self) -> None:
        """Updates that move resources between patients, and deletes."""
        for number in self.rng.sample(range(40), 12):
            await self.put(self.observation(number))
        for number in self.rng.sample(range(40), 6):
            if self.truth.versions[f"Observation/o{number}"][-1] is not None:
                await self.delete(f"Observation/o{number}")


async def told(world: World, caller: Caller, reference: str) -> Resource | None:
    """What a read tells a caller: the resource, or nothing. Gone tells that it was there: it counts as told."""
    type_, _, id_ = reference.partition("/")
    try:
        return json.loads((await world.ask(caller.principal, Interaction.READ, type_, id_)).body)
    except Gone:
        return {"gone": True}
