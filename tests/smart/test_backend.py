"""SMART Backend Services and private_key_jwt: rows B and X-B of the study, every cause of refusal tried."""

import asyncio

import pytest

from medlock.audit.events import Action
from medlock.crypto.jose import new_signer
from medlock.oauth.client import Kind
from smart.world import ASSERTION, BASE, TOKEN, App, jwks_of

RS = new_signer("RS384")
ES = new_signer("ES384")
OTHER = new_signer("ES384")


def refused(done, code="invalid_client", status=(400, 401)):
    """An OAuth error, and no token."""
    assert done.status_code in status, done.text
    assert done.json()["error"] == code
    assert "access_token" not in done.text
    assert done.headers["cache-control"] == "no-store"


async def test_b_01_another_grant_type(world):
    """B-01: a grant type that nobody knows is 400, the assertion being right."""
    app = await world.backend_app(ES)
    fields, _ = app.credentials(world)
    refused(
        await world.post("/oauth/token", {"grant_type": "not_a_grant_type"} | fields), "unsupported_grant_type", (400,)
    )


async def test_b_02_another_assertion_type(world):
    """B-02: another client_assertion_type is refused."""
    app = await world.backend_app(ES)
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion": app.assertion(world)}
    refused(await world.post("/oauth/token", form | {"client_assertion_type": "not_an_assertion_type"}))


@pytest.mark.parametrize("signer", [RS, ES], ids=["RS384", "ES384"])
async def test_b_03_b_04_b_06_b_07_a_token(world, signer):
    """B-03, B-04, B-06, B-07: RS384 and ES384 bring a token of five minutes at most, and no refresh token."""
    app = await world.backend_app(signer)
    done = await world.credentials(app)
    assert done.status_code == 200
    body = done.json()
    assert body["token_type"].lower() == "bearer"
    assert 0 < body["expires_in"] <= 300
    assert body["scope"] == "system/*.rs"
    assert "refresh_token" not in body
    assert done.headers["cache-control"] == "no-store"
    assert done.headers["pragma"] == "no-cache"
    principal = await world.tokens.authenticate(body["access_token"])
    assert (principal.client, principal.scopes.text) == (app.id, "system/*.rs")
    (event,) = world.log.of(Action.OAUTH_ISSUE)
    assert body["access_token"] not in repr(event)


async def test_b_08_wider_than_registered(world):
    """B-08: scopes that the client was not given are invalid_scope; so are none, a person's, and words."""
    app = await world.backend_app(ES, scopes="system/Observation.rs")
    for scope in (
        "system/*.rs",
        "system/Patient.rs",
        "system/Observation.cruds",
        "",
        "patient/Observation.rs",
        "openid",
    ):
        refused(await world.credentials(app, scope), "invalid_scope", (400,))
    assert (await world.credentials(app, "system/Observation.r")).json()["scope"] == "system/Observation.r"


async def test_x_b09_another_key(world):
    """X-B09: signed by a key that is not the client's, under the right name."""
    app = await world.backend_app(ES)
    refused(await world.credentials(app, signer=OTHER))


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "another"},
        {"iss": "nobody", "sub": "nobody"},
        {"iss": "another"},
        {"sub": None},
        {"iss": None},
        {"iss": 7},
    ],
)
async def test_x_b11_issuer_and_subject(world, claims):
    """X-B11: issuer and subject are the client, both, and known."""
    app = await world.backend_app(ES)
    refused(await world.credentials(app, **claims))


@pytest.mark.parametrize(
    "aud",
    ["https://other.example.org/token", None, 7, [], [TOKEN, "https://other.example.org"], [TOKEN, {}], [TOKEN, 7]],
)
async def test_x_b13_another_audience(world, aud):
    """X-B13: meant for somebody else, for nobody, or for us and somebody else."""
    app = await world.backend_app(ES)
    refused(await world.credentials(app, aud=aud))


@pytest.mark.parametrize("aud", [TOKEN, BASE, [TOKEN], [BASE, TOKEN]])
async def test_x_b13_our_names(world, aud):
    """X-B13: token endpoint and issuer are our names, alone or in a list."""
    app = await world.backend_app(ES)
    assert (await world.credentials(app, aud=aud)).status_code == 200


@pytest.mark.parametrize("exp", [-1, -61, None, "soon", True, 1e300])
async def test_x_b14_expired(world, exp):
    """X-B14: expired longer ago than clocks may differ, or without a time that is one."""
    app = await world.backend_app(ES)
    now = world.clock.now_ms() // 1000
    done = await world.credentials(app, exp=now + exp if isinstance(exp, int) and exp is not True else exp)
    assert done.status_code == 200 if exp == -1 else refused(done) is None


