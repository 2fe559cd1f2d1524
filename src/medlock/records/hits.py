"""From a query and a reach to the rows that match, in order. Opens bodies only for what the columns cannot tell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np

from medlock.access.grant import Rules
from medlock.errors import BadRequest, Problem
from medlock.fhir.compartment import PATIENT_COMPARTMENT
from medlock.fhir.extract import extract
from medlock.fhir.match import matches
from medlock.fhir.parse import parse_json
from medlock.fhir.query import COMPARTMENT, Condition, Kind, ReferenceValue, SearchQuery, TokenValue
from medlock.records.chains import Chains
from medlock.records.consents import Consulted, ready_books, ready_for, ready_slots
from medlock.records.hitlist import Hit, Part, hits_of, merged
from medlock.records.indexing import TYPE_NUMBERS
from medlock.records.narrowing import narrowed
from medlock.records.plan import Plan
from medlock.records.reach import Reach, allowed_by
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import Capsule
from medlock.store.capsules import Probe
from medlock.store.segment import Mask, Rows, Segment

OPENED_MAX = 20_000
"""Bodies that one search may open to decide what the columns cannot; beyond it the answer is 400."""
COMPARED_MAX = 1_000_000
"""Values that one search may compare with bodies: as many conditions and values as a question can hold, with as many
bodies as may be opened, would be minutes of work."""
MERGED_MAX = 50_000
"""Hits of several types that are put into one order."""
_YIELD_EVERY = 64
_NAMING = frozenset({"patient", "subject"})


class Finder:
    """Answers one query within one reach.

    about     the one patient whose index was looked into: slot and id
    unproven  indexes of which nobody asked whether they are current: `Vault.fetch` must be told of them. Only for
              callers who say that they will
    """

    def __init__(self, vault: Vault, reach: Reach, *, prove_later: bool = False) -> None:
        self._vault = vault
        self._reach = reach
        self._prove_later = prove_later
        self.about = (0, "")
        self.unproven: list[Probe] = []

    async def find(self, query: SearchQuery) -> Sequence[Hit]:
        """Every visible resource that matches, in default order."""
        if query.parts:
            return _together([await self.find(part) for part in query.parts])
        if query.links:
            further = Finder(self._vault, self._reach)
            query = await Chains(self._vault, self._reach.grant, further.find).unlinked(query)
        query = narrowed(query)
        plan = self._vault.planner.plan(query)
        hits = hits_of(await self._candidates(query, plan))
        return await self._decide(query.type, hits, plan.undecided) if self._opens(plan) else hits

    def _opens(self, plan: Plan) -> bool:
        """Whether bodies must be opened to know what matches and may be seen; asked once consents are looked up."""
        return bool(plan.undecided) or self._reach.undecided(plan.type)

    async def _candidates(self, query: SearchQuery, plan: Plan) -> list[Part]:
        if query.type == "Patient":
            await self._vault.directory.refresh()
            self._note(await self._within(_named_by_id(query)))
            return await self._patients(plan)
        slots = await self._scope(query)
        await ready_books(self._reach.grant, slots)
        if len(slots) == 1:
            await ready_slots(self._reach.grant, slots)
        if len(slots) == 1 and self._prove_later and not self._opens(plan):
            return self._in_capsule(await self._peek(slots[0]), plan)
        found: list[Part] = []
        for count, slot in enumerate(slots):
            await ready_slots(self._reach.grant, [slot])
            found += self._in_capsule(await self._vault.capsules.open(slot), plan)
            if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
        return found

    async def _peek(self, slot: int) -> Capsule:
        """One index, asked later whether it is current."""
        capsule, probe = await self._vault.capsules.peek(slot)
        if probe is not None:
            self.unproven.append(probe)
        return capsule

    async def _patients(self, plan: Plan) -> list[Part]:
        """Patients come from the directory; a row is visible when the rules of its slot allow it."""
        found: list[Part] = []
        for segment in self._vault.directory.view():
            rows = np.asarray(plan.rows(segment), np.intp)
            if len(rows):
                await ready_slots(self._reach.grant, np.unique(segment.rows["slot"][rows]).tolist())
                found.append(Part(segment, rows[self._patients_seen(segment, rows)]))
        return found

    def _patients_seen(self, segment: Segment, rows: Rows) -> Mask:
        """Which of these rows may be seen: by everyone's rules, but by their own where the Grant names a patient."""
        seen = self._allowed(self._reach.grant.everyone, segment, rows)
        slots = segment.rows["slot"][rows] if self._reach.by_slot else None
        for slot, rules in self._reach.by_slot.items():
            own = slots == np.uint64(slot)
            seen = np.where(own, self._allowed(rules, segment, rows), seen)
        return seen if self._reach.consents is None else self._consented(self._reach.consents, seen, segment, rows)

    @staticmethod
    def _consented(consents: Consulted, seen: Mask, segment: Segment, rows: Rows) -> Mask:
        """Those that consents may let be seen: the site's policy, and of whom it was looked up, their own."""
        every = np.ones(len(segment), np.bool_)
        left: Mask = seen & allowed_by(consents.silent, every, segment, "Patient")[rows]
        slots = segment.rows["slot"][rows]
        if consents.heard.caller is not None:
            left &= np.isin(slots, [slot for slot, ties in consents.heard.ties.items() if ties])
        for slot in consents.others():
            own = slots == np.uint64(slot)
            if own.any():
                left = np.where(own, seen & allowed_by(consents.of_slot(slot), every, segment, "Patient")[rows], left)
        return left

    def _allowed(self, rules: Rules | None, segment: Segment, rows: Rows) -> Mask:
        """Which of these rows of the directory may be seen under some rules, as far as columns tell."""
        seen: Mask = _allowed(rules, segment)[segment.rows["label"][rows]]
        if rules is None or not rules.residuals:
            return seen
        whole = self._reach.narrowed(segment.alive, rules.residuals, "Patient", segment)
        return seen & whole[rows]

    async def _scope(self, query: SearchQuery) -> list[int]:
        """The indexes that can hold a match: those of the patients that the query names, or all within reach.

        A caller held to some patients is shown their indexes whoever is named: a resource of two patients lies in both.
        """
        named = _named_patients(query)
        within = await self._within(named or [])
        self._note(within)
        if named is not None and self._reach.grant.everyone is not None:
            return [slot for slot, _ in within]
        await self._vault.directory.refresh()  # others may have made or erased patients
        shared = [TENANT] if query.type in self._reach.grant.shared else []
        return [*shared, *self._reach.slots(self._vault)] if _owned_by_patients(query.type) else shared

    async def _within(self, patients: list[str]) -> list[tuple[int, str]]:
        """Slot and id of those patients that there are within reach."""
        found = [(await self._vault.patient_slot(patient), patient) for patient in patients]
        return [(slot, patient) for slot, patient in found if slot is not None and self._reach.rules(slot)]

    def _note(self, within: list[tuple[int, str]]) -> None:
        if len(within) == 1:
            self.about = within[0]

    def _in_capsule(self, capsule: Capsule, plan: Plan) -> list[Part]:
        found: list[Part] = []
        for segment in capsule.view():
            seen = self._reach.visible(capsule, segment, plan.type)
            if seen is not None:
                rows = plan.rows(segment)  # alive, all of them
                found.append(Part(segment, rows if seen is segment.alive else _seen(seen, rows)))
        return found

    async def _decide(self, type_: str, hits: Sequence[Hit], conditions: Sequence[Condition]) -> list[Hit]:
        """Open the candidates and let `fhir.match` decide, of those that the Grant admits."""
        values = sum(len(condition.values) for condition in conditions)
        if len(hits) > OPENED_MAX:
            raise _too_costly(f"open more than {OPENED_MAX} records: name a patient, a code or a date.")
        if len(hits) * values > COMPARED_MAX:
            raise _too_costly(f"compare more than {COMPARED_MAX} values with records: give fewer, or name a patient.")
        kept: list[Hit] = []
        for start in range(0, len(hits), _YIELD_EVERY):
            part = hits[start : start + _YIELD_EVERY]
            found = await self._vault.fetch([hit.row for hit in part])
            await ready_for(self._reach.grant, found)
            for hit, opened in zip(part, found, strict=True):
                if opened is not None and self._reach.grant.admits(opened) and decided(type_, opened, conditions):
                    kept.append(hit)
            await asyncio.sleep(0)
        return kept


