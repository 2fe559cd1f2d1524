"""Emergency access through an app in which somebody signed in: the whole site, from sign-in to the account's end."""

import json

import pytest

from consent import form
from medlock.access.principal import Role
from medlock.oauth.requests import TokenRequest
from medlock.web.signin.notice_desk import NoticeDesk
from medlock.web.signin.ports import Visitor
from records.test_break_glass import REASON, words
from smart.site import FHIR, open_site_in
from smart.world import Session

EMERGENCY = form.consent({"provision": {"type": "deny", "provision": [{"type": "permit", "purpose": ["BTG"]}]}}, 1)
HIDING = EMERGENCY | {"patient": {"reference": "Patient/ann"}}


@pytest.fixture
async def site(tmp_path):
    """One patient of the clinic is open in emergencies only."""
    async with open_site_in(tmp_path) as opened:
        issued = await opened.app.tokens.create(TokenRequest(Role.BACKEND, "test", "system/*.cruds"))
        made = await opened.fhir("PUT", f"Consent/{HIDING['id']}", issued.secret, json=HIDING)
        assert made.status_code == 201, made.text
        yield opened


async def signed_in(site, name="Doc", role="clinician", *, ago_ms=0, acr="phr", scope="user/*.rs offline_access"):
    """What an app gets for somebody who has proved so long ago who they are."""
    session = await site.person(name, role, f"Practitioner/{name.lower()}")
    seat = Session(session.account, session.id, session.amr, acr, session.auth_time - ago_ms)
    client = await site.client()
    return session.account, client, await site.tokens(client, seat, scope)


async def opened(site, token, patient="ann"):
    """The answer to $break-glass."""
    return await site.fhir("POST", f"Patient/{patient}/$break-glass", token, json=words())


async def status(site, token, path="Observation/ann-lab"):
    """How a read ends."""
    return (await site.get(path, token)).status_code


async def test_from_sign_in_to_the_end_of_the_account(site):
    """Closed, opened, open in what a refresh brings, and ended with the account in the commit that disables it."""
    account, client, told = await signed_in(site)
    token = told["access_token"]
    assert await status(site, token) == 404
    answer = await opened(site, token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert await status(site, token) == 200
    form_ = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"], "client_id": client.id}
    again = (await site.wire.post("https://localhost:8443/oauth/token", data=form_)).json()
    assert await status(site, again["access_token"]) == 200
    await site.app.identity.accounts.disable(account, "test")
    assert await status(site, again["access_token"]) == 401
    officer = await site.app.tokens.create(TokenRequest(Role.PRIVACY_OFFICER, "test", "user/AuditEvent.rs"))
    shown = (await site.get("$break-glass-cases?status=open", officer.secret)).json()
    assert {"name": "access", "valueCode": "ended"} in shown["parameter"][0]["part"]


async def test_a_later_sign_in_is_not_in_it(site):
    """Another approval of the same person at the same app has to prove and say it again."""
    session = await site.person("Doc", "clinician", "Practitioner/doc")
    client = await site.client()
    seat = Session(session.account, session.id, session.amr, "phr", session.auth_time)
    first = (await site.tokens(client, seat, "user/*.rs"))["access_token"]
    second = (await site.tokens(client, seat, "user/*.rs"))["access_token"]
    assert (await opened(site, first)).status_code == 200
    assert [await status(site, each) for each in (first, second)] == [200, 404]


@pytest.mark.parametrize(("ago_ms", "acr"), [(300_000, "phr"), (0, "aal2")])
async def test_a_stale_or_weak_proof(site, ago_ms, acr):
    """401, the same for a record that hides something, one that does not, and one that is not there."""
    _, _, told = await signed_in(site, ago_ms=ago_ms, acr=acr)
    answers = [await opened(site, told["access_token"], each) for each in ("ann", "bob", "nobody")]
    assert {each.status_code for each in answers} == {401}
    assert len({each.content for each in answers}) == 1
    (challenge,) = {each.headers["www-authenticate"] for each in answers}
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'acr_values="phr", max_age="300"' in challenge
    assert await status(site, told["access_token"]) == 404


async def test_an_operators_token_opens_nothing(site):
    """Nobody is behind it who could prove anything."""
    issued = await site.app.tokens.create(TokenRequest(Role.CLINICIAN, "test", "user/*.cruds"))
    assert (await opened(site, issued.secret)).status_code == 401


async def test_the_same_bytes_whoever_it_is(site):
    """But for what names the access itself: status, headers and body of three records that differ in all that counts."""
    _, _, told = await signed_in(site)
    seen = set()
    for patient in ("ann", "bob", "nobody"):
        answer = await opened(site, told["access_token"], patient)
        body = json.loads(answer.content)
        kept = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "content-length"}}
        names = tuple((each["name"], tuple(each)) for each in body["parameter"])
        seen.add((answer.status_code, tuple(sorted(kept.items())), names, len(answer.content) - len(patient)))
    assert len(seen) == 1, seen


async def test_the_patients_account_page_is_told(site):
    """By name and in the words that were typed; a doctor's own page tells nothing, nor does another patient's."""
    _, _, told = await signed_in(site)
    assert (await opened(site, told["access_token"])).status_code == 200
    records = site.app.records
    desk = NoticeDesk(records.door, site.app.identity.accounts, records.clock, FHIR)
    for name, role, resource, want in (
        ("Ann", "patient", "Patient/ann", 1),
        ("Bob", "patient", "Patient/bob", 0),
        ("Eve", "clinician", "Practitioner/eve", 0),
    ):
        session = await site.person(name, role, resource)
        found = await desk.of(Visitor("s", session.account, name, name, (), 0, secret=""))
        assert [(each.who, each.roles, each.reason) for each in found] == [("Doc", ("clinician",), REASON)] * want


async def test_what_is_typed_stands_in_no_address(site):
    """A reason in the query string is refused, and so is one that says nothing."""
    _, _, told = await signed_in(site)
    token = told["access_token"]
    asked = await site.fhir("POST", "Patient/ann/$break-glass?reason=Unconscious+in+the+ER", token, json=words())
    assert asked.status_code == 400
    assert (await site.fhir("GET", "Patient/ann/$break-glass", token)).status_code == 405
    short = await site.fhir("POST", "Patient/ann/$break-glass", token, json=words("aaaaaaaaaaaaaaa"))
    assert short.status_code == 422
    assert "words" in short.text
    assert await status(site, token) == 404
