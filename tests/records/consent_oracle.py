"""Who may see what, told a second time: role, scope, reach and consent, by plain loops over plain JSON.

Nothing of `medlock.access` is used. Roles are written out by hand for the few types of the matrix, scopes are taken apart
by `scope_oracle`, consents are decided by the naive evaluator of `consent.naive` over facts that are gathered here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from consent.naive import LEVELS, Naive
from records import scope_oracle
from records.scope_oracle import SHARED, Caller, Json, Oracle

CLINICAL = ("Patient", "Observation", "Condition", "DiagnosticReport", "DocumentReference", "Appointment")
PLACES = {"Practitioner": "rs", "Organization": "rs"}
ROLES: dict[str, dict[str, str]] = {
    "clinician": dict.fromkeys((*CLINICAL, "Practitioner", "Organization"), "cruds") | {"Consent": "rs"},
    "nurse": dict.fromkeys((*CLINICAL, "Practitioner", "Organization", "Consent"), "rs")
    | {"Observation": "crus", "DocumentReference": "crus"},
    "lab": {"Patient": "rs", "Observation": "crus", "DiagnosticReport": "crus"} | PLACES,
    "billing": {"Patient": "rs"} | PLACES,
    "front-desk": {"Patient": "crus", "Appointment": "crus"} | PLACES,
    "backend": dict.fromkeys((*CLINICAL, "Practitioner", "Organization", "Consent"), "cruds"),
    "patient": dict.fromkeys((*CLINICAL, "Practitioner", "Organization"), "rs") | {"Consent": "crus"},
    "privacy-officer": {},
    "security-admin": {},
}
KINDS = {
    "backend": "system",
    "patient": "patient user",
    "lab": "user system",
    "billing": "user system",
} | dict.fromkeys(("clinician", "nurse", "front-desk"), "patient user")
PURPOSES = {
    "clinician": "TREAT",
    "nurse": "TREAT",
    "lab": "TREAT",
    "billing": "HPAYMT",
    "front-desk": "PATADMIN",
    "backend": "HOPERAT",
    "patient": "PATRQT",
}
DATED = {"Observation": "effectiveDateTime", "DiagnosticReport": "effectiveDateTime", "DocumentReference": "date"}
WRITTEN = {"Observation": "performer", "DiagnosticReport": "performer"}
UNSIGNED = {"Patient"}
"""Types that have neither an author nor a date of their own."""


@dataclass
class Asker(Caller):
    """A caller in a role. `actors` are the references that they answer to."""

    who: str = "clinician"
    actors: frozenset[str] = frozenset()

    def scopes_on(self, type_: str) -> Iterator[tuple[str, str]]:
        """Letters that role and scope have in common, and the query, of each scope on a type that counts."""
        of_role = ROLES[self.who].get(type_, "")
        for scope in self.scopes:
            name, _, query = scope.partition("?")
            kind, _, rest = name.partition("/")
            of, _, letters = rest.partition(".")
            if of in {type_, "*"} and kind in KINDS.get(self.who, "user") and (kind != "patient" or self.held):
                yield "".join(letter for letter in letters if letter in of_role), query


@dataclass
class Request:
    """A request as the naive evaluator takes it."""

    actors: frozenset[str]
    purposes: frozenset[str]
    action: str
    now: int
    own: frozenset[str] = frozenset()
    may_break_glass: bool = False
    clinical: bool = False
    records_consents: bool = False


@dataclass
class Labels:
    """What labels amount to."""

    level: int
    sensitivities: frozenset[str]


@dataclass
class Known:
    """A resource as the naive evaluator takes it."""

    type: str
    reference: str
    labels: Labels
    codes: set[str]
    any_codes: set[str]
    authored: tuple[int, int] | None
    updated: int
    authors: set[str] | None
    references: set[str]


def every(node: Any) -> Iterator[Json]:
    """Every object in a resource."""
    if isinstance(node, dict):
        yield node
        for each in node.values():
            yield from every(each)
    elif isinstance(node, list):
        for each in node:
            yield from every(each)


def coded(node: Any) -> set[str]:
    """Every coding, as system|code."""
    return {f"{each.get('system', '')}|{each['code']}" for each in every(node) if isinstance(each.get("code"), str)}


def linked(body: Json) -> set[str]:
    """Everything that a resource refers to."""
    return {each["reference"] for each in every(body) if isinstance(each.get("reference"), str)}


def labels_of(body: Json) -> Labels:
    """What stands in its meta; for a Consent also what its rules name."""
    given = list(body.get("meta", {}).get("security", ()))
    if body["resourceType"] == "Consent":
        given += [one for each in every(body) for one in each.get("securityLabel", ())]
    codes = {each["code"] for each in given if not (body["resourceType"] == "Consent" and each["code"] in LEVELS)}
    sensitive = frozenset(code for code in codes if code not in LEVELS)
    levels = [LEVELS.index(code) for code in codes if code in LEVELS] + [LEVELS.index("R")] * bool(sensitive)
    return Labels(max(levels, default=LEVELS.index("N")), sensitive)


def ms(text: str) -> int:
    """A moment."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def day(text: str) -> tuple[int, int]:
    """What a date or a time means, [low, high)."""
    if len(text) > 10:
        return ms(text), ms(text) + 1000
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(start.timestamp() * 1000), int((start + timedelta(days=1)).timestamp() * 1000)