class _PatientFacts(msgspec.Struct, frozen=True):
    """A Patient row, for `Rules.allow`."""

    type: str = "Patient"
    patients: tuple[str, ...] = ("",)
    labels: tuple[str, ...] = ()


def _together(found: Sequence[Sequence[Hit]]) -> Sequence[Hit]:
    """Hits of several types. Raises BadRequest when they are too many to be put into one order."""
    if sum(len(hits) for hits in found if hits) > MERGED_MAX:
        text = f"More than {MERGED_MAX} resources of these types match: name a patient, a date, or one type."
        raise BadRequest(text, problems=(Problem("too-costly", text),))
    return merged(found)


def _seen(mask: Mask, rows: Rows | list[int]) -> Rows | list[int]:
    """Those of the rows that a mask lets through."""
    return [row for row in rows if mask[row]] if isinstance(rows, list) else rows[mask[rows]]


def decided(type_: str, opened: Opened, conditions: Sequence[Condition]) -> bool:
    """Whether an opened body meets the conditions."""
    if not conditions:
        return True
    resource = parse_json(opened.body)
    updated = opened.meta.updated
    return matches(conditions, type_, extract(resource), id=opened.meta.id, updated_ms=updated, resource=resource)


def _allowed(rules: Rules | None, segment: Segment) -> Mask:
    """For each set of labels in a segment of the directory: whether the rules let a Patient with it be seen."""
    facts = [_PatientFacts(labels=each) for each in segment.labels]
    return np.array([rules is not None and rules.allow(each) for each in facts], np.bool_)


