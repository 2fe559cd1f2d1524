"""The whole standalone launch over HTTPS at the running program, by real pages.

Invitation, password, the page where a person decides, the code, the token, the record, and the end of it on the account
page. Forms are sent as a browser sends them.
"""

import asyncio
import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from medlock.access.principal import Role
from medlock.app import open_app
from medlock.identity.accounts import NewAccount
from medlock.oauth.client import Kind
from medlock.oauth.registering import Registration
from medlock.oauth.requests import TokenRequest
from medlock.settings import from_environment
from smart.site import CLINIC
from smart.world import CALLBACK, CHALLENGE, VERIFIER
from web.running import environment, running

LAUNCHED = "https://app.example.org/launch"
PASSWORD = "kettle orbit marmalade 93"
SCOPE = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs"


class Forms(HTMLParser):
    """The forms of a page: action → fields, checkboxes and radios only when they are ticked."""

    def __init__(self, text):
        super().__init__()
        self.found, self._action = {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self._action = given.get("action", "")
            self.found.setdefault(self._action, [])
        ticked = given.get("type") not in {"checkbox", "radio"} or "checked" in given
        if tag == "input" and self._action is not None and "name" in given and ticked:
            self.found[self._action].append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag):
        if tag == "form":
            self._action = None


class Browser:
    """One person's: keeps cookies, follows our own redirects, stops before it leaves for an app."""

    def __init__(self, server):
        self.url = server.ready["url"]
        self.http = server.client()
        self.http.headers["accept"] = "text/html"
        self.page = None

    def go(self, method, address, **more):
        """Ask, and follow as long as it is ours."""
        address = address if address.startswith("http") else self.url + address
        headers = {"origin": self.url, "sec-fetch-site": "same-origin"} | more.pop("headers", {})
        self.page = self.http.request(method, address, headers=headers, **more)
        while self.page.status_code in {302, 303} and not self.page.headers["location"].startswith(CALLBACK):
            target = self.page.headers["location"]
            self.page = self.http.get(target if target.startswith("http") else self.url + target)
        return self.page

    def submit(self, action, without=(), **fields):
        """Fill in a form of the page and send it."""
        kept = [(name, value) for name, value in Forms(self.page.text).found[action] if name not in fields]
        kept = [(name, value) for name, value in kept if (name, value) not in without]
        body = httpx.QueryParams([*kept, *fields.items()])
        return self.go("POST", action, content=str(body), headers={"content-type": "application/x-www-form-urlencoded"})

    def answer(self):
        """What the app is sent."""
        assert self.page.status_code == 303, self.page.text
        return {name: value for name, (value,) in parse_qs(urlsplit(self.page.headers["location"]).query).items()}


def prepare(directory):
    """The clinic, an invited patient, and an app."""
    settings = from_environment(environment(directory))

    async def make():
        async with open_app(settings, create=True) as app:
            ann = NewAccount("Ann", ("patient",), resource="Patient/ann")
            account = await app.identity.accounts.create(ann, "test")
            code = (await app.identity.invitations.invite(account.id, "test")).code
            more = {"redirect_uris": (CALLBACK,), "scopes": f"launch {SCOPE}", "launch_url": LAUNCHED}
            client, _ = await app.oauth.clients.register(Registration("Diary", Kind.PUBLIC, **more), "test")
            loader = await app.tokens.create(TokenRequest(Role.BACKEND, "test", "system/*.cruds"))
            return code, client.id, loader.secret

    return asyncio.run(make())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server, a signed-in browser, and the app's id."""
    directory = tmp_path_factory.mktemp("pages") / "data"
    code, client, loader = prepare(directory)
    with running(directory) as server:
        with server.client(loader) as http:
            entry = [
                {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
                for each in CLINIC
            ]
            assert (
                http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entry}).status_code == 200
            )
        browser = Browser(server)
        browser.go("GET", "/invitation")
        browser.submit("/invitation", code=code, username="ann@example.org")
        browser.go("GET", "/account/password")
        browser.submit("/account/password", password=PASSWORD)
        assert browser.go("GET", "/account").status_code == 200
        yield server, browser, client
        browser.http.close()


