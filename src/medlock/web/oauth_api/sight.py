"""`oauth.people.Sight`: what a person may see, asked at the door, written down like every other look."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson

from medlock.access.principal import Principal
from medlock.clock import Clock
from medlock.errors import Denied, NotFound
from medlock.fhir.request import Frame, Request, parse
from medlock.oauth.people import Choice, Person
from medlock.oauth.tokens import looker
from medlock.web.ports import Door

SHOWN = 50
_CLIENT = "medlock"


class DoorSight:
    """Asks the door as the person. `base_url`: of the FHIR API."""

    def __init__(self, door: Door, clock: Clock, base_url: str, page_size_max: int) -> None:
        self._door = door
        self._clock = clock
        self._base_url = base_url
        self._page = page_size_max

    async def sees(self, person: Person, reference: str, patient: str = "") -> bool:
        """Whether they may read this resource now; held to `patient` when it is given."""
        return await self._body(_as(person, patient), f"/{reference}", "") is not None

    async def names(self, person: Person, patients: tuple[str, ...]) -> list[Choice]:
        """Those of the patients that they may see; for staff without any of their own, the first that they may find."""
        if patients or not person.is_staff:
            found = [
                (each, await self._body(_as(person, _own(person, each)), f"/Patient/{each}", "")) for each in patients
            ]
            return [Choice(each, _name(body)) for each, body in found if body is not None]
        query = urlencode({"_count": str(SHOWN), "_sort": "family"})
        bundle = await self._body(_as(person, ""), "/Patient", query) or {}
        entries = [entry["resource"] for entry in bundle.get("entry", ())]
        return [Choice(each["id"], _name(each)) for each in entries if each.get("resourceType") == "Patient"]

    async def _body(self, principal: Principal, path: str, query: str) -> dict[str, Any] | None:
        """What the door answers; None when it is not there or not for them."""
        request = Request("GET", path.encode(), query.encode(), {})
        question = parse(request, Frame(self._clock.now_ms(), self._page, self._base_url))
        try:
            disclosure = await self._door.answer(principal, question)
        except (NotFound, Denied):
            return None
        body: dict[str, Any] = orjson.loads(disclosure.body)
        return body


def _as(person: Person, patient: str) -> Principal:
    """The person as a caller, held to a patient when there is one."""
    return looker(person, patient, _CLIENT)


def _own(person: Person, patient: str) -> str:
    """Whose record somebody is held to who is not staff."""
    return "" if person.is_staff else patient


def _name(patient: dict[str, Any]) -> str:
    """A name that the person knows, else the id."""
    for name in patient.get("name", ()):
        if name.get("text"):
            return str(name["text"])
        parts = [*name.get("given", ()), name.get("family", "")]
        if any(parts):
            return " ".join(part for part in parts if part)
    return str(patient["id"])
