"""Everything that happens to people lands in the audit log, in the commit that does it, and no secret does."""

from __future__ import annotations

import asyncio

import pytest

from identity.house import ABROAD, PASSWORD, WRONG, MemoryHouse, hash_with
from identity.world import HOME
from medlock.audit.codings import SHAPES
from medlock.audit.copies import FULL_BYTES, MINIMAL_BYTES, minimal_of, tell
from medlock.audit.events import Action, Outcome
from medlock.errors import MedlockError
from medlock.identity.account import Proxy
from medlock.identity.accounts import NewAccount
from medlock.identity.enrolment import Enrolment
from medlock.identity.factors.shape import Answer, Kind
from medlock.identity.sessions import Proven
from medlock.store.memory import Fault

ELSEWHERE = {Action.SIGN_IN, Action.ACCOUNT_APPROVE}
"""Events of this area that are not made here: refused tokens are `web.watch`'s, a second operator `test_two_persons`'s."""


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with little memory: nothing here depends on how long a hash takes."""
    hash_with(monkeypatch, 1, 8)


async def everything(house: MemoryHouse) -> list[str]:
    """Everything that can happen to somebody, once; the secrets of it all."""
    account = await house.accounts.create(NewAccount("Ann", ("patient",), "", "Patient/ann"), "cli:boss")
    code = (await house.invitations.invite(account.id, "cli:boss")).code
    joined = await house.door.join(code, "ann@example.org", "", HOME)
    enrolment = Enrolment(house.ground, house.accounts, house.sessions, house.kit)
    offer = await enrolment.offer(joined.secret, Kind.PASSWORD, HOME.browser)
    changed = await enrolment.accept(joined.secret, Kind.PASSWORD, Answer(PASSWORD, offer.ticket, HOME.browser), HOME)
    secret = changed.begun.secret if changed.begun else joined.secret
    offer = await enrolment.offer(secret, Kind.PASSWORD, HOME.browser)
    again = Answer(PASSWORD + " and more", offer.ticket, HOME.browser, present=PASSWORD)
    changed = await enrolment.accept(secret, Kind.PASSWORD, again, HOME)
    secret = changed.begun.secret if changed.begun else secret
    sheet = await enrolment.offer(secret, Kind.RECOVERY, HOME.browser)
    codes = list(sheet.shown["codes"])
    await enrolment.accept(secret, Kind.RECOVERY, Answer(codes[0], sheet.ticket, HOME.browser), HOME)
    await enrolment.remove(secret, Kind.RECOVERY, "recovery", HOME)
    for _ in range(5):
        with pytest.raises(MedlockError):
            await house.by_password(password=WRONG, place=ABROAD)
    await house.accounts.represent(account.id, Proxy("p", "RelatedPerson/r", 0), "cli:boss")
    await house.accounts.disable(account.id, "cli:boss")
    await house.accounts.enable(account.id, "cli:boss")
    house.clock.ms += 60_000
    got = await house.by_password(password=PASSWORD + " and more")
    renewed = await house.sessions.renew(got.secret, Proven(got.session.amr, got.session.acr))
    await house.sessions.end_all(account.id)
    await house.unlock(account.id)
    return [code, joined.secret, secret, PASSWORD, WRONG, *codes, got.secret, got.device, renewed.secret]


async def test_every_event_of_people_is_made() -> None:
    """The walk makes each action of the area; each has its place in FHIR, an account, and what it is about."""
    house = MemoryHouse()
    await everything(house)
    mine = {action for action in Action if action.startswith("identity:")} - ELSEWHERE
    assert set(house.log.actions) == mine
    for event in house.log.events:
        assert event.action in SHAPES
        assert event.account
        assert event.request
        assert event.recorded <= house.clock.ms
    denied = {event.action for event in house.log.events if event.outcome is Outcome.DENIED}
    assert denied == {Action.SIGN_IN_FAILED, Action.SIGN_IN_WAITS}
    by_boss = {event.action.rpartition(":")[2] for event in house.log.events if event.account == "cli:boss"}
    assert by_boss == {"create", "invite", "change", "disable", "enable", "unlock"}


async def test_no_event_holds_a_secret_or_shows_by_its_length() -> None:
    """Neither copy; and both fit the one length that entries have."""
    house = MemoryHouse()
    secrets = await everything(house)
    told = repr(house.log.events)
    for secret in filter(None, secrets):
        assert secret not in told
    for event, counts, full in tell(house.log.events):
        assert len(minimal_of(event, counts)) < MINIMAL_BYTES
        assert len(full) < FULL_BYTES


async def test_nothing_happens_that_the_log_does_not_take() -> None:
    """Each act of the walk, on a disk that refuses to write: it did not happen."""
    house = MemoryHouse()
    await everything(house)
    before = house.disk.copy()
    held = await house.accounts.by_login("ann@example.org")
    assert held is not None
    house.backend.fault = Fault.REFUSE
    account = held.value.id
    acts = (
        house.accounts.create(NewAccount("Bob", ("patient",), "", "Patient/bob"), "cli:boss"),
        house.invitations.invite(account, "cli:boss"),
        house.accounts.disable(account, "cli:boss"),
        house.by_password(password=PASSWORD + " and more"),
        house.by_password(password=WRONG),
        house.sessions.end_all(account),
        house.unlock(account),
    )
    got = await asyncio.gather(*acts, return_exceptions=True)
    assert all(isinstance(each, MedlockError) or each == 0 for each in got)
    assert house.disk.rows == before.rows
