"""A person at the real pages of the running program: invited, with a password, sending forms as a browser sends them."""

import asyncio
from contextlib import contextmanager
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx

from medlock.access.principal import Role
from medlock.app import open_app
from medlock.identity.accounts import NewAccount
from medlock.oauth.client import Kind
from medlock.oauth.registering import Registration
from medlock.oauth.requests import TokenRequest
from medlock.settings import from_environment
from smart.site import CLINIC
from smart.world import CALLBACK
from web.running import Server, environment

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


def prepare(directory, registrations):
    """The clinic, an invited patient, and apps, each with its secret or ""."""
    settings = from_environment(environment(directory))

    async def make():
        async with open_app(settings, create=True) as app:
            ann = NewAccount("Ann", ("patient",), resource="Patient/ann")
            account = await app.identity.accounts.create(ann, "test")
            code = (await app.identity.invitations.invite(account.id, "test")).code
            more = {"redirect_uris": (CALLBACK,), "scopes": f"launch {SCOPE}", "launch_url": LAUNCHED}
            diary = Registration("Diary", Kind.PUBLIC, **more)
            made = [await app.oauth.clients.register(each, "test") for each in (diary, *registrations)]
            loader = await app.tokens.create(TokenRequest(Role.BACKEND, "test", "system/*.cruds"))
            return code, [(client.id, secret) for client, secret in made], loader.secret

    return asyncio.run(make())


@contextmanager
def signed_in(directory, *more):
    """A server, a browser of somebody who is signed in, and the ids of the app and of `more` registrations."""
    code, clients, loader = prepare(directory, more)
    server = Server(directory)
    try:
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
        yield server, browser, clients
        browser.http.close()
    finally:
        assert server.stop()[0] == 0
