"""Matching: R4's own examples and the edges of each rule, read by both implementations."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_search import oracle, readings
from fhir_search.vectors import load
from medlock.fhir.dates import instant
from medlock.fhir.extract import extract
from medlock.fhir.grammar import parse_search
from medlock.fhir.match import matches
from medlock.fhir.query import Condition, Kind, TokenValue
from medlock.fhir.values import Values

VECTORS = load("matching")
NOW, BASE_URL = VECTORS["now"], VECTORS["base_url"]
UPDATED = "2025-06-01T12:00:00.000Z"


def whole(resource_type: str, elements: dict[str, Any]) -> dict[str, Any]:
    """The resource that a vector's elements belong to."""
    return {
        "resourceType": resource_type,
        "id": "it",
        **elements,
        "meta": {"lastUpdated": UPDATED, **elements.get("meta", {})},
    }


@pytest.mark.parametrize(
    ("resource_type", "elements", "params", "answer"),
    [case[1:] for case in VECTORS["cases"]],
    ids=[c[0] for c in VECTORS["cases"]],
)
def test_vector(resource_type: str, elements: dict[str, Any], params: list[list[str]], answer: bool) -> None:
    """Medlock and the oracle both give the answer that the vector states."""
    resource = whole(resource_type, elements)
    asked = [(name, text) for name, text in params]
    now_ms = instant(NOW)[0]
    query = parse_search(resource_type, asked, now_ms=now_ms, max_count=9, base_url=BASE_URL)
    values = extract(resource, base_url=BASE_URL)
    updated_ms = instant(UPDATED)[0]
    found = matches(query.conditions, resource_type, values, id="it", updated_ms=updated_ms, resource=resource)
    assert found is answer
    assert bool(oracle.search([resource], resource_type, asked, now=readings.span(NOW)[0], base_url=BASE_URL)) is answer


@pytest.mark.parametrize("modifier", ["", "not", "missing"])
def test_a_parameter_of_another_type_is_met_by_nothing(modifier: str) -> None:
    """A condition that was read for one type never lets a resource of another type through."""
    condition = Condition("gender", Kind.TOKEN, (TokenValue(None, "male"),), modifier=modifier, missing=True)
    assert not matches([condition], "Observation", Values(), id="it", updated_ms=0)


def test_no_conditions_are_met_by_all() -> None:
    """A search without conditions selects every resource of its type."""
    assert matches((), "Patient", Values(), id="it", updated_ms=0)
