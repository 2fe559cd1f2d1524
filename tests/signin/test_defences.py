"""Requests that other sites make browsers send, cookies, redirects, and what a sign-out leaves: refused, or nothing."""

from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlock.errors import BadRequest
from medlock.web.declared import Permission
from medlock.web.signin import places
from medlock.web.signin.answers import Goto
from medlock.web.signin.cookies import read_cookies
from medlock.web.signin.form import parse_form
from medlock.web.signin.render import host
from medlock.web.signin.routes import AUTHORIZE_SENT, DECLARED
from signin.small_desks import APP, CODES, KEYS, Holdings, World
from signin.small_site import ORIGIN, Browser, site
from signin.walking import AUTHORIZE as ASKED

POSTS = [each for each in DECLARED if "POST" in each.methods and each is not AUTHORIZE_SENT]
FOREIGN = {
    "nothing": {},
    "another origin": {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    "null": {"origin": "null"},
    "a sibling": {"origin": "https://other.localhost:8443", "sec-fetch-site": "same-site"},
    "another port": {"origin": "https://localhost:9999"},
    "plain http": {"origin": ORIGIN.replace("https", "http")},
    "only the browser's word": {"sec-fetch-site": "cross-site"},
    "ours, but the browser says otherwise": {"origin": ORIGIN, "sec-fetch-site": "same-site"},
}


def fields():
    """Every field that any form has, filled in right."""
    return {
        "username": "ann@example.org", "password": "right horse", "code": CODES[0], "ceremony": "ticket-3", "name": "x",
        "credential": "{}", "request": "handle-of-a-request", "answer": "allow", "scope": "patient/Patient.rs", "birth": "1961-05-04",
    }  # fmt: skip


async def standing():
    """Ann, signed in, with a page of hers open."""
    world = World(held=Holdings(KEYS, password_changed=1, totp=1, recovery_left=3, settled=True))
    browser = Browser(site(world))
    await browser.sign_in()
    await browser.get("/account")
    return world, browser


@pytest.mark.parametrize("source", FOREIGN)
async def test_no_form_of_another_site_does_anything(source):
    """Every form, with the right token, but from elsewhere or from nowhere: 403, and nothing has changed."""
    world, browser = await standing()
    before = repr((world.held, world.ended, world.decided, sorted(world.sessions)))
    for route in POSTS:
        answer = await browser.post(route.path.replace("{id}", "k1"), fields(), headers=FOREIGN[source])
        assert answer.status_code == 403, route.path
    assert repr((world.held, world.ended, world.decided, sorted(world.sessions))) == before


async def test_no_form_without_the_sessions_token():
    """No token, another's token, a token of before the sign-in: 403, and nothing has changed."""
    world, browser = await standing()
    stranger = Browser(site(world))
    await stranger.get("/sign-in")
    before = repr((world.held, world.ended, world.decided, sorted(world.sessions)))
    for route in POSTS:
        for token in (None, "", "x", stranger.token, "ü"):
            answer = await browser.post(route.path.replace("{id}", "k1"), fields(), csrf=token)
            assert answer.status_code == 403, (route.path, token)
    assert repr((world.held, world.ended, world.decided, sorted(world.sessions))) == before


async def test_a_token_dies_with_its_session():
    """A form that was open when the session got a new secret is refused afterwards."""
    world, browser = await standing()
    old = browser.token
    await browser.get("/step-up")
    await browser.post("/step-up", {"password": "right horse"})
    assert (await browser.post("/account/sessions/end-others", csrf=old)).status_code == 403
    assert world.ended == []


async def test_every_page_asks_who_is_there():
    """Pages that need a session lead strangers to the sign-in page; a dead cookie makes a stranger."""
    browser = Browser(site(World()))
    for cookie in ({}, {"__Host-medlock-session": "0" * 40}):
        browser.cookies = dict(cookie)
        for route in DECLARED:
            if "GET" in route.methods and route.permission in {Permission.SESSION, Permission.STEP_UP}:
                answer = await browser.get(route.path.replace("{id}", "k1"))
                assert answer.status_code == 303, route.path
                assert answer.headers["location"].startswith("/sign-in")


async def test_what_weighs_more_needs_a_fresh_proof():
    """Five minutes after the last proof, every page that changes factors or lets an app in asks for another one."""
    world, browser = await standing()
    world.clock.ms += 5 * 60_000 + 1
    await browser.get("/account")
    token = browser.token
    for route in DECLARED:
        if route.permission is Permission.STEP_UP:
            for method in route.methods:
                path = route.path.replace("{id}", "k1")
                answer = await (browser.get(path) if method == "GET" else browser.post(path, fields(), csrf=token))
                assert answer.headers["location"].startswith("/step-up"), (method, path)
    assert (await browser.get(ASKED)).headers["location"] == "/step-up?to=a.handle-of-a-request"
    await browser.get("/step-up?to=password")
    assert (await browser.post("/step-up", {"password": "right horse", "to": "password"})).headers[
        "location"
    ] == "/account/password"
    assert (await browser.follow()).status_code == 200


async def test_counts_are_set_back_after_a_fresh_proof_only():
    """A stolen session, minutes old, does not make the guessing of codes at the sign-in page free."""
    world, browser = await standing()
    world.clock.ms += 5 * 60_000 + 1
    await browser.get("/account")
    assert (await browser.post("/account/unlock")).headers["location"] == "/step-up"
    await browser.get("/step-up")
    await browser.post("/step-up", {"password": "right horse"})
    await browser.get("/account")
    assert (await browser.post("/account/unlock")).headers["location"] == "/account?done=unlocked"


async def test_who_must_enrol_does_nothing_else():
    """A session that is not settled reaches the pages that settle it, and no other."""
    world, browser = await standing()
    world.unsettled = True
    for path in ("/account", "/account/passkeys/k1/remove", "/account/authenticator/remove", ASKED):
        assert (await browser.get(path)).headers["location"] == "/welcome", path
    for minutes in (0, 6):  # they may have nothing yet to prove it with again
        world.clock.ms += minutes * 60_000
        for path in ("/account/passkeys/new", "/account/password", "/account/recovery-codes"):
            assert (await browser.get(path)).status_code == 200
        assert (await browser.get("/account/passkeys/k1/remove")).headers["location"] == "/welcome"


async def test_cookies_are_bound_to_this_host():
    """Secure, HttpOnly, `__Host-`, SameSite; Strict for administrators; a new secret at every proof."""
    world, browser = await standing()
    seen = set()
    for strict in (False, True):
        world.strict = strict
        await browser.get("/step-up")
        answer = await browser.post("/step-up", {"password": "right horse"})
        headers = answer.headers.get_list("set-cookie")
        assert all(each.startswith("__Host-medlock-") for each in headers)
        assert all("; Path=/; Secure; HttpOnly; SameSite=" in each and "Domain" not in each for each in headers)
        (session,) = [each for each in headers if "-session=" in each]
        assert session.endswith("SameSite=Strict" if strict else "SameSite=Lax")
        seen.add(browser.cookies["__Host-medlock-session"])
    assert len(seen) == 2


def test_a_cookie_that_comes_twice_is_not_there():
    """Two readers might take two values; ours takes none. Foreign names and alphabets are passed over."""
    name = "__Host-medlock-session"
    assert read_cookies(f"a=b; {name}={'s' * 20}") == {name: "s" * 20}
    assert read_cookies(f"{name}={'s' * 20}; {name}={'t' * 20}") == {}
    assert read_cookies(f'{name}="{"s" * 20}"') == {}


async def test_signing_out_ends_the_session_and_clears_the_browser():
    """The secret is dead, cookies are taken away, and the browser is told to forget."""
    world, browser = await standing()
    secret = browser.cookies["__Host-medlock-session"]
    answer = await browser.post("/sign-out")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert answer.headers["location"] == "/signed-out"
    assert "__Host-medlock-session" not in browser.cookies
    assert secret not in world.sessions
    browser.cookies["__Host-medlock-session"] = secret
    assert (await browser.get("/account")).headers["location"] == "/sign-in"


@given(
    st.text(max_size=60)
    | st.sampled_from(["//evil.example", "https://evil.example", "/\\evil", "a.//evil.example", "a.%0d%0aLocation:x"])
)
def test_no_name_leads_away(name):
    """Whatever stands in `to`, what follows is one of our own addresses."""
    for path in (places.path_of(name), places.with_name("/sign-in", name)):
        parts = urlsplit(path)
        assert not parts.scheme
        assert not parts.netloc
        assert path.startswith("/")
        assert not path.startswith("//")
        assert "\r" not in path
        assert "\n" not in path


@settings(max_examples=25)
@given(st.text(max_size=40))
async def test_no_open_redirect(to):
    """A sign-in that was told where to go on goes to a page of ours, or stays."""
    browser = Browser(site(World(held=Holdings(KEYS, recovery_left=1, settled=True))))
    await browser.get("/sign-in?" + urlencode({"to": to}))
    answer = await browser.post("/sign-in", {"username": "ann@example.org", "password": "right horse", "to": to})
    location = answer.headers.get("location", "/")  # a form that cannot be read is refused
    assert location.startswith("/")
    assert not location.startswith("//")


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", ""]
)
def test_an_answer_refuses_a_foreign_address(path):
    """Even code of ours cannot send anybody away by mistake."""
    with pytest.raises(ValueError, match="ours"):
        Goto(path)


