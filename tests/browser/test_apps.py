"""An app at the real server in Chromium: asked scope by scope, given what was allowed, out when it is ended.

Rows A-06, A-07, A-08, A-10, A-22, S-07 and R-09 of the SMART checks, as people see them.
"""

import base64
import hashlib
import ssl
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from browser.clinic import APP, CATEGORY

VERIFIER = "an-app-draws-this-anew-for-every-request-of-its-own"
SCOPES = "openid launch/patient offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs"


class Diary:
    """The app: it sends people to the clinic, and talks with the server when they come back."""

    def __init__(self, clinic):
        self.clinic = clinic
        self.http = httpx.Client(base_url=clinic.url, verify=ssl.create_default_context(cafile=clinic.authority))

    def address(self, **more):
        """Where it sends people."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": "diary",
            "redirect_uri": f"{APP}/callback",
            "scope": SCOPES,
            "state": "state-of-the-diary",
            "aud": f"{self.clinic.url}/fhir",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.clinic.url}/oauth/authorize?{urlencode(asked | more)}"

    def receive(self, page):
        """Be there when people come back, in their browser."""
        page.route(
            f"{APP}/**", lambda route: route.fulfill(status=200, content_type="text/html", body="<h1>Diary</h1>")
        )

    def came(self, page):
        """What it was told."""
        page.wait_for_url(f"{APP}/callback?*")
        return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}

    def redeem(self, **fields):
        """At the token endpoint."""
        return self.http.post("/oauth/token", data={"client_id": "diary"} | fields)

    def tokens(self, told):
        """What a code brings."""
        fields = {"grant_type": "authorization_code", "code": told["code"], "code_verifier": VERIFIER}
        return self.redeem(**fields, redirect_uri=f"{APP}/callback").json()

    def get(self, path, token):
        """At the FHIR API."""
        return self.http.get(f"/fhir/{path}", headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def diary(clinic):
    app = Diary(clinic)
    yield app
    app.http.close()


def test_an_app_gets_what_was_left_ticked_until_it_is_ended(person, diary):
    """From the app through the sign-in back to it; one scope off, one narrowed; ended in the account page, it is out."""
    eve = person("eve")
    eve.settle()
    eve.sign_out()
    diary.receive(eve.page)
    eve.page.goto(diary.address())  # signed in on the way, by the passkey
    eve.titled("Allow Heart Diary to reach a record?")
    text = eve.page.inner_text("main")
    assert "Nobody here has checked this app" in text
    assert "diary.example" in text
    assert "10 minutes at most" in text
    eve.page.uncheck("input[value='patient/Condition.rs']")
    line = eve.page.locator(".scopes > li", has=eve.page.locator("input[value='patient/Observation.rs']"))
    line.locator("summary").click()
    line.get_by_text("Laboratory results only").click()  # in the place of all of it
    assert not eve.page.is_checked("input[value='patient/Observation.rs']")
    eve.page.get_by_role("button", name="Allow", exact=True).click()
    told = diary.came(eve.page)
    assert (told["state"], told["iss"]) == ("state-of-the-diary", diary.clinic.url)
    granted = diary.tokens(told)
    assert set(granted["scope"].split()) == {
        "openid",
        "launch/patient",
        "offline_access",
        "patient/Patient.rs",
        f"patient/Observation.rs?category={CATEGORY}|laboratory",
    }
    token = granted["access_token"]
    assert diary.get("Patient/eve", token).status_code == 200
    assert diary.get("Condition?patient=eve", token).status_code == 403
    found = diary.get("Observation?patient=eve", token).json()["entry"]
    assert [each["resource"]["id"] for each in found] == ["eve-laboratory"]

    eve.page.goto(diary.address())  # nothing is remembered: it asks again
    eve.titled("Allow Heart Diary to reach a record?")
    eve.go("/account")
    eve.page.click("text=Take access away")
    eve.page.wait_for_selector("text=The app has no access any more.")
    assert diary.get("Patient/eve", token).status_code == 401
    refused = diary.redeem(grant_type="refresh_token", refresh_token=granted["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    expect(eve.page.locator("text=No app may reach your data.")).to_be_visible()


def test_an_app_is_refused(person, diary):
    """“Do not allow” goes back with access_denied; so it does when the app came with a form of its own (POST)."""
    finn = person("finn")
    finn.settle()
    diary.receive(finn.page)
    finn.page.goto(diary.address())
    finn.page.get_by_role("button", name="Do not allow").click()
    told = diary.came(finn.page)
    assert (told["error"], told["state"]) == ("access_denied", "state-of-the-diary")
    assert "code" not in told
    fields = parse_qs(urlsplit(diary.address()).query)
    inputs = "".join(f'<input name="{name}" value="{values[0]}">' for name, values in fields.items())
    form = f'<form method="post" action="{diary.clinic.url}/oauth/authorize">{inputs}<button>Go</button></form>'
    finn.page.unroute_all()
    finn.page.route(f"{APP}/start", lambda route: route.fulfill(status=200, content_type="text/html", body=form))
    finn.page.goto(f"{APP}/start")
    finn.page.click("text=Go")
    finn.titled("Allow Heart Diary to reach a record?")


def test_an_app_that_wants_a_fresh_sign_in(person, diary):
    """`prompt=login` and `max_age=0`: who is signed in proves it once more, then decides; it does not go on for ever."""
    gus = person("gus")
    gus.settle()
    for fresh in ({"prompt": "login"}, {"max_age": "0"}):
        gus.page.goto(diary.address(**fresh))
        gus.titled("Is it still you?")
        gus.page.click("form[data-passkey] button")
        gus.titled("Allow Heart Diary to reach a record?")


def test_an_unknown_app_goes_nowhere(person, diary):
    """The error is shown here, whoever is signed in; the browser is not sent to an address of the request."""
    stranger = person("finn", device=False)
    for wrong in ({"client_id": "nobody"}, {"redirect_uri": "https://evil.example/callback"}):
        answer = stranger.page.goto(diary.address(**wrong))
        assert answer.status == 400
        stranger.titled("This did not work")
        assert "evil.example" not in stranger.page.content()
