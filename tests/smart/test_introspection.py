"""Introspection: rows I and X-I."""

import pytest

from medlock.oauth.client import Kind
from smart.test_tokens import claims_of
from smart.world import ANN, BASE, FHIR

SCOPE = "openid fhirUser launch/patient offline_access patient/Observation.rs patient/Condition.read"


@pytest.fixture
async def app(world):
    return await world.register(Kind.SYMMETRIC)


@pytest.fixture
async def resource_server(world):
    return await world.register(Kind.SYMMETRIC, introspects=True)


async def test_i_01_to_i_08_a_token_that_lives(world, app, resource_server):
    """I-01 to I-08: active, client, scopes as granted, context, issuer, subject and fhirUser as in the id_token."""
    got = await world.tokens_for(app, SCOPE)
    identity = claims_of(got["id_token"])
    for asking in (app, resource_server):
        done = await world.introspect(asking, got["access_token"])
        assert done.status_code == 200
        body = done.json()
        assert body["active"] is True
        assert body["client_id"] == app.id
        assert sorted(body["scope"].split()) == sorted(got["scope"].split())
        assert body["patient"] == "ann"
        assert (body["iss"], body["sub"], body["fhirUser"]) == (identity["iss"], identity["sub"], identity["fhirUser"])
        assert (body["iss"], body["aud"]) == (BASE, FHIR)
        assert body["exp"] - body["iat"] == 600
        assert done.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("token", ["invalid_token_value", "é", "x" * 5000])
async def test_i_09_i_10_unknown(world, app, token):
    """I-09, I-10: 200, not active, and not one member more."""
    done = await world.introspect(app, token)
    assert done.status_code == 200
    assert done.json() == {"active": False}


async def test_i_11_a_bearer_token_for_credentials(world, app, resource_server):
    """I-11: a client that may ask about everybody's tokens may do so with an access token of its own."""
    got = await world.tokens_for(app, SCOPE)
    mine = await world.tokens_for(resource_server, "openid user/Patient.rs")
    bearer = {"authorization": f"Bearer {mine['access_token']}"}
    done = await world.post("/oauth/introspect", {"token": got["access_token"]}, bearer)
    assert done.json()["client_id"] == app.id
    backend = await world.backend_app(introspects=True)
    token = (await world.credentials(backend)).json()["access_token"]
    done = await world.post("/oauth/introspect", {"token": got["access_token"]}, {"authorization": f"Bearer {token}"})
    assert done.json()["active"] is True


async def test_x_i12_strangers(world, app):
    """X-I12: no credentials, a public client's id, a wrong secret, a token that nobody knows: 401."""
    got = await world.tokens_for(app, SCOPE)
    public = await world.register(Kind.PUBLIC)
    token = {"token": got["access_token"]}
    assert (await world.post("/oauth/introspect", token)).status_code == 401
    assert (await world.post("/oauth/introspect", token | {"client_id": public.id})).status_code == 401
    wrong = {"client_id": app.id, "client_secret": "x"}
    assert (await world.post("/oauth/introspect", token | wrong)).status_code == 401
    for value in ("Bearer x", "Bearer", "Digest x"):
        done = await world.post("/oauth/introspect", token, {"authorization": value})
        assert done.status_code == 401
        assert "www-authenticate" in done.headers


async def test_x_i13_another_apps_token(world, app):
    """X-I13: an ordinary app learns nothing of another's token, by credentials or by a bearer token."""
    got = await world.tokens_for(app, SCOPE)
    other = await world.register(Kind.SYMMETRIC)
    assert (await world.introspect(other, got["access_token"])).json() == {"active": False}
    mine = await world.tokens_for(other, SCOPE)
    bearer = {"authorization": f"Bearer {mine['access_token']}"}
    done = await world.post("/oauth/introspect", {"token": got["access_token"]}, bearer)
    assert done.json() == {"active": False}


async def test_x_i14_what_is_not_active(world, app):
    """X-I14: expired and revoked tokens, refresh tokens, id_tokens and codes."""
    got = await world.tokens_for(app, SCOPE)
    code = await world.code(app, SCOPE)
    for token in (got["refresh_token"], got["id_token"], code):
        assert (await world.introspect(app, token)).json() == {"active": False}
    second = (await world.refresh(app, got["refresh_token"])).json()
    fields, headers = app.credentials(world)
    await world.post("/oauth/revoke", {"token": second["access_token"]} | fields, headers)
    assert (await world.introspect(app, second["access_token"])).json() == {"active": False}
    world.clock.pass_(600)
    assert (await world.introspect(app, got["access_token"])).json() == {"active": False}


async def test_an_assertion_introspects_once(world):
    """An assertion is used up by introspection and revocation too."""
    app = await world.register(Kind.ASYMMETRIC)
    got = await world.tokens_for(app, SCOPE)
    fields, _ = app.credentials(world, jti="once")
    form = {"token": got["access_token"]} | fields
    assert (await world.post("/oauth/introspect", form)).json()["active"] is True
    for path in ("/oauth/introspect", "/oauth/revoke"):
        assert (await world.post(path, form)).status_code == 401
    assert (await world.tokens.authenticate(got["access_token"])).account == ANN.id
