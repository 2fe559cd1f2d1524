"""Who is treating whom, looked up at the request: the resources of a patient's index that name the caller.

Asked is only where the site asks for a relationship, and only of callers who need one (`access.relationship`). What a
caller answers to is read from the shared index; then a patient's index is asked for rows that name one of these, and
only those are opened. What was read is kept for as long as the index stands as it did, so a team that is left, a visit
that ends or an order that is revoked acts on the next request, of every process; the time is compared at each.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import product

import msgspec
import numpy as np

from medlock.access.consent.codes import is_normal
from medlock.access.principal import Principal
from medlock.access.relationship import (
    Caller,
    Json,
    Membership,
    Tie,
    answers,
    covered,
    covering,
    memberships_of,
    reasons,
    ties_of,
)
from medlock.errors import Conflict, NotFound
from medlock.fhir.parse import parse_json
from medlock.records.indexing import whole_text
from medlock.records.turns import TURN
from medlock.records.vault import TENANT, Vault
from medlock.store.capsule import Capsule, IndexRow

KEPT = 8_192
NESTED_MAX = 64
"""Rounds of teams within teams that are looked into."""
_TRIES = 8
_SHARED = (("PractitionerRole", "practitioner"), ("CareTeam", "participant"))
_NAMING = (
    ("CareTeam", "participant"),
    ("Patient", "general-practitioner"),
    ("Encounter", "participant"),
    ("Appointment", "actor"),
    ("ServiceRequest", "requester"),
    ("ServiceRequest", "performer"),
)
_COVERED = (("Encounter", "service-provider"),)
_NOBODY: frozenset[str] = frozenset()
Named = Iterable[tuple[str, str]]


class _Said(msgspec.Struct, frozen=True):
    """What some resources say: ties, memberships, and roles with hours."""

    patient: str = ""
    ties: tuple[Tie, ...] = ()
    memberships: tuple[Membership, ...] = ()
    roles: tuple[Json, ...] = ()


class _Kept(msgspec.Struct, frozen=True):
    """The same, with the state of the index that it was read from."""

    state: tuple[int, bytes]
    said: _Said


class Relations:
    """Relationships as the indexes tell of them; shared by all requests of a process."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._kept: OrderedDict[tuple[int, Caller], _Kept] = OrderedDict()

    async def caller(self, principal: Principal, now: int) -> Caller:
        """Who asks, with the roles, organisations and teams that they have now, patients' own teams aside."""
        person = principal.fhir_user
        own = principal.organisations | ({person} if person else _NOBODY)
        return await self._caller(person, own, now) if own else Caller("", _NOBODY)

    async def writer(self, principal: Principal, slot: int | None, now: int) -> Caller:
        """Who writes, with all that they answer to and are on call for in a record now, or will at a later hour.

        What somebody writes about themselves is as much their own work when it counts from the next shift on.
        """
        person = principal.fhir_user
        own = principal.organisations | ({person} if person else _NOBODY)
        caller = await self._caller(person, own, now, ahead=True) if own else Caller("", _NOBODY)
        return caller if slot is None else _within(caller, await self._said(slot, caller), now, ahead=True)

    async def _caller(self, person: str, own: frozenset[str], now: int, *, ahead: bool = False) -> Caller:
        said = await self._said(TENANT, Caller(person, own))
        turn = covering if ahead else covered
        on_call = _NOBODY.union(*(turn(role, person, now) for role in said.roles))
        return Caller(person, answers(own, person, said.memberships, now, ahead=ahead), on_call)

    async def person(self, reference: str, now: int) -> Caller:
        """The same of a practitioner, by what the records say of them."""
        return await self._caller(reference, frozenset({reference}), now)

    async def reasons(self, slot: int, caller: Caller, now: int) -> tuple[tuple[Tie, ...], str]:
        """Why a caller is related to the patient in a slot now, nothing when they are not; and who that is."""
        try:
            said = await self._said(slot, caller)
        except NotFound:  # erased
            return (), ""
        return tuple(reasons(said.ties, _within(caller, said, now), now)), said.patient

    async def _said(self, slot: int, caller: Caller) -> _Said:
        """What an index says of a caller as it stands now."""
        for _ in range(_TRIES):
            capsule = await self._vault.capsules.open(slot)
            state = capsule.number, capsule.tag
            known = self._kept.get((slot, caller))
            if known is not None and known.state == state:
                return known.said
            said = await self._read(capsule, caller)
            if said is not None and state == (capsule.number, capsule.tag):
                self._kept[slot, caller] = _Kept(state, said)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
                return said
        raise Conflict("This record is being changed by many at once. Try again.")

    async def _read(self, capsule: Capsule, caller: Caller) -> _Said | None:
        """What the rows say that name a caller, or a team that has them in it; None when one has changed since."""
        found: set[int] = set()
        told: list[_Said] = []
        wanted, seen = caller.answers, _NOBODY
        hashes = self._hashes(_COVERED, caller.covers)
        for _ in range(NESTED_MAX):
            hashes += self._hashes(_SHARED if capsule.slot == TENANT else _NAMING, wanted)
            rows = [row for row in _bearing(capsule, hashes, cleared=self._vault.cleared) if row.rid not in found]
            fresh = await self._opened(rows, capsule.patient)
            if fresh is None:
                return None
            found |= {row.rid for row in rows}
            seen |= wanted
            told += fresh
            wanted = _NOBODY.union(*(one.gives for each in fresh for one in each.memberships)) - seen
            if not wanted:
                break
            hashes = []
        return _together(capsule.patient, told)  # what lies deeper makes no relationship

    async def _opened(self, rows: Sequence[IndexRow], patient: str) -> list[_Said] | None:
        """What each of these rows says, a few at a time and others' work between; None when one has changed since."""
        told: list[_Said] = []
        for at in range(0, len(rows), TURN):
            if at:
                await asyncio.sleep(0)
            opened = await self._vault.fetch(rows[at : at + TURN])
            if None in opened:
                return None
            told += [_said(patient, parse_json(each.body)) for each in opened if each is not None]
        return told

    def _hashes(self, named: Named, references: Iterable[str]) -> list[int]:
        """Under what the index has resources of these types that name one of these."""
        pairs = product(named, references)
        return [self._vault.indexer.hash(whole_text(type_, param, each)) for (type_, param), each in pairs]