@pytest.mark.parametrize(
    "query",
    [
        "client_id=unknown&redirect_uri=https://evil.example",
        "client_id=diary&redirect_uri=https://evil.example/callback",
        "",
    ],
)
async def test_an_unknown_app_or_address_is_shown_and_not_followed(query):
    """The error stays on our page (A-10, A-11)."""
    for signed_in in (False, True):
        browser = Browser(site(World()))
        if signed_in:
            await browser.sign_in()
        answer = await browser.get(f"/oauth/authorize?{query}")
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "evil" not in answer.text + answer.headers["content-security-policy"]


async def test_the_app_is_in_the_policy_of_its_pages_only():
    """Chromium holds form-action against redirects too: the pages on the way to an app name it, others do not."""
    world, browser = await standing()
    assert f"form-action 'self' {APP};" in (await browser.get(ASKED)).headers["content-security-policy"]
    assert APP not in (await browser.get("/account")).headers["content-security-policy"]
    stranger = Browser(site(world))
    await stranger.get("/sign-in?to=a.handle-of-a-request")
    assert APP in stranger.last.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://app.example.org:8443/cb", "app.example.org:8443"),
        ("org.evil.app://portal.your-clinic.example/cb", "org.evil.app:"),
        ("org.evil.app:/cb", "org.evil.app:"),
    ],
)
def test_a_private_scheme_does_not_pass_for_a_host(address, said):
    """The page says where a code goes: an app's own scheme, and not the name of somebody else's site behind it."""
    assert host(address) == said


@pytest.mark.parametrize("raw", [b"\xff", b"a=%ff", b"a=%00", b"&".join([b"a=1"] * 500)])
def test_forms_that_cannot_be_read_are_refused(raw):
    """Not UTF-8, with a NUL, or with more fields than any page has."""
    with pytest.raises(BadRequest):
        parse_form(raw)


async def test_refusals_are_written_down():
    """Forms of other sites and requests of unknown apps are noted with their private reason before they are told."""
    world, browser = await standing()
    await browser.post("/account/sessions/end-others", headers=FOREIGN["another origin"])
    await browser.get("/oauth/authorize?client_id=unknown")
    assert len(world.noted) == 2
    assert "foreign Origin" in str(world.noted[0])


async def test_a_device_stays_known_after_a_sign_out():
    """Its cookie stays, so its owner is not held up by who guesses elsewhere; nothing else does."""
    _, browser = await standing()
    await browser.post("/sign-out")
    assert set(browser.cookies) == {"__Host-medlock-device"}
