"""A de-identified export: everything within a caller's reach, under a preset and a project's key.

Each record is read through the door as for any export, seen whole (its notes are cleaned of everybody in it), and
changed before a byte of it is written. The directory appears when all is written and the act is in the log; with it a
Provenance for what it holds. Nothing in between holds identifiers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from medlock.access.principal import Principal
from medlock.audit.events import Action, Event, Outcome
from medlock.clock import instant
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.profile import Profile
from medlock.deid.fhir.provenance import TARGETS_MAX, provenance
from medlock.deid.fhir.register import IDENTITIES
from medlock.deid.fhir.release import appearing
from medlock.deid.fhir.subject import Subject
from medlock.deid.fhir.text import TextCleaner
from medlock.deid.fhir.whose import patient_of
from medlock.ids import random_bytes
from medlock.records.everything import SHARED
from medlock.records.export import Exporter
from medlock.records.opening import Records

Json = dict[str, Any]
PROVENANCE = "Provenance-deid.ndjson"


@dataclass(frozen=True)
class Project:
    """For whom the export is made: preset, key, and what reads prose (None drops it)."""

    profile: Profile
    key: bytes
    cleaner: TextCleaner | None = None


class Deidentified:
    """A `Change` for `Exporter`. `targets` are references to what it let go."""

    def __init__(self, project: Project, now: datetime) -> None:
        self._today = now.date()
        self._common: tuple[Json, ...] = ()
        self._engine = Deidentifier(project.profile, project.key, project.cleaner, records=lambda _: self._common)
        self.targets: dict[str, None] = {}

    def __call__(self, patient: str, resources: list[bytes]) -> list[bytes]:
        """One record, each resource moved with the patient whom it names; what names nobody, as of nobody."""
        record: tuple[Json, ...] = tuple(orjson.loads(each) for each in resources)
        if patient == SHARED:
            self._common = tuple(each for each in record if each["resourceType"] in IDENTITIES)
        subjects: dict[str, Subject] = {}
        return [self._one(each, record, subjects) for each in record]

    def _one(self, resource: Json, record: tuple[Json, ...], subjects: dict[str, Subject]) -> bytes:
        whose = patient_of(resource, {})
        if whose not in subjects:
            subjects[whose] = self._engine.subject(whose, self._today, record)
        after = self._engine.apply(resource, self._today, subjects[whose])
        self.targets[f"{after['resourceType']}/{after['id']}"] = None
        return orjson.dumps(after)


async def export_deidentified(
    records: Records, principal: Principal, project: Project, directory: Path
) -> dict[str, int]:
    """Counts by type of what was written. Raises Conflict when the directory is there, SetupError, Unavailable."""
    now = records.clock.now_ms()
    change = Deidentified(project, datetime.fromtimestamp(now / 1000, UTC))
    with appearing(directory) as half:
        counts = await Exporter(records.door, principal, change=change).export(half)
        lines = _provenances(list(change.targets), project.profile, instant(now))
        (half / PROVENANCE).write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in lines))
        await records.log.append(_event(principal, project.profile, now))
    return counts


def _provenances(targets: list[str], profile: Profile, recorded: str) -> list[Json]:
    starts = range(0, len(targets), TARGETS_MAX)
    return [
        provenance(targets[at : at + TARGETS_MAX], profile, recorded, number=number)
        for number, at in enumerate(starts, 1)
    ]


def _event(who: Principal, profile: Profile, now: int) -> Event:
    """That a de-identified export was made, under which preset and by what right; each page has its own entry."""
    roles = tuple(sorted(who.roles))
    request, query = random_bytes(8).hex(), f"deid={profile.name}"
    about = (Action.EXPORT, Outcome.SUCCESS, who.account, roles, who.client, who.purpose, now, request)
    return Event(*about, query=query, basis=profile.basis)
