"""Sharing over HTTPS, with several workers, by curl's way and by the command line."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from rights.test_links import decoded, opened
from web.running import medlock, new_token, running

PATIENT = {"resourceType": "Patient", "id": "p"}
NOTE = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/p"},
}


class Made:
    """A link as a client sees it."""

    def __init__(self, body):
        self.link, self.url, self.passcode, self.id = body["link"], body["url"], body["passcode"], body["id"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two workers, a patient, a clinician, an app of somebody's own organisation."""
    directory = tmp_path_factory.mktemp("sharing") / "data"
    loader, _ = new_token(directory, "--role", "backend", "--scope", "system/*.cruds")
    own, _ = new_token(
        directory, "--role", "patient", "--patient", "p", "--scope", "patient/*.rs", "--scope", "patient/Consent.crus"
    )
    doctor, _ = new_token(directory, "--role", "clinician", "--client", "theapp")
    with running(directory, "--workers", "2") as server:
        with server.client(loader) as client:
            for each in (PATIENT, NOTE, {"resourceType": "Practitioner", "id": "ann"}):
                assert client.put(f"/{each['resourceType']}/{each['id']}", json=each).status_code == 201
        yield server, own, doctor


def client_of(site, token=""):
    """A client at the site's root."""
    server, _, _ = site
    made = server.client(token)
    made.base_url = server.ready["url"]
    return made


def reads(site, times=8):
    """Whether the clinician reads the note; the same of every worker."""
    server, _, doctor = site
    found = set()
    for _ in range(times):
        with server.client(doctor) as client:  # a new connection: another worker, sometimes
            found.add(client.get("/Observation/o1").status_code)
    assert len(found) == 1
    return found == {200}


def test_denied_and_withdrawn_at_every_worker(site):
    """One request each; the very next request of any worker knows. The answers say what they did."""
    _, own, _ = site
    with client_of(site, own) as client:
        assert reads(site)
        made = client.post("/sharing", json={"decision": "deny", "data": ["restricted"]})
        assert made.status_code == 201
        second = client.post("/sharing", json={"decision": "deny", "types": [], "recipients": ["Practitioner/ann"]})
        client.delete(made.headers["location"])
        everybody = client.post("/sharing", json={"decision": "deny"})
        assert not reads(site)
        listed = client.get("/sharing").json()
        assert {each["id"] for each in listed["shares"]} == {
            second.json()["share"]["id"],
            everybody.json()["share"]["id"],
        }
        gone = client.delete(everybody.headers["location"])
        assert gone.json()["receipt"]["consent"]["state"] == "withdrawn"
        assert reads(site)
        assert client.delete(everybody.headers["location"]).status_code == 404
        client.delete(second.headers["location"])
        receipt = client.get(f"{everybody.headers['location']}/receipt")
        assert receipt.json()["jws"].count(".") == 2
        assert receipt.headers["cache-control"] == "no-store"


def test_who_is_not_the_patient_is_refused(site):
    """401 without a token, 403 with another's, in FHIR's form; a body that does not fit is 400 and quotes nothing."""
    _, own, doctor = site
    with client_of(site) as client:
        for line in (("GET", "/sharing"), ("POST", "/sharing"), ("DELETE", "/sharing/x"), ("POST", "/share-links")):
            assert client.request(*line, json={}).status_code == 401
    with client_of(site, doctor) as client:
        answer = client.post("/sharing", json={"recipients": ["Practitioner/ann"]})
        assert (answer.status_code, answer.json()["resourceType"]) == (403, "OperationOutcome")
        assert client.get("/sharing").status_code == 403
    with client_of(site, own) as client:
        for body in (b"", b"[]", b'{"recipients": "secret value"}', b'{"secret": 1}', b"[" * 100_000):
            answer = client.post("/sharing", content=body)
            assert answer.status_code in {400, 413}
            assert "value" not in answer.text.replace("`value`", "")
        assert client.post("/sharing", json={"recipients": ["Practitioner/nobody"]}).status_code == 422