def _within(caller: Caller, said: _Said, now: int, *, ahead: bool = False) -> Caller:
    """A caller with the teams that a record tells of."""
    if not said.memberships:
        return caller
    found = answers(caller.answers, caller.person, said.memberships, now, ahead=ahead)
    return msgspec.structs.replace(caller, answers=found)


def _said(patient: str, resource: Json) -> _Said:
    """What a resource says in the record of a patient."""
    return _Said(
        patient,
        tuple(tie for tie in ties_of(resource) if f"Patient/{patient}" in tie.patients),
        memberships_of(resource),
        (resource,) if resource.get("resourceType") == "PractitionerRole" else (),
    )


def _together(patient: str, told: Sequence[_Said]) -> _Said:
    return _Said(
        patient,
        tuple(tie for each in told for tie in each.ties),
        tuple(one for each in told for one in each.memberships),
        tuple(role for each in told for role in each.roles),
    )


def _bearing(capsule: Capsule, hashes: Sequence[int], *, cleared: bool) -> list[IndexRow]:
    """The living rows of an index that bear one of these; where sensitive classes cannot be opened, the others."""
    rows: list[IndexRow] = []
    for segment in capsule.view():
        mask = segment.with_hashes(hashes) & segment.alive
        if not cleared and capsule.slot != TENANT:
            mask &= np.array([is_normal(each) for each in segment.labels], np.bool_)[segment.rows["label"]]
        at = np.flatnonzero(mask)
        each = segment.rows[at][["rid", "slot", "version", "tag"]].tolist() if len(at) else ()
        rows += [IndexRow(rid, owner or capsule.slot, version, tag) for rid, owner, version, tag in each]
    return rows
