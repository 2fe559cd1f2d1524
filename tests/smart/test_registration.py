"""Registration: rows L-02 and L-03; what an app may say of itself, and what only an administrator may."""

import pytest

from medlock.crypto.jose import new_signer
from medlock.errors import BadRequest, Conflict, NotFound
from medlock.oauth.client import Kind, Policy, Status
from medlock.oauth.clients import PENDING_MAX
from smart.world import CALLBACK, jwks_of

ES = new_signer("ES384")
GOOD = {"client_name": "App", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}


async def join(world, body, token=None):
    """A registration."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with world.http() as http:
        return await http.post("/oauth/register", json=body, headers=headers)


async def test_l_02_every_kind(world):
    """L-02: redirect URIs, launch URL, keys or their URL; a client id comes back, and works."""
    token = await world.desk.joining.invite("test", 4, 600)
    jwks = {"keys": [ES.public() | {"kid": "k"}]}
    for more in (
        {},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example.org/jwks"},
    ):
        done = await join(world, GOOD | {"launch_uri": "https://app.example.org/launch"} | more, token)
        assert done.status_code == 201, done.text
        body = done.json()
        assert body["client_id"]
        assert body["redirect_uris"] == [CALLBACK]
        assert body["launch_uri"] == "https://app.example.org/launch"
        assert ("client_secret" in body) == (more.get("token_endpoint_auth_method") == "client_secret_basic")
        client = (await world.desk.clients.find(body["client_id"])).value
        assert (client.status, client.verified, client.pkce_optional, client.introspects) == (
            Status.ACTIVE,
            False,
            False,
            False,
        )
    done = await join(world, GOOD, token)
    assert (done.status_code, done.json()["error"]) == (401, "invalid_token")


async def test_l_03_without_an_initial_token_it_waits(world):
    """L-03: registered, but nobody, until an administrator has looked; then shown as not verified."""
    done = await join(world, GOOD | {"scope": "launch/patient patient/Observation.rs"})
    assert (done.status_code, done.json()["medlock_status"]) == (201, "pending")
    client = done.json()["client_id"]
    app = type("Waiting", (), {"id": client, "redirect": CALLBACK})
    with pytest.raises(BadRequest):
        await world.begin(app, "patient/Observation.rs")
    await world.desk.clients.change(client, "test", {"status": Status.ACTIVE})
    assert (await world.begin(app, "patient/Observation.rs")).view.verified is False


async def test_only_so_many_wait(world, monkeypatch):
    """Strangers cannot fill the store with clients."""
    monkeypatch.setattr("medlock.oauth.clients.PENDING_MAX", 2)
    for _ in range(2):
        assert (await join(world, GOOD)).status_code == 201
    assert (await join(world, GOOD)).json()["error"] == "temporarily_unavailable"
    assert PENDING_MAX >= 2


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"redirect_uris": ["http://app.example.org/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://*.example.org/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example.org/cb#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://user@app.example.org/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["myapp://cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example.org,default-src/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example.org;sandbox/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://'unsafe-inline'/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "x"}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"scope": "system/*.rs"}, "invalid_client_metadata"),
        ({"scope": "nonsense"}, "invalid_client_metadata"),
        ({"client_name": "<script>"}, "invalid_client_metadata"),
        ({"client_name": "App \u202ecinilc ruoy yb dekcehC"}, "invalid_client_metadata"),
        ({"client_name": "Your\u200bClinic"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"jwks_uri": "https://app.example.org/jwks"}, "invalid_client_metadata"),
        ({"launch_uri": "http://app.example.org/launch"}, "invalid_client_metadata"),
        ({"launch_uri": "https:///launch"}, "invalid_client_metadata"),
        ({"launch_uri": "https://app.example.org\\\\.evil.example/"}, "invalid_client_metadata"),
        ({"software_statement": "eyJ"}, "invalid_software_statement"),
    ],
)
async def test_metadata_that_do_not_hold(world, more, code):
    """RFC 7591 §3.2.2: refused by name, and nothing is registered."""
    done = await join(world, GOOD | more)
    assert (done.status_code, done.json()["error"]) == (400, code)
    assert await world.desk.clients.every() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"null", b'{"redirect_uris":' + b"[" * 5000])
async def test_bodies_that_are_none(world, body):
    """What is no JSON object is refused."""
    async with world.http() as http:
        done = await http.post("/oauth/register", content=body)
    assert (done.status_code, done.json()["error"]) == (400, "invalid_client_metadata")


async def test_an_initial_token_runs_out(world):
    """After its time, and made up, it is refused like one that is used."""
    token = await world.desk.joining.invite("test", 5, 60)
    world.clock.pass_(60)
    for value in (token, "x"):
        assert (await join(world, GOOD, value)).json()["error"] == "invalid_token"
    for uses, seconds in ((0, 60), (1001, 60), (1, 0)):
        with pytest.raises(BadRequest):
            await world.desk.joining.invite("test", uses, seconds)


@pytest.mark.parametrize(
    "more",
    [
        {"kind": Kind.PUBLIC, "redirect_uris": (CALLBACK,), "introspects": True},
        {"kind": Kind.PUBLIC, "redirect_uris": (CALLBACK,), "policy": Policy.HIGH},
        {"kind": Kind.PUBLIC, "redirect_uris": (CALLBACK,), "jwks": jwks_of(ES, "k")},
        {"kind": Kind.PUBLIC, "redirect_uris": ()},
        {"kind": Kind.ASYMMETRIC, "redirect_uris": (CALLBACK,), "jwks": b""},
        {"kind": Kind.ASYMMETRIC, "redirect_uris": (CALLBACK,), "jwks": b"{}"},
        {"kind": Kind.ASYMMETRIC, "redirect_uris": (CALLBACK,), "jwks": jwks_of(ES, "")},
        {"kind": Kind.ASYMMETRIC, "redirect_uris": (), "jwks": jwks_of(ES, "k"), "scopes": "user/*.rs"},
        {"kind": Kind.ASYMMETRIC, "redirect_uris": (), "jwks": jwks_of(ES, "k"), "scopes": ""},
        {"kind": Kind.PUBLIC, "redirect_uris": (CALLBACK,), "id": "x"},
        {"kind": Kind.PUBLIC, "redirect_uris": (CALLBACK,), "id": "a b c"},
        {"kind": Kind.PUBLIC, "redirect_uris": (CALLBACK,), "origins": ("https://x/y",)},
    ],
)
async def test_what_an_administrator_may_not_either(world, more):
    """Clients that make no sense, or are less safe than they say, are refused with a sentence."""
    kind = more.pop("kind")
    with pytest.raises(BadRequest):
        await world.register(kind, **more)


async def test_no_drawn_id_is_an_option_of_a_command(world, monkeypatch):
    """`medlock client disable ID` works for whatever id was drawn: letters and digits, no dash at the beginning."""
    monkeypatch.setattr("medlock.oauth.clients.PENDING_MAX", 1_000)
    drawn = [(await join(world, GOOD)).json()["client_id"] for _ in range(200)]
    assert all(each.isalnum() for each in drawn)
    assert len(set(drawn)) == 200


async def test_ids_are_taken_once(world):
    """A chosen id is taken once; an unknown one cannot be changed."""
    await world.register(Kind.PUBLIC, id="growth-chart")
    with pytest.raises(Conflict):
        await world.register(Kind.PUBLIC, id="growth-chart")
    with pytest.raises(NotFound):
        await world.desk.clients.change("nobody", "test", {"status": Status.DISABLED})
    with pytest.raises(BadRequest):
        await world.desk.clients.new_secret("growth-chart", "test")


async def test_the_policy_high(world):
    """Own keys and pushed requests."""
    app = await world.register(Kind.ASYMMETRIC, policy=Policy.HIGH)
    assert (await world.desk.clients.find(app.id)).value.require_par