async def test_x_b15_too_far_ahead(world):
    """X-B15: five minutes ahead at most, and a minute for clocks."""
    app = await world.backend_app(ES)
    now = world.clock.now_ms() // 1000
    assert (await world.credentials(app, exp=now + 355)).status_code == 200
    refused(await world.credentials(app, exp=now + 362))


async def test_x_b17_the_same_jti(world):
    """X-B17: one jti, one token, on every process; used up as well by a request that was refused."""
    app = await world.backend_app(ES)
    assert (await world.credentials(app, jti="same")).status_code == 200
    _, other, _ = world.process()
    refused(await world.credentials(app, jti="same"))
    refused(await world.credentials(app, jti="same", site=other))
    refused(await world.credentials(app, "system/*.cruds", jti="wasted"), "invalid_scope")
    refused(await world.credentials(app, jti="wasted"))
    refused(await world.credentials(app, jti=None))
    refused(await world.credentials(app, jti="j" * 300))


async def test_x_b18_the_same_jti_of_another_client(world):
    """X-B18: jti are each client's own."""
    first, second = await world.backend_app(ES), await world.backend_app(ES)
    assert [(await world.credentials(app, jti="same")).status_code for app in (first, second)] == [200, 200]


async def test_x_b19_parallel(world):
    """X-B19: fifty at once with one jti, on two processes: one token."""
    app = await world.backend_app(ES)
    _, other, _ = world.process()
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"} | app.credentials(world, jti="one")[0]
    sites = [world.app, other] * 25
    done = await asyncio.gather(*(world.post("/oauth/token", form, app=site) for site in sites))
    assert sorted(each.status_code for each in done) == [200] + [401] * 49


async def test_x_b23_keys_that_do_not_fit(world):
    """X-B23: a kid that is not there or missing, an algorithm of another kind of key, none at all; two keys of a name."""
    app = await world.backend_app(ES)
    refused(await world.credentials(app, header={"kid": "other"}))
    refused(await world.credentials(app, header={"kid": ""}))
    refused(await world.credentials(app, signer=RS))
    fields, _ = app.credentials(world)
    head, payload, _ = fields["client_assertion"].split(".")
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION}
    for forged in (
        f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoia2V5LTEifQ.{payload}.",
        f"{head}.{payload}.AAAA",
        "x",
        "",
    ):
        refused(await world.post("/oauth/token", form | {"client_assertion": forged}))


async def test_x_b23_the_header(world):
    """X-B23: typ is JWT; critical members that nobody understands are refused."""
    app = await world.backend_app(ES)
    for header in ({"typ": "dpop+jwt"}, {"typ": ""}):
        refused(await world.credentials(app, header=header))


async def test_x_b28_clients_without_keys(world):
    """X-B28: client_credentials by a public client or one with a secret is unauthorized_client."""
    for kind in (Kind.PUBLIC, Kind.SYMMETRIC):
        app = await world.register(kind)
        refused(await world.credentials(app), "unauthorized_client", (401,))


async def test_x_b30_from_the_future(world):
    """X-B30: nbf and iat may not lie in the future, but for a minute."""
    app = await world.backend_app(ES)
    now = world.clock.now_ms() // 1000
    for claims in ({"nbf": now + 120}, {"iat": now + 120}, {"nbf": "x"}):
        refused(await world.credentials(app, **claims))
    assert (await world.credentials(app, nbf=now + 30, iat=now + 30)).status_code == 200


async def test_a_disabled_client_is_nobody(world):
    """What a client was given ends with it, at once and on every process; the answer is that of an unknown client."""
    app = await world.backend_app(ES)
    token = (await world.credentials(app)).json()["access_token"]
    assert (await world.tokens.authenticate(token)).client == app.id
    await world.desk.clients.change(app.id, "test", {"status": "disabled"})
    assert await world.desk.endings.end_client(app.id, "test") == 0
    with pytest.raises(Exception, match="valid token"):
        await world.tokens.authenticate(token)
    known, unknown = await world.credentials(app), await world.credentials(App("nobody", "", ES, "key-1"))
    refused(known)
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


async def test_two_methods_at_once(world):
    """An assertion beside a secret or another client's id is refused."""
    app = await world.backend_app(ES)
    fields, _ = app.credentials(world)
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"} | fields
    refused(await world.post("/oauth/token", form | {"client_secret": "x"}))
    refused(await world.post("/oauth/token", form | {"client_id": "other"}))
    refused(await world.post("/oauth/token", form, {"authorization": "Basic eDp5"}))


async def test_x_b27_keys_given_at_registration(world):
    """X-B27: a set given at registration works; it is changed by whoever administers clients, and acts at once."""
    app = await world.backend_app(ES)
    assert (await world.credentials(app)).status_code == 200
    await world.desk.clients.change(app.id, "test", {"jwks": jwks_of(OTHER, "key-1")})
    refused(await world.credentials(app))
    assert (await world.credentials(app, signer=OTHER)).status_code == 200