def parameters(server, client, **more):
    """An authorization request."""
    return {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": CALLBACK,
        "scope": SCOPE,
        "state": "s-1",
        "aud": server.ready["fhir"],
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | more


def redeem(server, client, code):
    """Tokens for a code."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    with server.client() as http:
        return http.post(f"{server.ready['url']}/oauth/token", data=form | {"client_id": client}).json()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_02_by_get_and_post(site, method):
    """A-02, A-04: by GET and as a form the same page, the same code; the token reads the record that was chosen."""
    server, browser, client = site
    asked = parameters(server, client)
    if method == "GET":
        browser.go("GET", "/oauth/authorize", params=asked)
    else:
        browser.go("POST", "/oauth/authorize", data=asked, headers={"origin": "https://app.example.org"})
    assert "Diary" in browser.page.text
    browser.submit("/oauth/authorize/decide", answer="allow")
    found = browser.answer()
    assert (found["state"], found["iss"]) == ("s-1", server.ready["url"])
    got = redeem(server, client, found["code"])
    assert set(got["scope"].split()) == set(SCOPE.split())
    assert got["patient"] == "ann"
    with server.client(got["access_token"]) as http:
        assert http.get("/Patient/ann").status_code == 200
        assert http.get("/Patient/bob").status_code == 404


def test_a_06_a_07_taken_away_and_refused(site):
    """A-06, A-07: a box that was unticked is not granted; who does not allow it sends access_denied back."""
    server, browser, client = site
    browser.go("GET", "/oauth/authorize", params=parameters(server, client))
    browser.submit(
        "/oauth/authorize/decide", (("scope", "patient/Condition.rs"), ("scope", "offline_access")), answer="allow"
    )
    got = redeem(server, client, browser.answer()["code"])
    assert "patient/Condition.rs" not in got["scope"].split()
    assert "refresh_token" not in got
    browser.go("GET", "/oauth/authorize", params=parameters(server, client))
    browser.submit("/oauth/authorize/decide", answer="deny")
    assert browser.answer()["error"] == "access_denied"


def test_a_10_shown_and_sent_nowhere(site):
    """A-10: an unknown app, or another way back, is a page with a sentence."""
    server, browser, client = site
    for more in ({"client_id": "nobody"}, {"redirect_uri": "https://evil.example.org/"}):
        done = browser.go("GET", "/oauth/authorize", params=parameters(server, client, **more))
        assert done.status_code == 400
        assert "location" not in done.headers
        assert "evil" not in re.sub(r"<form.*?</form>", "", done.text)


def test_r_09_the_account_page_ends_an_app(site):
    """R-09: the account page lists the app; ended there, its tokens are refused on the next request."""
    server, browser, client = site
    browser.go("GET", "/oauth/authorize", params=parameters(server, client))
    browser.submit("/oauth/authorize/decide", answer="allow")
    got = redeem(server, client, browser.answer()["code"])
    browser.go("GET", "/account")
    assert "Diary" in browser.page.text
    browser.submit(f"/account/apps/{client}/end")
    with server.client(got["access_token"]) as http:
        assert http.get("/Patient/ann").status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"], "client_id": client}
        assert http.post(f"{server.ready['url']}/oauth/token", data=form).status_code == 400


def test_e_01_launched_from_a_page_of_ours(site):
    """E-01, E-03, X-E10: a page of ours launches the app; the launch works once. Another site's page, or nobody, launches nothing."""
    server, browser, client = site
    asked = {"client": client, "patient": "ann", "encounter": "e1"}
    for headers in ({"origin": "https://evil.example.org"}, {"sec-fetch-site": "cross-site"}):
        assert browser.go("POST", "/oauth/launch", json=asked, headers=headers).status_code == 403
    with server.client() as stranger:
        headers = {"origin": server.ready["url"]}
        assert stranger.post(f"{server.ready['url']}/oauth/launch", json=asked, headers=headers).status_code == 401
    location = browser.go("POST", "/oauth/launch", json=asked).json()["location"]
    assert location.startswith(LAUNCHED + "?iss=")
    handle = parse_qs(urlsplit(location).query)["launch"][0]
    more = {"scope": "launch patient/Observation.rs patient/Encounter.rs", "launch": handle}
    assert browser.go("POST", "/oauth/launch", json=asked | {"patient": "bob"}).status_code == 403
    browser.go("GET", "/oauth/authorize", params=parameters(server, client, **more))
    assert browser.answer()["error"] == "invalid_scope"  # Encounter is not among what the app is registered for
    more["scope"] = "launch patient/Observation.rs"
    browser.go("GET", "/oauth/authorize", params=parameters(server, client, **more))
    browser.submit("/oauth/authorize/decide", answer="allow")
    got = redeem(server, client, browser.answer()["code"])
    assert (got["patient"], got["encounter"], got["need_patient_banner"]) == ("ann", "e1", True)
    with server.client() as http:
        assert http.get(got["smart_style_url"]).json()
    browser.go("GET", "/oauth/authorize", params=parameters(server, client, **more))
    assert browser.answer()["error"] == "invalid_request"


def test_x_r21_another_password_ends_every_app(site):
    """X-R21: whoever had the old password, and every app that was let in, is out."""
    server, browser, client = site
    browser.go("GET", "/oauth/authorize", params=parameters(server, client))
    browser.submit("/oauth/authorize/decide", answer="allow")
    got = redeem(server, client, browser.answer()["code"])
    browser.go("GET", "/account/password")
    browser.submit("/account/password", present=PASSWORD, password=PASSWORD + " more")
    with server.client(got["access_token"]) as http:
        assert http.get("/Patient/ann").status_code == 401
