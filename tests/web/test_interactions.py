"""The interactions beyond reading and writing by id, over a socket: what a client of the real server sees."""

import time
from contextlib import ExitStack
from random import Random

import orjson
import pytest

from web.running import new_token, running

JSON_PATCH = {"content-type": "application/json-patch+json"}
NUMBER = [{"system": "urn:mrn", "value": "17"}]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A clinician's client of a server with one patient."""
    with ExitStack() as stack:
        server = stack.enter_context(running(tmp_path_factory.mktemp("interactions") / "data"))
        client = stack.enter_context(server.client(new_token(server.directory)[0]))
        made = {"resourceType": "Patient", "id": "p1", "identifier": NUMBER}
        assert client.put("Patient/p1", json=made).status_code == 201
        yield client


def test_patches_and_criteria(client):
    """A patch by criteria, a conflict, a broken patch; an update and a delete by criteria."""
    patch = orjson.dumps([{"op": "add", "path": "/gender", "value": "female"}])
    patched = client.patch("Patient?identifier=urn:mrn|17", content=patch, headers=JSON_PATCH)
    assert (patched.status_code, patched.json()["gender"], patched.headers["etag"]) == (200, "female", 'W/"2"')
    stale = client.patch("Patient/p1", content=patch, headers=JSON_PATCH | {"if-match": 'W/"1"'})
    assert stale.status_code == 412
    broken = client.patch("Patient/p1", content=b'[{"op":"remove","path":"/none"}]', headers=JSON_PATCH)
    assert (broken.status_code, broken.json()["resourceType"]) == (422, "OperationOutcome")
    assert client.patch("Patient/p1", content=patch, headers={"content-type": "text/plain"}).status_code == 415
    other = {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "18"}]}
    assert client.put("Patient?identifier=urn:mrn|18", json=other).status_code == 201
    assert client.put("Patient?identifier=urn:mrn|18", json=other).status_code == 200
    assert client.delete("Patient?identifier=urn:mrn|18").status_code == 204


def test_content_of_megabytes(client):
    """A scan goes in and comes out as itself, with a tag, and is a resource to who asks for FHIR."""
    scan = Random(3).randbytes(2 * 1024 * 1024)
    headers = {"content-type": "image/png", "x-security-context": "Patient/p1"}
    assert client.put("Binary/scan", content=scan, headers=headers).status_code == 201
    got = client.get("Binary/scan", headers={"accept": "image/*"})
    assert (got.content, got.headers["content-type"], got.headers["etag"]) == (scan, "image/png", 'W/"1"')
    assert client.get("Binary/scan", headers={"accept": "application/fhir+json"}).json()["resourceType"] == "Binary"
    assert client.get("Binary/scan", headers={"accept": "image/*", "if-none-match": 'W/"1"'}).status_code == 304


def test_a_search_that_is_fetched_later(client):
    """202, then the answer; a history and a page of it in the ordinary way."""
    asked = client.get("Patient?identifier=urn:mrn|17", headers={"prefer": "respond-async"})
    assert asked.status_code == 202
    for _ in range(100):
        answer = client.get(asked.headers["content-location"])
        if answer.status_code == 200:
            break
        time.sleep(0.05)
    assert answer.json()["entry"][0]["resource"]["total"] == 1
    page = client.get("_history?_count=1").json()
    following = next(link["url"] for link in page["link"] if link["relation"] == "next")
    assert client.get(following).json()["type"] == "history"
