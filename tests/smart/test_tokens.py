"""From a code to tokens: rows T, X-T and O of the study."""

import asyncio
import base64
import json

import pytest

from medlock.access.groups import ALL_TYPES
from medlock.access.scopes import parse_scopes
from medlock.crypto.jose import BadToken, Expected, key_set, new_signer, verify
from medlock.errors import NotAuthenticated
from medlock.oauth.client import Kind
from smart.world import ALL_SCOPES, ANN, BASE, CALLBACK, CHALLENGE, DOC, FHIR, MAY, TYPES, VERIFIER

SCOPE = "openid fhirUser launch/patient offline_access patient/Observation.rs"
RS = new_signer("RS384")
ES = new_signer("ES384")


def refused(done, code="invalid_grant", status=(400, 401)):
    """An OAuth error, kept by nobody, and no token."""
    assert done.status_code in status, done.text
    assert done.json()["error"] == code
    assert done.headers["cache-control"] == "no-store"
    assert "token" not in done.json()


@pytest.fixture
async def app(world):
    return await world.register(Kind.PUBLIC)


@pytest.mark.parametrize("how", ["public", "symmetric", "RS384", "ES384"])
async def test_t_01_to_t_12_the_answer(world, how):
    """T-01 to T-09, T-11, T-12: each kind of client gets its tokens, well formed, kept by nobody."""
    kind = {"public": Kind.PUBLIC, "symmetric": Kind.SYMMETRIC}.get(how, Kind.ASYMMETRIC)
    app = await world.register(kind, signer={"RS384": RS, "ES384": ES}.get(how))
    done = await world.redeem(app, await world.code(app, SCOPE))
    assert done.status_code == 200
    assert done.headers["content-type"].startswith("application/json")
    assert "no-store" in done.headers["cache-control"]
    assert "no-cache" in done.headers["pragma"]
    body = done.json()
    for name in ("access_token", "token_type", "scope", "refresh_token", "id_token", "patient"):
        assert isinstance(body[name], str)
    assert isinstance(body["expires_in"], int)
    assert body["token_type"] == "Bearer"
    assert set(body["scope"].split()) == set(SCOPE.split())


async def test_t_13_no_context_without_launch(world, app):
    """T-13: fhirContext only where there is some; a standalone launch tells the patient alone."""
    body = await world.tokens_for(app, SCOPE)
    assert {"fhirContext", "encounter", "intent", "tenant"}.isdisjoint(body)
    assert body["patient"] == "ann"


async def test_t_20_a_limited_grant(world, app):
    """T-20: three types were left: those, and no other, are in the answer and in the token."""
    scope = " ".join(["launch/patient", *(f"patient/{name}.rs" for name in TYPES)])
    left = ("patient/Patient.rs", "patient/Condition.rs", "patient/Observation.rs")
    body = await world.tokens_for(app, scope, scopes=left)
    assert tuple(sorted(body["scope"].split())) == tuple(sorted(left))
    scopes = (await world.tokens.authenticate(body["access_token"])).scopes
    assert {name for name in ALL_TYPES if scopes.allowed("patient", name)} == {"Patient", "Condition", "Observation"}


async def test_t_22_t_24_every_type(world, app):
    """T-22, T-24: every type of US Core is granted under patient/, shared ones too."""
    scope = " ".join(f"patient/{name}.rs" for name in TYPES)
    assert (await world.tokens_for(app, scope))["scope"] == scope


async def test_t_26_first_version_scopes(world, app):
    """T-26: the words of the first version are returned as they were written, and mean rs, cud and cruds."""
    scope = "patient/Observation.read patient/Condition.write patient/Goal.*"
    body = await world.tokens_for(app, scope)
    assert body["scope"] == scope
    granted = (await world.tokens.authenticate(body["access_token"])).scopes
    same = parse_scopes("patient/Observation.rs patient/Condition.cud patient/Goal.cruds")
    assert all(granted.allowed("patient", name) == same.allowed("patient", name) for name in ALL_TYPES)


