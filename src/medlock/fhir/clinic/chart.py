"""One patient's chart while it is written: numbers its resources, labels them, and hands out references.

A resource's id is the patient's id and a running number (`Observation/demo-00017-42`), so the same seed gives the
same ids, and loading twice updates instead of doubling.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

from medlock.fhir.clinic.body import Body
from medlock.fhir.clinic.chance import Chance
from medlock.fhir.clinic.people import Household, Person
from medlock.fhir.clinic.staff import Clinician, Staff
from medlock.fhir.clinic.terms import (
    ACT_CODE,
    CLINIC,
    CONFIDENTIALITY,
    Json,
    Term,
    reference,
)

# Every resource says that it is made up, whatever server it ends up on.
SYNTHETIC = {"system": CLINIC + "tags", "code": "synthetic"}
_SENSITIVITY = {
    "ETH": "substance abuse information sensitivity",
    "HIV": "HIV/AIDS information sensitivity",
    "PSY": "psychiatry disorder information sensitivity",
    "PSYTHPN": "psychotherapy note information sensitivity",
    "SDV": "sexual assault, abuse, or domestic violence information sensitivity",
    "SEX": "sexuality and reproductive health information sensitivity",
    "STD": "sexually transmitted disease information sensitivity",
    "SUD": "substance use disorder information sensitivity",
}


class Problem(NamedTuple):
    """A condition on the chart: where it is and what it is called."""

    ref: str
    term: Term
    since: date
    labels: tuple[str, ...] = ()


class Visit(NamedTuple):
    """One encounter: its resource (to which diagnoses are added), who saw the patient, when, and why."""

    encounter: Json
    clinician: Clinician
    start: datetime
    end: datetime
    place: str
    labels: tuple[str, ...]

    @property
    def ref(self) -> Json:
        """Reference to the Encounter."""
        return reference(f"Encounter/{self.encounter['id']}")

    @property
    def day(self) -> date:
        """The day it began."""
        return self.start.date()


def security(labels: tuple[str, ...]) -> list[Json]:
    """meta.security for sensitivity labels (v3-ActCode): with the confidentiality that goes with them.

    Psychotherapy notes are very restricted (V), every other sensitive class restricted (R).
    """
    level = ("V", "very restricted") if "PSYTHPN" in labels else ("R", "restricted")
    kinds = [{"system": ACT_CODE, "code": label, "display": _SENSITIVITY[label]} for label in labels]
    return [*kinds, {"system": CONFIDENTIALITY, "code": level[0], "display": level[1]}]


def with_meta(resource: Json, labels: tuple[str, ...] = ()) -> Json:
    """The resource with its meta after type and id: labels if it is sensitive, and the tag that it is made up."""
    meta: Json = {"security": security(labels)} if labels else {}
    meta["tag"] = [dict(SYNTHETIC)]
    head = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta}
    return head | resource


class Chart:
    """Everything written about one patient, in the order it is loaded."""

    def __init__(self, person: Person, household: Household, staff: Staff, today: date, seed: int) -> None:
        self.person, self.household, self.staff, self.today = person, household, staff, today
        self.chance = Chance(seed, "chart", person.number)
        self.body = Body(person, self.chance)
        role = "paediatrics" if person.age(today) < 16 else "gp"
        self.doctor = staff.who(self.chance, role)
        self.resources: list[Json] = []
        self.problems: list[Problem] = []
        self.notes: list[tuple[str, Visit]] = []
        self.since = _registered(person, self.chance, today)
        self.until = min(person.died or today, today)

    @property
    def me(self) -> Json:
        """Reference to the patient."""
        return reference(self.person.ref)

    def add(self, kind: str, fields: Json, labels: tuple[str, ...] = ()) -> str:
        """Write a resource and return its reference."""
        resource = {"resourceType": kind, "id": f"{self.person.id}-{len(self.resources)}"} | fields
        self.resources.append(with_meta(resource, labels))
        return f"{kind}/{resource['id']}"

    def last(self) -> Json:
        """The resource written last, for what is learned only afterwards."""
        return self.resources[-1]


def _registered(person: Person, chance: Chance, today: date) -> date:
    """The day the clinic first saw this person: at birth for most children, up to 11 years ago for others."""
    earliest = max(person.born, date(today.year - 11, 1, 1))
    if (today - person.born).days < 18 * 365 and chance.happens(0.85):
        return max(person.born, earliest)
    return chance.day(earliest, max(earliest, (person.died or today) - timedelta(days=200)))
