"""The CapabilityStatement says what the server does, no more and no less."""

import orjson
import pytest

from medlock.errors import BadRequest
from medlock.fhir.address import ROUTES
from medlock.fhir.capability import Instance, capability_statement
from medlock.fhir.grammar import parse_search
from medlock.fhir.operations import OPERATIONS
from medlock.fhir.searchparams import RESOURCE_TYPES, parameters
from medlock.fhir.validate import validate

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
    "special": "48.2|16.4",
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
        parts = known.composite.parts if known.composite else ()
        value = "$".join(VALUES[each.type] for each in parts) if parts else VALUES.get(known.type, "a")
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


def test_listed_reverse_includes_are_accepted():
    """Each searchRevInclude is one that _revinclude takes; what US Core asks of nearly every type is there."""
    for resource_type, each in RESOURCES.items():
        for include in each.get("searchRevInclude", ()):
            assert accepted(resource_type, "_revinclude", include), include
        assert resource_type == "AuditEvent" or "Provenance:target" in each["searchRevInclude"]
    assert "AuditEvent:entity" not in RESOURCES["Patient"]["searchRevInclude"]


def test_parameters_of_every_type_are_listed_for_the_system():
    """What can be asked of several types at once."""
    names = {each["name"] for each in STATEMENT["rest"][0]["searchParam"]}
    assert names == {"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"}


def test_the_form_of_it_is_r4():
    """It is a valid CapabilityStatement."""
    assert validate(STATEMENT) == []


def test_interactions_are_those_of_the_route_table():
    """Every type has the interactions that its routes have; the audit view can only be looked at."""
    routed = {each.value for methods in ROUTES.values() for each in methods.values()}
    routed -= {"transaction", "search-system", "history-system", *OPERATIONS}
    for resource_type, each in RESOURCES.items():
        codes = {interaction["code"] for interaction in each["interaction"]}
        assert codes == ({"read", "search-type"} if resource_type == "AuditEvent" else routed)
    assert [each["code"] for each in STATEMENT["rest"][0]["interaction"]] == [
        "transaction", "batch", "search-system", "history-system",
    ]  # fmt: skip
    assert STATEMENT["rest"][0]["compartment"] == ["http://hl7.org/fhir/CompartmentDefinition/patient"]


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
    assert STATEMENT["rest"][0]["security"]["cors"] is True
