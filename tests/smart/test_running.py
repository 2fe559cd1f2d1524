"""The running program over HTTPS with two workers: tokens for programs, used once, ended at once."""

import base64
import hashlib
import json
import socket
import ssl
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from medlock.crypto.jose import new_signer
from smart.world import ASSERTION
from web.running import medlock, running

SIGNER = new_signer("ES384")
REPLAYS = 50


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two workers, a client, and how to speak with them."""
    directory = tmp_path_factory.mktemp("smart") / "data"
    keys = directory.with_name("jwks.json")
    keys.write_text(json.dumps({"keys": [SIGNER.public()]}))
    registering = ("client", "register", "Backend", "--kind", "asymmetric", "--jwks", str(keys))
    done = medlock(directory, *registering, "--scope", "system/*.rs", "--json")
    assert done.returncode == 0, done.stderr
    with running(directory, "--workers", "2") as server:
        yield server, json.loads(done.stdout)["client_id"]


def form(server, client, jti):
    """A token request."""
    now = int(time.time())
    claims = {"iss": client, "sub": client, "aud": f"{server.ready['url']}/oauth/token", "exp": now + 200, "jti": jti}
    return {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs",
        "client_assertion_type": ASSERTION,
        "client_assertion": SIGNER.sign(claims),
    }


def test_x_b19_fifty_replays_at_two_workers(site):
    """X-B19: fifty connections bring one assertion to two workers at once: one token."""
    server, client = site
    sent = form(server, client, "one")

    def replay(_number):
        with server.client() as http:
            return http.post(f"{server.ready['url']}/oauth/token", data=sent).status_code

    with ThreadPoolExecutor(REPLAYS) as pool:
        assert sorted(pool.map(replay, range(REPLAYS))) == [200] + [401] * (REPLAYS - 1)


def test_a_token_works_until_its_client_is_disabled(site):
    """A token reads what its scope lets it; disabling its client on the command line ends it on the next request."""
    server, client = site
    url = server.ready["url"]
    with server.client() as http:
        token = http.post(f"{url}/oauth/token", data=form(server, client, "two")).json()["access_token"]
    with server.client(token) as http:
        assert http.get("/Patient").status_code == 200
        assert http.get("/Observation").status_code == 403
        assert medlock(server.directory, "client", "disable", client).returncode == 0
        assert http.get("/Patient").status_code == 401
        assert http.post(f"{url}/oauth/token", data=form(server, client, "three")).status_code == 401
        assert medlock(server.directory, "client", "approve", client).returncode == 0
        assert http.post(f"{url}/oauth/token", data=form(server, client, "four")).status_code == 200


def test_keys_rotate_with_overlap(site):
    """`medlock oauth keys rotate` beside the server: both keys are published."""
    server, _ = site
    with server.client() as http:
        before = http.get(f"{server.ready['url']}/oauth/jwks").json()["keys"]
        done = medlock(server.directory, "oauth", "keys", "rotate", "--json")
        assert done.returncode == 0
        after = http.get(f"{server.ready['url']}/oauth/jwks").json()["keys"]
    assert [key["kid"] for key in after] == [*(key["kid"] for key in before), json.loads(done.stdout)["kid"]]


def test_nothing_secret_is_stored_or_told(site):
    """Neither an assertion nor a token stands in any file of the store."""
    server, client = site
    with server.client() as http:
        token = http.post(f"{server.ready['url']}/oauth/token", data=form(server, client, "five")).json()[
            "access_token"
        ]
    found = b"".join(path.read_bytes() for path in server.directory.rglob("*") if path.is_file())
    assert token.encode() not in found
    assert client.encode() not in found


def test_verify_finds_nothing(site):
    """After all that, the store is what the log says."""
    server, _ = site
    done = medlock(server.directory, "verify")
    assert done.returncode == 0, done.stdout + done.stderr


def test_dpop_at_the_api(site):
    """RFC 9449 §7: a bound token reads with a fresh proof of its key for this request, once; not as a bearer, not later."""
    server, client = site
    url, key = server.ready["url"], new_signer("ES256")
    jwk = {name: key.public()[name] for name in ("kty", "crv", "x", "y")}

    def proof(method, address, jti, token=""):
        ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        claims = {"htm": method, "htu": address, "iat": int(time.time()), "jti": jti} | ({"ath": ath} if token else {})
        return key.sign(claims, {"typ": "dpop+jwt", "jwk": jwk})

    with server.client() as http:
        sent = {"dpop": proof("POST", f"{url}/oauth/token", "t1")}
        got = http.post(f"{url}/oauth/token", data=form(server, client, "six"), headers=sent).json()
        token, patients = got["access_token"], f"{url}/fhir/Patient"
        assert got["token_type"] == "DPoP"
        good = {"authorization": f"DPoP {token}", "dpop": proof("GET", patients, "p1", token)}
        assert http.get("/Patient?_count=1", headers=good).status_code == 200
        assert http.get("/Patient", headers=good).status_code == 401
        for wrong in (
            {"authorization": f"Bearer {token}"},
            {"authorization": f"DPoP {token}"},
            {"authorization": f"DPoP {token}", "dpop": proof("GET", patients, "p2")},
            {"authorization": f"DPoP {token}", "dpop": proof("POST", patients, "p3", token)},
            {"authorization": f"DPoP {token}", "dpop": proof("GET", f"{url}/fhir/Group", "p4", token)},
            {"authorization": "DPoP", "dpop": proof("GET", patients, "p5", token)},
        ):
            assert http.get("/Patient", headers=wrong).status_code == 401


def test_the_capability_statement_names_the_server(site):
    """The statement says where apps are authorized, and that it is SMART on FHIR."""
    server, _ = site
    with server.client() as http:
        security = http.get("/metadata").json()["rest"][0]["security"]
        wk = http.get("/.well-known/smart-configuration").json()
    uris = {each["url"]: each["valueUri"] for each in security["extension"][0]["extension"]}
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert (uris["authorize"], uris["token"]) == (wk["authorization_endpoint"], wk["token_endpoint"])


def test_l_01_old_tls_is_refused(site):
    """L-01: TLS 1.0 and 1.1 are refused, 1.2 and 1.3 taken."""
    server, _ = site
    host = urlsplit(server.ready["url"])
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=server.ready["ca"])
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection((host.hostname, host.port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            assert tls.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    context = ssl.create_default_context(cafile=server.ready["ca"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # asking for the old version is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection((host.hostname, host.port)) as plain, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(plain, server_hostname="localhost")
