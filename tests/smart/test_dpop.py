"""DPoP (RFC 9449): a token that was given to a key is worth nothing without it."""

import base64
import hashlib

import msgspec
import pytest

from medlock.crypto.jose import new_signer
from medlock.errors import NotAuthenticated, OAuthRefused
from medlock.oauth.client import Kind
from medlock.oauth.proofs import Asked
from smart.world import ANN, BASE, CALLBACK, FHIR, TOKEN, VERIFIER, answer

PAR = BASE + "/oauth/par"
SCOPE = "launch/patient offline_access patient/Observation.rs"
KEY = new_signer("ES256")
OTHER = new_signer("ES256")


def proof(world, *, signer=KEY, header=None, **claims):
    """A proof for the token endpoint; claims given replace the usual ones, None takes one out."""
    world.jtis += 1
    usual = {"htm": "POST", "htu": TOKEN, "iat": world.clock.now_ms() // 1000, "jti": f"p{world.jtis}"}
    merged = {name: value for name, value in (usual | claims).items() if value is not None}
    jwk = {name: value for name, value in signer.public().items() if name in {"kty", "crv", "x", "y", "n", "e"}}
    return signer.sign(merged, {"typ": "dpop+jwt", "jwk": jwk} | (header or {}))


async def redeemed(world, app, code, sent):
    """A code at the token endpoint with a proof."""
    fields, headers = app.credentials(world)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return await world.post("/oauth/token", form | fields, headers | {"dpop": sent})


async def refreshed(world, app, token, sent=None):
    """A refresh with or without a proof."""
    fields, headers = app.credentials(world)
    form = {"grant_type": "refresh_token", "refresh_token": token} | fields
    return await world.post("/oauth/token", form, headers | ({"dpop": sent} if sent else {}))


@pytest.fixture
async def app(world):
    return await world.register(Kind.PUBLIC)


async def test_a_bound_token(world, app):
    """A client that sends a proof gets a token of type DPoP, told by introspection, good with proof of that key only."""
    body = (await redeemed(world, app, await world.code(app, SCOPE), proof(world))).json()
    assert body["token_type"] == "DPoP"
    token, thumbprint = body["access_token"], KEY.kid
    with pytest.raises(NotAuthenticated):
        await world.tokens.authenticate(token)
    with pytest.raises(NotAuthenticated):
        await world.tokens.authenticate_bound(token, OTHER.kid)
    assert (await world.tokens.authenticate_bound(token, thumbprint)).patient == "ann"
    asking = await world.register(Kind.SYMMETRIC, introspects=True)
    told = (await world.introspect(asking, token)).json()
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": thumbprint})


async def test_a_plain_token_is_not_taken_as_bound(world, app):
    """A bearer token with a proof is refused: it was bound to nobody."""
    token = (await world.tokens_for(app, SCOPE))["access_token"]
    with pytest.raises(NotAuthenticated):
        await world.tokens.authenticate_bound(token, KEY.kid)


async def test_a_public_clients_refresh_tokens_are_bound(world, app):
    """§5: the refresh token of a public client that proved a key is good with that key only."""
    body = (await redeemed(world, app, await world.code(app, SCOPE), proof(world))).json()
    for sent in (None, proof(world, signer=OTHER)):
        assert (await refreshed(world, app, body["refresh_token"], sent)).json()["error"] == "invalid_grant"
    assert (await refreshed(world, app, body["refresh_token"], proof(world))).json()["token_type"] == "DPoP"


async def test_a_code_bound_to_a_key(world, app):
    """§10: a request that announces its key with dpop_jkt gets a code that is good with that key only."""
    code = await world.code(app, SCOPE, dpop_jkt=KEY.kid)
    assert (await redeemed(world, app, code, proof(world, signer=OTHER))).json()["error"] == "invalid_grant"
    assert (await redeemed(world, app, code, proof(world))).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"htm": "GET"},
        {"htu": TOKEN + "/x"},
        {"htu": None},
        {"htm": None},
        {"jti": None},
        {"iat": None},
        {"iat": 1},
        {"iat": msgspec.Raw(b"9" * 400)},
        {"jti": "j" * 300},
        {"header": {"typ": "JWT"}},
        {"header": {"jwk": {}}},
        {"header": {"jwk": {name: OTHER.public()[name] for name in ("kty", "crv", "x", "y")}}},
        {"header": {"jwk": dict(KEY.jwk)}},
    ],
)
async def test_proofs_that_do_not_hold(world, app, wrong):
    """Another method, address, time or kind; a key that did not sign, a private one, none: invalid_dpop_proof."""
    code = await world.code(app, SCOPE)
    sent = proof(world, **wrong)
    assert (await redeemed(world, app, code, sent)).json()["error"] == "invalid_dpop_proof"


