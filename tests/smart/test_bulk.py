"""Bulk data authorisation, over HTTPS: rows K-03 to K-10, X-K12 to X-K14 and X-B29, by a backend service with a key of its own."""

import json
import time
from contextlib import contextmanager

import pytest

from medlock.crypto.jose import new_signer
from smart.world import ASSERTION
from web.running import medlock, new_token, running

FHIR = {"content-type": "application/fhir+json"}
LATER = {"accept": "application/fhir+json", "prefer": "respond-async"}
MEMBERS = ("ann", "bob")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server with three patients, a Group of two of them, and two backend services."""
    directory = tmp_path_factory.mktemp("bulk") / "data"
    signers = {name: new_signer("ES384") for name in ("one", "two")}
    ids = {}
    for name, signer in signers.items():
        keys = directory.with_name(f"{name}.json")
        keys.write_text(json.dumps({"keys": [signer.public()]}))
        registering = ("client", "register", name, "--kind", "asymmetric", "--jwks", str(keys))
        done = medlock(directory, *registering, "--scope", "system/*.rs", "--json")
        assert done.returncode == 0, done.stderr
        ids[name] = json.loads(done.stdout)["client_id"]
    with running(directory) as server:
        token, _ = new_token(directory)
        with server.client(token) as http:
            for each in (*MEMBERS, "cyn"):
                _put(http, {"resourceType": "Patient", "id": each})
                subject = {"reference": f"Patient/{each}"}
                _put(
                    http,
                    {
                        "resourceType": "Observation",
                        "id": f"o-{each}",
                        "status": "final",
                        "code": {"text": "x"},
                        "subject": subject,
                    },
                )
            named = [{"entity": {"reference": f"Patient/{each}"}} for each in MEMBERS]
            _put(http, {"resourceType": "Group", "id": "pair", "type": "person", "actual": True, "member": named})
        yield Site(server, signers, ids)


def _put(http, resource):
    answer = http.put(f"{resource['resourceType']}/{resource['id']}", json=resource, headers=FHIR)
    assert answer.status_code in {200, 201}, answer.text


class Site:
    """The server and its two clients."""

    def __init__(self, server, signers, ids):
        self.server, self._signers, self._ids = server, signers, ids
        self._numbers = iter(range(1_000))

    def turn(self, how, name):
        """Disable or approve one of the services; the command's exit code."""
        return medlock(self.server.directory, "client", how, self._ids[name]).returncode

    @contextmanager
    def service(self, name, scope="system/*.rs"):
        """A client with an access token for one of the services."""
        url, client = f"{self.server.ready['url']}/oauth/token", self._ids[name]
        claims = {
            "iss": client,
            "sub": client,
            "aud": url,
            "exp": int(time.time()) + 200,
            "jti": f"b{next(self._numbers)}",
        }
        sent = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION,
            "client_assertion": self._signers[name].sign(claims),
        }
        with self.server.client() as http:
            got = http.post(url, data=sent).json()
        with self.server.client(got["access_token"]) as http:
            yield http


def kick_off(http, path="Group/pair/$export", **more):
    """K-03: 202 and where to ask."""
    answer = http.get(path, headers=LATER, **more)
    assert answer.status_code == 202, answer.text
    return answer.headers["content-location"]


def manifest(http, where):
    """K-04: 202 until it is there; the manifest."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answer = http.get(where)
        if answer.status_code != 202:
            break
        time.sleep(float(answer.headers["retry-after"]) / 4)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_k_03_to_k_07(site):
    """K-03, K-04, K-05, K-06, K-07: kick-off, status, output, no file without a token, and exactly the Group's members."""
    with site.service("one") as http:
        where = kick_off(http)
        done = manifest(http, where)
        assert {"transactionTime", "request", "requiresAccessToken", "output", "error"} <= set(done)
        assert done["requiresAccessToken"] is True
        found = {}
        for item in done["output"]:
            assert item["url"].startswith(site.server.ready["url"] + "/")
            lines = http.get(item["url"])
            assert (lines.status_code, lines.headers["content-type"]) == (200, "application/fhir+ndjson")
            found.setdefault(item["type"], []).extend(json.loads(line) for line in lines.text.splitlines())
        assert {each["id"] for each in found["Patient"]} == set(MEMBERS)
        assert {each["id"] for each in found["Observation"]} == {f"o-{each}" for each in MEMBERS}
        for address in (where, done["output"][0]["url"]):
            with site.server.client() as stranger:
                assert stranger.get(address).status_code == 401
            with site.server.client("wrong") as stranger:
                assert stranger.get(address).status_code == 401
        assert http.delete(where).status_code == 202
        assert http.get(where).status_code == 404


