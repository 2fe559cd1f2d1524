"""Exports through an app need a fresh proof of the person (RFC 9470); programs and operators' tokens are as they were."""

import re

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.audit.events import Outcome
from medlock.audit.search import AuditQuery
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction, Question
from medlock.identity.strength import StepUpNeeded
from medlock.oauth.authorize import NeedConsent, NeedSignIn
from medlock.oauth.requests import TokenRequest
from medlock.records.jobs import JobBook
from medlock.records.jobs import Kind as JobKind
from smart.site import open_site_in
from smart.world import CHALLENGE, FHIR, Session

LATE_MS = 300_000
EVERY = ("$export", "Patient/$export", "Group/g1/$export", "Patient/$anonymize")
LATER = {"prefer": "respond-async"}


@pytest.fixture
async def site(tmp_path):
    async with open_site_in(tmp_path) as opened:
        yield opened


def seated(session, ago_ms, acr="phr"):
    """The session of somebody whose last proof is so long ago."""
    return Session(session.account, session.id, session.amr, acr, session.auth_time - ago_ms)


async def token_of(site, session):
    """A token through an app."""
    client = await site.client()
    return await site.tokens(client, session, "user/*.rs")


async def kick_off(site, token, path="Patient/$export", method="GET"):
    """Begin an export."""
    more = {"json": {"resourceType": "Parameters"}} if method == "POST" else {}
    return await site.fhir(method, path, token, LATER, **more)


@pytest.mark.parametrize("path", EVERY)
async def test_a_stale_proof_begins_no_export(site, path):
    """401 with what would do; a refresh does not make it fresh; nothing is begun, and the refusal is in the log."""
    session = await site.person("Doc", "clinician", "Practitioner/doc")
    told = await token_of(site, seated(session, LATE_MS))
    for method in ("GET", "POST"):
        refused = await kick_off(site, told["access_token"], path, method)
        assert refused.status_code == 401, refused.text
        challenge = refused.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="medlock", error="insufficient_user_authentication"')
        assert re.search(r'acr_values="phr aal2 aal1"', challenge)
        assert re.search(r'max_age="300"', challenge)
        assert refused.json()["issue"][0] == {
            "severity": "error",
            "code": "login",
            "diagnostics": "Prove again that it is you, then go on.",
        }
    assert not any(await _jobs(site, session.account))
    events = [each.event for each in await site.app.records.log.find(AuditQuery(account=session.account, limit=500))]
    refusals = [each for each in events if each.reason == "not-authenticated: aal1 within 300000 ms"]
    assert [each.outcome for each in refusals] == [Outcome.FAILED] * 2
    assert (await site.get("Patient/ann", told["access_token"])).status_code == 200


async def test_a_fresh_proof_begins_one(site):
    """Minutes are enough; the app asks for it with max_age, as the challenge says."""
    session = await site.person("Doc", "clinician", "Practitioner/doc")
    told = await token_of(site, seated(session, LATE_MS - 30_000))
    assert (await kick_off(site, told["access_token"])).status_code == 202


async def test_the_challenge_leads_to_a_new_proof(site):
    """With max_age=300 who proved it too long ago must sign in again, and who just did need not."""
    session = await site.person("Doc", "clinician", "Practitioner/doc")
    client = await site.client()
    asked = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": client.redirect_uris[0],
        "scope": "user/*.rs",
        "state": "s",
        "aud": FHIR,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "max_age": "300",
        "acr_values": "phr aal2 aal1",
    }
    stale = seated(session, LATE_MS + 1_000)
    assert isinstance(await site.server.authorize.begin(list(asked.items()), stale), NeedSignIn)
    assert isinstance(await site.server.authorize.begin(list(asked.items()), session), NeedConsent)


async def test_programs_and_operators_tokens_need_none(site):
    """A token that an operator made has nobody behind it who could prove anything."""
    issued = await site.app.tokens.create(TokenRequest(Role.BACKEND, "test", "system/*.rs"))
    assert (await kick_off(site, issued.secret)).status_code == 202


def _doctor(seconds, acr="phr", grant="approval"):
    """Somebody through an app whose proof is of then."""
    return mint_principal(
        "dr",
        frozenset({Role.CLINICIAN}),
        parse_scopes("user/*.rs"),
        client="app",
        acr=acr,
        auth_time=seconds,
        grant_id=grant,
    )


@pytest.mark.parametrize("acr", ["", "unheard-of"])
async def test_a_level_that_nobody_knows_is_none(site, acr):
    """However fresh."""
    now = site.app.records.clock.now_ms() // 1000
    with pytest.raises(StepUpNeeded):
        await _ask(site, _doctor(now, acr), ExportOptions())


async def test_what_has_begun_goes_on(site):
    """The later pieces and the files of an export that somebody began in time come also after the five minutes."""
    stale = _doctor(1)
    with pytest.raises(StepUpNeeded):
        await _ask(site, stale, ExportOptions())
    assert (await _ask(site, stale, ExportOptions(part=ExportPart("", 2, 0)))).status == 200
    named = ExportOptions(job="some", part=ExportPart("Patient"))
    assert b'"ann"' in (await _ask(site, stale, named)).body


async def _ask(site, principal, options):
    question = Question(Interaction.EXPORT, "Patient", options=options)
    return await site.app.records.door.answer(principal, question)


async def _jobs(site, account):
    records = site.app.records
    return await JobBook(records.backend, records.vault.notes, records.clock).of(JobKind.EXPORT, account)
