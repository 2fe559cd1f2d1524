"""A small synthetic clinic, loaded by the real loader and served by the real server; every client test talks to it.

Every test runs twice: on the file with one worker, and on PostgreSQL with two.
"""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date

import pytest

from medlock.fhir.clinic import clinic
from store.pgserver import standing
from web.running import Server, medlock, new_token, running

TODAY = date(2026, 11, 23)
PATIENTS = 6
SEED = 12  # a clinic in which every kind of reference that the tests ask about occurs


@dataclass(frozen=True)
class Clinic:
    """The running server, a clinician's token, and what was loaded, by `Type/id`."""

    server: Server
    token: str
    loaded: dict

    @property
    def fhir(self):
        """The FHIR base, as a client is given it."""
        return self.server.ready["fhir"]

    @property
    def ca(self):
        """The file with the authority to trust."""
        return self.server.ready["ca"]

    def of(self, kind, patient=""):
        """Ids of the loaded resources of a type, of one patient when given."""
        return {
            each["id"]
            for each in self.loaded.values()
            if each["resourceType"] == kind and (not patient or patient_of(each) == patient)
        }

    @property
    def patient(self):
        """The patient with the most Observations."""
        return max(self.of("Patient"), key=lambda patient: len(self.of("Observation", patient)))


def patient_of(resource):
    """The id of the patient that a resource names as subject or patient."""
    named = resource.get("subject") or resource.get("patient") or {}
    return named.get("reference", "").removeprefix("Patient/")


def without_exceptions(bundle):
    """The bundle with consents that deny nothing: these tests ask for all that was loaded."""
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Consent":
            entry["resource"]["provision"].pop("provision")
    return bundle


@pytest.fixture(scope="session", params=["file", "postgres"])
def small_clinic(tmp_path_factory, request):
    """Six patients with their charts, behind TLS with the local authority."""
    place = tmp_path_factory.mktemp("clients")
    bundles = [without_exceptions(bundle) for bundle in clinic(SEED, PATIENTS, today=TODAY)]
    (place / "in").mkdir()
    for number, bundle in enumerate(bundles):
        (place / "in" / f"{number:02}.json").write_text(json.dumps(bundle))
    with ExitStack() as kept:
        if request.param == "postgres":
            (place / "data.store").write_text(kept.enter_context(standing()))
        done = medlock(place / "data", "load", str(place / "in"), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        resources = [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
        workers = ("--workers", "2") if request.param == "postgres" else ()
        server = kept.enter_context(running(place / "data", *workers))
        token, _ = new_token(place / "data", "--role", "clinician")
        yield Clinic(server, token, {f"{each['resourceType']}/{each['id']}": each for each in resources})
