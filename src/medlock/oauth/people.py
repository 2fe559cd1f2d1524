"""The people that apps act for, as far as the authorization server needs to know them: `identity` has the accounts.

Whatever is issued for an account is committed with `Standing.unchanged`: should the account be ended or changed between
our look and our commit, the commit loses. That is one half of the rule that what was ended is dead on the next request;
the other is `oauth.endings`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from medlock.access.principal import Role
from medlock.clock import Clock
from medlock.errors import NotAuthenticated
from medlock.identity.account import Account
from medlock.identity.accounts import Accounts
from medlock.oauth.requests import PURPOSES
from medlock.store.tables import Batch

_STRONGEST = tuple(Role)


@dataclass(frozen=True, slots=True)
class Person:
    """An account that may act now.

    resource       their own resource, `Patient/x`, `Practitioner/y`, `RelatedPerson/z`, or ""
    patients       ids of the patients they may choose without being staff: themselves, and those they stand in for
    organisations  for whom they work
    """

    id: str
    name: str
    roles: tuple[Role, ...]
    resource: str = ""
    patients: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()

    @property
    def is_staff(self) -> bool:
        """Whether they have another role than patient, and so may look at more than their own records."""
        return any(role is not Role.PATIENT for role in self.roles)

    @property
    def finds(self) -> bool:
        """Whether they look for whose record they choose: staff, who have no list of their own."""
        return self.is_staff and not self.patients

    @property
    def purpose(self) -> str:
        """The purpose of use of what they do."""
        return PURPOSES[next(role for role in _STRONGEST if role in self.roles)]


@dataclass(frozen=True, slots=True)
class Standing:
    """A person as they stand, and the fragment of a batch that expects it to stay so."""

    person: Person
    unchanged: Batch


class People(Protocol):
    """Finds people; `identity.accounts` through `app.py`."""

    async def standing(self, account_id: str) -> Standing:
        """Somebody who may act now. Raises NotAuthenticated when the account is not there or not active."""


class SignedIn(Protocol):
    """A session, as far as it matters here: `identity.sessions.Session` is one. Times in milliseconds."""

    @property
    def id(self) -> str:
        """Names it; not its secret."""

    @property
    def account(self) -> str:
        """Whose it is."""

    @property
    def amr(self) -> tuple[str, ...]:
        """How they proved who they are (RFC 8176)."""

    @property
    def acr(self) -> str:
        """How strong that is."""

    @property
    def auth_time(self) -> int:
        """When they last did."""


class Sittings(Protocol):
    """Whether a session still lives; `identity.sessions` through `app.py`."""

    async def lives(self, account_id: str, session_id: str) -> bool:
        """Whether it has neither ended nor run out."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A patient to choose: id, the name that the person sees, and the date of birth."""

    id: str
    name: str
    birth: str = ""


@dataclass(frozen=True, slots=True)
class Sought:
    """Which patients are looked for: the beginnings of names, a date of birth; `page` goes on with a former list."""

    name: str = field(default="", repr=False)
    birth: str = field(default="", repr=False)
    page: str = field(default="", repr=False)


ANYBODY = Sought()


@dataclass(frozen=True, slots=True)
class Found:
    """Patients to choose from, and the page that goes on with them; "" at the end."""

    choices: tuple[Choice, ...] = ()
    more: str = field(default="", repr=False)


class Sight(Protocol):
    """What a person may see, asked at the door like everything else; `app.py` makes it of `records.door`."""

    async def sees(self, person: Person, reference: str, patient: str = "") -> bool:
        """Whether they may read this resource now; held to `patient` when it is given. Raises Unavailable."""

    async def names(self, person: Person, sought: Sought) -> Found:
        """Their own patients, and those they stand in for; of staff those that they may find. Raises BadRequest."""


class AccountPeople:
    """`People` over the accounts of this store."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    async def standing(self, account_id: str) -> Standing:
        """An account that may act now. Raises NotAuthenticated."""
        held = await self._accounts.standing(account_id)
        return Standing(person_of(held.value, self._clock.now_ms()), self._accounts.unchanged(held))


def person_of(account: Account, now: int) -> Person:
    """An account as apps act for it at a time in ms."""
    patients = account.patients(now) if Role.PATIENT in account.roles else ()
    return Person(account.id, account.name, account.roles, account.resource, patients, account.organisations)


class KnownPeople:
    """`People` and `Sittings` in memory, by account id: for tests, and for a server without accounts, which has none.

    `sessions`: those that live. Ending somebody is taking them out.
    """

    def __init__(self, *people: Person) -> None:
        self.people = {person.id: person for person in people}
        self.sessions: set[tuple[str, str]] = set()

    async def standing(self, account_id: str) -> Standing:
        """Somebody who is there. Raises NotAuthenticated."""
        person = self.people.get(account_id)
        if person is None:
            raise NotAuthenticated("Please sign in.", reason="no such account")
        return Standing(person, Batch())

    async def lives(self, account_id: str, session_id: str) -> bool:
        """Whether the session is among those that live."""
        return (account_id, session_id) in self.sessions
