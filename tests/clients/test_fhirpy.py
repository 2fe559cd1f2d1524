"""fhirpy (Beda Software), synchronous and asynchronous."""

import json
import ssl

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, MultipleResourcesFound, OperationOutcome, ResourceNotFound

PAGE = 7


def flag(clinic, text):
    """A new Flag of the clinic's patient; the clinic was loaded without any."""
    return {
        "status": "active",
        "code": {"text": text},
        "subject": {"reference": f"Patient/{clinic.patient}"},
    }


@pytest.fixture
def client(small_clinic):
    return SyncFHIRClient(
        small_clinic.fhir,
        authorization=f"Bearer {small_clinic.token}",
        requests_config={"verify": small_clinic.ca},
    )


@pytest.fixture
def aclient(small_clinic):
    trust = ssl.create_default_context(cafile=small_clinic.ca)
    return AsyncFHIRClient(
        small_clinic.fhir, authorization=f"Bearer {small_clinic.token}", aiohttp_config={"ssl": trust}
    )


def test_reads_and_searches(client, small_clinic):
    """A reference is resolved by a read; a search by id, name and birth date finds the same patient."""
    patient = client.reference("Patient", small_clinic.patient).to_resource()
    assert patient.id == small_clinic.patient
    same = client.resources("Patient").search(
        family=patient["name"][0]["family"], birthdate=patient["birthDate"], _id=patient.id
    )
    assert same.get().serialize() == patient.serialize()
    narrow = client.resources("Patient").search(_id=patient.id).elements("name").get()
    assert set(narrow.serialize()) - {"active"} == {"resourceType", "id", "meta", "name"}  # active is a modifier


def test_pages_through_all_observations(client, small_clinic):
    """fetch_all follows every next link."""
    search = client.resources("Observation").search(patient=small_clinic.patient).limit(PAGE)
    found = [each.id for each in search.fetch_all()]
    assert sorted(found) == sorted(small_clinic.of("Observation", small_clinic.patient))
    assert len(search.fetch()) == PAGE


def test_creates_updates_and_deletes(client, small_clinic):
    """Save creates, then makes a new version; refresh, read and search agree; what was deleted is not found."""
    made = client.resource("Flag", **flag(small_clinic, "by fhirpy"))
    made.save()
    assert made["meta"]["versionId"] == "1"
    made["status"] = "inactive"
    made.save()
    assert made["meta"]["versionId"] == "2"
    shown = client.reference("Flag", made.id).to_resource()
    assert (shown["status"], shown["meta"]) == ("inactive", made["meta"])
    assert made.refresh().serialize() == shown.serialize()
    made.delete()
    with pytest.raises(ResourceNotFound) as gone:
        client.reference("Flag", made.id).to_resource()
    assert json.loads(str(gone.value))["issue"][0]["code"] == "deleted"


def test_refusals(client, small_clinic):
    """404, 412, 400 and 401 are the client's own exceptions."""
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "nobody-at-all").to_resource()
    with pytest.raises(OperationOutcome) as refused:
        client.resources("Observation").search(patinet="1").fetch()
    assert refused.value.resource["issue"][0]["severity"] == "error"
    patient = client.reference("Patient", small_clinic.patient).to_resource()
    with pytest.raises(MultipleResourcesFound):  # fhirpy's name for every 412
        client._do_request("put", patient.reference, patient.serialize(), extra_headers={"if-match": 'W/"99"'})
    stranger = SyncFHIRClient(
        small_clinic.fhir, authorization="Bearer nonsense", requests_config={"verify": small_clinic.ca}
    )
    with pytest.raises(AuthorizationError):
        stranger.resources("Patient").fetch()


async def test_asynchronous(aclient, small_clinic):
    """The asynchronous client reads, pages, creates, updates, deletes and is refused in the same ways."""
    patient = await aclient.reference("Patient", small_clinic.patient).to_resource()
    assert patient.id == small_clinic.patient
    search = aclient.resources("Observation").search(patient=patient).limit(PAGE)
    found = [each.id async for each in search]
    assert sorted(found) == sorted(small_clinic.of("Observation", small_clinic.patient))
    made = aclient.resource("Flag", **flag(small_clinic, "by async fhirpy"))
    await made.save()
    made["status"] = "inactive"
    await made.save()
    assert made["meta"]["versionId"] == "2"
    await made.delete()
    with pytest.raises(ResourceNotFound):
        await aclient.reference("Flag", made.id).to_resource()
    with pytest.raises(OperationOutcome):
        await aclient.resources("Observation").search(patinet="1").fetch()
