"""Validation against R4: every kind of fault is refused, with its code and its path, and nothing else is."""

from __future__ import annotations

import pytest

from fhir import vectors
from fhir.vectors import load, mended, resource_of
from medlock.errors import Problem
from medlock.fhir.report import PROBLEMS_MAX
from medlock.fhir.structures import resource_types, structure
from medlock.fhir.validate import validate, validate_element

FILES = ("structure", "extensions", "codes", "references", "contained")
CASES = [pytest.param(case, id=f"{name}: {case['case']}") for name in FILES for case in load(name)]
RULES = [pytest.param(case, id=f"{case['rule']} {at}") for at, case in enumerate(load("invariants"))]
VALUES = load("primitives")
GOOD = [pytest.param(kind, value, id=f"{kind} {value!r}") for kind in VALUES for value in VALUES[kind]["good"]]
BAD = [pytest.param(kind, value, id=f"{kind} {value!r}") for kind in VALUES for value in VALUES[kind]["bad"]]


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_expected_problems_are_found(case):
    """Each vector has exactly the problems that it names, by code and path."""
    assert vectors.found(validate(resource_of(case))) == sorted(case["expect"])


@pytest.mark.parametrize("case", RULES)
def test_an_invariant_is_found_broken(case):
    """The rule is reported at the element that breaks it."""
    broken = [p for p in validate(resource_of(case)) if f"rule {case['rule']} " in p.text]
    assert [(p.code, p.path) for p in broken] == [("invariant", case["path"])]


@pytest.mark.parametrize("case", RULES)
def test_a_mended_invariant_is_not_reported(case):
    """The same resource with the fault put right does not break the rule."""
    assert not [p for p in validate(mended(case)) if f"rule {case['rule']} " in p.text]


def with_value(kind, value):
    """A resource with a value of a primitive type, which an extension can always hold."""
    name = f"value{kind[0].upper()}{kind[1:]}"
    return {"resourceType": "Basic", "code": {"text": "x"}, "extension": [{"url": "urn:x", name: value}]}


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_a_legal_primitive_is_accepted(kind, value):
    """Every form that R4 allows for a primitive type is let through."""
    assert validate(with_value(kind, value)) == []


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_an_illegal_primitive_is_refused(kind, value):
    """Everything else is reported once, at the value."""
    problems = validate(with_value(kind, value))
    assert [(p.path) for p in problems] == ["Basic.extension[0].value"]
    assert {p.code for p in problems} <= {"structure", "value"}


def test_a_path_can_be_put_in_front():
    """A resource that is part of a bundle is reported under the bundle's path."""
    problems = validate({"resourceType": "Patient", "gender": "f"}, path="Bundle.entry[3].resource")
    assert [p.path for p in problems] == ["Bundle.entry[3].resource.gender"]


def test_no_more_than_a_hundred_problems():
    """A resource that is wrong everywhere does not make an endless answer."""
    assert len(validate({"resourceType": "Patient", "name": [{"use": "x"}] * 5000})) == PROBLEMS_MAX


def test_values_are_never_repeated():
    """No sentence or path carries what the resource said."""
    secret = "Xq7Zz"
    case = {"resourceType": "Patient", "gender": secret, "birthDate": secret, "id": f"{secret}_", secret + " ": 1}
    case |= {"name": [{"use": secret}], "link": [{"other": {"reference": secret}, "type": secret}]}
    case |= {"text": {"status": secret, "div": f"<{secret}>"}, "photo": [{"url": f"{secret} x", "data": secret}]}
    problems = validate(case)
    assert len(problems) > 8
    assert secret not in repr(problems)


def test_an_element_can_be_validated_by_itself():
    """A part of a resource is checked against its own structure."""
    assert validate_element({"method": "GET", "url": "Patient"}, "Bundle.entry.request", "x") == []
    problems = validate_element({"method": "GET"}, "Bundle.entry.request", "Bundle.entry[1].request")
    assert problems == [
        Problem("required", "Bundle.entry.request.url is required", "Bundle.entry[1].request.url"),
    ]


@pytest.mark.parametrize("kind", sorted(resource_types()))
def test_every_resource_type_has_a_validator(kind):
    """All 146 types can be compiled; each names its required elements when given nothing."""
    required = {element.name for element in structure(kind).elements if element.min}
    problems = validate({"resourceType": kind})
    assert {p.path.removeprefix(f"{kind}.") for p in problems if p.code == "required"} == required


def test_there_are_146_resource_types():
    """R4 has 148 resource types, two of them abstract."""
    assert len(resource_types()) == 146