async def test_t_28_another_client_id(world):
    """T-28: a client that nobody knows, in the body or by Basic."""
    app = await world.register(Kind.SYMMETRIC)
    code = await world.code(app, SCOPE)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    refused(await world.post("/oauth/token", form | {"client_id": "BAD_CLIENT_ID"}), "invalid_client")
    basic = {"authorization": "Basic " + base64.b64encode(b"BAD_CLIENT_ID:x").decode()}
    done = await world.post("/oauth/token", form, basic)
    refused(done, "invalid_client", (401,))
    assert done.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("verifier", [None, "", "w" * 60, CHALLENGE, "v" * 59, "v" * 200], ids=str)
async def test_t_29_to_t_32_the_verifier(world, app, verifier):
    """T-29 to T-32: no verifier, an empty one, another one, the challenge itself; the right one still works."""
    code = await world.code(app, SCOPE)
    refused(await world.redeem(app, code, verifier))
    assert (await world.redeem(app, code)).status_code == 200


async def test_x_t33_a_code_twice(world, app):
    """X-T33: the second use is refused, and ends the tokens of the first, on every process."""
    code = await world.code(app, SCOPE)
    body = (await world.redeem(app, code)).json()
    _, other, tokens = world.process()
    assert (await tokens.authenticate(body["access_token"])).account == ANN.id
    refused(await world.redeem(app, code, site=other))
    for each in (tokens, world.tokens):
        with pytest.raises(NotAuthenticated):
            await each.authenticate(body["access_token"])
    refused(await world.refresh(app, body["refresh_token"]))
    refused(await world.redeem(app, code))


async def test_x_t33_a_used_code_without_its_verifier(world, app):
    """X-T33: whoever only saw a public client's code cannot end what came of it; a confidential client's thief can."""
    code = await world.code(app, SCOPE)
    body = (await world.redeem(app, code)).json()
    for verifier in (None, "", "w" * 60, CHALLENGE):
        refused(await world.redeem(app, code, verifier))
    refused(await world.redeem(app, code, redirect_uri=CALLBACK + "/"))
    assert (await world.tokens.authenticate(body["access_token"])).account == ANN.id
    refused(await world.redeem(app, code))
    with pytest.raises(NotAuthenticated):
        await world.tokens.authenticate(body["access_token"])

    old = await world.register(Kind.SYMMETRIC)
    code = await world.code(old, SCOPE)
    body = (await world.redeem(old, code)).json()
    refused(await world.redeem(old, code, "w" * 60))
    with pytest.raises(NotAuthenticated):
        await world.tokens.authenticate(body["access_token"])


async def test_x_t34_a_code_in_parallel(world, app):
    """X-T34: fifty redeem one code at two processes: one answer with tokens."""
    code = await world.code(app, SCOPE)
    _, other, _ = world.process()
    done = await asyncio.gather(*(world.redeem(app, code, site=site) for site in [world.app, other] * 25))
    assert sorted(each.status_code for each in done) == [200] + [400] * 49


async def test_x_t35_an_old_code(world, app):
    """X-T35: sixty seconds, and no more."""
    code = await world.code(app, SCOPE)
    world.clock.pass_(60)
    refused(await world.redeem(app, code))
    code = await world.code(app, SCOPE)
    world.clock.pass_(59)
    assert (await world.redeem(app, code)).status_code == 200


async def test_codes_are_bound(world, app):
    """A code is good for its client and its redirect URI only; others learn nothing and end nothing."""
    other = await world.register(Kind.PUBLIC)
    code = await world.code(app, SCOPE)
    refused(await world.redeem(other, code))
    refused(await world.redeem(app, code, redirect_uri=CALLBACK + "/"))
    refused(await world.redeem(app, code + "x"))
    refused(await world.redeem(app, "x" * 16 + "." + code.partition(".")[2]))
    for bad in ("", "x", "a.b.c", "é.x", "x" * 3000):
        refused(await world.redeem(app, bad))
    assert (await world.redeem(app, code)).status_code == 200