@pytest.mark.parametrize("form", ["application/fhir+ndjson", "application/ndjson", "ndjson"])
def test_k_09_k_10(site, form):
    """K-09, K-10: each name of the format and a _since are taken; another format is refused."""
    with site.service("one") as http:
        where = kick_off(http, params={"_outputFormat": form, "_since": "2020-01-01T00:00:00Z"})
        assert manifest(http, where)["output"]
        assert http.delete(where).status_code == 202
        assert http.get("$export", params={"_outputFormat": "text/csv"}, headers=LATER).status_code == 400


def test_x_k13(site):
    """X-K13: status and files of another client's export look like ones that never were, and cannot be ended."""
    with site.service("one") as mine, site.service("two") as other:
        where = kick_off(mine)
        file = manifest(mine, where)["output"][0]["url"]
        for address in (where, file):
            assert other.get(address).status_code == 404
        never = other.get(where[:-4] + "zzzz")
        assert other.get(where).content == never.content
        assert other.delete(where).status_code == 404
        assert mine.get(file).status_code == 200
        assert mine.delete(where).status_code == 202


def test_x_b29_and_what_a_scope_leaves_out(site):
    """X-B29: a system token exports no type that its scopes do not name, and nothing at all without them."""
    with site.service("one", "system/Patient.rs system/Group.rs") as http:
        where = kick_off(http)
        assert {item["type"] for item in manifest(http, where)["output"]} <= {"Patient", "Group"}
        assert http.delete(where).status_code == 202
        assert http.get("Group/pair/$export", params={"_type": "Observation"}, headers=LATER).status_code == 403
    with site.service("two", "system/Observation.rs") as http:
        assert http.get("Group/pair/$export", headers=LATER).status_code == 403


def test_x_k12(site):
    """X-K12: what is withheld makes no difference that can be seen: the file in `error` is the same to the byte."""
    said = []
    for scope in ("system/*.rs", "system/Patient.rs"):
        with site.service("one", scope) as http:
            where = kick_off(http, "Patient/$export")
            (notice,) = manifest(http, where)["error"]
            assert notice["type"] == "OperationOutcome"
            said.append(http.get(notice["url"]).content)
            assert http.delete(where).status_code == 202
    assert said[0] == said[1]
    assert json.loads(said[0])["issue"][0]["severity"] == "information"
    assert not any(each in said[0].decode() for each in (*MEMBERS, "cyn"))


def test_x_k14(site):
    """X-K14: who left the Group since the kick-off is in no file; after the service is disabled there is none."""
    group = {"resourceType": "Group", "id": "pair", "type": "person", "actual": True}
    with site.service("one") as http, site.server.client(new_token(site.server.directory)[0]) as dr:
        where = kick_off(http)
        done = manifest(http, where)
        _put(dr, group | {"member": [{"entity": {"reference": "Patient/bob"}}]})
        (patients,) = [each["url"] for each in done["output"] if each["type"] == "Patient"]
        assert [json.loads(line)["id"] for line in http.get(patients).text.splitlines()] == ["bob"]
        _put(dr, group | {"member": [{"entity": {"reference": f"Patient/{each}"}} for each in MEMBERS]})
        assert site.turn("disable", "one") == 0
        for address in (where, patients):
            assert http.get(address).status_code == 401
        assert site.turn("approve", "one") == 0
