"""Passwords do not rest on what stands in one's own record, which is read through the door and written down."""

import pytest

from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.identity.accounts import NewAccount
from medlock.identity.factors.shape import Answer, Kind
from medlock.identity.ground import Place
from medlock.identity.passwords.check import UnfitPassword
from medlock.identity.passwords.profiles import Rule
from medlock.oauth.requests import TokenRequest
from medlock.web.signin.own_words import OwnWords
from smart.site import FHIR, open_site_in

HERE = Place("192.0.2.7", "browser-1")
ANN = {
    "resourceType": "Patient",
    "id": "ann",
    "name": [{"family": "Quillfeather", "given": ["Ann"]}],
    "birthDate": "1961-05-04",
    "identifier": [{"system": "urn:clinic", "value": "ZX-448812"}],
    "address": [{"city": "Tromsdalen"}],
}


async def arrived(site, name, role, resource):
    """The secret of somebody's session that may enrol."""
    identity = site.app.identity
    account = await identity.accounts.create(NewAccount(name, (role,), resource=resource), "test")
    invited = await identity.invitations.invite(account.id, "test")
    return await identity.sign_in.join(invited.code, f"{name.lower()}@example.org", "", HERE)


async def broken(enrolment, secret, password):
    """The rules that a new password breaks."""
    offer = await enrolment.offer(secret, Kind.PASSWORD, "browser-1")
    with pytest.raises(UnfitPassword) as refused:
        await enrolment.accept(secret, Kind.PASSWORD, Answer(password, offer.ticket, "browser-1"), HERE)
    return {each.rule for each in refused.value.findings}


async def test_names_and_numbers_of_the_record(tmp_path):
    """Family name, birth date and record number, which the account does not know; the look is in the log, its words are not."""
    async with open_site_in(tmp_path) as site:
        operator = await site.app.tokens.create(TokenRequest(Role.BACKEND, "test", "system/*.cruds"))
        assert (await site.fhir("PUT", "Patient/ann", operator.secret, json=ANN)).status_code == 200
        ann = await arrived(site, "Ann", Role.PATIENT, "Patient/ann")
        knowing = site.app.identity.enrolment(OwnWords(site.app.records.door, site.app.records.clock, FHIR))
        for password in ("Qu1llfeather-1961", "zx448812-04051961"):
            assert Rule.CONTEXT in await broken(knowing, ann.secret, password)
        assert Rule.CONTEXT not in await broken(site.app.identity.enrolment(), ann.secret, "zx448812-0405")
        looks = [
            each.event
            for each in await site.app.records.log.find(AuditQuery(action=Action.READ))
            if each.event.account == ann.session.account
        ]
        assert [touched.reference for event in looks for touched in event.touched] == ["Patient/ann"] * len(looks)
        assert looks
        assert "Quillfeather" not in repr(looks)


async def test_who_has_no_record_of_their_own(tmp_path):
    """Somebody who works here, and a patient whose record is gone: nothing is known of them, and nothing breaks."""
    async with open_site_in(tmp_path) as site:
        words = OwnWords(site.app.records.door, site.app.records.clock, FHIR)
        doctor = await arrived(site, "Doc", Role.CLINICIAN, "Practitioner/doc")
        gone = await arrived(site, "Nobody", Role.PATIENT, "Patient/nobody")
        for session in (doctor.session, gone.session):
            assert await words(await site.app.identity.accounts.get(session.account)) == ()
