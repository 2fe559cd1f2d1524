"""@medplum/core in node."""

import pytest

from clients.node import PAGE, walked


@pytest.fixture(scope="session")
def seen(small_clinic):
    """What the script saw."""
    return walked("medplum.js", small_clinic)


def test_reads_a_patient(seen, small_clinic):
    """A read, the read of its version, a reference and a search for one give the same patient as was loaded."""
    loaded = small_clinic.loaded[f"Patient/{small_clinic.patient}"]
    assert seen["patient"] | {"meta": loaded["meta"]} == loaded
    assert seen["version"] == seen["resolved"] == seen["one"] == seen["patient"]


def test_pages_through_all_observations(seen, small_clinic):
    """By searchResourcePages the client follows every link; each page is full but the last, and each Observation comes once."""
    expected = small_clinic.of("Observation", small_clinic.patient)
    assert sorted(each for page in seen["pages"] for each in page) == sorted(expected)
    assert {len(page) for page in seen["pages"][:-1]} == {PAGE}


def test_searches(seen, small_clinic):
    """By GET and by POST the same is found."""
    expected = small_clinic.of("Condition", small_clinic.patient)
    assert set(seen["conditions"]) == set(seen["posted"]) == expected


def test_everything(seen, small_clinic):
    """$everything has the patient first and nobody else."""
    assert small_clinic.patient in seen["everything"]
    assert not set(seen["everything"]) & (small_clinic.of("Patient") - {small_clinic.patient})


def test_capability_and_validation(seen):
    """The CapabilityStatement tells the version; a loaded patient is valid."""
    assert seen["capability"]["fhirVersion"] == "4.0.1"
    assert seen["valid"]["issue"][0]["severity"] == "information"


def test_writes(seen):
    """A conditional create makes one; update, patch and upsert make versions; a stale If-Match makes none."""
    assert seen["second"]["id"] == seen["first"]["id"]
    assert seen["updated"]["meta"]["versionId"] == "2"
    assert seen["precondition"]["outcome"]["issue"][0]["code"] == "conflict"
    assert (seen["patched"]["status"], seen["patched"]["meta"]["versionId"]) == ("entered-in-error", "3")
    assert (seen["upserted"]["id"], seen["upserted"]["status"]) == (seen["first"]["id"], "active")
    assert seen["versions"] == ["4", "3", "2", "1"]
    assert seen["gone"]["outcome"]["issue"][0]["code"] == "deleted"


def test_bundles(seen):
    """A transaction is done whole or not at all; each entry of a batch has its own answer."""
    assert seen["transaction"] == ["201", "201"]
    assert seen["batch"] == ["200", "404", "204"]
    assert seen["shown"]["code"]["text"] == "two"
    assert seen["broken"]["outcome"]["issue"][0]["severity"] == "error"
    assert seen["none"]["outcome"]["issue"][0]["code"] == "not-found"


def test_binary(seen, small_clinic):
    """A Binary that the client uploads belongs to the patient that it names, and comes back as it went."""
    assert seen["binary"]["contentType"].startswith("text/plain")
    assert seen["binary"]["securityContext"] == {"reference": f"Patient/{small_clinic.patient}"}
    assert seen["text"] == "a letter"


@pytest.mark.parametrize(
    ("what", "code"), [("missing", "not-found"), ("mistyped", "invalid"), ("invalid", ""), ("stranger", "login")]
)
def test_refusals(seen, what, code):
    """Each refusal is the client's error with the OperationOutcome in it."""
    issue = seen[what]["outcome"]["issue"][0]
    assert issue["severity"] == "error"
    assert code in {issue["code"], ""}
