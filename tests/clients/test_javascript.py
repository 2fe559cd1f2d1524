"""The JavaScript fhirclient (SMART Health IT) in node. Installed once, by the lock file, into a cache of this user's."""

import json
import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("javascript")
INSTALLED = ("package.json", "package-lock.json", ".npmrc")
PAGE = 7


def tool(name):
    """The path of a program; without it the tests are skipped, or fail where CI=true says that it must be there."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")
    return found


@pytest.fixture(scope="session")
def modules():
    """A directory with the locked packages installed; made beside its place and moved there in one step."""
    tool("node")
    digest = sha256(b"".join((SOURCE / name).read_bytes() for name in INSTALLED)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medlock-tests"
    place = cache / f"javascript-{digest}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix="javascript-", dir=cache))
        for name in INSTALLED:
            shutil.copy(SOURCE / name, new)
        done = subprocess.run([tool("npm"), "ci"], cwd=new, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        try:
            new.rename(place)
        except OSError:  # another test process was first
            shutil.rmtree(new)
    return place / "node_modules"


@pytest.fixture(scope="session")
def seen(modules, small_clinic):
    """What the script saw."""
    given = {
        "NODE_PATH": str(modules),
        "NODE_EXTRA_CA_CERTS": small_clinic.ca,
        "MEDLOCK_FHIR": small_clinic.fhir,
        "MEDLOCK_TOKEN": small_clinic.token,
        "MEDLOCK_PATIENT": small_clinic.patient,
        "MEDLOCK_PAGE": str(PAGE),
    }
    done = subprocess.run(
        [tool("node"), str(SOURCE / "walk.js")],
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_lock_file_names_no_registry():
    """The lock pins versions and digests; where packages come from is the installing machine's business."""
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    installed = {name: each for name, each in lock["packages"].items() if name}
    assert all(each["integrity"].startswith("sha512-") for each in installed.values())
    assert not any("resolved" in each for each in installed.values())
    assert installed["node_modules/fhirclient"]["version"] == "2.6.3"


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
