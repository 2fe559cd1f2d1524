"""The whole standalone launch over HTTPS at the running program, by real pages.

Invitation, password, the page where a person decides, the code, the token, the record, and the end of it on the account
page.
"""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from smart.browsing import LAUNCHED, PASSWORD, SCOPE, signed_in
from smart.world import CALLBACK, CHALLENGE, VERIFIER


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server, a browser of somebody who is signed in, and the app's id."""
    with signed_in(tmp_path_factory.mktemp("pages") / "data") as (server, browser, clients):
        yield server, browser, clients[0][0]


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
