"""Whose record is a resource part of? Asked of resources as they come in files, where references may be anything.

`fhir.compartment` answers it for access and trusts only this server's own references; here a wrong answer moves a date
by the wrong number of days, so urn:uuid and absolute addresses are followed as well. Who is named first as subject,
patient or beneficiary counts; resources about nobody (an Organization) belong to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_NAMED: Final = ("subject", "patient", "beneficiary", "for", "individual", "source", "candidate", "who", "target")
Json = dict[str, Any]


def tail_of(reference: str) -> str:
    """The id at the end of a reference: of Patient/a, https://x/Patient/a/_history/2 and urn:uuid:a it is `a`."""
    return reference.partition("/_history/")[0].rpartition("/")[2].rpartition(":")[2]


def patient_of(resource: Json, known: Mapping[str, str]) -> str:
    """The id of the patient; "" for nobody. `known` maps what a Bundle calls its patients to their ids."""
    if resource.get("resourceType") == "Patient":
        return str(resource.get("id") or "")
    for text in _references(resource):
        tail = tail_of(text)
        if tail in known:
            return known[tail]
        if "Patient/" in text:
            return tail
    return ""


def _references(resource: Json) -> Iterator[str]:
    for name in _NAMED:
        value = resource.get(name)
        for each in value if type(value) is list else [value]:
            text = each.get("reference") if type(each) is dict else None
            if type(text) is str and text and text[0] != "#":
                yield text


def patients_in(bundle: Json) -> dict[str, str]:
    """Id or tail of the full address of each Patient in a Bundle → the patient's id."""
    known: dict[str, str] = {}
    for entry, resource in entries_of(bundle):
        if resource.get("resourceType") == "Patient":
            url = entry.get("fullUrl")
            address = tail_of(url) if type(url) is str else ""
            own = resource.get("id")
            own = own if type(own) is str and own else address
            known |= {name: own for name in (own, address) if name}
    return known


def entries_of(bundle: Json) -> Iterator[tuple[Json, Json]]:
    """(entry, resource) of each entry that has one."""
    entries = bundle.get("entry")
    for entry in entries if type(entries) is list else []:
        if type(entry) is dict and type(entry.get("resource")) is dict:
            yield entry, entry["resource"]
