"""Attempts to search: by every value of a hidden record, and along every reference to and from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medlock.defence.leaktest.attempts import Attempt, form, get
from medlock.defence.leaktest.family import SYSTEM, Record, canary

_COUNTED = ("_summary=count", "_total=accurate&_count=0", "_count=1", "_elements=id", "_sort=-_lastUpdated")
_OF_PATIENT: Mapping[str, str] = {
    "Observation": "subject",
    "Condition": "subject",
    "Encounter": "subject",
    "DiagnosticReport": "subject",
    "DocumentReference": "subject",
    "MedicationRequest": "subject",
    "AllergyIntolerance": "patient",
    "List": "subject",
    "Appointment": "patient",
    "Coverage": "beneficiary",
}
_CODED = ("Observation", "Condition", "DiagnosticReport", "AllergyIntolerance", "MedicationRequest")


def values(record: Record, name: str) -> Iterator[Attempt]:
    """The record by what stands in it."""
    at, word = f"/{record.type}", record.canary
    for query in (f"identifier={SYSTEM}|{word}", f"identifier={word}"):
        yield Attempt("search", record, get(f"{at}?{query}"), word)
        yield Attempt("search", record, form(f"{at}/_search", query), word)
        for counted in _COUNTED:
            yield Attempt("total", record, get(f"{at}?{query}&{counted}"), word)
    yield Attempt("search", record, get(f"{at}?_id={name}"), name)
    yield Attempt("total", record, get(f"{at}?_id={name}&_summary=count"), name)
    yield Attempt("search", record, get(f"/?_type={record.type},Practitioner&_id={name}"), name)
    yield Attempt("search", record, get(f"{at}?identifier:not={word}&_summary=count"), word)
    yield Attempt("search", record, get(f"{at}?_content={word}"), word)
    yield Attempt("search", record, get(f"{at}?_text={word}"), word)
    yield Attempt("search", record, get(f"{at}?_filter=identifier eq {word}".replace(" ", "%20")), word)
    if record.type in _CODED:
        told = canary(f"{record.name} code")
        yield Attempt("search", record, get(f"{at}?code:text={told}"), told)
    if record.type == "Patient":
        yield from _people(record)


def _people(record: Record) -> Iterator[Attempt]:
    family, street = canary(f"{record.name} family"), canary(f"{record.name} street")
    for query, needle in (
        (f"family={family}", family),
        (f"name:contains={family}", family),
        (f"name={family}&_summary=count", family),
        (f"address={street}", street),
        (f"address:contains={street}", street),
        (f"family:exact={family}&birthdate={record.body['birthDate']}", family),
        (f"_has:Observation:patient:identifier={canary(f'{record.name}-glucose')}", canary(f"{record.name}-glucose")),
    ):
        yield Attempt("search", record, get(f"/Patient?{query}"), needle)


def whole(record: Record) -> Iterator[Attempt]:
    """Everything of the type, of the server, and page after page."""
    at = f"/{record.type}"
    for query in ("", "?_count=1", "?_count=1000", "?_summary=count", "?_sort=_id&_count=2", "?_total=accurate"):
        yield Attempt("search", record, get(at + query))
    yield Attempt("history", record, get(f"{at}/_history?_count=1000"))
    yield Attempt("history", record, get("/_history?_count=1000"))
    yield Attempt("search", record, get(f"{at}?_lastUpdated=gt2000-01-01"))
    yield Attempt("search", record, get(f"{at}?identifier:missing=false"))


def of_patient(person: Record, name: str) -> Iterator[Attempt]:
    """Everything about one person, asked for by the person."""
    word, family = person.canary, canary(f"{person.name} family")
    for resource_type, parameter in _OF_PATIENT.items():
        at = f"/{resource_type}"
        for query in (f"patient={name}", f"{parameter}=Patient/{name}", f"patient={name}&_summary=count"):
            yield Attempt("search", person, get(f"{at}?{query}"), name)
        yield Attempt("search", person, get(f"{at}?patient=nobody-here,{name}"), name)
        yield Attempt("chain", person, get(f"{at}?patient.identifier={word}"), word)
        yield Attempt("chain", person, get(f"{at}?{parameter}:Patient.family={family}"), family)
        yield Attempt("chain", person, get(f"{at}?patient.identifier={word}&_summary=count"), word)
        yield Attempt("search", person, get(f"{at}?{parameter}:identifier={SYSTEM}|{word}"), word)
        yield Attempt("search", person, get(f"/Patient/{name}/{resource_type}"), name)
    yield Attempt("history", person, get(f"/AuditEvent?patient={name}"), name)
    yield Attempt("history", person, get(f"/AuditEvent?entity=Patient/{name}&_summary=count"), name)
    yield Attempt("search", person, get(f"/Provenance?target=Patient/{name}"), name)
    yield Attempt("search", person, get(f"/Observation?_list={name}-list"), f"{name}-list")


def linked(record: Record, name: str, placed: Mapping[str, str]) -> Iterator[Attempt]:
    """From what anybody may see to what hangs on it."""
    pell, clinic = placed["pell"], placed["clinic"]
    for target in (
        f"/Practitioner?_id={pell}&_revinclude=Observation:performer",
        f"/Practitioner?_id={pell}&_revinclude=Condition:asserter",
        f"/Practitioner?_id={pell}&_revinclude=*",
        f"/Practitioner?_id={pell}&_revinclude=Appointment:actor&_include:iterate=Appointment:patient",
        f"/Organization?_id={clinic}&_revinclude=Patient:organization",
        f"/Organization?_id={clinic}&_revinclude=Patient:organization&_revinclude:iterate=Observation:subject",
        f"/Appointment?_id={placed['both-appointment']}&_include=Appointment:patient",
        f"/Appointment?_id={placed['both-appointment']}&_include=*&_revinclude:iterate=*",
        "/Appointment?_include=Appointment:actor&_revinclude:iterate=Observation:subject",
        "/Coverage?_include=Coverage:beneficiary&_include:iterate=Patient:link",
        f"/Observation?patient={placed['ben']}&_include=Observation:performer&_revinclude:iterate=Observation:performer",
    ):
        yield Attempt("include", record, get(target))
    for parameter, code in (("identifier", record.canary), ("_id", name)):
        if record.type in {"Observation", "Condition"}:
            by = "performer" if record.type == "Observation" else "asserter"
            yield Attempt("_has", record, get(f"/Practitioner?_has:{record.type}:{by}:{parameter}={code}"), code)
            yield Attempt(
                "_has", record, get(f"/Practitioner?_has:{record.type}:{by}:{parameter}={code}&_summary=count"), code
            )
    if record.type == "Patient":
        yield Attempt("chain", record, get(f"/Appointment?patient.identifier={record.canary}"), record.canary)
        yield Attempt("chain", record, get(f"/Appointment?actor:Patient.identifier={record.canary}"), record.canary)
        yield Attempt("chain", record, get(f"/Coverage?beneficiary.identifier={record.canary}"), record.canary)
        yield Attempt(
            "_has", record, get(f"/Organization?_has:Patient:organization:identifier={record.canary}"), record.canary
        )