def _owned_by_patients(type_: str) -> bool:
    """Whether resources of this type may lie in patients' indexes: all but those that only ever are shared."""
    return type_ in TYPE_NUMBERS and type_ not in _ALWAYS_SHARED


_ALWAYS_SHARED = frozenset(
    {"Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService", "Endpoint", "Medication"}
)


@cache
def _naming(type_: str) -> frozenset[str]:
    """The parameters that say whose a resource of a type is."""
    return _NAMING | {COMPARTMENT} | frozenset(PATIENT_COMPARTMENT.get(type_, ()))


def _named_patients(query: SearchQuery) -> list[str] | None:
    """The patients that a matching resource must belong to, None when the query does not say."""
    naming = _naming(query.type)
    for condition in query.conditions:
        if condition.param in naming and condition.kind is Kind.REFERENCE and not condition.modifier:
            named = [value.id for value in condition.values if isinstance(value, ReferenceValue) and _is_patient(value)]
            if len(named) == len(condition.values):
                return named
    return None


def _named_by_id(query: SearchQuery) -> list[str]:
    """The one Patient that a search of Patients names, as a list; empty when it names none, or several."""
    for condition in query.conditions:
        if condition.param == "_id" and not condition.modifier and len(condition.values) == 1:
            return [value.code for value in condition.values if isinstance(value, TokenValue) and value.code]
    return []


def _is_patient(value: ReferenceValue) -> bool:
    return value.type == "Patient" and not value.url


def _too_costly(work: str) -> BadRequest:
    text = f"This search would have to {work}"
    return BadRequest(text, problems=(Problem("too-costly", text),))
