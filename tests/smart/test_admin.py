"""Clients administered over HTTPS: by whom, with which proof, what comes of it, and everything that is refused."""

import json
from contextlib import asynccontextmanager

import pytest

from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.crypto.jose import new_signer
from medlock.identity.accounts import NewAccount
from medlock.identity.ground import Place
from medlock.identity.sessions import Proven
from medlock.oauth.clients import Clients
from medlock.oauth.requests import TokenRequest
from medlock.web.admin_api import routes
from medlock.web.signin.cookies import SESSION
from smart.site import ROOT, open_site_in
from smart.world import ASSERTION, CALLBACK, jwks_of

OURS = {"origin": ROOT, "sec-fetch-site": "same-origin"}
LATE_MS = 300_000
APP = {"name": "Growth Chart", "redirect_uris": [CALLBACK], "scopes": "launch/patient patient/*.rs"}
SIGNER = new_signer("ES384")
PROGRAM = {
    "name": "Registry",
    "kind": "asymmetric",
    "client_id": "registry",
    "scopes": "system/*.rs",
    "jwks": json.loads(jwks_of(SIGNER, "one")),
}


class Desk:
    """An administrator's browser."""

    def __init__(self, site, secret, account):
        self.site, self.secret, self.account = site, secret, account

    async def ask(self, method, path, body=None, headers=OURS, **more):
        """One request of a script of our own pages."""
        sent = dict(headers) | {"cookie": f"{SESSION}={self.secret}"}
        if body is not None:
            more["content"], sent["content-type"] = json.dumps(body), "application/json"
        return await self.site.wire.request(method, f"{ROOT}{path}", headers=sent | more.pop("also", {}), **more)

    async def done(self, path, body, status=200):
        """An act that is done."""
        answer = await self.ask("POST", path, body)
        assert answer.status_code == status, answer.text
        return answer.json()


async def arrived(site, name, role=Role.SECURITY_ADMIN, acr="phr", **more):
    """Somebody with a session."""
    identity = site.app.identity
    resource = {"resource": "Practitioner/doc"} if role is Role.CLINICIAN else {}
    account = await identity.accounts.create(NewAccount(name, (role,), **resource), "test")
    invited = await identity.invitations.invite(account.id, "test")
    await identity.sign_in.join(invited.code, f"{name.lower()}@example.org", "", Place("192.0.2.7"))
    held = await identity.accounts.held(account.id)
    begun = await identity.sessions.start(held, Proven(("hwk",), acr, **more), Place("192.0.2.7"))
    return Desk(site, begun.secret, account.id)


@pytest.fixture
async def site(tmp_path):
    async with open_site_in(tmp_path) as opened:
        yield opened


@pytest.fixture
async def admin(site):
    return await arrived(site, "Ada")


@asynccontextmanager
async def later(site, ms):
    """Time goes on for everybody."""
    clock = site.app.identity.ground.clock
    now = clock.now_ms
    clock.now_ms = lambda: now() + ms
    try:
        yield
    finally:
        del clock.now_ms


async def events(site, account):
    """What somebody did, newest first."""
    return [each.event for each in await site.app.records.log.find(AuditQuery(account=account, limit=100))]


async def token(site, signer=SIGNER, kid="one", jti="j1"):
    """The status of a program's request for a token."""
    now = site.app.records.clock.now_ms() // 1000
    claims = {"iss": "registry", "sub": "registry", "aud": f"{ROOT}/oauth/token", "exp": now + 200, "jti": jti}
    form = {"grant_type": "client_credentials", "scope": "system/Patient.rs", "client_assertion_type": ASSERTION}
    form["client_assertion"] = signer.sign(claims, {"kid": kid})
    return (await site.wire.post(f"{ROOT}/oauth/token", data=form)).status_code


async def test_an_app_from_its_registration_to_its_end(site, admin):
    """Registered, listed, shown, given another secret, disabled, approved; the secret is shown once; each act is an event."""
    made = await admin.done("/admin/clients", APP | {"kind": "symmetric"}, 201)
    secret = made.pop("client_secret")
    named = made["client_id"]
    assert (made["status"], made["registered_by"], made["version"]) == ("active", admin.account, 1)
    assert (await admin.ask("GET", "/admin/clients")).json() == {"clients": [made]}
    shown = await admin.ask("GET", f"/admin/clients/{named}")
    assert shown.json() == made
    assert shown.headers["cache-control"] == "no-store"
    other = await admin.done(f"/admin/clients/{named}/secret", {})
    assert set(other) == {"client_id", "client_secret"}
    assert other["client_secret"] not in {secret, ""}
    ended = await admin.done(f"/admin/clients/{named}/disable", {})
    assert (ended["status"], ended["version"]) == ("disabled", 3)
    again = await admin.done(f"/admin/clients/{named}/approve", {"version": 3, "verified": True})
    assert (again["status"], again["verified"]) == ("active", True)
    told = [(each.action, each.client) for each in await events(site, admin.account) if each.client]
    assert told == [(Action.CLIENT_CHANGE, named)] * 3 + [(Action.CLIENT_REGISTER, named)]
    assert secret not in shown.text


