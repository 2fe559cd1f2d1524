"""The CapabilityStatement says what the server does, no more and no less."""

import orjson
import pytest

from medlock.errors import BadRequest
from medlock.fhir.address import ROUTES
from medlock.fhir.capability import Instance, capability_statement
from medlock.fhir.grammar import parse_search
from medlock.fhir.operations import OPERATIONS
from medlock.fhir.searchparams import RESOURCE_TYPES, parameters

STATEMENT = orjson.loads(capability_statement(Instance("https://x/fhir", "1.2.3", "2026-01-01T00:00:00Z")))
RESOURCES = {each["type"]: each for each in STATEMENT["rest"][0]["resource"]}
VALUES = {
    "token": "true",  # some are booleans
    "reference": "Patient/1",
    "date": "2020",
    "string": "a",
    "quantity": "1",
    "number": "1",
    "uri": "http://a.example",
}


def accepted(resource_type, name, value):
    """Whether a search with this parameter is understood."""
    try:
        parse_search(resource_type, ((name, value),), now_ms=0, max_count=10)
    except BadRequest:
        return False
    return True


def test_every_type_that_can_be_stored_is_listed():
    """All resource types but the two messages."""
    assert set(RESOURCES) == RESOURCE_TYPES - {"Parameters", "OperationOutcome"}


@pytest.mark.parametrize("resource_type", sorted(RESOURCES))
def test_listed_parameters_are_evaluated_and_others_refused(resource_type):
    """Each listed parameter is understood by the grammar; each other one of R4 is refused."""
    listed = {each["name"]: each for each in RESOURCES[resource_type]["searchParam"]}
    for name, known in parameters(resource_type).items():
        value = VALUES.get(known.type, "a")
        if known.kind is not None and known.kind == "reference" and known.targets and "Patient" not in known.targets:
            value = f"{known.targets[0]}/1"
        assert accepted(resource_type, name, value) is (name in listed), name
        if name in listed:
            assert listed[name]["definition"] == known.url
            assert listed[name]["type"] == known.type


def test_listed_includes_are_accepted():
    """Each searchInclude is one that _include takes."""
    for resource_type, each in RESOURCES.items():
        for include in each.get("searchInclude", ()):
            assert accepted(resource_type, "_include", include), include


def test_interactions_are_those_of_the_route_table():
    """Every type has the interactions that its routes have; the audit view can only be looked at."""
    routed = {each.value for methods in ROUTES.values() for each in methods.values()}
    routed -= {"transaction", "history-system", *OPERATIONS}
    for resource_type, each in RESOURCES.items():
        codes = {interaction["code"] for interaction in each["interaction"]}
        assert codes == ({"read", "search-type"} if resource_type == "AuditEvent" else routed)
    assert [each["code"] for each in STATEMENT["rest"][0]["interaction"]] == ["transaction", "batch", "history-system"]


def test_operations_are_those_of_the_route_table():
    """Each operation stands where its route is: $validate of every type that is stored, the others of their one type."""
    for resource_type, each in RESOURCES.items():
        told = {operation["name"] for operation in each.get("operation", ())}
        paths = {path for path in ROUTES if "$" in path and path.split("/")[1] in {"{type}", resource_type}}
        routed = {path.rpartition("$")[2] for path in paths}
        assert told == (set() if resource_type == "AuditEvent" else routed)


def test_it_names_version_and_address():
    """FHIR 4.0.1, JSON only, this server's base and version, no CORS."""
    assert STATEMENT["fhirVersion"] == "4.0.1"
    assert STATEMENT["patchFormat"] == ["application/json-patch+json", "application/fhir+json"]
    assert STATEMENT["format"] == ["application/fhir+json", "json"]
    assert STATEMENT["implementation"]["url"] == "https://x/fhir"
    assert STATEMENT["software"]["version"] == "1.2.3"
    assert STATEMENT["rest"][0]["security"]["cors"] is False
