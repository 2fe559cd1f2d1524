"""The Patient compartment: who is in it, and above all who is not."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_search import oracle
from fhir_search.definitions import definitions
from fhir_search.vectors import load
from medlock.fhir.compartment import PATIENT_COMPARTMENT, in_compartment, patients_of
from medlock.fhir.searchparams import RESOURCE_TYPES, parameter

VECTORS = load("compartment")


@pytest.mark.parametrize(
    ("resource_type", "elements", "patients"),
    [case[1:] for case in VECTORS["cases"]],
    ids=[c[0] for c in VECTORS["cases"]],
)
def test_vector(resource_type: str, elements: dict[str, Any], patients: list[str]) -> None:
    """Both implementations name exactly the patients that the vector names; ours names the owner first."""
    resource = {"resourceType": resource_type, **elements}
    assert patients_of(resource, base_url=VECTORS["base_url"]) == tuple(patients)
    assert oracle.patients_of(resource, VECTORS["base_url"]) == set(patients)


def test_own_address_counts_only_when_told() -> None:
    """Without base_url an absolute address is another server's, whatever it says."""
    resource = {"resourceType": "Observation", "subject": {"reference": "https://clinic.example/fhir/Patient/p1"}}
    assert patients_of(resource) == ()


def test_parameters_are_the_definition_s() -> None:
    """The shipped compartment is the CompartmentDefinition: the same types, the same parameters, all references."""
    defined = {kind: tuple(names) for kind, names in definitions().compartment.items() if names}
    assert dict(PATIENT_COMPARTMENT) == defined
    kinds = {parameter(kind, name) and parameter(kind, name).type for kind, names in defined.items() for name in names}
    assert kinds == {"reference"}


def test_types_in_the_compartment() -> None:
    """66 types can be in a Patient compartment, a Patient in its own among them; directories and terminology cannot."""
    inside = {kind for kind in RESOURCE_TYPES if in_compartment(kind)}
    assert len(inside) == len([names for names in definitions().compartment.values() if names])
    assert "Patient" in inside
    assert not inside & {"Practitioner", "Organization", "Location", "Medication", "ValueSet", "Task", "Device"}
