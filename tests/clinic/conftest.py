"""One middle-sized clinic, made once and read by every test here."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from medlock.fhir.clinic import clinic

TODAY = date(2026, 11, 23)
PATIENTS = 250


@pytest.fixture(scope="session")
def bundles() -> list[dict[str, Any]]:
    """The bundles of a clinic with 250 patients."""
    return list(clinic(11, PATIENTS, today=TODAY))


@pytest.fixture(scope="session")
def resources(bundles) -> list[dict[str, Any]]:
    """Every resource of that clinic."""
    return [entry["resource"] for bundle in bundles for entry in bundle["entry"]]


@pytest.fixture(scope="session")
def by_reference(resources) -> dict[str, dict[str, Any]]:
    """Every resource by `Type/id`."""
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in resources}


@pytest.fixture(scope="session")
def kind(resources):
    """A function: all resources of a type."""
    return lambda name: [resource for resource in resources if resource["resourceType"] == name]


@pytest.fixture(scope="session")
def charts(bundles) -> dict[str, list[dict[str, Any]]]:
    """What each patient's chart holds, by patient id: the resources whose id begins with it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for bundle in bundles[1:]:
        for entry in bundle["entry"]:
            resource = entry["resource"]
            found.setdefault("-".join(resource["id"].split("-")[:2]), []).append(resource)
    return found