def test_a_link_from_making_to_opening(site):
    """A receiver with nothing but link and passcode; fifty at once over two workers, one of them gets it."""
    _, own, _ = site
    with client_of(site, own) as client:
        made = Made(client.post("/share-links", json={"data": ["normal"], "label": "For Dr. Ann"}).json())
        url = json.loads(decoded(made.link.removeprefix("shlink:/")))["url"]
        assert url == made.url
    asked = {"recipient": "Dr. Ann", "passcode": made.passcode}

    def fetch(_):
        with client_of(site) as client:
            return client.post(url, json=asked, headers={"origin": "https://viewer.example"})

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(fetch, range(9)))
    good = [each for each in answers if each.status_code == 200]
    assert len(good) == 1
    assert good[0].headers["access-control-allow-origin"] == "*"
    assert all(set(each.json()) == {"remainingAttempts"} for each in answers if each is not good[0])
    found = {each["resource"]["id"] for each in opened(made, good[0].json())["entry"]}
    assert found == {"p", "o1"}
    with client_of(site, own) as client:
        (link,) = client.get("/sharing").json()["links"]
        assert (link["id"], link["label"], link["failedAttempts"]) == (made.id, "For Dr. Ann", 8)
        assert link["by"] == ""  # an operator made the token
        assert "Dr. Ann" in client.get("/fhir/AuditEvent?_count=100").text
        assert client.delete(f"/sharing/{made.id}").status_code == 200


def test_a_file_at_an_address_of_its_own(site):
    """For a receiver that takes none in the manifest; a script of any viewer may read it."""
    _, own, _ = site
    with client_of(site, own) as client:
        made = Made(client.post("/share-links", json={}).json())
    with client_of(site) as client:
        asked = {"recipient": "Dr. Ann", "passcode": made.passcode, "embeddedLengthMax": 10}
        where = client.post(made.url, json=asked).json()["files"][0]["location"]
        file = client.get(where, headers={"origin": "https://viewer.example"})
        assert (file.headers["content-type"], file.headers["access-control-allow-origin"]) == ("application/jose", "*")
        assert opened(made, {"files": [{"embedded": file.text}]})["entry"]
        assert client.get(where).status_code == 404


def test_passcodes_are_not_guessed_through_two_workers(site):
    """Thirty at once, each on a connection of its own: ten are told how many are left, the others that it is over."""
    _, own, _ = site
    with client_of(site, own) as client:
        made = Made(client.post("/share-links", json={"lasting": True}).json())

    def guess(number):
        with client_of(site) as client:
            return client.post(made.url, json={"recipient": "x", "passcode": f"{number:06d}"})

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(guess, range(30)))
    assert sorted(each.json()["remainingAttempts"] for each in answers) == [0] * 21 + list(range(1, 10))
    assert {each.status_code for each in answers} == {401, 404}
    with client_of(site) as client:
        assert client.post(made.url, json={"recipient": "x", "passcode": made.passcode}).status_code == 404
        stranger = client.post(f"{made.url[:-50]}nothing", json={"recipient": "x", "passcode": "1"})
        assert (stranger.status_code, set(stranger.json())) == (401, {"remainingAttempts"})


def test_by_the_command_line(site, tmp_path):
    """As a patient would with a token in a file; without it there is no way, nor with a clinician's."""
    server, own, doctor = site
    token, theirs = tmp_path / "token", tmp_path / "theirs"
    token.write_text(own + "\n")
    theirs.write_text(doctor)
    at = ("--server", server.ready["url"], "--ca", server.ready["ca"], "--token-file", str(token))

    def sharing(*words, code=0):
        done = medlock(server.directory, "sharing", words[0], *at, *words[1:])
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    made = json.loads(
        sharing("grant", "--with", "Practitioner/ann", "--data", "hiv", "--until", "2100-01-01", "--json")
    )
    id_ = made["share"]["id"]
    assert id_ in sharing("list")
    assert json.loads(sharing("receipt", id_))["receipt"]["consent"]["state"] == "given"
    assert "withdrawn" in sharing("revoke", id_)
    assert id_ not in sharing("list", "--json")
    link = json.loads(sharing("link", "--data", "normal", "--expires-in", "30m", "--label", "x", "--json"))
    assert link["link"].startswith("shlink:/")
    assert "shlink:/" in sharing("link")
    sharing("revoke", link["id"])
    assert "no such rule" in sharing("revoke", link["id"], code=5)
    assert "recipient" in sharing("grant", code=2).lower()
    refused = medlock(server.directory, "sharing", "list", *at[:4], "--token-file", str(theirs))
    assert refused.returncode == 5
    assert own not in refused.stderr + refused.stdout
    assert medlock(server.directory, "sharing", "list", *at[:4]).returncode == 2
