"""What an account is: a person who may sign in, what they are here for, and which record is their own.

Pure: the rows and the rules about them. `accounts.py` reads and writes them.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

import msgspec

from medlock.access.principal import Role
from medlock.access.roles import TREATS
from medlock.errors import BadRequest

LOGIN_MAX = 254  # an address of mail (RFC 5321 §4.5.3.1.3)
NAME_MAX = 200
PERSONS = ("Patient", "Practitioner", "RelatedPerson")
CARERS = frozenset({Role.CLINICIAN, Role.NURSE, Role.LAB, Role.BILLING, Role.CONSENT_RECORDER, Role.FRONT_DESK})
STAFF = CARERS | {Role.PRIVACY_OFFICER, Role.SECURITY_ADMIN, Role.RESEARCHER}
_PROGRAMS = frozenset({Role.LOADER, Role.BACKEND, Role.VENDOR, Role.LINK})
_LOGIN = re.compile(r"[^\s\x00-\x20\x7f/\\]{3,}")
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")


class Status(StrEnum):
    """Where an account stands."""

    INVITED = "invited"  # nobody has taken it up yet
    ACTIVE = "active"
    DISABLED = "disabled"
    WAITING = "waiting"  # a second person has not approved its roles yet


class Proxy(msgspec.Struct, frozen=True, array_like=True):
    """Standing in for a patient (FHIR RelatedPerson). Times in ms; `until` 0: open.

    patient   the Patient's id
    related   the RelatedPerson resource that says how they are related
    verified  when somebody saw the papers, and `by` who; 0: nobody did, and it counts for nothing
    """

    patient: str
    related: str
    since: int
    until: int = 0
    verified: int = 0
    by: str = ""

    def counts(self, now_ms: int) -> bool:
        """Whether it stands at a time."""
        return bool(self.verified) and self.since <= now_ms and (not self.until or now_ms < self.until)


class Account(msgspec.Struct, frozen=True, array_like=True):
    """One account. Times in ms. Fields are added at the end.

    login     what they sign in with, in its canonical form; "" until an invitation was taken up
    resource  their own record: `Patient/x`, `Practitioner/y`, `RelatedPerson/z`, or ""
    version   1, 2, 3 … with every change; the log names it, so that a row that was put back is found
    reviewed  when they last confirmed their ways to sign in
    birth     date of birth that whoever takes up an invitation must know; "" where none is asked for
    asked     the operator who gave it roles that another one has not approved yet; "" when nothing waits
    """

    id: str
    version: int
    login: str
    name: str
    roles: tuple[Role, ...]
    status: Status
    created: int
    changed: int
    resource: str = ""
    proxies: tuple[Proxy, ...] = ()
    organisations: tuple[str, ...] = ()
    reviewed: int = 0
    birth: str = ""
    asked: str = ""

    def __repr__(self) -> str:
        return f"<Account {self.id}>"

    @property
    def is_staff(self) -> bool:
        """Whether they may see more than their own record: they need what cannot be phished."""
        return not STAFF.isdisjoint(self.roles)

    @property
    def patient(self) -> str:
        """The id of the Patient that they are; "" for others."""
        kind, _, name = self.resource.partition("/")
        return name if kind == "Patient" else ""

    def patients(self, now_ms: int) -> tuple[str, ...]:
        """The patients whose record they may see without being staff: themselves, and those they stand in for now."""
        own = (self.patient,) if self.patient else ()
        return (*own, *(proxy.patient for proxy in self.proxies if proxy.counts(now_ms)))


def canonical_login(text: str) -> str:
    """The one form of a user name (NFKC, case folded) that is stored and compared. Raises BadRequest."""
    form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.strip()).casefold())
    if len(form) > LOGIN_MAX or _LOGIN.fullmatch(form) is None or not form.isprintable():
        raise BadRequest(f"A user name has 3 to {LOGIN_MAX} characters, without spaces and slashes.")
    return form


def checked_roles(roles: tuple[str, ...]) -> tuple[Role, ...]:
    """Roles a person can have, each once. Raises BadRequest."""
    try:
        found = tuple(dict.fromkeys(Role(each) for each in roles))
    except ValueError:
        raise BadRequest(f"A role is one of {', '.join(each for each in Role if each not in _PROGRAMS)}.") from None
    if not found or not _PROGRAMS.isdisjoint(found):
        raise BadRequest("An account has at least one role, and none of a program: those sign in as clients.")
    if Role.PATIENT in found and len(found) > 1:
        raise BadRequest("Who works here has an account of their own for that: a patient's has no other role.")
    if Role.SECURITY_ADMIN in found and not TREATS.isdisjoint(found):
        raise BadRequest("Who administers accounts does not see records with the same one: make two accounts.")
    return found


def checked_resource(reference: str, roles: tuple[Role, ...]) -> str:
    """The person's own record, of a kind that fits the roles; "" is none. Raises BadRequest."""
    form = _REFERENCE.fullmatch(reference)
    if reference and (form is None or form[1] not in PERSONS):
        raise BadRequest("An account's record is Patient/id, Practitioner/id or RelatedPerson/id.")
    if Role.PATIENT in roles and (form is None or form[1] == "Practitioner"):
        raise BadRequest("A patient's account is bound to a Patient, or to the RelatedPerson who stands in for one.")
    if Role.PATIENT not in roles and form is not None and form[1] != "Practitioner":
        raise BadRequest("The record of somebody who works here is a Practitioner.")
    return reference


def checked_name(text: str) -> str:
    """What somebody is called. Raises BadRequest."""
    form = " ".join(text.split())
    if not form or len(form) > NAME_MAX or not form.isprintable():
        raise BadRequest(f"A name has 1 to {NAME_MAX} characters that can be printed.")
    return form
