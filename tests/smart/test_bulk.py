"""Bulk export by a program with a SMART Backend Services token: rows K and X-K of the study, over HTTPS at two workers."""

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import pytest

from medlock.crypto.jose import new_signer
from smart.world import ASSERTION
from web.running import Server, medlock, new_token, running

LATER = {"accept": "application/fhir+json", "prefer": "respond-async"}
MEMBERS = ("ann", "bob")
EXPORT = "Group/pair/$export"


@dataclass
class Program:
    """A registered program."""

    server: Server
    id: str
    signer: object
    jti: int = 0

    def token(self, scope="system/*.rs"):
        """A new token of five minutes, by a signed assertion."""
        self.jti += 1
        url = f"{self.server.ready['url']}/oauth/token"
        claims = {"iss": self.id, "sub": self.id, "aud": url, "exp": int(time.time()) + 200, "jti": f"j{self.jti}"}
        form = {"grant_type": "client_credentials", "scope": scope, "client_assertion_type": ASSERTION,
                "client_assertion": self.signer.sign(claims)}  # fmt: skip
        with self.server.client() as http:
            answer = http.post(url, data=form)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def client(self, scope="system/*.rs"):
        """An HTTP client with a new token."""
        return self.server.client(self.token(scope))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two programs, three patients, a Group of two of them."""
    directory = tmp_path_factory.mktemp("bulk") / "data"
    registered = []
    for name in ("One", "Other"):
        signer = new_signer("ES384")
        keys = directory.with_name(f"{name}.json")
        keys.write_text(json.dumps({"keys": [signer.public()]}))
        done = medlock(
            directory, *("client", "register", name, "--kind", "asymmetric", "--jwks", str(keys)),
            *("--scope", "system/*.rs", "--json"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        registered.append((json.loads(done.stdout)["client_id"], signer))
    with running(directory, "--workers", "2") as server:
        with server.client(new_token(directory)[0]) as dr:
            for each in (*MEMBERS, "cyn"):
                write(dr, {"resourceType": "Patient", "id": each})
                write(dr, {"resourceType": "Observation", "id": f"o-{each}", "status": "final",
                           "code": {"text": "weight"}, "subject": {"reference": f"Patient/{each}"}})  # fmt: skip
            write(dr, pair(*MEMBERS))
        yield [Program(server, *each) for each in registered]


def pair(*members):
    named = [{"entity": {"reference": f"Patient/{each}"}} for each in members]
    return {"resourceType": "Group", "id": "pair", "type": "person", "actual": True, "member": named}


def write(client, resource):
    json_ = {"content-type": "application/fhir+json"}
    where = f"{resource['resourceType']}/{resource['id']}"
    answer = client.put(where, content=json.dumps(resource), headers=json_)
    assert answer.status_code in {200, 201}, answer.text


def kick_off(client, path=EXPORT, **params):
    """K-03: 202 and where the status is."""
    answer = client.get(path, headers=LATER, params=params)
    assert answer.status_code == 202, answer.text
    where = answer.headers["content-location"]
    assert where.startswith("https://")
    return where


def manifest(client, where):
    """K-04: polled as often as it says, until it is there."""
    for _ in range(60):
        answer = client.get(where)
        if answer.status_code != 202:
            break
        assert answer.headers["x-progress"]
        time.sleep(int(answer.headers["retry-after"]))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert parsedate_to_datetime(answer.headers["expires"])
    return answer.json()


def lines(client, output):
    """What the files hold."""
    found = []
    for each in output:
        answer = client.get(each["url"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/fhir+ndjson"
        some = [json.loads(line) for line in answer.text.splitlines()]
        assert {line["resourceType"] for line in some} == {each["type"]}
        found += some
    return found


def test_k_03_to_k_07(site):
    """Kick-off, status, manifest, files: absolute addresses, a token for each, and exactly the Group's patients."""
    one, _ = site
    with one.client() as client:
        where = kick_off(client)
        said = manifest(client, where)
        assert set(said) == {"transactionTime", "request", "requiresAccessToken", "output", "error"}
        assert said["request"].endswith(f"/fhir/{EXPORT}")
        assert said["requiresAccessToken"] is True
        assert all(set(each) >= {"type", "url"} and each["url"].startswith("https://") for each in said["output"])
        with one.server.client() as stranger:
            for each in said["output"]:
                assert stranger.get(each["url"]).status_code == 401
        found = lines(client, said["output"])
        patients = {each["id"] for each in found if each["resourceType"] == "Patient"}
        assert patients == set(MEMBERS)
        assert {each["id"] for each in found if each["resourceType"] == "Observation"} == {"o-ann", "o-bob"}
        gone = client.delete(where)
        assert gone.status_code == 202
        after = client.get(where)
        assert (after.status_code, after.json()["resourceType"]) == (404, "OperationOutcome")


