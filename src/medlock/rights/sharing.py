"""A patient's sharing: what stands, giving, and withdrawing, each one step. GDPR Art. 7(3): as easy to end as to give.

Everything is a Consent in the patient's record, read and written through the door as the patient: so history has every
version, the log every act, and the consent engine enforces it from the next request on. Nothing else is kept.

Two who change it at once: each change is made on the version that was read, and made anew when there is another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias
from urllib.parse import urlencode

import orjson

from medlock.access.consent.codes import PATIENT_SHARING, SCOPES
from medlock.access.principal import Principal, Role
from medlock.clock import Clock, instant
from medlock.errors import (
    BadRequest,
    Conflict,
    Denied,
    NotFound,
    PreconditionFailed,
    Problem,
    Unavailable,
    Unprocessable,
)
from medlock.fhir.question import Question
from medlock.fhir.request import Frame, Request, parse
from medlock.oauth.handles import new_name
from medlock.records.disclosure import Disclosure
from medlock.rights.shares import Json, Share, Wish, provision_of, share_of, shares_of

POLICY: Final = "urn:medlock:policy:patient-sharing"
_NAMED: Final = {"system": PATIENT_SHARING[0], "value": PATIENT_SHARING[1]}
_SEARCH: Final = urlencode({"identifier": f"{_NAMED['system']}|{_NAMED['value']}", "status": "active"})
SHARES_MAX: Final = 200
LINKS_MAX: Final = 50
_TRIES: Final = 20
_HISTORY: Final = "_count=1000"
_FORM: Final = {b"content-type": b"application/fhir+json"}


class Door(Protocol):
    """The one way to data; `records.door` is it."""

    async def answer(self, principal: Principal, question: Question) -> Disclosure:
        """Decide, fetch, check again, minimise, write down, release. Raises MedlockError."""


class Apps(Protocol):
    """Which apps there are; `oauth.clients` knows."""

    async def known(self, client_id: str) -> bool:
        """Whether an app is registered by this id."""


_Change: TypeAlias = tuple[Json | None, list[Share]]
"""The Consent that is to change, None for the first, and the rules that it is to have."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a patient shares now, and the newest version of the Consent that says so ("" while there is none)."""

    patient: str
    consent: str
    version: str
    updated: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """One version of the Consent in which a rule stood, and when it was withdrawn ("" while it stands)."""

    consent: Json
    share: Share
    withdrawn: str


@dataclass(frozen=True, slots=True)
class Place:
    """This process. `organisation`: who enforces sharing, `Organization/x` or ""; `cleared`: it opens all classes."""

    base_url: str
    organisation: str = ""
    cleared: bool = True