async def test_x_t38_wrong_secrets(world):
    """X-T38: a confidential client without its secret, with a wrong one, with another method; Basic is challenged."""
    app = await world.register(Kind.SYMMETRIC)
    code = await world.code(app, SCOPE)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    mine = {"client_id": app.id}
    refused(await world.post("/oauth/token", form | mine), "invalid_client", (401,))
    refused(await world.post("/oauth/token", form | mine | {"client_secret": "wrong"}), "invalid_client", (401,))
    for text in (f"{app.id}:wrong", f"{app.id}:", "no-colon", f"{app.id}:{app.secret}x"):
        basic = {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}
        done = await world.post("/oauth/token", form, basic)
        refused(done, "invalid_client", (401,))
        assert done.headers["www-authenticate"].startswith("Basic ")
    done = await world.post("/oauth/token", form | mine | {"client_secret": app.secret})
    assert done.status_code == 200


async def test_a_secret_that_was_replaced(world):
    """A new secret ends the one before at once."""
    app = await world.register(Kind.SYMMETRIC)
    secret = await world.desk.clients.new_secret(app.id, "test")
    code = await world.code(app, SCOPE)
    refused(await world.redeem(app, code), "invalid_client")
    app.secret = secret
    assert (await world.redeem(app, code)).status_code == 200


async def test_x_t43_lifetimes(world):
    """X-T43: an hour at most, a public client's no longer than another's; then it is over."""
    app = await world.register(Kind.PUBLIC)
    body = await world.tokens_for(app, SCOPE)
    assert body["expires_in"] == 600
    assert (await world.tokens_for(await world.register(Kind.SYMMETRIC), SCOPE))["expires_in"] >= body["expires_in"]
    world.clock.pass_(600)
    with pytest.raises(NotAuthenticated):
        await world.tokens.authenticate(body["access_token"])


async def test_pkce_optional_is_for_old_confidential_clients(world):
    """Without PKCE only where an administrator said so; a challenge that is sent holds; a verifier alone is refused."""
    app = await world.register(Kind.SYMMETRIC, pkce_optional=True)
    without = {"code_challenge": None, "code_challenge_method": None}
    assert (await world.redeem(app, await world.code(app, SCOPE, **without), None)).status_code == 200
    refused(await world.redeem(app, await world.code(app, SCOPE, **without)))
    refused(await world.redeem(app, await world.code(app, SCOPE), None))
    with pytest.raises(Exception, match="PKCE"):
        await world.register(Kind.PUBLIC, pkce_optional=True)


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("grant_type=authorization_code&grant_type=refresh_token", {}),
        ("client_id=a&client_id=b", {}),
        ("%ff=%ff%", {}),
        ("", {}),
        ("x" * 100, {}),
        ('{"grant_type":"client_credentials"}', {"content-type": "application/json"}),
    ],
)
async def test_forms_that_are_none(world, form, headers):
    """A form that cannot be read, that names something twice, or is JSON, is refused; nothing falls over."""
    async with world.http() as http:
        sent = {"content-type": "application/x-www-form-urlencoded"} | headers
        done = await http.post("/oauth/token", content=form, headers=sent)
        assert done.status_code in {400, 401}
        assert done.json()["error"] in {"invalid_request", "invalid_client"}
        query = await http.post("/oauth/token?client_id=x", data={"grant_type": "client_credentials"})
        assert query.json()["error"] == "invalid_request"


