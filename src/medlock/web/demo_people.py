"""People for the demo: one of its patients and one of its clinicians, invited so that somebody can sign in as them.

A new code at every start until it was used; then the user name that was chosen. No password is ever printed or made up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from medlock.access.principal import Principal, Role
from medlock.fhir.query import Kind, SearchQuery, SortKey
from medlock.fhir.question import Interaction, Question
from medlock.identity.accounts import NewAccount
from medlock.identity.services import Identity
from medlock.records.disclosure import Disclosure
from medlock.web.signin.routes import INVITATION, SIGN_IN

_BY = "demo"
_HOURS = 24


class Door(Protocol):
    """The one way to data."""

    async def answer(self, principal: Principal, question: Question) -> Disclosure:
        """Decide, fetch, check again, minimise, write down, release."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody as whom one can sign in: by a code that is good once, or, when it was used, by a user name."""

    role: Role
    name: str
    code: str = field(default="", repr=False)
    login: str = ""

    def line(self, site: str) -> str:
        """What to do, for people."""
        if self.code:
            return f"  {self.name}, {self.role}: open {site}{INVITATION.path}#{self.code}"
        return f"  {self.name}, {self.role}: sign in as {self.login} at {site}{SIGN_IN.path}"

    def plain(self, site: str) -> dict[str, str]:
        """The same for programs."""
        invitation = {"invitation": f"{site}{INVITATION.path}#{self.code}"} if self.code else {"login": self.login}
        return {"role": self.role.value, "name": self.name} | invitation


async def guests(identity: Identity, door: Door, loader: Principal, patient: str) -> tuple[Guest, ...]:
    """The patient with this id, and the first of the practitioners."""
    found = []
    for role, kind, wanted in ((Role.PATIENT, "Patient", patient), (Role.CLINICIAN, "Practitioner", "")):
        resource = await _first(door, loader, kind, wanted)
        if resource:
            found.append(await _guest(identity, role, resource))
    return tuple(found)


async def _guest(identity: Identity, role: Role, resource: dict[str, Any]) -> Guest:
    """An account for a record, made unless it is there; a new code unless somebody has it."""
    reference = f"{resource['resourceType']}/{resource['id']}"
    name = _name(resource)
    held = await identity.accounts.by_person(reference)
    account = held.value if held else None
    if account is None:
        account = await identity.accounts.create(NewAccount(name, (role.value,), resource=reference), _BY)
    if account.reviewed:
        return Guest(role, name, login=account.login)
    return Guest(role, name, (await identity.invitations.invite(account.id, _BY, _HOURS)).code)


async def _first(door: Door, loader: Principal, kind: str, wanted: str) -> dict[str, Any] | None:
    """A resource by its id, or the first of its type."""
    if wanted:
        shown = await door.answer(loader, Question(Interaction.READ, kind, wanted))
        resource: dict[str, Any] = orjson.loads(shown.body)
        return resource
    query = SearchQuery(kind, sort=(SortKey("_id", Kind.TOKEN),), count=1, text="_count=1&_sort=_id")
    bundle = orjson.loads((await door.answer(loader, Question(Interaction.SEARCH, kind, query=query))).body)
    return next((entry["resource"] for entry in bundle.get("entry", ())), None)


def _name(resource: dict[str, Any]) -> str:
    """What somebody is called."""
    name: dict[str, Any] = next(iter(resource.get("name", ())), {})
    parts = [*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")]
    return " ".join(part for part in parts if part) or resource["id"]
