"""Factors come and go: after a fresh proof, never the last way in, ending what they must, in one commit with the log."""

from __future__ import annotations

import asyncio

import pytest

from identity.authenticator import ORIGIN, RP, Authenticator
from identity.clinic import BETTER, GOOD, slots
from identity.world import HOME, KEYS, World
from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.errors import Conflict, NotAuthenticated, NotFound, Raced, Unavailable
from medlock.identity.account import Account
from medlock.identity.enrolment import Changed, Enrolment
from medlock.identity.factors.kit import Kit, Rules, kit_of, site_of
from medlock.identity.factors.shape import Answer, Kind
from medlock.identity.lockout import Waits
from medlock.identity.passwords.blocklist import Blocklist, shipped
from medlock.identity.passwords.check import UnfitPassword
from medlock.identity.passwords.profiles import Policies
from medlock.identity.sessions import Begun, Proven
from medlock.identity.strength import FRESH_MS, Acr, StepUpNeeded
from medlock.store.memory import Fault

LOGIN = Proven(("pwd",), Acr.AAL1)
STAFF = Proven(("hwk", "user"), Acr.PHR)


class Desk(World):
    """A store, a kit, and enrolment over them."""

    def __init__(self) -> None:
        super().__init__()
        rules = Rules(Policies(), Blocklist((shipped(),)), site_of(ORIGIN + "/fhir", "Lakeside Clinic"))
        self.kit: Kit = kit_of(self.backend, KEYS, self.clock, rules, slots())
        self.enrolment = Enrolment(self.ground, self.accounts, self.sessions, self.kit)

    async def arrive(self, account: Account, proven: Proven = LOGIN) -> Begun:
        return await self.sign_in(account.id, HOME, proven)

    async def passkey(self, secret: str, device: Authenticator | None = None) -> Changed:
        offer = await self.enrolment.offer(secret, Kind.PASSKEY, "b")
        sent = (device or Authenticator()).create(dict(offer.shown))
        return await self.enrolment.accept(secret, Kind.PASSKEY, Answer(sent, offer.ticket, "b"), HOME)

    async def password(self, secret: str, new: str, present: str = "") -> Changed:
        offer = await self.enrolment.offer(secret, Kind.PASSWORD, "b")
        answer = Answer(new, offer.ticket, "b", present)
        return await self.enrolment.accept(secret, Kind.PASSWORD, answer, HOME)

    async def kinds(self, secret: str) -> list[Kind]:
        return [each.kind for each in await self.enrolment.held(secret)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_who_we_are_comes_from_the_address() -> None:
    """The origin as browsers write it: usual ports are left out, others are not."""
    for base, origin, host in [
        ("https://fhir.example.org/fhir", "https://fhir.example.org", "fhir.example.org"),
        ("https://fhir.example.org:443/fhir", "https://fhir.example.org", "fhir.example.org"),
        ("https://localhost:8443/fhir", "https://localhost:8443", "localhost"),
        ("http://LOCALHOST:8080", "http://localhost:8080", "localhost"),
    ]:
        assert (site_of(base).origin, site_of(base).rp_id) == (origin, host)
    assert site_of(ORIGIN).rp_id == RP


async def test_a_factor_needs_a_fresh_proof(desk: Desk) -> None:
    """Within five minutes: to begin, to end, to remove, to trust; a name may be changed any time."""
    account = await desk.active()
    begun = await desk.arrive(account)
    await desk.password(begun.secret, GOOD)
    key = await desk.passkey(begun.secret)
    offer = await desk.enrolment.offer(begun.secret, Kind.TOTP, "b")
    desk.clock.ms += FRESH_MS
    for act in (
        desk.enrolment.offer(begun.secret, Kind.PASSKEY, "b"),
        desk.enrolment.accept(begun.secret, Kind.TOTP, Answer("123456", offer.ticket, "b"), HOME),
        desk.enrolment.remove(begun.secret, Kind.PASSKEY, key.factor, HOME),
        desk.enrolment.trust(begun.secret, key.factor),
    ):
        with pytest.raises(StepUpNeeded):
            await act
    await desk.enrolment.rename(begun.secret, key.factor, "Blue key")
    assert (await desk.enrolment.held(begun.secret))[0].label == "Blue key"
    renewed = await desk.sessions.renew(begun.secret, LOGIN)
    assert await desk.passkey(renewed.secret)


async def test_the_last_way_in_stays(desk: Desk) -> None:
    """A patient keeps a passkey, a long password, or a password with an app; who works here keeps a passkey."""
    secret = (await desk.arrive(await desk.active())).secret
    short = "tq9-plow-rux"
    with pytest.raises(UnfitPassword):
        await desk.password(secret, short)
    first = await desk.passkey(secret)
    with pytest.raises(Conflict):
        await desk.enrolment.remove(secret, Kind.PASSKEY, first.factor, HOME)
    await desk.password(secret, GOOD)
    done = await desk.enrolment.remove(secret, Kind.PASSKEY, first.factor, HOME)
    assert done.begun is not None
    with pytest.raises(Conflict):
        await desk.enrolment.remove(done.begun.secret, Kind.PASSWORD, "password", HOME)
    with pytest.raises(NotFound):
        await desk.enrolment.remove(done.begun.secret, Kind.PASSKEY, first.factor, HOME)

    doctor = (await desk.arrive(await desk.active("doctor", Role.CLINICIAN), STAFF)).secret
    await desk.password(doctor, short)
    one, two = await desk.passkey(doctor), await desk.passkey(doctor)
    begun = (await desk.enrolment.remove(doctor, Kind.PASSKEY, one.factor, HOME)).begun
    assert begun is not None
    with pytest.raises(Conflict):
        await desk.enrolment.remove(begun.secret, Kind.PASSKEY, two.factor, HOME)


async def test_what_is_removed_or_replaced_ends_other_sessions(desk: Desk) -> None:
    """Every other session and this secret are dead at once; its owner goes on in a new one. Adding ends nothing."""
    account = await desk.active()
    here, there = await desk.arrive(account), await desk.arrive(account)
    await desk.password(here.secret, GOOD)
    key = await desk.passkey(here.secret)
    assert await desk.sessions.find(there.secret)
    changed = await desk.password(here.secret, BETTER, GOOD)
    assert changed.begun is not None
    for dead in (here, there):
        with pytest.raises(NotAuthenticated):
            await desk.sessions.find(dead.secret)
    again = await desk.arrive(account)
    removed = await desk.enrolment.remove(changed.begun.secret, Kind.PASSKEY, key.factor, HOME)
    assert removed.begun is not None
    for dead in (changed.begun, again):
        with pytest.raises(NotAuthenticated):
            await desk.sessions.find(dead.secret)
    assert [each.id for each in await desk.sessions.of(account.id)] == [removed.begun.session.id]
    assert removed.told["credentialId"]


async def test_a_session_that_may_only_enrol_becomes_an_ordinary_one(desk: Desk) -> None:
    """With the first way in, under a new secret; recovery codes are none, and a password is none for who works here."""
    patient = await desk.active()
    only = await desk.arrive(patient, Proven((), Acr.AAL1, unsettled=True))
    desk.clock.ms += 2 * FRESH_MS
    offer = await desk.enrolment.offer(only.secret, Kind.RECOVERY, "b")
    answer = Answer(offer.shown["codes"][0], offer.ticket, "b")
    assert (await desk.enrolment.accept(only.secret, Kind.RECOVERY, answer, HOME)).begun is None
    begun = (await desk.password(only.secret, GOOD)).begun
    assert begun is not None
    assert (begun.session.unsettled, begun.session.acr) == (False, Acr.AAL1)
    with pytest.raises(NotAuthenticated):
        await desk.sessions.find(only.secret)

    doctor = await desk.active("doctor", Role.CLINICIAN)
    only = await desk.arrive(doctor, Proven((), Acr.AAL1, unsettled=True))
    assert (await desk.password(only.secret, GOOD)).begun is None
    begun = (await desk.passkey(only.secret)).begun
    assert begun is not None
    assert (begun.session.unsettled, begun.session.acr) == (False, Acr.PHR)


async def test_another_factor_does_not_make_up_for_a_password_that_attackers_know(desk: Desk) -> None:
    """The session may do nothing but enrol until the password is another one, or gone."""
    account = await desk.active()
    await desk.password((await desk.arrive(account)).secret, GOOD)
    desk.kit.password._listed = {GOOD}
    await desk.kit.password.verify(account.id, Answer(GOOD))
    only = await desk.arrive(account, Proven(("pwd",), Acr.AAL1, unsettled=True))
    assert (await desk.passkey(only.secret)).begun is None
    begun = (await desk.password(only.secret, BETTER, GOOD)).begun
    assert begun is not None
    assert not begun.session.unsettled


async def test_who_came_in_by_a_recovery_code_sets_a_password_without_the_lost_one(desk: Desk) -> None:
    """And ends all other sessions by it; somebody who knows their password is asked for it."""
    account = await desk.active()
    settled = await desk.arrive(account)
    await desk.password(settled.secret, GOOD)
    with pytest.raises(NotAuthenticated):
        await desk.password(settled.secret, BETTER)
    only = await desk.arrive(account, Proven(("rcv",), Acr.AAL1, unsettled=True))
    begun = (await desk.password(only.secret, BETTER)).begun
    assert begun is not None
    assert not begun.session.unsettled
    with pytest.raises(NotAuthenticated):
        await desk.sessions.find(settled.secret)


async def test_the_present_password_cannot_be_guessed_in_a_stolen_session(desk: Desk) -> None:
    """Five tries in five minutes; a new password that breaks rules is no wrong try."""
    account = await desk.active()
    secret = (await desk.arrive(account)).secret
    await desk.password(secret, GOOD)
    for _ in range(6):
        with pytest.raises(UnfitPassword):
            await desk.password(secret, "too short", GOOD)
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await desk.password(secret, BETTER, "a wrong guess")
    with pytest.raises(Waits):
        await desk.password(secret, BETTER, GOOD)
    assert await desk.kit.password.verify(account.id, Answer(GOOD))


async def test_the_log_tells_which_and_never_what(desk: Desk) -> None:
    """An event for each change in its commit; no secret, no label, no password in it; no log, no change."""
    secret = (await desk.arrive(await desk.active())).secret
    before = len(desk.log.events)
    device = Authenticator()
    key = await desk.passkey(secret, device)
    await desk.password(secret, GOOD)
    changed = await desk.password(secret, BETTER, GOOD)
    assert changed.begun is not None
    await desk.enrolment.rename(changed.begun.secret, key.factor, "Ann's secret label")
    await desk.enrolment.remove(changed.begun.secret, Kind.PASSKEY, key.factor, HOME)
    told = [each for each in desk.log.events[before:] if each.action.value.startswith("identity:factor")]
    assert [each.action for each in told] == [
        Action.FACTOR_ADD, Action.FACTOR_ADD, Action.FACTOR_CHANGE, Action.FACTOR_CHANGE, Action.FACTOR_REMOVE,
    ]  # fmt: skip
    text = repr(desk.log.events)
    assert not any(each in text for each in (GOOD, BETTER, "secret label", device.id.hex(), secret))


async def test_when_nothing_can_be_written_nothing_changes(desk: Desk) -> None:
    """The store refuses: the factor is as it was, and sessions live."""
    begun = await desk.arrive(await desk.active())
    await desk.password(begun.secret, GOOD)
    offer = await desk.enrolment.offer(begun.secret, Kind.PASSWORD, "b")
    desk.backend.fault = Fault.REFUSE
    with pytest.raises(Unavailable):
        await desk.enrolment.accept(begun.secret, Kind.PASSWORD, Answer(BETTER, offer.ticket, "b", GOOD), HOME)
    desk.backend.fault = None
    assert await desk.sessions.find(begun.secret)
    assert await desk.kit.password.verify(begun.session.account, Answer(GOOD))


async def test_two_changes_at_once_leave_a_way_in(desk: Desk) -> None:
    """Both passkeys of somebody are removed at the same moment, in two processes: one of them stays."""
    doctor = await desk.active("doctor", Role.CLINICIAN)
    secret = (await desk.arrive(doctor, STAFF)).secret
    one, two = await desk.passkey(secret), await desk.passkey(secret)
    acts = [desk.enrolment.remove(secret, Kind.PASSKEY, each.factor, HOME) for each in (one, two)]
    results = await asyncio.gather(*acts, return_exceptions=True)
    assert len(await desk.kit.passkey.describe(doctor.id)) == 1
    assert sum(isinstance(each, Changed) for each in results) <= 1 or any(
        isinstance(each, Conflict) for each in results
    )


async def test_a_sign_in_that_began_before_a_change_loses(desk: Desk) -> None:
    """The account's row was read before its password changed: no session begins by what was proven then."""
    account = await desk.active()
    begun = await desk.arrive(account)
    await desk.password(begun.secret, GOOD)
    held = await desk.accounts.standing(account.id)
    await desk.password(begun.secret, BETTER, GOOD)
    with pytest.raises(Raced):
        await desk.sessions.start(held, LOGIN, HOME)


async def test_an_account_that_is_taken_up_anew_has_nothing(desk: Desk) -> None:
    """`of_account` ends all factors in one batch; the passkey that was counts nowhere."""
    account = await desk.active()
    secret = (await desk.arrive(account)).secret
    device = Authenticator()
    await desk.password(secret, GOOD)
    await desk.passkey(secret, device)
    challenge = await desk.kit.passkey.challenge("", "b")
    answer = Answer(device.get(dict(challenge.shown)), challenge.ticket, "b")
    await desk.backend.commit(await desk.kit.of_account(account.id))
    assert await desk.kit.held(account.id) == []
    with pytest.raises(NotAuthenticated):
        await desk.kit.passkey.verify("", answer)
    assert await desk.kit.of_account("acc-nobody") is not None
