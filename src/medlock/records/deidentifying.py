"""The step of an export that de-identifies: from what a Grant's masks left of some resources to what may leave instead.

With prose to be cleaned, each resource is seen together with the whole record that it is a part of and with all who are
shared (`knowing`); that is read in a thread, so that others are answered meanwhile. Without, prose is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson

from medlock.clock import instant
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.provenance import provenance
from medlock.deid.fhir.subject import Subject
from medlock.deid.fhir.whose import patient_of
from medlock.errors import BadRequest
from medlock.fhir.options import ExportOptions
from medlock.fhir.question import Question
from medlock.ids import random_bytes
from medlock.records.knowing import record_of
from medlock.records.projects import Projects
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import Opened

PROVENANCE: Final = "Provenance-deid"
"""The file that says what was done to all others."""
_AT_ONCE: Final = 8
Json = dict[str, Any]


async def deidentified(
    vault: Vault, question: Question, projects: Projects, shown: Sequence[tuple[Opened, bytes]], now: int
) -> list[bytes]:
    """Each as the preset has it; in the file about all others, a Provenance of them instead."""
    options = question.options
    if not isinstance(options, ExportOptions):
        raise BadRequest("An export says what it exports.")
    if not shown:
        return []
    engine = projects.engine(options.job, question)
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    if engine.cleaner is None or options.part.file == PROVENANCE:
        after = await _plainly(engine, shown, today)
    else:
        after = await _cleaned(vault, engine, projects, shown, today)
    if options.part.file != PROVENANCE:
        return [orjson.dumps(each) for each in after]
    targets = [f"{each['resourceType']}/{each['id']}" for each in after]
    about = provenance(targets, projects.profile(question), instant(options.until or now))
    return [orjson.dumps(about | {"id": f"deid-{random_bytes(8).hex()}"})]


async def _plainly(engine: Deidentifier, shown: Sequence[tuple[Opened, bytes]], today: date) -> list[Json]:
    """Each by itself, without its prose; others who wait for this process come in between."""
    after = []
    for at, (_, body) in enumerate(shown):
        resource = orjson.loads(body)
        whose = patient_of(resource, {})
        after.append(engine.apply(resource, today, Subject(whose, engine.days(whose))))
        if at % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
    return after


async def _cleaned(
    vault: Vault, engine: Deidentifier, projects: Projects, shown: Sequence[tuple[Opened, bytes]], today: date
) -> list[Json]:
    """Each with the record that it is a part of at hand."""
    common = await record_of(vault, TENANT)
    after: list[Json] = []
    at_hand, record = TENANT, common
    subjects: dict[str, Subject] = {}
    for opened, body in shown:
        if opened.slot != at_hand:  # they come patient by patient
            at_hand, record, subjects = opened.slot, (*await record_of(vault, opened.slot), *common), {}
        async with projects.turn:
            after.append(await asyncio.to_thread(_one, engine, orjson.loads(body), today, record, subjects))
    return after


def _one(
    engine: Deidentifier, resource: Json, today: date, record: tuple[Json, ...], subjects: dict[str, Subject]
) -> Json:
    """One resource. `subjects` keeps what `record` says of those whom it is about."""
    whose = patient_of(resource, {})
    if whose not in subjects:
        subjects[whose] = engine.subject(whose, today, record)
    return engine.apply(resource, today, subjects[whose])