def claims_of(token):
    """What a token claims, unverified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


async def published(world):
    """The keys that the server publishes."""
    async with world.http() as http:
        return key_set((await http.get("/oauth/jwks")).content)


def expected(world, app):
    """What an id_token must say."""
    now = world.clock.now_ms() / 1000
    return Expected(frozenset({"RS256"}), BASE, frozenset({app.id}), now, 3600, "jwt")


async def test_o_01_o_06_to_o_09_x_o12_the_id_token(world, app):
    """O-01, O-06, O-08, O-09, X-O12: RS256 by a published key; issuer, audience, times and subject; the nonce comes back."""
    body = await world.tokens_for(app, SCOPE, nonce="n-1")
    claims = verify(body["id_token"], await published(world), expected(world, app))
    assert claims["aud"] == app.id
    assert claims["sub"] == ANN.id
    assert 0 < len(claims["sub"]) < 256
    assert claims["nonce"] == "n-1"
    assert claims["fhirUser"] == f"{FHIR}/Patient/ann"
    assert claims["amr"] == ["hwk", "user"]
    assert claims["iat"] <= claims["exp"]
    assert claims["auth_time"] == world.clock.now_ms() // 1000


async def test_x_o13_only_what_was_asked(world, app):
    """X-O13: no fhirUser without its scope, no id_token without openid; profile brings name and address."""
    body = await world.tokens_for(app, "openid patient/Observation.rs")
    assert {"fhirUser", "profile", "name"}.isdisjoint(claims_of(body["id_token"]))
    assert "id_token" not in await world.tokens_for(app, "fhirUser patient/Observation.rs")
    claims = claims_of((await world.tokens_for(app, "openid profile user/Patient.rs", DOC))["id_token"])
    assert (claims["name"], claims["profile"]) == ("Dr. Doc", f"{FHIR}/Practitioner/doc")


async def test_x_o15_keys_rotate(world, app):
    """X-O15: after a rotation the next id_token has another key, the old one still verifies; later its key is gone."""
    old = (await world.tokens_for(app, SCOPE))["id_token"]
    before = await published(world)
    await world.desk.keys.rotate("test")
    during = await published(world)
    new = (await world.tokens_for(app, SCOPE))["id_token"]
    assert {key.kid for key in before.keys} < {key.kid for key in during.keys}
    verify(old, during, expected(world, app))
    verify(new, during, expected(world, app))
    with pytest.raises(BadToken):
        verify(new, before, expected(world, app))
    world.clock.pass_(2 * 86_400)
    after = await published(world)
    assert len(after.keys) == 1
    assert not {key.kid for key in after.keys} & {key.kid for key in before.keys}


async def test_x_o16_an_id_token_is_no_access_token(world, app):
    """X-O16: presented as a bearer token an id_token is unknown."""
    body = await world.tokens_for(app, SCOPE)
    for token in (body["id_token"], body["refresh_token"]):
        with pytest.raises(NotAuthenticated):
            await world.tokens.authenticate(token)


async def test_userinfo(world, app):
    """OpenID Connect Core §5.3: who it is, by scope; no token, a program's, or one without openid is refused."""
    body = await world.tokens_for(app, SCOPE)
    async with world.http() as http:
        done = await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {body['access_token']}"})
        assert done.json() == {"sub": ANN.id, "fhirUser": f"{FHIR}/Patient/ann"}
        assert (await http.get("/oauth/userinfo")).status_code == 401
        plain = (await world.tokens_for(app, "patient/Observation.rs"))["access_token"]
        done = await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {plain}"})
        assert done.status_code == 403
        assert "insufficient_scope" in done.headers["www-authenticate"]
        world.people.people.clear()
        done = await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {body['access_token']}"})
        assert done.status_code == 401


async def test_the_principal_is_the_person(world, app):
    """Roles, own record, organisations, strength and approval are those of the account and the session."""
    body = await world.tokens_for(app, "openid user/Patient.rs", DOC)
    who = await world.tokens.authenticate(body["access_token"])
    assert (who.account, who.fhir_user, who.patient, who.purpose) == (DOC.id, "Practitioner/doc", "", "TREAT")
    assert who.roles == set(DOC.roles)
    assert who.organisations == {"Organization/ward"}
    assert (who.amr, who.acr) == (("hwk", "user"), "phr")
    assert who.grant_id


async def test_a_patient_is_always_held_to_a_record(world, app):
    """user/ scopes of somebody who is only a patient reach their own record, or the one they stand in for, and no other."""
    body = await world.tokens_for(app, "user/Observation.rs", ANN)
    assert (await world.tokens.authenticate(body["access_token"])).patient == "ann"
    body = await world.tokens_for(app, "user/Observation.rs", MAY, patient="bob")
    assert (await world.tokens.authenticate(body["access_token"])).patient == "bob"
    assert ALL_SCOPES
