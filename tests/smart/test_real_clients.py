"""Clients that others wrote, unchanged, through the real pages: the Python fhirclient, fhir-kit-client, Authlib's OAuth client."""

import json
import os
import ssl
import subprocess
import time

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from joserfc.jwk import ECKey

from clients.node import SOURCE, modules, tool
from medlock.crypto.jose import new_signer
from medlock.oauth.client import Kind
from medlock.oauth.registering import Registration
from smart.browsing import signed_in
from smart.world import CALLBACK, jwks_of

SCOPE = "openid fhirUser launch/patient offline_access patient/*.rs"
OLD = "https://old.example.org/callback"
SIGNER = new_signer("ES384")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server, a browser, and three apps: public, with a secret and without PKCE, with keys."""
    apps = (
        Registration("Python", Kind.PUBLIC, redirect_uris=(CALLBACK,), scopes=SCOPE),
        Registration("Old", Kind.SYMMETRIC, redirect_uris=(CALLBACK,), scopes=SCOPE, pkce_optional=True),
        Registration(
            "Backend",
            Kind.ASYMMETRIC,
            jwks=jwks_of(SIGNER, "key-1"),
            scopes="system/*.rs",
            grants=("client_credentials",),
        ),
    )
    with signed_in(tmp_path_factory.mktemp("clients") / "data", *apps) as opened:
        yield opened


def approve(browser, address):
    """Go where an app sends its user, allow everything, and return where they are sent back to."""
    browser.go("GET", address)
    browser.submit("/oauth/authorize/decide", answer="allow")
    return browser.page.headers["location"]


def test_the_python_fhirclient(site):
    """Discovery, authorization with PKCE, token, reading, searching and refreshing by the client's own code."""
    server, browser, clients = site
    settings = {"app_id": clients[1][0], "api_base": server.ready["fhir"], "redirect_uri": CALLBACK, "scope": SCOPE}
    smart = FHIRClient(settings=settings)
    smart.server.session.trust_env = False
    smart.server.session.verify = server.ready["ca"]
    smart.prepare()
    smart.handle_callback(approve(browser, smart.authorize_url))
    assert smart.ready
    assert smart.patient_id == "ann"
    assert Patient.read("ann", smart.server).name[0].family == "Ann"
    found = Observation.where({"patient": "ann"}).perform_resources_iter(smart.server)
    assert {each.id for each in found} == {"ann-lab", "ann-soc", "ann-vit"}
    before = smart.server.auth.access_token
    assert smart.reauthorize()
    assert smart.server.auth.access_token not in {before, None}
    assert Patient.read("ann", smart.server).id == "ann"
    smart.server.session.close()


def test_fhir_kit_client(site):
    """fhir-kit-client finds the endpoints by itself; its app signs in with PKCE; it reads, searches, and reads renewed."""
    server, browser, clients = site
    given = {
        "NODE_PATH": str(modules()),
        "NODE_EXTRA_CA_CERTS": server.ready["ca"],
        "MEDLOCK_FHIR": server.ready["fhir"],
        "MEDLOCK_CLIENT": clients[1][0],
        "MEDLOCK_REDIRECT": CALLBACK,
        "MEDLOCK_SCOPE": "launch/patient offline_access patient/Patient.rs patient/Observation.rs",
    }
    command, pipe = [tool("node"), str(SOURCE / "kit_sign_in.mjs")], subprocess.PIPE
    with subprocess.Popen(command, env=os.environ | given, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as app:
        address = app.stdout.readline().strip()
        assert address, app.stderr.read()
        told, fault = app.communicate(approve(browser, address) + "\n", timeout=60)
    assert app.returncode == 0, fault
    seen = json.loads(told)
    assert seen["patient"]["name"][0]["family"] == "Ann"
    assert seen["again"] == seen["patient"]
    assert seen["observations"] == ["ann-lab", "ann-soc", "ann-vit"]
    assert (seen["refused"], seen["stranger"], seen["renewed"]) == (403, 404, True)


def authlib(server, client, secret="", scope=SCOPE, **more):
    """Authlib's client, trusting this server's authority."""
    return OAuth2Client(
        client,
        secret or None,
        scope=scope,
        redirect_uri=CALLBACK,
        verify=ssl.create_default_context(cafile=server.ready["ca"]),
        **more,
    )


def test_authlib_with_pkce(site):
    """Authlib: authorization with PKCE, token, introspection of nothing, refresh, revocation."""
    server, browser, clients = site
    url = server.ready["url"]
    more = {"token_endpoint_auth_method": "none", "code_challenge_method": "S256"}
    with authlib(server, clients[0][0], scope="launch/patient offline_access patient/Patient.rs", **more) as client:
        verifier = "a-verifier-that-is-long-enough-for-the-standard-0123456789"
        asked = {
            "aud": server.ready["fhir"],
            "code_verifier": verifier,
        }
        address, state = client.create_authorization_url(f"{url}/oauth/authorize", **asked)
        back = approve(browser, address)
        token = client.fetch_token(
            f"{url}/oauth/token", authorization_response=back, state=state, code_verifier=verifier
        )
        assert token["patient"] == "ann"
        assert client.get(f"{server.ready['fhir']}/Patient/ann").status_code == 200
        again = client.refresh_token(f"{url}/oauth/token", refresh_token=token["refresh_token"])
        assert again["access_token"] != token["access_token"]
        assert client.get(f"{server.ready['fhir']}/Patient/ann").status_code == 200
        done = client.revoke_token(f"{url}/oauth/revoke", token=again["refresh_token"], token_type_hint="refresh_token")
        assert done.status_code == 200
        assert client.get(f"{server.ready['fhir']}/Patient/ann").status_code == 401


def test_authlib_as_an_old_client(site):
    """Authlib with a secret and without PKCE: refused to everybody, but for the client that an administrator let."""
    server, browser, clients = site
    url = server.ready["url"]
    with authlib(server, *clients[2]) as client:
        address, state = client.create_authorization_url(f"{url}/oauth/authorize", aud=server.ready["fhir"])
        back = approve(browser, address)
        token = client.fetch_token(f"{url}/oauth/token", authorization_response=back, state=state)
        assert token["patient"] == "ann"
    with authlib(server, clients[1][0], token_endpoint_auth_method="none") as client:
        address, _ = client.create_authorization_url(f"{url}/oauth/authorize", aud=server.ready["fhir"])
        browser.go("GET", address)
        assert browser.answer()["error"] == "invalid_request"


def test_authlib_as_a_program(site):
    """Authlib's private_key_jwt: a program gets tokens; where it repeats a jti, as it does, it gets none."""
    server, _, clients = site
    endpoint = f"{server.ready['url']}/oauth/token"
    key = ECKey.import_key(dict(SIGNER.jwk))
    with authlib(server, clients[3][0], key, token_endpoint_auth_method="private_key_jwt") as client:
        for _ in range(2):
            # it would say an hour, and SMART allows five minutes; and it keeps the jti in claims that are given once
            claims = {"exp": int(time.time()) + 200}
            client.register_client_auth_method(PrivateKeyJWT(endpoint, claims, {"kid": "key-1"}, "ES384"))
            token = client.fetch_token(endpoint, grant_type="client_credentials", scope="system/Patient.rs")
            assert token["expires_in"] == 300
        assert client.get(f"{server.ready['fhir']}/Patient").status_code == 200
        with pytest.raises(OAuthError, match="invalid_client"):
            client.fetch_token(endpoint, grant_type="client_credentials", scope="system/Patient.rs")
