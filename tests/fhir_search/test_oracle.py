"""Extraction, grammar and matching against the naive second implementation, on random resources and queries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_search import oracle
from fhir_search.worlds import BASE_URL, TYPES, questions, resources
from medlock.errors import BadRequest
from medlock.fhir.compartment import patients_of
from medlock.fhir.dates import instant
from medlock.fhir.extract import extract
from medlock.fhir.grammar import parse_search
from medlock.fhir.match import matches

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
PATIENCE = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def ours(found: list[dict[str, Any]], resource_type: str, params: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """The resources that medlock's own path keeps."""
    query = parse_search(resource_type, params, now_ms=NOW_MS, max_count=50, base_url=BASE_URL)
    return [
        resource
        for resource in found
        if matches(
            query.conditions,
            resource_type,
            extract(resource, base_url=BASE_URL),
            id=resource["id"],
            updated_ms=instant(resource["meta"]["lastUpdated"])[0],
            resource=resource,
        )
    ]


def is_valid(resource_type: str, param: tuple[str, str]) -> bool:
    """Whether the grammar accepts the parameter; random ones need not be fit for their type."""
    try:
        parse_search(resource_type, [param], now_ms=NOW_MS, max_count=50, base_url=BASE_URL)
    except BadRequest:
        return False
    return True


@pytest.mark.parametrize("resource_type", TYPES)
def test_agrees_with_the_oracle(resource_type: str) -> None:
    """Both implementations find the same resources for the same questions, parameter by parameter and together."""

    @PATIENCE
    @given(
        st.lists(resources(resource_type), min_size=3, max_size=3),
        st.lists(questions(resource_type), min_size=8, max_size=8),
    )
    def check(found: list[dict[str, Any]], asked: list[tuple[str, str]]) -> None:
        valid = [param for param in asked if is_valid(resource_type, param)]
        for params in [[param] for param in valid] + [valid]:
            expected = oracle.search(found, resource_type, params, now=NOW, base_url=BASE_URL)
            assert ours(found, resource_type, params) == expected, params

    check()


@pytest.mark.parametrize("resource_type", TYPES)
def test_compartments_agree_with_the_oracle(resource_type: str) -> None:
    """Both implementations name the same patients for a resource, with and without an address of our own."""

    @PATIENCE
    @given(resources(resource_type))
    def check(resource: dict[str, Any]) -> None:
        for base_url in ("", BASE_URL):
            assert set(patients_of(resource, base_url=base_url)) == oracle.patients_of(resource, base_url)

    check()
