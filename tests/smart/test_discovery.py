"""Discovery: rows D and O-02 to O-05 that need no person. What is said is true: each endpoint named is there."""

import pytest

from medlock.oauth.authorize import NeedConsent
from medlock.oauth.client import Kind
from medlock.oauth.discovery import CAPABILITIES, SCOPES
from medlock.oauth.launching import LaunchRequest
from smart.world import ANN, BASE, DOC, FHIR

WK = "/fhir/.well-known/smart-configuration"
DEMANDED = (
    "launch-standalone launch-ehr client-public client-confidential-symmetric client-confidential-asymmetric "
    "sso-openid-connect context-standalone-patient permission-offline permission-patient authorize-post permission-v2 "
    "permission-v1"
).split()


@pytest.fixture
async def document(world):
    async with world.http() as http:
        done = await http.get(WK)
    assert done.status_code == 200
    return done.json()


@pytest.mark.parametrize("accept", ["application/json", "text/html", "application/xml", ""])
async def test_d_01_to_d_04_the_document(world, accept):
    """D-01 to D-04: JSON for everybody, whatever is accepted, without credentials."""
    async with world.http() as http:
        done = await http.get(WK, headers={"accept": accept})
    assert done.status_code == 200
    assert done.headers["content-type"].startswith("application/json")
    assert done.json()


async def test_d_05_to_d_11_and_d_18_to_d_21(document):
    """D-05 to D-11, D-18 to D-21: what must stand in it stands in it."""
    for name in ("authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        assert isinstance(document[name], str)
        assert document[name].startswith(BASE)
    assert document["management_endpoint"]
    assert document["capabilities"]
    assert all(isinstance(each, str) for each in document["capabilities"])
    assert {"authorization_code", "client_credentials"} <= set(document["grant_types_supported"])
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert "code" in document["response_types_supported"]
    assert {"private_key_jwt", "client_secret_basic"} <= set(document["token_endpoint_auth_methods_supported"])
    assert {"RS384", "ES384"} <= set(document["token_endpoint_auth_signing_alg_values_supported"])


async def test_d_14_absolute_addresses(document):
    """D-14: every address is absolute."""
    for name, value in document.items():
        if name.endswith(("_endpoint", "_uri")):
            assert value.startswith("https://"), name


async def test_d_15_capabilities(document):
    """D-15: the capabilities that the test kits demand, once each."""
    assert set(DEMANDED) <= set(document["capabilities"])
    assert len(CAPABILITIES) == len(set(CAPABILITIES))


async def test_d_22_every_scope_can_be_granted(world):
    """D-22: each scope listed is granted when it is asked for by somebody to whom it applies."""
    app = await world.register(Kind.PUBLIC)
    backend = await world.backend_app()
    for scope in SCOPES:
        if scope.startswith("system/"):
            assert (await world.credentials(backend, scope)).json()["scope"] == scope
            continue
        launch = await launched(world, app) if scope in {"launch", "launch/encounter"} else {}
        text = f"{scope} launch" if scope == "launch/encounter" else scope
        got = await world.tokens_for(app, text, DOC if launch else ANN, **launch)
        assert scope in got["scope"].split(), scope


async def launched(world, app):
    """A launch, as parameters of the request."""
    await world.desk.clients.change(app.id, "test", {"launch_url": "https://app.example.org/launch"})
    address = await world.server.launching.begin(DOC.id, LaunchRequest(app.id, "ann", "e1"))
    return {"launch": address.rpartition("launch=")[2]}


async def test_d_26_associated_endpoints(document):
    """D-26: none are said to be there."""
    assert "associated_endpoints" not in document


async def test_every_endpoint_named_is_there(world, document):
    """Each endpoint in the documents answers; the authorization and management endpoints are pages, tested with them."""
    async with world.http() as http:
        openid = (await http.get("/.well-known/openid-configuration")).json()
        server = (await http.get("/.well-known/oauth-authorization-server")).json()
        for body in (document, openid, server):
            for name, address in body.items():
                if name.endswith(("_endpoint", "_uri")) and name not in {
                    "authorization_endpoint",
                    "management_endpoint",
                }:
                    done = await (http.get(address) if name == "jwks_uri" else http.post(address))
                    assert done.status_code in {200, 400, 401}, name
    assert server["issuer"] == openid["issuer"] == document["issuer"] == BASE
    assert server["authorization_response_iss_parameter_supported"] is True


async def test_o_02_to_o_04_openid_configuration(world):
    """O-02 to O-04: found at the issuer, JSON, with what must stand in it."""
    async with world.http() as http:
        done = await http.get("/.well-known/openid-configuration")
    assert done.headers["content-type"].startswith("application/json")
    body = done.json()
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"):
        assert body[name]
    assert body["subject_types_supported"] == ["public"]
    assert "RS256" in body["id_token_signing_alg_values_supported"]


async def test_o_05_keys(world):
    """O-05: an RSA key at least, and nothing private of any."""
    async with world.http() as http:
        done = await http.get("/oauth/jwks")
    keys = done.json()["keys"]
    assert [key["kty"] for key in keys] == ["RSA"]
    assert all(set(key) <= {"kty", "n", "e", "kid", "alg", "use"} for key in keys)


async def test_asking_is_offered_the_capabilities(world):
    """A request with `launch/patient` leads to the page where a patient is chosen (context-standalone-patient)."""
    app = await world.register(Kind.PUBLIC)
    found = await world.begin(app, "launch/patient patient/Observation.rs", DOC)
    assert isinstance(found, NeedConsent)
    assert [choice.id for choice in found.view.patients] == ["ann", "bob"]
    assert found.view.redirect == app.redirect
    assert FHIR