@pytest.mark.parametrize("form", ["application/fhir+ndjson", "application/ndjson", "ndjson"])
def test_k_09_output_formats(site, form):
    """All three names of NDJSON are taken."""
    with site[0].client() as client:
        assert client.delete(kick_off(client, _outputFormat=form)).status_code == 202


def test_k_10_since(site):
    """Only what changed after that instant."""
    one, _ = site
    with one.client() as client:
        where = kick_off(client)
        began = manifest(client, where)["transactionTime"]
        client.delete(where)
        with one.server.client(new_token(one.server.directory)[0]) as dr:
            time.sleep(0.01)
            write(dr, {"resourceType": "Patient", "id": "bob", "active": True})
        where = kick_off(client, _since=began)
        assert {each["id"] for each in lines(client, manifest(client, where)["output"])} == {"bob"}
        client.delete(where)


def test_x_k12_what_is_withheld_is_told_by_no_difference(site):
    """The file in `error` is the same to the byte for an export of everything and for one that lacks a type."""
    one, _ = site
    said = []
    for scope in ("system/*.rs", "system/Patient.rs"):
        with one.client(scope) as client:
            where = kick_off(client, "Patient/$export")
            (notice,) = manifest(client, where)["error"]
            assert notice["type"] == "OperationOutcome"
            said.append(client.get(notice["url"]).content)
            client.delete(where)
    assert said[0] == said[1]
    outcome = json.loads(said[0])
    assert outcome["issue"][0]["severity"] == "information"
    assert not any(each in said[0].decode() for each in (*MEMBERS, "cyn"))


def test_x_k13_another_clients_job(site):
    """Status, files and cancelling of another program's export are 404 like one that never was; its own new token works."""
    one, other = site
    with one.client() as client, other.client() as stranger:
        where = kick_off(client)
        said = manifest(client, where)
        never = stranger.get(where.rpartition("/")[0] + "/0never")
        for method, address in (("GET", where), ("DELETE", where), *(("GET", each["url"]) for each in said["output"])):
            refused = stranger.request(method, address)
            assert (refused.status_code, refused.content) == (404, never.content), (method, address)
        with one.client() as renewed:
            assert lines(renewed, said["output"])
            assert renewed.delete(where).status_code == 202


def test_x_k14_what_ends_between_kick_off_and_download(site):
    """Who left the Group meanwhile is not in the files; after the program is disabled there are none."""
    one, _ = site
    dr_token = new_token(one.server.directory)[0]
    with one.client() as client, one.server.client(dr_token) as dr:
        where = kick_off(client)
        said = manifest(client, where)
        write(dr, pair("bob"))
        found = {each["id"] for each in lines(client, [each for each in said["output"] if each["type"] == "Patient"])}
        assert found == {"bob"}
        write(dr, pair(*MEMBERS))
        assert medlock(one.server.directory, "client", "disable", one.id).returncode == 0
        for address in (where, said["output"][0]["url"]):
            assert client.get(address).status_code == 401
        assert medlock(one.server.directory, "client", "approve", one.id).returncode == 0
    with one.client() as client:
        assert client.delete(where).status_code == 202


def test_a_program_without_the_scope(site):
    """A type that the scopes do not cover is 403 when it is named, and absent when it is not."""
    one, _ = site
    with one.client("system/Patient.rs") as client:
        assert client.get("$export", headers=LATER, params={"_type": "Observation"}).status_code == 403
        where = kick_off(client, "$export")
        assert {each["type"] for each in manifest(client, where)["output"]} == {"Patient"}
        assert client.delete(where).status_code == 202