async def test_disabling_ends_what_was_given(site, admin):
    """The next request with a token of a disabled app is refused."""
    made = await admin.done("/admin/clients", APP | {"scopes": "launch/patient patient/*.rs"}, 201)
    ann = await site.person("Ann", "patient", "Patient/ann")
    client = (await site.app.oauth.clients.find(made["client_id"])).value
    given = (await site.tokens(client, ann, "launch/patient patient/*.rs"))["access_token"]
    assert (await site.get("Patient/ann", given)).status_code == 200
    await admin.done(f"/admin/clients/{client.id}/disable", {})
    assert (await site.get("Patient/ann", given)).status_code == 401


async def test_keys_are_not_approved_by_who_replaces_them_meanwhile(site, admin, monkeypatch):
    """Who approves a version to come, and makes it while that waits, has not found another administrator by it."""
    bea = await arrived(site, "Bea")
    await bea.done("/admin/clients", PROGRAM, 201)
    await admin.done("/admin/clients/registry/approve", {"version": 1})
    found, theirs = Clients.find, {"jwks": json.loads(jwks_of(new_signer("ES384"), "two"))}

    async def slow(self, client_id):
        held = await found(self, client_id)
        monkeypatch.undo()
        await admin.done("/admin/clients/registry/keys", theirs)
        return held

    monkeypatch.setattr(Clients, "find", slow)
    assert (await admin.ask("POST", "/admin/clients/registry/approve", {"version": 3})).status_code == 409
    shown = (await bea.ask("GET", "/admin/clients/registry")).json()
    assert (shown["status"], shown["keys_set_by"], shown["version"]) == ("pending", admin.account, 3)
    assert len(shown["key_thumbprints"]) == 1


async def test_a_program_needs_two_administrators(site, admin):
    """Who registered it, or replaced its keys, does not approve it; another one does, as it was when they looked."""
    made = await admin.done("/admin/clients", PROGRAM, 201)
    assert made["status"] == "pending"
    assert await token(site) == 401
    alone = await admin.ask("POST", "/admin/clients/registry/approve", {"version": 1})
    assert (alone.status_code, alone.json()["error"]) == (400, "invalid_request")
    assert "Another administrator" in alone.json()["error_description"]
    bea = await arrived(site, "Bea")
    await bea.done("/admin/clients/registry/approve", {"version": 1})
    assert await token(site, jti="j2") == 200

    other = new_signer("ES384")
    changed = await admin.done("/admin/clients/registry/keys", {"jwks": json.loads(jwks_of(other, "two"))})
    assert (changed["status"], changed["version"]) == ("pending", 3)
    assert await token(site, other, "two", "j3") == 401
    stale = await bea.ask("POST", "/admin/clients/registry/approve", {"version": 2})
    assert stale.status_code == 409
    await bea.done("/admin/clients/registry/disable", {})
    assert (await admin.ask("POST", "/admin/clients/registry/approve", {"version": 4})).status_code == 400
    await bea.done("/admin/clients/registry/approve", {"version": 4})
    assert await token(site, other, "two", "j4") == 200
    assert await token(site, SIGNER, "one", "j5") == 401
    await bea.done("/admin/clients/registry/keys", {"jwks_url": "https://registry.example.org/jwks.json"})
    shown = (await admin.ask("GET", "/admin/clients/registry")).json()
    assert (shown["jwks_url"], shown["has_jwks"], shown["status"]) == (
        "https://registry.example.org/jwks.json",
        False,
        "pending",
    )


