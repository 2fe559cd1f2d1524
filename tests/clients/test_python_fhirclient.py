"""The Python fhirclient (SMART Health IT): it parses strictly, so an unknown member anywhere is an error."""

import pytest
import requests
from fhirclient.client import FHIRClient
from fhirclient.models.allergyintolerance import AllergyIntolerance
from fhirclient.models.bundle import Bundle
from fhirclient.models.capabilitystatement import CapabilityStatement
from fhirclient.models.flag import Flag
from fhirclient.models.medicationrequest import MedicationRequest
from fhirclient.models.observation import Observation
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRPermissionDeniedException, FHIRUnauthorizedException

from web.running import new_token

PAGE = 7


@pytest.fixture
def connect(small_clinic):
    """A function: a fhirclient server handle that presents a token and trusts the local authority."""
    opened = []

    def connected(token):
        server = FHIRClient(settings={"app_id": "tests", "api_base": small_clinic.fhir}).server
        server.session.trust_env = False
        server.session.verify = small_clinic.ca
        server.session.headers["authorization"] = f"Bearer {token}"
        opened.append(server)
        return server

    yield connected
    for server in opened:
        server.session.close()


@pytest.fixture
def server(connect, small_clinic):
    return connect(small_clinic.token)


def outcome_of(response):
    """The OperationOutcome in an answer, strictly parsed."""
    outcome = OperationOutcome(response.json())
    assert outcome.issue[0].severity == "error"
    return outcome


def test_the_capability_statement_parses(server):
    """The client's first request; strict parsing finds nothing that FHIR does not know."""
    server.get_capability()
    statement = server.capabilityStatement
    assert isinstance(statement, CapabilityStatement)
    assert statement.fhirVersion == "4.0.1"
    assert {"Patient", "Observation", "Provenance"} <= {each.type for each in statement.rest[0].resource}


def test_every_loaded_resource_parses(server, small_clinic):
    """Each resource of the clinic is read by the model of its type, and means what was loaded."""
    for type_ in sorted({name.partition("/")[0] for name in small_clinic.loaded}):
        first = Bundle.read_from(f"{type_}?_count=1000", server)
        assert {entry.resource.id for entry in first.entry} == small_clinic.of(type_)
        assert first.total == len(first.entry)
        for entry in first.entry:
            shown = entry.resource.as_json()
            assert shown.pop("meta")["versionId"] == "1"
            loaded = small_clinic.loaded[f"{type_}/{entry.resource.id}"]
            assert shown == {name: value for name, value in loaded.items() if name != "meta"}


def test_reads_a_patient(server, small_clinic):
    """Patient.read gives the typed resource."""
    patient = Patient.read(small_clinic.patient, server)
    assert patient.name[0].family == small_clinic.loaded[f"Patient/{patient.id}"]["name"][0]["family"]
    assert patient.meta.lastUpdated.date.tzinfo is not None


def test_pages_through_all_observations(server, small_clinic):
    """perform_iter follows every next link as it stands; each Observation comes once, none is missing."""
    search = Observation.where({"patient": small_clinic.patient, "_count": str(PAGE)})
    pages = list(search.perform_iter(server))
    found = [entry.resource.id for page in pages for entry in page.entry or []]
    expected = small_clinic.of("Observation", small_clinic.patient)
    assert len(pages) == -(-len(expected) // PAGE)
    assert all(len(page.entry) <= PAGE for page in pages)
    assert sorted(found) == sorted(expected)


def test_includes(server, small_clinic):
    """Include and reverse include bring the other side of a reference."""
    requests_ = MedicationRequest.where({"patient": small_clinic.patient})
    found = list(requests_.include("subject").perform_resources_iter(server))
    assert {each.id for each in found if each.resource_type == "Patient"} == {small_clinic.patient}
    patients = Patient.where({"_id": small_clinic.patient})
    back = patients.include("patient", AllergyIntolerance, reverse=True)
    found = {each.id for each in back.perform_resources_iter(server) if each.resource_type == "AllergyIntolerance"}
    assert found == small_clinic.of("AllergyIntolerance", small_clinic.patient)


def test_creates_updates_and_deletes(server, small_clinic):
    """Create gives an id of the server's, update a new version, delete ends in 410 with an OperationOutcome."""
    subject = {"reference": f"Patient/{small_clinic.patient}"}
    made = Flag({"status": "active", "code": {"text": "by fhirclient"}, "subject": subject}).create(server)
    assert made["meta"]["versionId"] == "1"
    again = Flag.read(made["id"], server)
    again.status = "inactive"
    assert again.update(server)["meta"]["versionId"] == "2"
    assert Flag.read(made["id"], server).status == "inactive"
    again.delete(server)
    with pytest.raises(requests.HTTPError) as gone:
        Flag.read(made["id"], server)
    assert gone.value.response.status_code == 410
    assert outcome_of(gone.value.response).issue[0].code == "deleted"


def test_what_is_not_there(server):
    """404 becomes the client's own exception, with an OperationOutcome inside."""
    with pytest.raises(FHIRNotFoundException) as missing:
        Patient.read("nobody-at-all", server)
    assert outcome_of(missing.value.response).issue[0].code == "not-found"


def test_a_precondition_that_does_not_hold(server, small_clinic):
    """412 raises, and nothing is changed."""
    patient = Patient.read(small_clinic.patient, server)
    server.session.headers["if-match"] = 'W/"99"'
    patient.active = not patient.active
    with pytest.raises(requests.HTTPError) as stale:
        patient.update(server)
    assert stale.value.response.status_code == 412
    outcome_of(stale.value.response)
    del server.session.headers["if-match"]
    assert Patient.read(small_clinic.patient, server).meta.versionId == patient.meta.versionId


def test_a_mistyped_parameter_is_refused(server):
    """Where other servers would give everything, this one raises."""
    with pytest.raises(requests.HTTPError) as refused:
        next(Observation.where({"patinet": "1"}).perform_iter(server))
    assert refused.value.response.status_code == 400
    outcome_of(refused.value.response)


def test_who_may_not(connect, small_clinic):
    """401 without a valid token and 403 beyond one's scopes are the client's own exceptions."""
    with pytest.raises(FHIRUnauthorizedException) as stranger:
        Patient.read(small_clinic.patient, connect("nonsense"))
    outcome_of(stranger.value.response)
    scopes = ("--role", "clinician", "--scope", "user/Patient.r")
    narrow, _ = new_token(small_clinic.server.directory, *scopes)
    with pytest.raises(FHIRPermissionDeniedException) as denied:
        next(Observation.where({"patient": small_clinic.patient}).perform_iter(connect(narrow)))
    outcome_of(denied.value.response)
