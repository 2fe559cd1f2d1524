"""Launches from the portal (SMART 2.2 "EHR Launch"): a handle stands for one person, app and patient, once.

The handle is opaque and random, lives for five minutes, and is used up by the code that it leads to. Who brings one
that is unknown, too old, used, or made for another person or another app gets no code. A launch gives no right to
anything: what its holder may see is decided when they look.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from medlock.access.groups import ALL_TYPES
from medlock.audit.events import Action, Event, Outcome
from medlock.errors import BadRequest, Denied, NotFound
from medlock.ids import secret as new_secret
from medlock.oauth.client import Status
from medlock.oauth.clients import Clients
from medlock.oauth.lifetimes import LAUNCH
from medlock.oauth.people import People, Person, Sight
from medlock.oauth.rows import Context, Launch, Rows
from medlock.store.cabinet import Held

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_REFERENCE = re.compile(r"([A-Za-z]{1,64})/([A-Za-z0-9\-.]{1,64})")
_WORD = re.compile(r"[!-~]{1,200}")
_NAMED = frozenset({"reference", "canonical", "identifier", "type", "role"})
_OWN_PLACE = frozenset({"Patient", "Encounter"})
CONTEXT_MAX = 20


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What the portal asks for. `fhir_context`: objects as SMART's fhirContext has them."""

    client: str
    patient: str = ""
    encounter: str = ""
    intent: str = ""
    tenant: str = ""
    banner: bool = True
    fhir_context: tuple[dict[str, Any], ...] = ()


class Launching:
    """Makes launches, and finds them again. `fhir`: the base of the FHIR API."""

    def __init__(self, rows: Rows, clients: Clients, people: People, sight: Sight, fhir: str) -> None:
        self._rows = rows
        self._clients = clients
        self._people = people
        self._sight = sight
        self._fhir = fhir

    async def begin(self, account: str, asked: LaunchRequest) -> str:
        """Where the browser goes: the app's launch URL with iss and launch.

        Raises BadRequest, NotFound for an app that cannot be launched, Denied for a patient that they may not see.
        """
        held = await self._clients.find(asked.client)
        if held is None or held.value.status is not Status.ACTIVE or not held.value.launch_url:
            raise NotFound("There is no app of this id that can be launched.")
        standing = await self._people.standing(account)
        context = await self._context(standing.person, asked)
        handle, now = new_secret(), self._rows.clock.now_ms()
        launch = Launch(account, held.value.id, context, now + LAUNCH * 1000)
        event = Event(
            Action.OAUTH_LAUNCH,
            Outcome.SUCCESS,
            account,
            tuple(standing.person.roles),
            held.value.id,
            standing.person.purpose,
            now,
            held.value.id,
        )
        batch = self._rows.launches.insert(self._rows.launches.key(handle), launch) + standing.unchanged
        await self._rows.commit(batch, event)
        joint = "&" if urlsplit(held.value.launch_url).query else "?"
        return held.value.launch_url + joint + urlencode({"iss": self._fhir, "launch": handle})

    async def found(self, handle: str, account: str, client: str) -> Held[Launch]:
        """The launch behind a handle. Raises Denied, the same for every cause."""
        held = await self._rows.launches.get(self._rows.launches.key(handle))
        if held is None or self._rows.clock.now_ms() >= held.value.expires:
            raise Denied("a launch that is unknown, used or too old")
        if (held.value.account, held.value.client) != (account, client):
            raise Denied("a launch for another person or another app")
        return held

    async def _context(self, person: Person, asked: LaunchRequest) -> Context:
        """What the app will be told. Raises BadRequest, Denied."""
        for name in (asked.patient, asked.encounter):
            if name and _ID.fullmatch(name) is None:
                raise BadRequest("Patient and encounter are given as ids of resources.")
        if any(word and _WORD.fullmatch(word) is None for word in (asked.intent, asked.tenant)):
            raise BadRequest("Intent and tenant are up to 200 visible characters.")
        await check_sight(self._sight, person, asked.patient, asked.encounter)
        context = msgspec.json.encode(checked_context(asked.fhir_context)) if asked.fhir_context else b""
        return Context(asked.patient, asked.encounter, asked.intent, asked.tenant, asked.banner, context)


async def check_sight(sight: Sight, person: Person, patient: str, encounter: str) -> None:
    """Return when they may see both. Raises Denied; also for what is no id, since it becomes part of an address."""
    if any(name and _ID.fullmatch(name) is None for name in (patient, encounter)):
        raise Denied("what was chosen is no id")
    held = patient if not person.is_staff else ""
    if not person.is_staff and patient not in person.patients:
        raise Denied("a patient that is neither theirs nor one they stand in for")
    if patient and not await sight.sees(person, f"Patient/{patient}", held):
        raise Denied("a patient that they may not see")
    if encounter and not await sight.sees(person, f"Encounter/{encounter}", patient):
        raise Denied("an encounter that they may not see")


def checked_context(given: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """FhirContext as SMART 2.2 has it. Raises BadRequest."""
    if len(given) > CONTEXT_MAX or not all(_is_context(each) for each in given):
        raise BadRequest(
            "Each fhirContext has a relative reference, a canonical or an identifier, and perhaps type and role."
        )
    return list(given)


def _is_context(each: dict[str, Any]) -> bool:
    """Whether one entry is as the guide demands."""
    if not isinstance(each, dict) or each.keys() - _NAMED or not each.keys() & {"reference", "canonical", "identifier"}:
        return False
    reference, role, kind = each.get("reference"), each.get("role"), each.get("type")
    form = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if reference is not None and (form is None or form[1] not in ALL_TYPES):
        return False
    if role is not None and not (isinstance(role, str) and (role == "launch" or "://" in role)):
        return False
    if form is not None and form[1] in _OWN_PLACE and role in {None, "launch"}:
        return False
    canonical, identifier = each.get("canonical"), each.get("identifier")
    sound = canonical is None or (isinstance(canonical, str) and canonical.startswith("http"))
    typed = kind is None or (isinstance(kind, str) and kind in ALL_TYPES)
    return sound and typed and (identifier is None or isinstance(identifier, dict))
