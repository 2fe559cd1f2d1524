"""Codes as FHIR writes them: the terminology addresses, `Term`, and the small structures built from terms.

Codes and their names are facts of the public terminologies (LOINC, SNOMED CT, RxNorm, CVX, ICD-10-CM, UCUM and
HL7's own); displays are kept short.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple

Json = dict[str, Any]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX = "http://hl7.org/fhir/sid/cvx"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM = "http://unitsofmeasure.org"
HL7 = "http://terminology.hl7.org/CodeSystem/"
ACT_CODE = HL7 + "v3-ActCode"
ACT_REASON = HL7 + "v3-ActReason"
CONFIDENTIALITY = HL7 + "v3-Confidentiality"
ROLE_CODE = HL7 + "v3-RoleCode"
PARTICIPATION = HL7 + "v3-ParticipationType"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"

# Everything that only this clinic defines lives under one reserved name (RFC 2606).
CLINIC = "https://clinic.medlock.example/"

# The clinic keeps one offset all year: a FHIR dateTime needs one (R4 §2.24.0.1), the story needs no more.
ZONE = timezone(timedelta(hours=-5))


class Term(NamedTuple):
    """One code of a terminology with a short display."""

    system: str
    code: str
    display: str

    def coding(self) -> Json:
        """The term as a Coding."""
        return {"system": self.system, "code": self.code, "display": self.display}

    def concept(self, *others: Term, text: str = "") -> Json:
        """The term, with translations, as a CodeableConcept."""
        return {"coding": [term.coding() for term in (self, *others)], "text": text or self.display}


def hl7(system: str, code: str, display: str = "") -> Json:
    """A CodeableConcept of one of HL7's own code systems, by the system's short name."""
    coding = {"system": HL7 + system, "code": code}
    return {"coding": [coding | {"display": display} if display else coding]}


def loinc(code: str, display: str) -> Term:
    """A LOINC term."""
    return Term(LOINC, code, display)


def sct(code: str, display: str) -> Term:
    """A SNOMED CT term."""
    return Term(SNOMED, code, display)


def rx(code: str, display: str) -> Term:
    """An RxNorm term."""
    return Term(RXNORM, code, display)


def icd(code: str, display: str) -> Term:
    """An ICD-10-CM term."""
    return Term(ICD10, code, display)


def quantity(value: float, unit: str, code: str) -> Json:
    """A Quantity in UCUM."""
    return {"value": value, "unit": unit, "system": UCUM, "code": code}


def reference(target: str, display: str = "") -> Json:
    """A literal Reference, with what to show for it."""
    return {"reference": target, "display": display} if display else {"reference": target}


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """A moment of a day on the clinic's clock."""
    return datetime.combine(day, time(hour, minute), ZONE)


def years_before(day: date, years: int) -> date:
    """The same day of an earlier year (29 February becomes the 28th)."""
    if day.month == 2 and day.day == 29:
        day = day.replace(day=28)
    return day.replace(year=day.year - years)


def age_on(day: date, born: date) -> int:
    """Age in completed years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
