"""The JavaScript fhirclient (SMART Health IT) in node."""

import json

import pytest

from clients.node import PAGE, SOURCE, walked


@pytest.fixture(scope="session")
def seen(small_clinic):
    """What the script saw."""
    return walked("fhirclient.js", small_clinic)


def test_the_lock_file_names_no_registry():
    """The lock pins versions and digests; where packages come from is the installing machine's business."""
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    installed = {name: each for name, each in lock["packages"].items() if name}
    assert all(each["integrity"].startswith("sha512-") for each in installed.values())
    assert not any("resolved" in each for each in installed.values())
    named = json.loads((SOURCE / "package.json").read_text())["dependencies"]
    assert {name: installed[f"node_modules/{name}"]["version"] for name in named} == named


def test_reads_a_patient(seen, small_clinic):
    """A read, and a reference resolved by the client, give the same patient as was loaded."""
    loaded = small_clinic.loaded[f"Patient/{small_clinic.patient}"]
    assert seen["patient"] | {"meta": loaded["meta"]} == loaded
    assert seen["resolved"] == seen["patient"]


def test_pages_through_all_observations(seen, small_clinic):
    """Every page is full but the last, and each Observation comes once."""
    expected = small_clinic.of("Observation", small_clinic.patient)
    assert sorted(seen["ids"]) == sorted(expected)
    assert len(seen["pages"]) == -(-len(expected) // PAGE)
    assert set(seen["pages"][:-1]) == {PAGE}


def test_filters_by_the_patient_in_context(seen, small_clinic):
    """The client finds the patient parameter of a type in the CapabilityStatement and searches by it."""
    assert set(seen["conditions"]) == small_clinic.of("Condition", small_clinic.patient)


def test_creates_updates_and_deletes(seen):
    """Create gives an id, update a version; a stale If-Match changes nothing; what was deleted is gone."""
    assert seen["made"]["meta"]["versionId"] == "1"
    assert seen["changed"]["meta"]["versionId"] == "2"
    assert (seen["precondition"]["status"], seen["shown"]["status"]) == (412, "inactive")
    assert seen["shown"] == seen["changed"]
    assert seen["gone"]["status"] == 410


def test_patches(seen):
    """The client's JSON Patch makes the next version; one that does not fit is 422."""
    assert (seen["patched"]["status"], seen["patched"]["meta"]["versionId"]) == ("entered-in-error", "3")
    assert seen["patched"]["code"] == seen["made"]["code"]
    assert seen["astray"]["status"] == 422


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("missing", 404, '"code": "not-found"'),
        ("mistyped", 400, '"resourceType": "OperationOutcome"'),
        ("stranger", 401, "Session expired"),
    ],
)
def test_refusals(seen, what, status, said):
    """Each refusal is the client's HttpError; it shows the OperationOutcome, or asks for a new sign-in."""
    assert seen[what]["status"] == status
    assert said in seen[what]["message"]
