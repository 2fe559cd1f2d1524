"""A treatment relationship that is asked for: the same GET through two doors on one store, open and required.

In process, without HTTP: sealed rows, decision, re-check, minimising and a durable audit entry, in turns. The caller
is a doctor with a role at an organisation; the patient has visits of theirs and of others.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from verdict import measure
from world import draft_of, fill, open_store

from medlock.access.consent.policy import Policy
from medlock.access.consent.ruling import Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.fhir.question import Interaction, Question
from medlock.records.door import Door
from medlock.records.opening import Records

_EACH = 320
_AT_ONCE = 16
_PATIENTS = 40
_VISITS = 30
_DOCTOR = "Practitioner/doctor"


def relationship_measures(rounds: int) -> list[dict[str, Any]]:
    """Processor time, the ratio of the medians of all rounds; beside it what a first look at an index costs."""
    with tempfile.TemporaryDirectory(prefix="medlock-bench-") as folder:
        return asyncio.run(_measured(Path(folder), rounds))


async def _measured(folder: Path, rounds: int) -> list[dict[str, Any]]:
    async with open_store(folder) as records:
        await fill(records, [draft_of(each) for each in _clinic()])
        doors = [_door(records, related=related) for related in (False, True)]
        times: list[list[tuple[float, float]]] = [[], []]
        who = _doctor()
        for _ in range(rounds * 4):
            for door, found in zip(doors, times, strict=True):
                found.append(await _timed(door, who))
        first = await _timed(_door(records, related=True), who, _PATIENTS)
    (open_, open_wall), (required, required_wall) = (tuple(map(median, zip(*found, strict=True))) for found in times)
    raw = {"open_us": open_, "required_us": required, "first_us": first[0], "by_wall": required_wall / open_wall}
    return [measure("relationship_get", required / open_, **raw)]


def _door(records: Records, *, related: bool) -> Door:
    site = Site(Policy.PERMIT_ALL, related=related)
    settings = records.settings
    return Door(records.vault, records.log, records.clock, settings.base_url, settings.limits, site=site)


def _doctor() -> Principal:
    scopes = parse_scopes("user/*.rs")
    return mint_principal("doctor", frozenset({Role.CLINICIAN}), scopes, fhir_user=_DOCTOR)


async def _timed(door: Door, who: Principal, times: int = _EACH) -> tuple[float, float]:
    """Microseconds of processor time and of the clock for one GET of a patient, sixteen at a time."""
    questions = [Question(Interaction.READ, "Patient", f"p{at % _PATIENTS}") for at in range(times)]
    began = time.process_time(), time.perf_counter()
    for start in range(0, times, _AT_ONCE):
        await asyncio.gather(*(door.answer(who, each) for each in questions[start : start + _AT_ONCE]))
    return (time.process_time() - began[0]) / times * 1e6, (time.perf_counter() - began[1]) / times * 1e6


def _clinic() -> list[dict[str, Any]]:
    people = [{"resourceType": "Practitioner", "id": name} for name in ("doctor", "other")]
    places = [{"resourceType": "Organization", "id": "ward", "name": "Ward"}]
    role = {"resourceType": "PractitionerRole", "id": "role", "practitioner": {"reference": _DOCTOR}}
    role["organization"] = {"reference": "Organization/ward"}
    patients = [{"resourceType": "Patient", "id": f"p{number}"} for number in range(_PATIENTS)]
    visits = [_visit(patient, number) for patient in range(_PATIENTS) for number in range(_VISITS)]
    return [*people, *places, role, *patients, *visits]


def _visit(patient: int, number: int) -> dict[str, Any]:
    """A visit; of each patient's, the last is the doctor's and goes on."""
    last = number == _VISITS - 1
    return {
        "resourceType": "Encounter",
        "id": f"v{patient}-{number}",
        "status": "in-progress" if last else "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/p{patient}"},
        "period": {"start": "2026-01-01"} if last else {"start": "2020-01-01", "end": "2020-01-02"},
        "participant": [{"individual": {"reference": _DOCTOR if number % 3 == 0 or last else "Practitioner/other"}}],
    }