def known(body: Json, updated: int) -> Known:
    """The facts of a resource."""
    type_ = body["resourceType"]
    main = [body[name] for name in ("code", "type") if name in body]
    if type_ in UNSIGNED:
        authored, authors = (updated, updated + 1), set()
    else:
        authored = day(body[DATED[type_]]) if DATED.get(type_) in body else None
        signed = linked(body.get(WRITTEN.get(type_, ""), []))
        if type_ == "Appointment":
            signed = linked(body)
        authors = signed or None
    codes = {each for node in main for each in coded(node)}
    return Known(
        *(type_, f"{type_}/{body['id']}", labels_of(body), codes, coded(body), authored, updated, authors, linked(body))
    )


def belongs(body: Json) -> list[str]:
    """The patients in whose record a resource is, the owner first."""
    if body["resourceType"] == "Consent":
        return [body["patient"]["reference"]]
    if body["resourceType"] == "Appointment":
        return [each["actor"]["reference"] for each in body["participant"]]
    return sorted(scope_oracle.patients(body))


@dataclass
class ConsentOracle(Oracle):
    """Every version there ever was, and what patients have decided. `policy` holds where they have not."""

    policy: str = "permit-all"
    acting: str = "access"
    now: int = 0
    updated: dict[int, int] = field(default_factory=dict)

    def stamp(self, body: Json, when: int) -> None:
        """When a version was written."""
        self.updated[id(body)] = when

    def consents(self) -> list[Json]:
        """Those that are there."""
        return list(self.living("Consent"))

    def sees(self, caller: Caller, body: Json, letters: str) -> bool:
        """Whether role, scope, reach and consents let somebody do this with a resource."""
        assert isinstance(caller, Asker)
        if not caller.right(body, letters):
            return False
        if body["resourceType"] in SHARED:
            return True
        owners = belongs(body)
        reached = [each for each in owners if not caller.held or each == f"Patient/{caller.held}"]
        return any(all(self.permits(caller, one, body, letters) for one in {each, owners[0]}) for each in reached)

    def permits(self, caller: Asker, patient: str, body: Json, letters: str) -> bool:
        """Whether the consents of one patient permit it."""
        if caller.who == "patient":  # always held to their own record
            return True
        action = "correct" if set(letters) & set("ud") else "collect" if "c" in letters else self.acting
        if self.policy in {"basic-normal", "deny"} and action in {"correct", "collect"}:
            policy = "permit-all"  # who may write is a matter of roles
        else:
            policy = self.policy
        purposes = frozenset({PURPOSES[caller.who]})
        clinical = caller.who in {"clinician", "nurse"}
        asked = Request(caller.actors, purposes, action, self.now, clinical=clinical)
        naive = Naive(self.consents(), asked, policy, self.links())
        answer, _ = naive.decide(known(body, self.updated[id(body)]), patient.partition("/")[2])
        return answer == "PERMIT"

    def links(self) -> dict[str, set[str]]:
        """What everything that is there refers to."""
        return {f"{each['resourceType']}/{each['id']}": linked(each) for each in self.living()}
