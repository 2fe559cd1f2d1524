"""A megabyte of valid or invalid FHIR, made to be slow, is still answered soon."""

from __future__ import annotations

import time

import orjson
import pytest

from medlock.fhir.parse import parse_json
from medlock.fhir.validate import validate

COUNT = 10_000
CODING = {"system": "https://x.example/c", "code": "c"}
MEDICATION = {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"display": "x"}}


def numbered(count, make):
    """A list of things made from the first numbers."""
    return [make(n) for n in range(count)]


def contained(count):
    """Contained resources, none of which is referred to by a Reference."""
    return numbered(count, lambda n: {"resourceType": "Basic", "id": f"c{n}", "code": {"text": "x"}})


def element(n):
    """One element of a StructureDefinition."""
    return {"id": f"Patient.e{n}", "path": f"Patient.e{n}", "definition": "x", "min": 0, "max": "1"}


SLOW = {
    "contained, referred to by canonicals": {
        "resourceType": "PlanDefinition",
        "status": "draft",
        "contained": contained(COUNT),
        "library": numbered(COUNT, "#c{}".format),
    },
    "contained, referred to": MEDICATION
    | {
        "contained": contained(COUNT),
        "supportingInformation": numbered(COUNT, lambda n: {"reference": f"#c{n}"}),
        "medicationCodeableConcept": {"text": "x"},
    },
    "contained, not referred to": MEDICATION | {"contained": contained(COUNT)},
    "references to nothing": MEDICATION | {"supportingInformation": numbered(COUNT, lambda n: {"reference": f"#c{n}"})},
    "codings against codings": {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": numbered(COUNT, lambda n: CODING | {"display": f"a{n}"})},
        "component": numbered(COUNT, lambda n: {"code": {"coding": [CODING | {"display": f"b{n}"}]}}),
        "valueInteger": 1,
    },
    "a snapshot": {
        "resourceType": "StructureDefinition",
        "kind": "resource",
        "type": "Patient",
        "snapshot": {"element": [{"path": "Patient"}, *numbered(COUNT, element)]},
        "differential": {"element": [{"path": "Patient"}, *numbered(COUNT, element)]},
    },
    "a guide": {
        "resourceType": "ImplementationGuide",
        "fhirVersion": ["4.0.1"] * COUNT,
        "definition": {
            "grouping": numbered(COUNT, lambda n: {"id": f"g{n}", "name": "x"}),
            "resource": numbered(COUNT, lambda n: {"reference": {"display": "x"}, "groupingId": f"g{n}"}),
        },
    },
    "a code system": {"resourceType": "CodeSystem", "concept": numbered(COUNT, lambda n: {"code": f"c{n}"})},
    "a long reference": MEDICATION | {"requester": {"reference": "https:" + "/Ab/" * 250_000}},
    "a long code": MEDICATION | {"status": "a " * 400_000},
    "a long media type": {"resourceType": "Binary", "contentType": "a/b" + " ; c" * 200_000 + " ;"},
    "a long date": MEDICATION | {"authoredOn": "2026-03-01T08:30:00." + "1" * 900_000},
    "a long base64": {"resourceType": "Binary", "contentType": "a/b", "data": "QUJD" * 250_000},
    "deep extensions": MEDICATION
    | {"extension": [{"url": "urn:x", "extension": [{"url": "y" * 500_000, "valueCode": "x"}]}]},
    "unknown members": MEDICATION | {f"n{n}": n for n in range(COUNT)},
    "periods": {"resourceType": "Patient", "name": [{"period": {"start": "2026", "end": "2025"}}] * COUNT},
}


@pytest.mark.parametrize("name", sorted(SLOW))
def test_a_slow_resource_is_answered(name):
    """Parsing and validating stay near linear, so ten thousand of anything take seconds at most, not minutes."""
    data = orjson.dumps(SLOW[name])
    started = time.process_time()
    validate(parse_json(data))
    assert time.process_time() - started < 8
