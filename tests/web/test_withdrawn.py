"""A consent that is taken away stops what is under way: over HTTPS, at every worker, with what an app holds already.

The site permits nothing by itself. Each patient lets one doctor see the record, and takes that back while an export runs,
between two pages, while an access token lives, before a refresh token is used. In the middle of a file: test_bulk_workers.
"""

import asyncio
import json
import ssl
import time
from pathlib import Path

import httpx
import pytest

from consent import form
from medlock.access.principal import Role
from medlock.app import open_app
from medlock.settings import Settings
from smart.site import PATIENTS, Site
from web.running import Server, environment
from web.tokens import Bearer, make_tokens

DOC = "Practitioner/doc"
FHIR = {"content-type": "application/fhir+json"}
LOOKS = 12
"""Connections of their own, so that more than one worker is asked."""


class Place:
    """A running site, a doctor's tokens, and what patients decide."""

    def __init__(self, server, app_tokens, client, writers):
        self.server, self.tokens, self.client, self.writers = server, app_tokens, client, writers
        self.consents = {}

    @property
    def access(self):
        """The access token that the doctor's app holds."""
        return self.tokens["access_token"]

    def decide(self, patient, status):
        """A patient gives the consent, or takes it back."""
        rules = {"type": "permit", "actor": [DOC]}
        body = form.consent({"patient": patient, "status": status, "provision": rules})
        body["id"] = self.consents.get(patient, "")
        with self.server.client(self.writers[patient]) as http:
            if body["id"]:
                answer = http.put(f"Consent/{body['id']}", json=body, headers=FHIR)
            else:
                answer = http.post("Consent", json={k: v for k, v in body.items() if v}, headers=FHIR)
        assert answer.status_code in {200, 201}, answer.text
        self.consents[patient] = answer.json()["id"]

    def looks(self, target, token=""):
        """The status at many connections, one after another."""
        found = []
        for _ in range(LOOKS):
            with self.server.client(token or self.access) as http:
                found.append(http.get(target).status_code)
        return set(found)


async def _opened(server):
    """The clinic, the doctor's app with a refresh token, and each patient's own token."""
    url, given = server.ready["url"], environment(server.directory)
    settings = Settings(server.directory, Path(given["MEDLOCK_PASSPHRASE_FILE"]), public_url=url, consent_policy="deny")
    trusted = ssl.create_default_context(cafile=server.ready["ca"])
    async with open_app(settings) as app, httpx.AsyncClient(verify=trusted, timeout=60) as wire:
        site = Site(app, wire, url)
        await site.fill()
        client = await site.client()
        doctor = await site.person("Doc", Role.CLINICIAN, DOC)
        tokens = await site.tokens(client, doctor, "offline_access user/*.rs")
        own = [Bearer("patient", "patient/Consent.crus", patient=each) for each in PATIENTS]
        return Place(server, tokens, client.id, dict(zip(PATIENTS, await make_tokens(app, own), strict=True)))


def started(directory, workers):
    """A server with so many workers."""
    return Server(directory, "--workers", str(workers), more={"MEDLOCK_CONSENT_POLICY": "deny"})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two workers."""
    server = started(tmp_path_factory.mktemp("withdrawn") / "data", 2)
    try:
        place = asyncio.run(_opened(server))
        for patient in PATIENTS:
            place.decide(patient, "active")
        yield place
    finally:
        server.stop()


@pytest.fixture
def again(place):
    """Whoever took a consent back gives it again afterwards."""
    yield
    for patient in PATIENTS:
        place.decide(patient, "active")


@pytest.mark.usefixtures("again")
def test_an_access_token_sees_nothing_more(place):
    """The token lives on; from the next request of any worker the record is not there for it, and another's is."""
    targets = ("Patient/ann", "Observation/ann-lab", "Patient/ann/$everything")
    assert {status for each in targets for status in place.looks(each)} == {200}
    place.decide("ann", "inactive")
    assert {status for each in targets for status in place.looks(each)} == {404}
    assert place.looks("Patient/bob") == {200}


@pytest.mark.usefixtures("again")
def test_the_next_page_stays_empty_of_it(place):
    """A page link that was given before shows nothing of who has taken the consent back since, at any worker."""
    with place.server.client(place.access) as http:
        first = http.get("Observation?subject=Patient/ann,Patient/bob&_sort=_id&_count=1").json()
        (link,) = [each["url"] for each in first["link"] if each["relation"] == "next"]
        assert [each["resource"]["id"] for each in first["entry"]] == ["ann-lab"]
        assert [each["resource"]["id"] for each in http.get(link).json()["entry"]] == ["ann-soc"]
    place.decide("ann", "inactive")
    for _ in range(LOOKS):
        with place.server.client(place.access) as http:
            shown = http.get(link)
            while shown is not None:
                bundle = shown.json()
                assert not [e for e in bundle.get("entry", ()) if not e["resource"]["id"].startswith("bob-")]
                further = [each["url"] for each in bundle["link"] if each["relation"] == "next"]
                shown = http.get(further[0]) if further else None


@pytest.mark.usefixtures("again")
def test_a_refresh_token_brings_no_way_round(place):
    """The app refreshes: the new access token sees as little as the old one, and as much of others."""
    place.decide("ann", "inactive")
    form_ = {"grant_type": "refresh_token", "refresh_token": place.tokens["refresh_token"], "client_id": place.client}
    with place.server.client() as http:
        answer = http.post(f"{place.server.ready['url']}/oauth/token", data=form_)
    assert answer.status_code == 200, answer.text
    place.tokens = answer.json()
    assert place.looks("Patient/ann") == {404}
    assert place.looks("Patient/bob") == {200}
    place.decide("ann", "active")
    assert place.looks("Patient/ann") == {200}


@pytest.mark.usefixtures("again")
def test_an_export_that_runs_leaves_the_record_out(place):
    """Kicked off before, fetched after, at whatever worker: no file has a line of it; those of others are whole."""
    with place.server.client(place.access) as http:
        asked = http.get("Patient/$export?_type=Patient,Observation", headers={"prefer": "respond-async"})
        assert asked.status_code == 202, asked.text
        where = asked.headers["content-location"]
        answer = http.get(where)
        while answer.status_code == 202:
            time.sleep(0.05)
            answer = http.get(where)
        files = [each["url"] for each in answer.json()["output"]]
        assert {"ann", "bob", "carl"} == _patients(http, files)
        place.decide("ann", "inactive")
        for _ in range(3):
            with place.server.client(place.access) as other:
                assert _patients(other, files) == {"bob", "carl"}
        assert http.delete(where).status_code == 202


def _patients(http, files):
    """Whose records stand in the files of an export."""
    lines = [json.loads(line) for each in files for line in http.get(each).text.splitlines()]
    return {each["id"].partition("-")[0] for each in lines}


def test_four_workers_know_at_once(tmp_path):
    """Given and taken back again and again: what any of four workers says next is what the patient said last."""
    server = started(tmp_path / "data", 4)
    try:
        place = asyncio.run(_opened(server))
        for status, expected in (("active", 200), ("inactive", 404)) * 3:
            place.decide("ann", status)
            assert place.looks("Observation/ann-lab") == {expected}
            with place.server.client(place.access) as http:
                found = http.get("Observation?subject=Patient/ann&_summary=count").json()["total"]
            assert found == (3 if expected == 200 else 0)
    finally:
        server.stop()
