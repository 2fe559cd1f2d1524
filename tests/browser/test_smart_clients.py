"""OAuth and SMART clients of others, unchanged: a person allows them something in Chromium, and they read it."""

import json
import os
from urllib.parse import urlsplit

import pytest
from authlib.integrations.requests_client import OAuth2Session
from fhirclient import client as smart
from fhirclient.models.observation import Observation

from web.running import medlock

CALLBACK = "http://localhost:9/callback"  # nothing listens there: the address in the browser is what counts
SCOPES = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Observation.rs"


def registered(clinic, name, *words):
    """A client: its id and secret."""
    asked = ["client", "register", name, "--redirect", CALLBACK, "--scope", SCOPES, *words, "--json"]
    done = medlock(clinic.server.directory, *asked)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return made["client_id"], made.get("client_secret", "")


def allowed(who, address):
    """Somebody follows the app's link and allows everything; the address the browser is sent back to."""
    back = []
    who.page.on("request", lambda request: back.append(request.url) if request.url.startswith(CALLBACK) else None)
    who.page.goto(address)
    who.page.wait_for_selector("text=It asks to")
    who.page.click("button[value=allow]", no_wait_after=True)
    who.page.wait_for_event("requestfailed", lambda request: request.url.startswith(CALLBACK)) if not back else None
    return back[0]


@pytest.fixture
def trusting(clinic, monkeypatch):
    """Requests trusts the clinic's authority, as an operator would set it up."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", clinic.authority)
    monkeypatch.setitem(os.environ, "NO_PROXY", "*")
    return clinic


def test_authlib(trusting, person):
    """Authlib as a confidential client: code with PKCE, the `iss` of the answer, tokens, refresh, revocation."""
    clinic = trusting
    pat = person("pat")
    pat.settle()
    client_id, secret = registered(clinic, "Authlib", "--kind", "symmetric")
    url = clinic.server.ready["url"]
    with OAuth2Session(client_id, secret, scope=SCOPES, redirect_uri=CALLBACK, code_challenge_method="S256") as app:
        app.verify = clinic.authority
        verifier = "v" * 64
        address, state = app.create_authorization_url(
            f"{url}/oauth/authorize", code_verifier=verifier, aud=clinic.server.ready["fhir"]
        )
        came = allowed(pat, address)
        assert f"state={state}" in urlsplit(came).query
        token = app.fetch_token(f"{url}/oauth/token", authorization_response=came, code_verifier=verifier, state=state)
        assert token["patient"] == "pat"
        fhir = clinic.server.ready["fhir"]
        assert app.get(f"{fhir}/Patient/pat").json()["id"] == "pat"
        assert app.get(f"{fhir}/Patient/ann").status_code == 404
        renewed = app.refresh_token(f"{url}/oauth/token", refresh_token=token["refresh_token"])
        assert renewed["access_token"] != token["access_token"]
        told = app.introspect_token(f"{url}/oauth/introspect", token=renewed["access_token"]).json()
        assert told["active"] is True
        assert app.revoke_token(f"{url}/oauth/revoke", token=renewed["refresh_token"]).status_code == 200
        assert app.get(f"{fhir}/Patient/pat").status_code == 401


def test_python_fhirclient(trusting, person):
    """SMART Health IT's fhirclient: it finds the endpoints in the CapabilityStatement, and reads as its guide shows."""
    clinic = trusting
    quin = person("quin")
    quin.settle()
    client_id, _ = registered(clinic, "fhirclient")
    settings = {
        "app_id": client_id,
        "api_base": clinic.server.ready["fhir"],
        "redirect_uri": CALLBACK,
        "scope": SCOPES,
    }
    app = smart.FHIRClient(settings=settings)
    came = allowed(quin, app.authorize_url)
    app.handle_callback(came)
    assert app.ready
    assert app.patient.id == "quin"
    found = Observation.where(struct={"patient": "quin"}).perform_resources_iter(app.server)
    assert {each.id for each in found} == {"quin-laboratory", "quin-vital-signs"}
    assert app.reauthorize()
    assert app.patient.id == "quin"
