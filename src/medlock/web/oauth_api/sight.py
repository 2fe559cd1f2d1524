"""`oauth.people.Sight`: what a person may see, asked at the door, written down like every other look."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from medlock.access.principal import Principal
from medlock.clock import Clock
from medlock.errors import BadRequest, Denied, NotFound
from medlock.fhir.request import Frame, Request, parse
from medlock.oauth.people import Choice, Found, Person, Sought
from medlock.oauth.tokens import looker
from medlock.web.ports import Door

SHOWN = 20
NAME_MAX, WORDS_MAX = 100, 4
_CLIENT = "medlock"
_ESCAPED = re.compile(r"[\\,$|]")  # what stands for something else in a search (R4 §3.1.1.4.2.1)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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

    async def names(self, person: Person, sought: Sought) -> Found:
        """Those of their own patients that they may see; for staff without any, those that they may find."""
        if not person.finds:
            seen = [
                (each, await self._body(_as(person, _own(person, each)), f"/Patient/{each}", ""))
                for each in person.patients
            ]
            return Found(tuple(_choice(body) for _, body in seen if body is not None))
        bundle = await self._body(_as(person, ""), "/Patient", query_of(sought)) or {}
        entries = [entry["resource"] for entry in bundle.get("entry", ())]
        choices = tuple(_choice(each) for each in entries if each.get("resourceType") == "Patient")
        return Found(choices, _more(bundle))

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


def query_of(sought: Sought) -> str:
    """The search. Raises BadRequest for what is no date, or is too long."""
    if sought.page:
        return urlencode({"_page": sought.page, "_count": str(SHOWN)})
    words = sought.name.split()
    if len(sought.name) > NAME_MAX or len(words) > WORDS_MAX:
        raise BadRequest("Search with fewer names.")
    pairs = [("name", _ESCAPED.sub(r"\\\g<0>", word)) for word in words]
    if sought.birth:
        if _DATE.fullmatch(sought.birth) is None:
            raise BadRequest("A date of birth is written year-month-day: 1980-02-29.")
        pairs.append(("birthdate", sought.birth))
    return urlencode([*pairs, ("_count", str(SHOWN)), ("_sort", "family")])


def _more(bundle: dict[str, Any]) -> str:
    """The token of the next page, or ""."""
    links = [each["url"] for each in bundle.get("link", ()) if each.get("relation") == "next"]
    return parse_qs(urlsplit(links[0]).query)["_page"][0] if links else ""


def _choice(patient: dict[str, Any]) -> Choice:
    return Choice(str(patient["id"]), _name(patient), str(patient.get("birthDate", "")))


def _name(patient: dict[str, Any]) -> str:
    """A name that the person knows, else the id."""
    for name in patient.get("name", ()):
        if name.get("text"):
            return str(name["text"])
        parts = [*name.get("given", ()), name.get("family", "")]
        if any(parts):
            return " ".join(part for part in parts if part)
    return str(patient["id"])
