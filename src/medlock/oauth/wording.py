"""What each scope means in plain words, for the page on which a person decides (ASVS 10.7.2, SMART 2.2 "Scopes").

One line for each scope, so that each can be refused by itself; for wide ones, narrower ones that may be taken instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from medlock.access.scopes import ANY, CREATE, DELETE, READ, SEARCH, UPDATE, Kind
from medlock.oauth import scope
from medlock.oauth.scope import Asked, taken_apart

_TYPES = {
    "AllergyIntolerance": "allergies",
    "Appointment": "appointments",
    "CarePlan": "care plans",
    "CareTeam": "the people who care for you",
    "Condition": "diagnoses and health concerns",
    "Consent": "consents",
    "Coverage": "insurance",
    "Device": "devices and implants",
    "DiagnosticReport": "reports of laboratories and imaging",
    "DocumentReference": "documents and notes",
    "Encounter": "visits",
    "Goal": "goals",
    "Immunization": "vaccinations",
    "Location": "places of care",
    "Medication": "medicines",
    "MedicationDispense": "medicines that were dispensed",
    "MedicationRequest": "prescriptions",
    "Observation": "laboratory results, vital signs and other measurements",
    "Organization": "hospitals and practices",
    "Patient": "name, birth date, address and other personal details",
    "Practitioner": "doctors and nurses",
    "Procedure": "operations and procedures",
    "Provenance": "where entries come from",
    "QuestionnaireResponse": "filled-in questionnaires",
    "RelatedPerson": "relatives and representatives",
    "ServiceRequest": "orders and referrals",
    "Specimen": "samples",
}
_WORDS = {
    scope.OPENID: ("identity", "Know who you are here"),
    scope.FHIR_USER: ("identity", "Know which record in the directory is yours"),
    scope.PROFILE: ("identity", "Know your name"),
    scope.LAUNCH: ("launch", "Know from where in the portal it was opened"),
    scope.LAUNCH_PATIENT: ("launch", "Know whose record you chose"),
    scope.LAUNCH_ENCOUNTER: ("launch", "Know which visit you were looking at"),
    scope.OFFLINE: ("offline", "Keep this access while you are away, until you end it or it runs out"),
    scope.ONLINE: ("offline", "Keep this access while you are signed in here"),
}
_WHOSE = {Kind.PATIENT: "of the chosen record", Kind.USER: "of every record that you may see"}
_OBSERVED = "http://terminology.hl7.org/CodeSystem/observation-category"
_CONCERN = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
_CATEGORIES = {
    "Observation": (
        (f"{_OBSERVED}|laboratory", "Laboratory results only"),
        (f"{_OBSERVED}|vital-signs", "Vital signs only"),
        (f"{_OBSERVED}|social-history", "Social history only"),
        (f"{_OBSERVED}|survey", "Questionnaires and assessments only"),
        ("http://hl7.org/fhir/us/core/CodeSystem/us-core-category|sdoh", "Social determinants of health only"),
    ),
    "Condition": (
        (f"{_CONDITION}|encounter-diagnosis", "Diagnoses made at visits only"),
        (f"{_CONDITION}|problem-list-item", "The problem list only"),
        (f"{_CONCERN}|health-concern", "Health concerns only"),
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One scope: as it is sent back, in words, of what kind (data, identity, launch, offline), and narrower ones."""

    scope: str
    words: str
    kind: str
    narrower: tuple[tuple[str, str], ...] = ()


def lines(asked: Asked) -> tuple[Line, ...]:
    """One line for each scope, data first."""
    words = tuple(Line(word, _WORDS[word][1], _WORDS[word][0]) for word in asked.words)
    return (*map(_line, asked.resources), *words)


def _line(resource: str) -> Line:
    kind, resource_type, bits = taken_apart(resource)
    what = "all data" if resource_type == ANY else _TYPES.get(resource_type, f"data of the kind {resource_type}")
    query = resource.partition("?")[2]
    some = f" (only those with {query.replace('&', ', ')})" if query else ""
    return Line(resource, f"{_verbs(bits)} {what} {_WHOSE.get(kind, '')}{some}".rstrip(), "data", _narrower(resource))


def _verbs(bits: int) -> str:
    """What is done, in the order of weight."""
    done = [
        word
        for bit, word in ((READ | SEARCH, "See"), (CREATE, "add"), (UPDATE, "change"), (DELETE, "delete"))
        if bits & bit
    ]
    words = ", ".join(done)
    return words[:1].upper() + words[1:]


def _narrower(resource: str) -> tuple[tuple[str, str], ...]:
    """What may be taken in the place of a wide scope: one type of all, one category of a type."""
    if "?" in resource:
        return ()
    head, _, rest = resource.partition("/")
    resource_type, _, letters = rest.rpartition(".")
    if resource_type == ANY:
        return tuple((f"{head}/{name}.{letters}", words[:1].upper() + words[1:]) for name, words in _TYPES.items())
    letters = {"read": "rs", "write": "cud", "*": "cruds"}.get(letters, letters)
    return tuple(
        (f"{head}/{resource_type}.{letters}?category={code}", words)
        for code, words in _CATEGORIES.get(resource_type, ())
    )
