"""What the Android FHIR SDK does: download by _lastUpdated, upload as one transaction, over HTTP as it does it."""

import gzip
import json
import re
from base64 import b64encode

import pytest

PAGE = 20
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")
JSON = {"content-type": "application/fhir+json"}


@pytest.fixture(scope="module")
def http(small_clinic):
    with small_clinic.server.client(small_clinic.token) as client:
        yield client


def download(http, query):
    """Every page of a search, by its next links."""
    address, pages = query, []
    while address:
        answer = http.get(address)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        address = next((link["url"] for link in pages[-1]["link"] if link["relation"] == "next"), "")
    return [each["resource"] for page in pages for each in page.get("entry", [])]


def upload(http, *entries):
    """A transaction in a gzip body; its response entries."""
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
    packed = gzip.compress(json.dumps(bundle).encode())
    answer = http.post("", content=packed, headers=JSON | {"content-encoding": "gzip"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "transaction-response"
    return [each["response"] for each in answer.json()["entry"]]


def put(resource, version=""):
    """A PUT of the resource under its own id, over one version when given."""
    request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return {"resource": resource, "request": request | ({"ifMatch": f'W/"{version}"'} if version else {})}


def flags(clinic, count):
    """New Flags with ids chosen by the client."""
    subject = {"reference": f"Patient/{clinic.patient}"}
    made = {"resourceType": "Flag", "status": "active", "code": {"text": "by the phone"}, "subject": subject}
    return [made | {"id": f"phone-{number}"} for number in range(count)]


def test_counts_first(http, small_clinic):
    """_summary=count gives the total and no entry."""
    for type_ in ("Patient", "Observation", "Encounter"):
        bundle = http.get(f"{type_}?_summary=count").json()
        assert bundle["total"] == len(small_clinic.of(type_))
        assert "entry" not in bundle


def test_downloads_in_order_of_change(http, small_clinic):
    """_sort=_lastUpdated with _lastUpdated=gt: every page follows, each resource comes once, oldest first."""
    since = "2020-01-01T00:00:00.000Z"
    found = download(http, f"Observation?_sort=_lastUpdated&_lastUpdated=gt{since}&_count={PAGE}")
    assert sorted(each["id"] for each in found) == sorted(small_clinic.of("Observation"))
    times = [each["meta"]["lastUpdated"] for each in found]
    assert times == sorted(times)
    assert all(INSTANT.fullmatch(time) for time in times)
    assert not download(http, f"Observation?_sort=_lastUpdated&_lastUpdated=gt{times[-1]}")


def test_uploads_and_downloads_what_changed(http, small_clinic):
    """PUTs with ids of the client's; each entry has etag, lastModified; then only these are new."""
    before = download(http, "Observation?_sort=-_lastUpdated&_count=1&_lastUpdated=gt2020")[0]["meta"]["lastUpdated"]
    mine = flags(small_clinic, 3)
    made = upload(http, *map(put, mine))
    assert [(each["status"][:3], each["etag"]) for each in made] == [("201", 'W/"1"')] * 3
    assert all(INSTANT.fullmatch(each["lastModified"]) for each in made)
    found = download(http, f"Flag?_sort=_lastUpdated&_lastUpdated=gt{before}&_count=2")
    assert sorted(each["id"] for each in found) == [each["id"] for each in mine]
    assert {each["meta"]["lastUpdated"] for each in found} == {each["lastModified"] for each in made}
    changed = upload(http, put(mine[0] | {"status": "inactive"}, "1"), *_deletes(mine[1:]))
    assert [(each["status"][:3], each["etag"]) for each in changed] == [("200", 'W/"2"'), *[("204", 'W/"2"')] * 2]
    assert http.get("Flag/phone-0").json()["status"] == "inactive"
    assert http.get("Flag/phone-1").status_code == 410
    upload(http, *_deletes(mine[:1]))


def test_uploads_patches(http, small_clinic):
    """Changes of a resource go up as JSON Patch in a Binary, over one version; a stale one stops the upload."""
    (mine,) = [each | {"id": "patched-phone"} for each in flags(small_clinic, 1)]
    upload(http, put(mine))
    (changed,) = upload(http, _patch(mine, [{"op": "replace", "path": "/status", "value": "inactive"}], "1"))
    assert (changed["status"][:3], changed["etag"]) == ("200", 'W/"2"')
    assert http.get("Flag/patched-phone").json()["status"] == "inactive"
    stale = _patch(mine, [{"op": "replace", "path": "/status", "value": "active"}], "1")
    refused = http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [stale]}, headers=JSON)
    assert refused.status_code == 412
    since = http.get(f"Patient/{small_clinic.patient}/$everything?_type=Flag&_since={changed['lastModified']}").json()
    assert [each["resource"]["id"] for each in since["entry"]] == ["patched-phone"]
    upload(http, *_deletes([mine]))


def _patch(resource, operations, version):
    """A PATCH as the SDK sends it."""
    data = b64encode(json.dumps(operations).encode()).decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": binary, "request": {"method": "PATCH", "url": url, "ifMatch": f'W/"{version}"'}}


def _deletes(resources):
    """Entries that delete."""
    return [{"request": {"method": "DELETE", "url": f"{each['resourceType']}/{each['id']}"}} for each in resources]


def test_a_stale_version_stops_the_whole_upload(http, small_clinic):
    """One ifMatch that does not hold is 412, and no entry of the transaction is written."""
    mine = [each | {"id": f"stale-{each['id']}"} for each in flags(small_clinic, 2)]
    upload(http, put(mine[0]))
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [put(mine[1]), put(mine[0], "7")]}
    refused = http.post("", json=bundle, headers=JSON)
    assert refused.status_code == 412
    assert refused.json()["resourceType"] == "OperationOutcome"
    assert http.get(f"Flag/{mine[1]['id']}").status_code == 404
    assert http.get(f"Flag/{mine[0]['id']}").json()["meta"]["versionId"] == "1"
    upload(http, *_deletes(mine[:1]))


def test_a_whole_record(http, small_clinic):
    """Patient/$everything pages through exactly what belongs to the patient."""
    found = download(http, f"Patient/{small_clinic.patient}/$everything?_count={PAGE}")
    types = {name.partition("/")[0] for name in small_clinic.loaded}
    assert found[0]["id"] == small_clinic.patient
    for type_ in types & {"Observation", "Encounter", "Condition", "MedicationRequest"}:
        ids = [each["id"] for each in found if each["resourceType"] == type_]
        assert sorted(ids) == sorted(small_clinic.of(type_, small_clinic.patient))