async def test_an_initial_token(site, admin):
    """With it an app registers itself and may begin."""
    made = await admin.done("/admin/initial-tokens", {"uses": 1, "seconds": 600}, 201)
    body = {"client_name": "App", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    headers = {"authorization": f"Bearer {made['initial_access_token']}"}
    first = await site.wire.post(f"{ROOT}/oauth/register", json=body, headers=headers)
    assert (first.status_code, first.json()["medlock_status"]) == (201, "active")
    assert (await site.wire.post(f"{ROOT}/oauth/register", json=body, headers=headers)).status_code == 401


async def test_doing_without_pkce_is_loud(admin):
    """The exception for old clients says what it means."""
    made = await admin.done("/admin/clients", APP | {"kind": "symmetric", "pkce_optional": True}, 201)
    assert made["pkce_optional"] is True
    assert "without PKCE" in made["warning"]


def _every():
    """Each address and method, with a body that it takes."""
    bodies = {routes.REGISTER: APP, routes.APPROVE: {"version": 1}, routes.KEYS: {"jwks_url": "https://a.example/k"}}
    return [(each, each.methods[0], bodies.get(each, {})) for each in routes.DECLARED]


@pytest.mark.parametrize(("declared", "method", "body"), _every(), ids=lambda each: getattr(each, "path", None))
async def test_nobody_else_administers(site, admin, declared, method, body):
    """Strangers, bearers of tokens, other roles, half-made accounts, other sites, and who did not prove it lately."""
    path, body = declared.path.replace("{id}", "app"), body if method == "POST" else None
    await admin.done("/admin/clients", APP | {"client_id": "app"}, 201)
    doctor = await arrived(site, "Doc", Role.CLINICIAN)
    half = await arrived(site, "Half", unsettled=True)
    issued = await site.app.tokens.create(TokenRequest(Role.BACKEND, "test", "system/*.cruds"))
    for desk, headers, status, error in (
        (Desk(site, "x" * 43, ""), OURS, 401, "login_required"),
        (Desk(site, "", ""), OURS | {"authorization": f"Bearer {issued.secret}"}, 401, "login_required"),
        (half, OURS, 401, "login_required"),
        (doctor, OURS, 403, "access_denied"),
        (admin, {}, 403, "invalid_request"),
        (admin, {"origin": "https://evil.example"}, 403, "invalid_request"),
        (admin, OURS | {"sec-fetch-site": "same-site"}, 403, "invalid_request"),
    ):
        answer = await desk.ask(method, path, body, headers)
        assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    weak = await arrived(site, "Weak", acr="aal2")
    async with later(site, LATE_MS):
        stale = await admin.ask(method, path, body)
    for answer in (stale, await weak.ask(method, path, body)):
        if method == "GET":
            assert answer.status_code == 200
            continue
        assert (answer.status_code, answer.json()["error"]) == (401, "insufficient_user_authentication")
        assert 'acr_values="phr", max_age="300"' in answer.headers["www-authenticate"]
    assert [each["version"] for each in (await admin.ask("GET", "/admin/clients")).json()["clients"]] == [1]
    refusals = await site.app.records.log.find(AuditQuery(action=Action.OAUTH_REFUSED, limit=100))
    assert sum(each.event.reason.startswith(declared.path) for each in refusals) == (7 if method == "GET" else 9)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/admin/clients", APP | {"unheard_of": 1}, 400),
        ("/admin/clients", APP | {"redirect_uris": ["http://app.example.org/cb"]}, 400),
        ("/admin/clients", APP | {"scopes": "nonsense"}, 400),
        ("/admin/clients", APP | {"name": "<b>App"}, 400),
        ("/admin/clients", APP | {"pkce_optional": True}, 400),
        ("/admin/clients", APP | {"role": "clinician"}, 400),
        ("/admin/clients", APP | {"client_id": "app"}, 409),
        ("/admin/clients", {"name": 1}, 400),
        ("/admin/clients", [], 400),
        ("/admin/clients/nobody/approve", {"version": 1}, 404),
        ("/admin/clients/app/approve", {"version": 0}, 400),
        ("/admin/clients/app/approve", {}, 400),
        ("/admin/clients/app/approve", {"version": 7}, 409),
        ("/admin/clients/nobody/disable", {}, 404),
        ("/admin/clients/app/disable", {"why": "so"}, 400),
        ("/admin/clients/nobody/secret", {}, 404),
        ("/admin/clients/app/secret", {}, 400),
        ("/admin/clients/nobody/keys", {"jwks_url": "https://a.example/k"}, 404),
        ("/admin/clients/app/keys", {"jwks_url": "https://a.example/k"}, 400),
        ("/admin/clients/prog/keys", {}, 400),
        ("/admin/clients/prog/keys", {"jwks": {"keys": [dict(SIGNER.jwk)]}}, 400),
        ("/admin/clients/prog/keys", {"jwks_url": "http://a.example/k"}, 400),
        ("/admin/initial-tokens", {"uses": 0}, 400),
        ("/admin/initial-tokens", {"seconds": 0}, 400),
    ],
)
async def test_what_makes_no_sense_is_refused(admin, path, body, status):
    """A sentence that says what to change, and nothing is changed."""
    await admin.done("/admin/clients", APP | {"client_id": "app"}, 201)
    await admin.done("/admin/clients", PROGRAM | {"client_id": "prog"}, 201)
    answer = await admin.ask("POST", path, body)
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request"), answer.text
    assert answer.json()["error_description"][-1] == "."
    listed = (await admin.ask("GET", "/admin/clients")).json()["clients"]
    assert sorted((each["client_id"], each["version"]) for each in listed) == [("app", 1), ("prog", 1)]


async def test_one_that_is_not_there(admin):
    """404, as JSON; another method is 405; a form, or a body that is too long, is refused."""
    assert (await admin.ask("GET", "/admin/clients/nobody")).status_code == 404
    assert (await admin.ask("DELETE", "/admin/clients/nobody")).status_code == 405
    form = await admin.ask("POST", "/admin/clients", also={"content-type": "text/plain"}, content=b"{}")
    assert form.status_code == 415
    long = await admin.ask("POST", "/admin/clients", APP | {"name": "x" * 70_000})
    assert long.status_code == 413
