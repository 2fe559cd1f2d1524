"""fhir-kit-client (Vermonster) in node."""

import pytest

from clients.node import PAGE, walked


@pytest.fixture(scope="session")
def seen(small_clinic):
    """What the script saw."""
    return walked("kit.mjs", small_clinic)


def test_reads_a_patient(seen, small_clinic):
    """A read, the read of its version and a resolved reference give the same patient as was loaded."""
    loaded = small_clinic.loaded[f"Patient/{small_clinic.patient}"]
    assert seen["patient"] | {"meta": loaded["meta"]} == loaded
    assert seen["version"] == seen["resolved"] == seen["patient"]


def test_pages_through_all_observations(seen, small_clinic):
    """By nextPage the client follows every link; each page is full but the last, and each Observation comes once."""
    expected = small_clinic.of("Observation", small_clinic.patient)
    assert sorted(each for page in seen["pages"] for each in page) == sorted(expected)
    assert {len(page) for page in seen["pages"][:-1]} == {PAGE}


def test_searches(seen, small_clinic):
    """By GET, by POST and within the compartment the same is found."""
    expected = small_clinic.of("Condition", small_clinic.patient)
    assert set(seen["conditions"]) == set(seen["posted"]) == set(seen["within"]) == expected


def test_everything(seen, small_clinic):
    """$everything has the patient and all that is theirs."""
    theirs = small_clinic.of("Observation", small_clinic.patient) | small_clinic.of("Condition", small_clinic.patient)
    assert set(seen["everything"]) >= theirs | {small_clinic.patient}
    assert not set(seen["everything"]) & (small_clinic.of("Patient") - {small_clinic.patient})


def test_capability(seen):
    """The CapabilityStatement tells version and interactions."""
    assert seen["capability"]["fhirVersion"] == "4.0.1"
    offered = {each["type"]: each for each in seen["capability"]["rest"][0]["resource"]}
    assert {"code": "patch"} in offered["Flag"]["interaction"]


def test_writes(seen):
    """A conditional create makes one; update, patch and conditional update make versions; a stale If-Match makes none."""
    assert seen["second"]["id"] == seen["first"]["id"]
    assert seen["updated"]["meta"]["versionId"] == "2"
    assert seen["precondition"]["status"] == 412
    assert (seen["patched"]["status"], seen["patched"]["meta"]["versionId"]) == ("entered-in-error", "3")
    assert (seen["upserted"]["id"], seen["upserted"]["status"]) == (seen["first"]["id"], "active")
    assert seen["versions"] == ["4", "3", "2", "1"]
    assert seen["gone"]["status"] == 410


def test_bundles(seen):
    """A transaction is done whole or not at all; each entry of a batch has its own answer."""
    assert seen["transaction"] == ["201", "201"]
    assert seen["batch"] == ["200", "404", "204"]
    assert seen["shown"]["code"]["text"] == "two"
    assert (seen["broken"]["status"], seen["none"]["status"]) == (422, 404)


@pytest.mark.parametrize(("what", "status"), [("missing", 404), ("mistyped", 400), ("invalid", 422), ("stranger", 401)])
def test_refusals(seen, what, status):
    """Each refusal is the client's error with the OperationOutcome in it."""
    assert seen[what]["status"] == status
    assert seen[what]["body"]["issue"][0]["severity"] == "error"
