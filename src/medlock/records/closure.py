"""Which of the actors that a consent names a caller answers to, beside themselves: roles, organisations, teams, groups.

Asked at the request, of what the store says now: a PractitionerRole gives its organisation, a CareTeam and a managed
Group their members, each within its period. Only what the consents at hand name is looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from medlock.access.principal import Principal
from medlock.errors import NotFound
from medlock.fhir.dates import period
from medlock.fhir.parse import parse_json
from medlock.records.indexing import TYPE_NUMBERS, whole_text
from medlock.records.vault import TENANT, Vault
from medlock.store.capsule import IndexRow

_BY_ROLE = frozenset({"Organization", "PractitionerRole", "HealthcareService"})
TEAMS = {"CareTeam": ("participant", "member"), "Group": ("member", "entity")}
NESTED_MAX = 64
_NONE: frozenset[str] = frozenset()


class Unclear(Exception):
    """Nobody can tell who is in a team or group. `named` is the actor of a consent that it was asked for."""

    named = ""

    @property
    def why(self) -> str:
        """In words that name no person."""
        return str(self)


class TooDeep(Unclear):
    """It has more teams and groups inside than are looked into."""


async def closure(vault: Vault, principal: Principal, named: Iterable[str], now: int) -> frozenset[str]:
    """Of the actors named (`Type/id`), and of the roles on the way to them, those that the caller answers to now."""
    wanted = {each.partition("/")[0] for each in named}
    own = principal.organisations | ({principal.fhir_user} if principal.fhir_user else _NONE)
    if not own or wanted.isdisjoint(_BY_ROLE | TEAMS.keys()):
        return _NONE
    found = await answers_to(vault, principal, now)
    for each in named:
        if each.partition("/")[0] in TEAMS and await _inside(vault, each, found, now):
            found |= {each}
    return found - own


async def _inside(vault: Vault, name: str, who: frozenset[str], now: int) -> bool:
    """Whether one of these is in the team or group that a consent names. Raises Unclear."""
    type_, _, id_ = name.partition("/")
    team = await _opened(vault, type_, id_)
    try:
        return await in_team(vault, type_, team, who, now)
    except Unclear as fault:
        fault.named = name
        raise


async def answers_to(vault: Vault, principal: Principal, now: int | None = None) -> frozenset[str]:
    """Whom a caller is, teams aside: themselves, their organisations, their roles and where they have them.

    Without a time, here and below: at any time.
    """
    own = frozenset({principal.fhir_user} if principal.fhir_user else ())
    return own | principal.organisations | await _roles(vault, principal.fhir_user, now)


async def in_team(
    vault: Vault, type_: str, team: Mapping[str, Any] | None, who: frozenset[str], now: int | None = None
) -> bool:
    """Whether one of these is in a team or group in use, or in one within it. Raises Unclear."""
    if team is None:
        raise Unclear(f"no {type_} of this name is there")
    waiting, seen, unclear = [(type_, team)], set[str](), ""
    while waiting:
        kind, each = waiting.pop()
        ended = _ended(each) or not holds(each, now)
        if kind == "Group" and each.get("actual") is False and not ended:
            unclear = "a Group describes its members instead of naming them"
        members = _NONE if ended else _members(each, TEAMS[kind], now)
        if not who.isdisjoint(members):
            return True
        inner = {name for name in members if name.partition("/")[0] in TEAMS} - seen
        seen |= inner
        if len(seen) > NESTED_MAX:
            raise TooDeep("a team or group has more of them inside than are looked into")
        for name in inner:
            further, _, id_ = name.partition("/")
            found = await _opened(vault, further, id_)
            if found is None:
                unclear = f"a {further} within the one that is named is not there"
            else:
                waiting.append((further, found))
    if unclear:
        raise Unclear(unclear)
    return False


def _ended(team: Mapping[str, Any]) -> bool:
    return team.get("active") is False or team.get("status") in {"inactive", "entered-in-error", "suspended"}


def holds(element: Mapping[str, Any], now: int | None) -> bool:
    """Whether an element's period, where it has one, holds."""
    limits = None if now is None else period(dict(element.get("period") or {}))
    return limits is None or now is None or limits[0] <= now < limits[1]


def of_role(role: Mapping[str, Any], reference: str, person: str, now: int | None = None) -> frozenset[str]:
    """What a role that is in force makes a person: itself, and the organisation and services in which they have it."""
    if role.get("active") is False or not person or person not in _references([role.get("practitioner")]):
        return _NONE
    if not holds(role, now):
        return _NONE
    places = [role.get("organization"), *(role.get("healthcareService") or ())]
    return frozenset({reference, *_references(places)})


async def _roles(vault: Vault, person: str, now: int | None) -> frozenset[str]:
    """The roles of a person that are in force, with the organisations and services in which they have them."""
    if not person:
        return _NONE
    text = whole_text("PractitionerRole", "practitioner", person)
    capsule = await vault.capsules.open(TENANT)
    rows: list[IndexRow] = []
    for segment in capsule.view():
        mask = segment.alive & segment.of_type(TYPE_NUMBERS["PractitionerRole"])
        mask &= segment.with_hashes([vault.indexer.hash(text)])
        each = segment.rows[np.flatnonzero(mask)][["rid", "slot", "version", "tag"]].tolist()
        rows += [IndexRow(rid, TENANT, version, tag) for rid, _, version, tag in each]
    found: set[str] = set()
    for opened in await vault.fetch(rows):
        if opened is not None:
            found |= of_role(parse_json(opened.body), opened.meta.reference, person, now)
    return frozenset(found)


async def _opened(vault: Vault, type_: str, id_: str) -> Mapping[str, Any] | None:
    """A team or group as it is now; nothing of one that was deleted, None when it is unknown or was erased."""
    try:
        opened = await vault.current(type_, id_)
    except NotFound:
        return None
    if opened is None:
        return None
    return {} if opened.meta.deleted else parse_json(opened.body)


def _members(resource: Mapping[str, Any], path: tuple[str, str], now: int | None) -> frozenset[str]:
    """Who is in a team or group."""
    members = [each for each in resource.get(path[0]) or () if not each.get("inactive") and holds(each, now)]
    return frozenset(_references([each.get(path[1]) for each in members]))


def _references(given: Iterable[Any]) -> Iterable[str]:
    for each in given:
        if isinstance(each, dict) and isinstance(each.get("reference"), str):
            yield each["reference"].partition("/_history/")[0]