class Sharing:
    """Acts for the patient whose Principal it is given.

    A Consent that names a class of sensitive data is sealed as that class is: a process without clearance would take it
    for not there, and keep a second list. So such a one keeps none.
    """

    def __init__(self, door: Door, clock: Clock, place: Place, apps: Apps) -> None:
        self._door = door
        self._clock = clock
        self._place = place
        self._apps = apps

    async def standing(self, who: Principal) -> Standing:
        """What stands now. Raises Denied, Unavailable."""
        return _standing(self._own(who), await self._consents(who))

    async def grant(self, who: Principal, wish: Wish) -> tuple[Share, Standing]:
        """Give, or deny: the rule, and what stands with it. Raises Denied, Unprocessable, Conflict."""
        share = share_of(wish, new_name())
        for each in share.recipients:
            if each.startswith("app:") and not await self._apps.known(each.removeprefix("app:")):
                text = "No app is registered here by this client id."
                raise Unprocessable(text, problems=(Problem("not-found", text, "recipients"),))
        return share, await self.add(who, share)

    async def add(self, who: Principal, share: Share) -> Standing:
        """Let a rule stand. Raises Denied, Unprocessable, Conflict."""

        def added(active: Sequence[Json]) -> _Change:
            every = _every(active)
            if len(every) >= SHARES_MAX:
                raise Conflict(f"You have {SHARES_MAX} rules. Withdraw some that you need no longer.")
            if share.link and sum(each.link for each in every) >= LINKS_MAX:
                raise BadRequest(f"You have {LINKS_MAX} links: end some first.")
            return (active[0], [*shares_of(active[0]), share]) if active else (None, [share])

        return await self._change(who, added)

    async def withdraw(self, who: Principal, id_: str) -> Standing:
        """Take a rule back. Raises Denied, NotFound, Conflict."""

        def without(active: Sequence[Json]) -> _Change:
            for consent in active:
                shares = shares_of(consent)
                left = [each for each in shares if each.id != id_]
                if len(left) < len(shares):
                    return consent, left
            raise NotFound("There is no such rule; list what you share to see those that there are.")

        return await self._change(who, without)

    async def moment(self, who: Principal, id_: str) -> Moment:
        """When a rule stood, newest version first: for its receipt. Raises Denied, NotFound."""
        self._own(who)
        ended = ""
        for consent in await self._versions(who):
            share = next((each for each in shares_of(consent) if each.id == id_), None)
            if share is not None and consent["status"] == "active":
                return Moment(consent, share, ended)
            ended = consent["meta"]["lastUpdated"]
        raise NotFound("There is no such rule; list what you share to see those that there are.")

    async def begun(self, who: Principal, id_: str) -> Json:
        """The version of the Consent that first had a rule. Raises NotFound."""
        found = [each for each in await self._versions(who) if any(share.id == id_ for share in shares_of(each))]
        if not found:
            raise NotFound("There is no such rule; list what you share to see those that there are.")
        return found[-1]

    async def resource(self, who: Principal, reference: str) -> Json | None:
        """Another resource as the caller may see it; None when they may not."""
        try:
            return await self._get(who, f"/{reference}")
        except (NotFound, Denied):
            return None

    async def _change(self, who: Principal, changed: Callable[[Sequence[Json]], _Change]) -> Standing:
        """What stands after a change of it, made on the newest version that there is."""
        patient = self._own(who)
        for _ in range(_TRIES):
            active = await self._consents(who)
            before, shares = changed(active)
            body = self._written(who, before, shares)
            try:
                after = await self._put(who, before, body)
            except PreconditionFailed:
                continue
            if [each.id for each in shares_of(after)] == [each.id for each in shares]:
                return _standing(patient, [after, *(each for each in active if each["id"] != after["id"])])
        raise Conflict("Your rules are being changed by many at once; nothing was written. Try again.")

    async def _put(self, who: Principal, before: Json | None, body: Json) -> Json:
        """The next version, or the first: then whoever else was first is answered with, and looked at again."""
        data = orjson.dumps(body)
        if before is None:
            headers = _FORM | {b"if-none-exist": _SEARCH.encode()}
            return await self._asked(who, Request("POST", b"/Consent", b"", headers, data))
        headers = _FORM | {b"if-match": f'W/"{before["meta"]["versionId"]}"'.encode()}
        return await self._asked(who, Request("PUT", f"/Consent/{before['id']}".encode(), b"", headers, data))

    def _written(self, who: Principal, before: Json | None, shares: Sequence[Share]) -> Json:
        """The Consent with these rules."""
        patient = {"reference": f"Patient/{who.patient}"}
        role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
        root: Json = {"type": "permit", "actor": [{"role": role, "reference": patient}]}
        rules = [provision_of(each) for each in shares]
        related = who.fhir_user.startswith("RelatedPerson/")
        consent = {
            "resourceType": "Consent",
            "identifier": [dict(_NAMED)],
            "status": "active",
            "scope": {"coding": [{"system": SCOPES, "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": patient,
            "dateTime": instant(self._clock.now_ms()),
            "performer": [{"reference": who.fhir_user} if related else patient],
            "sourceAttachment": {"title": "What the patient decided themselves, through the sharing API"},
            "policy": [{"uri": POLICY}],
            "provision": root | ({"provision": rules} if rules else {}),
        }
        if self._place.organisation:
            consent["organization"] = [{"reference": self._place.organisation}]
        return consent | ({"id": before["id"]} if before is not None else {})

    async def _consents(self, who: Principal) -> list[Json]:
        """The patient's Consent of sharing, if any; where several were made side by side all, newest first."""
        found = await self._get(who, "/Consent", _SEARCH)
        own = [each["resource"] for each in found.get("entry", ()) if each["resource"]["resourceType"] == "Consent"]
        return sorted(own, key=lambda each: each["meta"]["lastUpdated"], reverse=True)

    async def _versions(self, who: Principal) -> list[Json]:
        """Every version of it, newest first; those before it was first withdrawn or replaced as well."""
        query = urlencode({"identifier": f"{_NAMED['system']}|{_NAMED['value']}"})
        found = await self._get(who, "/Consent", query)
        versions: list[Json] = []
        for each in found.get("entry", ()):
            history = await self._get(who, f"/Consent/{each['resource']['id']}/_history", _HISTORY)
            versions += [entry["resource"] for entry in history.get("entry", ()) if "resource" in entry]
        return sorted(versions, key=lambda each: (each["meta"]["lastUpdated"], int(each["meta"]["versionId"])))[::-1]

    async def _get(self, who: Principal, path: str, query: str = "") -> Json:
        return await self._asked(who, Request("GET", path.encode(), query.encode()))

    async def _asked(self, who: Principal, request: Request) -> Json:
        """What the door answers to one request, parsed."""
        question = parse(request, Frame(self._clock.now_ms(), 1_000, self._place.base_url))
        found: Json = orjson.loads((await self._door.answer(who, question)).body)
        return found

    def _own(self, who: Principal) -> str:
        """The patient whose sharing somebody decides about: their own, or of whom they stand in for.

        Raises Denied; Unavailable where this process has no clearance.
        """
        if Role.PATIENT not in who.roles or not who.patient:
            raise Denied("only a patient, or who stands in for one, decides what is shared")
        if not self._place.cleared:
            raise Unavailable("What you share is kept at the clinic's other server: ask the clinic for its address.")
        return who.patient


def _every(active: Sequence[Json]) -> tuple[Share, ...]:
    """The rules of all these Consents."""
    return tuple(share for consent in active for share in shares_of(consent))


def _standing(patient: str, active: Sequence[Json]) -> Standing:
    if not active:
        return Standing(patient, "", "", "", ())
    meta = active[0]["meta"]
    return Standing(patient, active[0]["id"], meta["versionId"], meta["lastUpdated"], _every(active))
