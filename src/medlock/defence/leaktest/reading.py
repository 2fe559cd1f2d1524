"""Attempts to read: by address, by version, through operations, and by addresses that only look different."""

from __future__ import annotations

from collections.abc import Iterator

from medlock.defence.leaktest.attempts import Attempt, get, send
from medlock.defence.leaktest.family import Record

_TAILS = (
    "",
    "/_history",
    "/_history/1",
    "?_elements=id",
    "?_summary=true",
    "?_summary=text",
    "?_summary=data",
    "?_format=json",
    "/$validate",
    "/$meta",
    "?_pretty=true",
)
_TWISTED = (
    "/{type}/{id}/",
    "//{type}/{id}",
    "/{type}//{id}",
    "/./{type}/{id}",
    "/Practitioner/../{type}/{id}",
    "/Practitioner/%2e%2e/{type}/{id}",
    "/{type}/%2e/{id}",
    "/{type}/{id}%00",
    "/{type}/{id};x=1",
    "/{type}/{id}%20",
    "/{type}/{id}.json",
    "/{lower}/{id}",
    "/{type}%2f{id}",
    "/Patient/{type}/{id}",
)


def reads(record: Record, name: str) -> Iterator[Attempt]:
    """One record by its address, `name` being the id that the server knows it by."""
    at = f"/{record.type}/{name}"
    for tail in _TAILS:
        yield Attempt("history" if "_history" in tail else "read", record, get(f"{at}{tail}"), name)
    yield Attempt("read", record, get(at, if_none_match='W/"1"'), name)
    yield Attempt("read", record, get(at, if_modified_since="Fri, 01 Jan 2100 00:00:00 GMT"), name)
    yield Attempt("read", record, get(at, accept="text/html"), name)
    yield Attempt("read", record, get(at, accept="application/fhir+xml"), name)
    yield Attempt("read", record, get(at, x_http_method_override="DELETE"), name)
    head = get(at)
    yield Attempt("read", record, type(head)("HEAD", head.target), name)


def twisted(record: Record, name: str) -> Iterator[Attempt]:
    """The same address, written in ways that a careless router takes for another one."""
    for form in _TWISTED:
        target = form.format(type=record.type, lower=record.type.lower(), id=name)
        yield Attempt("twisted address", record, get(target), name)


def operations(record: Record, name: str) -> Iterator[Attempt]:
    """Operations that gather a whole record."""
    if record.type == "Patient":
        for tail in ("$everything", "$everything?_type=Observation", "$summary", "$export", "*", "Observation"):
            yield Attempt("operation", record, get(f"/Patient/{name}/{tail}"), name)
        yield Attempt("operation", record, get(f"/Observation/$lastn?patient={name}&max=1"), name)
        yield Attempt("operation", record, get(f"/DocumentReference/$docref?patient={name}"), name)
        parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": _likeness(record)}]}
        yield Attempt("operation", record, send("POST", "/Patient/$match", parameters), record.canary)
        graph = {"query": f'{{ Patient(id: "{name}") {{ id name {{ family }} }} }}'}
        yield Attempt("operation", record, send("POST", "/$graphql", graph, "application/json"), name)
    if record.type == "Encounter":
        yield Attempt("operation", record, get(f"/Encounter/{name}/$everything"), name)
        yield Attempt("operation", record, get(f"/Encounter/{name}/Observation"), name)
    if record.type == "DiagnosticReport":
        yield Attempt("operation", record, get(f"/Composition/$document?id={name}"), name)


def exports(record: Record) -> Iterator[Attempt]:
    """Whole stores at once; what comes back by address is followed by the judge's caller."""
    for target in ("/$export", "/Patient/$export", "/$export?_type=Patient", "/Group/all/$export"):
        yield Attempt("export", record, get(target, prefer="respond-async", accept="application/fhir+json"))


def _likeness(record: Record) -> dict[str, object]:
    """A Patient to match: somebody who knows the number asks whether there is such a one."""
    return {"resourceType": "Patient", "identifier": record.body["identifier"], "birthDate": record.body["birthDate"]}
