"""From a query and a reach to the rows that match, in order. Opens bodies only for what the columns cannot tell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medlock.errors import BadRequest, Problem
from medlock.fhir.compartment import PATIENT_COMPARTMENT
from medlock.fhir.extract import extract
from medlock.fhir.match import matches
from medlock.fhir.parse import parse_json
from medlock.fhir.query import Condition, Kind, ReferenceValue, SearchQuery
from medlock.records.indexing import TYPE_NUMBERS
from medlock.records.plan import Plan
from medlock.records.reach import Reach
from medlock.records.vault import TENANT, Opened, Vault
from medlock.store.capsule import Capsule, IndexRow
from medlock.store.segment import Segment

OPENED_MAX = 20_000
"""Bodies that one search may open to decide what the columns cannot; beyond it the answer is 400."""
_YIELD_EVERY = 64
_NAMING = frozenset({"patient", "subject"})


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that matches: where its body lies, and what sorting needs."""

    row: IndexRow
    updated: int
    segment: Segment
    at: int

    @property
    def order(self) -> tuple[int, int]:
        """The default order: newest first, then by row id."""
        return -self.updated, self.row.rid


class Finder:
    """Answers one query within one reach. `about` is the one patient whose index was looked into: slot and id."""

    def __init__(self, vault: Vault, reach: Reach) -> None:
        self._vault = vault
        self._reach = reach
        self.about = (0, "")

    async def find(self, query: SearchQuery) -> list[Hit]:
        """Every visible resource that matches, in default order."""
        plan = self._vault.planner.plan(query)
        hits = await self._candidates(query, plan)
        if plan.undecided:
            hits = await self._decide(query.type, hits, plan.undecided)
        hits.sort(key=lambda hit: hit.order)
        return hits

    async def _candidates(self, query: SearchQuery, plan: Plan) -> list[Hit]:
        if query.type == "Patient":
            await self._vault.directory.refresh()
            return self._patients(plan)
        found: dict[int, Hit] = {}
        for count, slot in enumerate(await self._scope(query)):
            capsule = await self._vault.capsules.open(slot)
            for hit in self._in_capsule(capsule, plan):
                found.setdefault(hit.row.rid, hit)
            if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
        return list(found.values())

    def _patients(self, plan: Plan) -> list[Hit]:
        """Patients come from the directory; a row is visible when the rules of its slot allow it."""
        hits: list[Hit] = []
        everyone = self._reach.grant.everyone
        special = np.array(list(self._reach.by_slot), np.uint64)
        for segment in self._vault.directory.view():
            rows = plan.rows(segment)
            if everyone is None or not everyone.allow(_PatientFacts()):
                rows = rows[np.isin(segment.rows["slot"][rows], special)]
            hits += [hit for hit in _hits(segment, rows) if self._patient_visible(segment, hit)]
        return hits

    def _patient_visible(self, segment: Segment, hit: Hit) -> bool:
        rules = self._reach.rules(hit.row.slot)
        labels = segment.labels[int(segment.rows["label"][hit.at])]
        return rules is not None and rules.allow(_PatientFacts(labels=labels))

    async def _scope(self, query: SearchQuery) -> list[int]:
        """The indexes that can hold a match: those of the patients that the query names, or all within reach.

        A caller held to some patients is shown their indexes whoever is named: a resource of two patients lies in both.
        """
        named = _named_patients(query)
        within = [(slot, patient) for slot, patient in await self._slots_of(named or []) if self._reach.rules(slot)]
        if len(within) == 1:
            self.about = within[0]
        if named is not None and self._reach.grant.everyone is not None:
            return [slot for slot, _ in within]
        shared = [TENANT] if query.type in self._reach.grant.shared else []
        return [*shared, *self._reach.slots(self._vault)] if _owned_by_patients(query.type) else shared

    async def _slots_of(self, patients: list[str]) -> list[tuple[int, str]]:
        """Slot and id of those patients that there are."""
        found = [(await self._vault.patient_slot(patient), patient) for patient in patients]
        return [(slot, patient) for slot, patient in found if slot is not None]

    def _in_capsule(self, capsule: Capsule, plan: Plan) -> list[Hit]:
        hits: list[Hit] = []
        for segment in capsule.view():
            seen = self._reach.visible(capsule, segment, plan.type)
            if seen is not None:
                rows = plan.rows(segment)
                hits += _hits(segment, rows[seen[rows]], capsule.slot)
        return hits

    async def _decide(self, type_: str, hits: list[Hit], conditions: Sequence[Condition]) -> list[Hit]:
        """Open the candidates and let `fhir.match` decide."""
        if len(hits) > OPENED_MAX:
            raise _too_costly()
        kept: list[Hit] = []
        for start in range(0, len(hits), _YIELD_EVERY):
            part = hits[start : start + _YIELD_EVERY]
            for hit, opened in zip(part, await self._vault.fetch([hit.row for hit in part]), strict=True):
                if opened is not None and decided(type_, opened, conditions):
                    kept.append(hit)
            await asyncio.sleep(0)
        return kept


@dataclass(frozen=True, slots=True)
class _PatientFacts:
    """A Patient row, for `Rules.allow`."""

    type: str = "Patient"
    patients: tuple[str, ...] = ("",)
    labels: tuple[str, ...] = ()


def decided(type_: str, opened: Opened, conditions: Sequence[Condition]) -> bool:
    """Whether an opened body meets the conditions."""
    values = extract(parse_json(opened.body))
    return matches(conditions, type_, values, id=opened.meta.id, updated_ms=opened.meta.updated)


def _hits(segment: Segment, rows: NDArray[np.intp], index_slot: int = 0) -> list[Hit]:
    """Hits of these rows. A row without a slot of its own lies in the index's slot."""
    columns = segment.rows[rows][["rid", "slot", "version", "tag", "updated"]].tolist()
    return [
        Hit(IndexRow(rid, slot or index_slot, version, tag), updated, segment, at)
        for (rid, slot, version, tag, updated), at in zip(columns, rows.tolist(), strict=True)
    ]


def _owned_by_patients(type_: str) -> bool:
    """Whether resources of this type may lie in patients' indexes: all but those that only ever are shared."""
    return type_ in TYPE_NUMBERS and type_ not in _ALWAYS_SHARED


_ALWAYS_SHARED = frozenset(
    {"Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService", "Endpoint", "Medication"}
)


def _named_patients(query: SearchQuery) -> list[str] | None:
    """The patients that a matching resource must belong to, None when the query does not say."""
    naming = _NAMING | frozenset(PATIENT_COMPARTMENT.get(query.type, ()))
    for condition in query.conditions:
        if condition.param in naming and condition.kind is Kind.REFERENCE and not condition.modifier:
            named = [value.id for value in condition.values if isinstance(value, ReferenceValue) and _is_patient(value)]
            if len(named) == len(condition.values):
                return named
    return None


def _is_patient(value: ReferenceValue) -> bool:
    return value.type == "Patient" and not value.url


def _too_costly() -> BadRequest:
    text = f"This search would have to open more than {OPENED_MAX} records: name a patient, a code or a date."
    return BadRequest(text, problems=(Problem("too-costly", text),))
