"""Whatever is sent to any endpoint, by anybody: an error of RFC 6749 in JSON, kept by nobody, and never a fault."""

import json
import random

import pytest

from medlock.crypto.jose import new_signer
from medlock.oauth.client import Kind
from smart.world import ASSERTION

ES = new_signer("ES384")
WORDS = (
    "", "x", "é", "\x00", "a b", "a" * 3000, "null", "[]", "{}", "0", "-1", "authorization_code", "refresh_token",
    "client_credentials", "openid", "patient/*.rs", "system/*.rs", "urn:x", "https://x", ASSERTION, "S256", "a.b.c", "..",
)  # fmt: skip
NAMES = (
    "grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "code", "redirect_uri",
    "code_verifier", "refresh_token", "scope", "token", "token_type_hint", "response_type", "state", "aud", "launch",
    "code_challenge", "code_challenge_method", "max_age", "prompt", "request_uri", "x",
)  # fmt: skip
HEADERS = ("", "Bearer x", "Bearer", "Basic", "Basic !", "Basic eDp4", "DPoP x", "Digest x", "Bearer é".encode())
CLAIMS = (None, True, 0, -1, 1e18, "", "x", [], [[]], [{}], {}, {"a": []}, "\u0000")


@pytest.mark.parametrize("seed", range(5))
async def test_no_form_is_a_fault(world, seed):
    """Random forms and headers at every endpoint."""
    chance = random.Random(seed)
    app = await world.register(Kind.SYMMETRIC)
    names = {"client_id": (app.id,), "client_secret": (app.secret,)}
    for _ in range(60):
        path = chance.choice(("token", "par", "introspect", "revoke", "userinfo", "register"))
        chosen = chance.sample(NAMES, chance.randint(0, 8))
        form = {name: chance.choice((*WORDS, *names.get(name, ()))) for name in chosen}
        headers = {"authorization": chance.choice(HEADERS)} if chance.random() < 0.5 else {}
        headers |= {"dpop": chance.choice(WORDS[:1] + WORDS[5:])} if chance.random() < 0.2 else {}
        refused(await world.post(f"/oauth/{path}", form, headers))


@pytest.mark.parametrize("seed", range(5))
async def test_no_assertion_is_a_fault(world, seed):
    """Assertions with random claims and headers under a good signature."""
    chance = random.Random(seed)
    app = await world.backend_app(ES)
    for _ in range(60):
        claims = {
            name: chance.choice(CLAIMS)
            for name in ("iss", "sub", "aud", "exp", "jti", "nbf", "iat")
            if chance.random() < 0.3
        }
        refused(await world.credentials(app, **claims))


@pytest.mark.parametrize("seed", range(5))
async def test_no_registration_is_a_fault(world, seed):
    """Metadata of any form."""
    chance = random.Random(seed)
    names = ("redirect_uris", "client_name", "scope", "jwks", "jwks_uri", "grant_types", "response_types", "launch_uri")
    async with world.http() as http:
        for _ in range(60):
            body = {name: chance.choice((*CLAIMS, *WORDS, ["https://x"])) for name in names if chance.random() < 0.5}
            refused(await http.post("/oauth/register", content=json.dumps(body).encode()))


def refused(done):
    """An answer or a refusal, in the form that it must have."""
    assert done.status_code in {200, 201, 400, 401, 403}, (done.status_code, done.text)
    assert done.headers["cache-control"] == "no-store"
    if done.status_code >= 400:
        assert set(done.json()) == {"error", "error_description"}
