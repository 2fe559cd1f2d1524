"""Step-up: who is signed in proves it again; the secret is new, the old one dead, and guesses are counted."""

from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher

from identity.house import ABROAD, PASSWORD, WRONG, MemoryHouse
from identity.world import HOME
from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.errors import NotAuthenticated, TooMany
from medlock.identity.factors.passkey import UnknownPasskey
from medlock.identity.factors.shape import Kind
from medlock.identity.proving import Proving


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with little memory: what is tested here does not depend on how long a hash takes."""
    monkeypatch.setattr("medlock.crypto.passwords._HASHER", PasswordHasher(1, 8, 1))


def proving(house):
    """Step-up in this house."""
    return Proving(house.ground, house.sessions, house.kit, house.lockout)


async def signed_in(*kinds):
    """Ann with these factors, signed in by passkey or by password, ten minutes ago."""
    house = MemoryHouse()
    ann = await house.person(*kinds)
    found = await (house.by_passkey(ann) if Kind.PASSKEY in kinds else house.by_password())
    if Kind.TOTP in kinds and Kind.PASSKEY not in kinds:
        found = await house.door.code(found.secret, house.code(ann), HOME)
    house.clock.ms += 10 * 60_000
    return house, ann, found


async def again(house, ann, secret, authenticator=None):
    """Prove it with a passkey."""
    offer = await proving(house).passkey_options(secret, HOME)
    return await proving(house).passkey(secret, offer.ticket, (authenticator or ann.passkey).get(offer.shown), HOME)


async def test_a_passkey_renews_the_session():
    """A new secret, the same session, proven now; the old secret is nobody's; the log says so."""
    house, ann, found = await signed_in(Kind.PASSKEY)
    begun = await again(house, ann, found.secret)
    assert begun.session.id == found.session.id
    assert begun.session.proven == house.clock.ms
    assert begun.session.auth_time == found.session.auth_time
    with pytest.raises(NotAuthenticated):
        await house.sessions.find(found.secret)
    assert Action.SESSION_PROVE in [event.action for event in house.log.events]


async def test_a_password_alone_is_no_proof_where_an_app_is_enrolled():
    """Without the code, with a wrong one, and with one that was used: refused, and the session goes on as it was."""
    house, ann, found = await signed_in(Kind.PASSWORD, Kind.TOTP)
    for code in ("", "000000"):
        with pytest.raises(NotAuthenticated):
            await proving(house).password(found.secret, PASSWORD, code, HOME)
    assert (await house.sessions.find(found.secret)).proven == found.session.proven
    code = house.code(ann)
    begun = await proving(house).password(found.secret, PASSWORD, code, HOME)
    assert begun.session.acr == "aal2"
    with pytest.raises(NotAuthenticated):
        await proving(house).password(begun.secret, PASSWORD, code, HOME)


async def test_who_works_here_proves_nothing_by_what_can_be_phished():
    """A stolen session and a phished password, with the code of the app even, are no way to change a clinician's keys."""
    house = MemoryHouse()
    doc = await house.person(Kind.PASSKEY, Kind.PASSWORD, Kind.TOTP, role=Role.CLINICIAN)
    found = await house.by_passkey(doc)
    house.clock.ms += 10 * 60_000
    with pytest.raises(NotAuthenticated):
        await proving(house).password(found.secret, PASSWORD, house.code(doc), HOME)
    assert (await house.sessions.find(found.secret)).proven == found.session.proven
    assert [event for event in house.log.events if event.action is Action.SIGN_IN_FAILED]
    assert (await again(house, doc, found.secret)).session.acr == "phr"


async def test_wrong_passwords_wait_in_the_session_alone():
    """Five wrong ones, also in parallel; then this session waits. The sign-in page is not held up by them."""
    house, _, found = await signed_in(Kind.PASSWORD)
    tries = [proving(house).password(found.secret, WRONG, "", HOME) for _ in range(40)]
    refusals = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, NotAuthenticated) for each in refusals) == 5
    assert sum(isinstance(each, TooMany) for each in refusals) == 35
    with pytest.raises(TooMany):
        await proving(house).password(found.secret, PASSWORD, "", HOME)
    assert await house.by_password(place=ABROAD)


async def test_failures_are_written_down():
    """Each wrong proof is an event of its owner's."""
    house, ann, found = await signed_in(Kind.PASSWORD)
    with pytest.raises(NotAuthenticated):
        await proving(house).password(found.secret, WRONG, "", HOME)
    (event,) = [each for each in house.log.events if each.action is Action.SIGN_IN_FAILED]
    assert event.account == ann.id


async def test_another_ones_passkey_proves_nothing():
    """Neither a stranger's passkey nor an answer to the sign-in page's challenge counts."""
    house, ann, found = await signed_in(Kind.PASSKEY)
    ben = await house.person(Kind.PASSKEY, login="ben@example.org")
    with pytest.raises(NotAuthenticated):
        await again(house, ann, found.secret, ben.passkey)
    offer = await house.door.passkey_options(HOME)
    with pytest.raises(NotAuthenticated):
        await proving(house).passkey(found.secret, offer.ticket, ann.passkey.get(offer.shown), HOME)


async def test_a_passkey_that_may_be_a_copy_proves_nothing():
    """Its counter fell: alone it is not taken."""
    house, ann, found = await signed_in(Kind.PASSKEY)
    ann.passkey.count = 50
    begun = await again(house, ann, found.secret)
    ann.passkey.count = 3
    with pytest.raises(NotAuthenticated):
        await again(house, ann, begun.secret)


async def test_a_passkey_that_was_removed_is_told_to_the_browser():
    """The refusal carries the signal."""
    house, ann, found = await signed_in(Kind.PASSWORD, Kind.PASSKEY)
    offer = await proving(house).passkey_options(found.secret, HOME)
    answer = ann.passkey.get(offer.shown)
    (passkey,) = await house.kit.passkey.describe(ann.id)
    await house.backend.commit((await house.kit.passkey.remove(ann.id, passkey.factor)).batch)
    with pytest.raises(UnknownPasskey) as refusal:
        await proving(house).passkey(found.secret, offer.ticket, answer, HOME)
    assert refusal.value.signal["credentialId"]


async def test_a_dead_session_proves_nothing():
    """An ended session has no challenge and no proof."""
    house, ann, found = await signed_in(Kind.PASSKEY, Kind.PASSWORD)
    await house.sessions.end(ann.id, found.session.id)
    for attempt in (
        proving(house).passkey_options(found.secret, HOME),
        proving(house).password(found.secret, PASSWORD, "", HOME),
    ):
        with pytest.raises(NotAuthenticated):
            await attempt
