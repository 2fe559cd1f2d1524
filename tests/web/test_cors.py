"""Whose scripts may read: discovery anybody's, the rest those of registered origins, pages nobody's, credentials never.

The rows of SMART's tests: D-23, D-24, T-16, T-17 and O-11.
"""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.clock import Clock
from medlock.errors import Unavailable
from medlock.oauth.client import Kind
from medlock.oauth.registering import Registration
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings
from medlock.web.cors import Origins
from medlock.web.declared import Cors, Permission
from medlock.web.inventory import rows
from medlock.web.oplog import OpLog
from rate_limits.world import Hand
from web.small_world import Lines

ROOT = "https://localhost:8443"
OURS, OTHERS = "https://app.example.org", "https://evil.example"
ASKS = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}


@pytest.fixture
async def site(tmp_path):
    """The real site with one public app registered; the app and a client."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    async with open_app(Settings(tmp_path / "data", passphrase), create=True) as app:
        asked = Registration("App", Kind.PUBLIC, "app", (f"{OURS}/callback",), scopes="launch/patient patient/*.rs")
        await app.oauth.clients.register(asked, "test")
        transport = httpx.ASGITransport(app=_site(app, OpLog(Clock(), Lines())))
        async with httpx.AsyncClient(transport=transport, base_url=ROOT) as client:
            yield app, client


def told(answer):
    """What a browser is told."""
    assert "access-control-allow-credentials" not in answer.headers
    return answer.headers.get("access-control-allow-origin")


async def test_discovery_is_anybodys(site):
    """D-23, D-24: any origin may read discovery and metadata, and ask beforehand."""
    _, client = site
    for path in ("/fhir/.well-known/smart-configuration", "/fhir/metadata"):
        for origin in (OURS, OTHERS, "null"):
            assert told(await client.get(path, headers={"origin": origin})) == "*"
            before = await client.options(path, headers={"origin": origin} | ASKS)
            assert (before.status_code, told(before)) == (204, "*")
            assert "GET" in before.headers["access-control-allow-methods"]


async def test_the_token_endpoint(site):
    """T-16: a registered origin reads the answer, refusals included. T-17: another is told nothing of the kind."""
    _, client = site
    form = {
        "grant_type": "authorization_code",
        "client_id": "app",
        "code": "x",
        "redirect_uri": "x",
        "code_verifier": "x",
    }
    for origin, expected in ((OURS, OURS), (OTHERS, None), ("null", None), (OURS + ".evil.example", None)):
        answer = await client.post("/oauth/token", data=form, headers={"origin": origin})
        assert answer.status_code == 400
        assert told(answer) == expected
        assert "origin" in answer.headers.get_list("vary")
        before = await client.options("/oauth/token", headers={"origin": origin} | ASKS)
        assert (before.status_code, told(before)) == ((204, OURS) if expected else (403, None))


async def test_the_fhir_api(site):
    """O-11: a registered origin reads a resource, its headers and refusals; no other origin does; no script, no header."""
    app, client = site
    issued = await app.tokens.create(TokenRequest(Role.CLINICIAN, "test", "user/*.cruds"))
    mine = {"authorization": f"Bearer {issued.secret}", "content-type": "application/fhir+json"}
    body = b'{"resourceType":"Practitioner","id":"me"}'
    made = await client.put("/fhir/Practitioner/me", content=body, headers=mine | {"origin": OURS})
    assert (made.status_code, told(made)) == (201, OURS)
    for headers, status in ((mine, 200), ({}, 401)):
        answer = await client.get("/fhir/Practitioner/me", headers=headers | {"origin": OURS})
        assert (answer.status_code, told(answer)) == (status, OURS)
        readable = answer.headers["access-control-expose-headers"].split(", ")
        assert {"ETag", "Location", "Content-Location", "RateLimit", "WWW-Authenticate"} <= set(readable)
        assert told(await client.get("/fhir/Practitioner/me", headers=headers | {"origin": OTHERS})) is None
        assert told(await client.get("/fhir/Practitioner/me", headers=headers)) is None
    before = await client.options("/fhir/Practitioner/me", headers={"origin": OURS} | ASKS)
    assert (before.status_code, told(before)) == (204, OURS)
    assert "Authorization" in before.headers["access-control-allow-headers"]
    assert (await client.options("/fhir/Practitioner/me", headers={"origin": OTHERS} | ASKS)).status_code == 403


async def test_a_client_that_is_disabled_is_no_origin(site, monkeypatch):
    """What an administrator ends counts within seconds."""
    monkeypatch.setattr("medlock.web.cors.KEPT_MS", 0)
    app, client = site
    headers = {"origin": OURS}
    assert told(await client.get("/fhir/Patient/x", headers=headers)) == OURS
    await app.oauth.clients.change("app", "test", {"status": "disabled"})
    assert told(await client.get("/fhir/Patient/x", headers=headers)) is None


async def test_every_route_answers_as_it_declares(site):
    """Each address of the inventory: what it says to a registered origin, to another, and to a preflight, is what it declares."""
    _, client = site
    for row in rows(Settings("x").limits):
        path = row.path.format(
            type="Patient", id="1", version="1", answer="x", export="x", file="x", name="x", ticket="x"
        )
        if row.permission is Permission.LOCAL:
            continue
        ours, others = [
            told(await client.request(row.method, path, headers={"origin": origin})) for origin in (OURS, OTHERS)
        ]
        expected = {Cors.ANY: ("*", "*"), Cors.REGISTERED: (OURS, None), Cors.NONE: (None, None)}[row.cors]
        assert (ours, others) == expected, row
        before = await client.options(path, headers={"origin": OTHERS} | ASKS)
        assert (before.status_code == 204) is (row.cors is Cors.ANY), row


async def test_when_nobody_can_say_who_is_registered_nobody_is():
    """A store that is away gives no origin any right, and is asked again at once when it is back."""
    clock, away = Hand(), [True]

    async def source():
        if away[0]:
            raise Unavailable("away")
        return frozenset({OURS})

    origins = Origins(source, clock)
    assert not await origins.registered(OURS.encode())
    away[0] = False
    assert await origins.registered(OURS.encode())


@given(st.binary(max_size=60))
async def test_no_origin_matches_but_itself(origin):
    """Whatever bytes are sent as origin, only the registered one letter by letter is repeated."""

    async def source():
        return frozenset({OURS})

    headers = dict(await Origins(source, Hand()).headers(Cors.REGISTERED, origin))
    assert headers.get(b"access-control-allow-origin") == (OURS.encode() if origin == OURS.encode() else None)