async def test_a_proof_is_used_once(world, app):
    """The same proof again is refused, whatever it comes with."""
    sent = proof(world)
    assert (await redeemed(world, app, await world.code(app, SCOPE), sent)).status_code == 200
    done = await redeemed(world, app, await world.code(app, SCOPE), sent)
    assert done.json()["error"] == "invalid_dpop_proof"


async def test_dpop_bound_clients_need_a_nonce(world):
    """§8: a client registered as bound is told a nonce, and gets no token without proof or without the nonce."""
    app = await world.register(Kind.PUBLIC, dpop_bound=True)
    code = await world.code(app, SCOPE)
    assert (await world.redeem(app, code)).json()["error"] == "invalid_dpop_proof"
    done = await redeemed(world, app, code, proof(world))
    assert done.json()["error"] == "use_dpop_nonce"
    nonce = done.headers["dpop-nonce"]
    assert (await redeemed(world, app, code, proof(world, nonce="x" + nonce))).json()["error"] == "use_dpop_nonce"
    assert (await redeemed(world, app, code, proof(world, nonce=nonce))).status_code == 200
    world.clock.pass_(600)
    code = await world.code(app, SCOPE)
    assert (await redeemed(world, app, code, proof(world, nonce=nonce))).json()["error"] == "use_dpop_nonce"


async def pushed(world, app, sent, **more):
    """A pushed request with a proof."""
    fields, headers = app.credentials(world)
    form = dict(world.asking(app, SCOPE, **more)) | fields
    return await world.post("/oauth/par", form, headers | {"dpop": sent})


async def test_a_proof_with_a_pushed_request(world, app):
    """§10.1: the code is bound to the key of the proof, once; another key named beside it, or a bad proof, is refused."""
    named = []
    for more in ({}, {"dpop_jkt": KEY.kid}):
        done = await pushed(world, app, proof(world, htu=PAR), **more)
        assert done.status_code == 201, done.text
        named.append(done.json()["request_uri"])
    for sent, more in (
        (proof(world, htu=PAR), {"dpop_jkt": OTHER.kid}),
        (proof(world), {}),
        (proof(world, htu=PAR, iat=1), {}),
    ):
        refused = await pushed(world, app, sent, **more)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    once = proof(world, htu=PAR)
    assert (await pushed(world, app, once)).status_code == 201
    assert (await pushed(world, app, once)).json()["error"] == "invalid_dpop_proof"
    for each in named:
        asked = await world.server.authorize.begin([("client_id", app.id), ("request_uri", each)], world.session(ANN))
        scopes = tuple(line.scope for line in asked.view.lines)
        code = answer(await world.server.authorize.decide(asked.handle, world.session(ANN), scopes))["code"]
        assert (await world.redeem(app, code)).json()["error"] == "invalid_grant"
        assert (await redeemed(world, app, code, proof(world, signer=OTHER))).json()["error"] == "invalid_grant"
        assert (await redeemed(world, app, code, proof(world))).status_code == 200


async def test_a_bound_client_pushes_with_a_nonce(world):
    """§8: it is told the nonce at this endpoint as well."""
    app = await world.register(Kind.PUBLIC, dpop_bound=True)
    told = await pushed(world, app, proof(world, htu=PAR))
    assert told.json()["error"] == "use_dpop_nonce"
    assert (await pushed(world, app, proof(world, htu=PAR, nonce=told.headers["dpop-nonce"]))).status_code == 201


async def test_a_proof_for_a_resource(world):
    """§7: with an access token a proof names the token too."""
    ath = base64.urlsafe_b64encode(hashlib.sha256(b"secret").digest()).rstrip(b"=").decode()
    asked = Asked("GET", f"{FHIR}/Patient/ann", "secret")
    here = {"htm": "GET", "htu": f"{FHIR}/Patient/ann"}
    assert world.server.proofs.check(proof(world, ath=ath, **here), asked).jkt == KEY.kid
    for wrong in ({}, {"ath": "x"}):
        with pytest.raises(OAuthRefused):
            world.server.proofs.check(proof(world, **here, **wrong), asked)
