"""Sign-in from the first step to the session: who gets in, who gets how far, and what is written down of it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from identity.authenticator import Authenticator
from identity.house import ABROAD, PASSWORD, WRONG, House, MemoryHouse, Person, hash_with
from identity.stores import NAMES, opened
from identity.world import HOME, PlainLog, StoppedClock
from medlock.access.principal import Role
from medlock.audit.events import Action, Outcome
from medlock.errors import Conflict, NotAuthenticated, TooMany, Unavailable
from medlock.identity.accounts import NewAccount
from medlock.identity.entering import Arrival
from medlock.identity.factors.passkey import UnknownPasskey
from medlock.identity.factors.password import Hashing
from medlock.identity.factors.shape import REFUSED, Kind, Owner
from medlock.identity.ground import Place
from medlock.identity.lockout import HOUR, MINUTE, Suspended, Waits
from medlock.identity.pending import Pending
from medlock.store.memory import Fault
from medlock.store.tables import Table

SPRAY = 10_000 if os.environ.get("MEDLOCK_THOROUGH") else 300
EVERYTHING = (Kind.PASSWORD, Kind.TOTP, Kind.PASSKEY, Kind.RECOVERY)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with little memory: nothing here depends on how long a hash takes."""
    hash_with(monkeypatch, 1, 8)


async def refused(attempt) -> str:
    """The private reason of a refusal that says nothing."""
    with pytest.raises(NotAuthenticated) as refusal:
        await attempt
    assert str(refusal.value) == REFUSED
    return refusal.value.reason


async def arrived(attempt) -> Arrival:
    """Somebody who is in."""
    got = await attempt
    assert isinstance(got, Arrival)
    return got


async def half(attempt) -> Pending:
    """Somebody who is half in."""
    got = await attempt
    assert isinstance(got, Pending)
    return got


async def test_a_patient_with_a_password_is_in() -> None:
    """A session that may do everything, a device to be known by, and the session is found by its secret."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD)
    got = await arrived(house.by_password("ANN@example.org "))
    found = await house.process().sessions.find(got.secret)
    assert (found.account, found.amr, found.acr, found.unsettled) == (person.id, ("pwd",), "aal1", False)
    assert got.device
    again = await arrived(house.by_password(place=Place("192.0.2.7", "browser-1", got.device)))
    assert again.device == ""
    assert again.secret != got.secret


async def test_a_second_factor_is_asked_for_where_there_is_one() -> None:
    """After the password a pending sign-in; after the code a session at the higher level; the pending one is used up."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP, Kind.RECOVERY)
    pending = await half(house.by_password())
    assert pending.seconds == ("otp", "rcv")
    got = await arrived(house.door.code(pending.secret, house.code(person), HOME))
    assert (got.session.amr, got.session.acr, got.session.unsettled) == (("pwd", "otp", "mfa"), "aal2", False)
    house.clock.ms += MINUTE
    with pytest.raises(NotAuthenticated, match="Begin again"):
        await house.door.code(pending.secret, house.code(person), HOME)


@pytest.mark.parametrize("case", ["another browser", "too late", "unknown", "disabled", "wrong code"])
async def test_a_pending_sign_in_is_completed_in_its_browser_and_in_time(case) -> None:
    """And for an account that may still act, with the right code."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP)
    pending, place, wrong = (await half(house.by_password())).secret, HOME, ""
    if case == "another browser":
        place = ABROAD
    if case == "too late":
        house.clock.ms += 5 * MINUTE
    if case == "unknown":
        pending = pending[:-1]
    if case == "disabled":
        await house.accounts.disable(person.id, "cli:test")
    if case == "wrong code":
        wrong = "12"
    with pytest.raises(NotAuthenticated):
        await house.door.code(pending, wrong or house.code(person), place)
    assert await house.sessions.of(person.id) == []


async def test_of_fifty_who_complete_it_at_once_one_is_in() -> None:
    """With the same code, on two processes: one session, and the others learn nothing."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP)
    pending, other = await half(house.by_password()), house.process()
    tries = ((house, other)[at % 2].door.code(pending.secret, house.code(person), HOME) for at in range(50))
    got = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, Arrival) for each in got) == 1
    assert len(await house.sessions.of(person.id)) == 1


async def test_a_passkey_is_enough_for_everybody() -> None:
    """Without a user name, without a second factor; staff as well."""
    for role in (Role.PATIENT, Role.CLINICIAN, Role.SECURITY_ADMIN):
        house = MemoryHouse()
        person = await house.person(Kind.PASSKEY, role=role)
        got = await arrived(house.by_passkey(person))
        assert (got.session.acr, got.session.unsettled, got.session.roles) == ("phr", False, (role,))


async def test_staff_without_a_passkey_may_only_enrol() -> None:
    """Whatever else they prove: the session is unsettled until they have what cannot be phished."""
    house = MemoryHouse()
    await house.person(Kind.PASSWORD, role=Role.CLINICIAN)
    assert (await arrived(house.by_password())).session.unsettled
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP, role=Role.CLINICIAN)
    pending = await half(house.by_password())
    assert (await arrived(house.door.code(pending.secret, house.code(person), HOME))).session.unsettled


async def test_staff_with_a_passkey_are_asked_for_it_after_a_password() -> None:
    """A password and a code do not open what a passkey guards."""
    house = MemoryHouse()
    person = await house.person(*EVERYTHING, role=Role.CLINICIAN)
    pending = await half(house.by_password())
    assert pending.seconds == ("hwk", "otp", "rcv")
    more = await half(house.door.code(pending.secret, house.code(person), HOME))
    assert more.seconds == ("hwk", "rcv")
    assert not (await arrived(house.by_passkey(person))).session.unsettled


@pytest.mark.parametrize(
    ("kinds", "role", "unsettled"),
    [
        ((Kind.PASSWORD, Kind.RECOVERY), Role.PATIENT, False),
        ((Kind.PASSKEY, Kind.RECOVERY), Role.PATIENT, False),
        ((Kind.PASSWORD, Kind.TOTP, Kind.RECOVERY), Role.PATIENT, True),
        ((Kind.PASSKEY, Kind.RECOVERY), Role.CLINICIAN, True),
    ],
)
async def test_a_recovery_code_lets_in_who_lost_everything(kinds, role, unsettled) -> None:
    """With the user name alone, once; only to enrol where more is demanded."""
    house = MemoryHouse()
    person = await house.person(*kinds, role=role)
    got = await arrived(house.door.recovery("", person.login, person.codes[3].lower(), HOME))
    assert (got.session.amr, got.session.unsettled) == (("rcv",), unsettled)
    await refused(house.door.recovery("", person.login, person.codes[3], HOME))
    await refused(house.door.recovery("", "nobody@example.org", person.codes[4], HOME))


async def test_a_recovery_code_in_place_of_the_second_factor() -> None:
    """Password and recovery code are two factors."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP, Kind.RECOVERY)
    pending = await half(house.by_password())
    got = await arrived(house.door.recovery(pending.secret, "", person.codes[0], HOME))
    assert (got.session.acr, got.session.unsettled) == ("aal2", False)


async def test_a_passkey_that_may_be_a_copy_needs_another_factor() -> None:
    """A counter that fell: pending with a second factor, refused without one."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSKEY, Kind.TOTP)
    person.passkey.count = -1
    pending = await half(house.by_passkey(person))
    assert pending.seconds == ("otp",)
    got = await arrived(house.door.code(pending.secret, house.code(person), HOME))
    assert got.session.acr == "phr"
    alone = MemoryHouse()
    person = await alone.person(Kind.PASSKEY)
    person.passkey.count = -1
    await refused(alone.by_passkey(person))
    assert await alone.sessions.of(person.id) == []


async def test_who_is_refused_is_told_the_same() -> None:
    """No account, wrong password, no password, disabled, a name nobody can have: one sentence, and no row is left."""
    house = MemoryHouse()
    await house.person(Kind.PASSWORD)
    await house.person(Kind.PASSKEY, login="key@example.org")
    off = await house.person(Kind.PASSWORD, login="off@example.org")
    await house.accounts.disable(off.id, "cli:test")
    for login, password in [
        ("ann@example.org", WRONG),
        ("nobody@example.org", PASSWORD),
        ("key@example.org", PASSWORD),
        ("off@example.org", PASSWORD),
        ("a b", PASSWORD),
        ("", PASSWORD),
        ("x" * 100_000, PASSWORD),
        ("ann@example.org", "x" * 100_000),
        ("ann@example.org", ""),
        ("\ud800\ud800\ud800", PASSWORD),
    ]:
        await refused(house.by_password(login, password))
    assert [each async for each in house.sessions.every()] == []


async def test_an_unknown_passkey_says_so_to_the_browser() -> None:
    """One that was removed: the browser is told not to offer it any more; a disabled account's is refused."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSKEY, Kind.PASSWORD)
    stranger = Person("", "", passkey=Authenticator())
    stranger.passkey.create((await house.kit.passkey.offer(owner_of(person), "browser-1")).shown)
    with pytest.raises(UnknownPasskey):
        await house.by_passkey(stranger)
    await house.accounts.disable(person.id, "cli:test")
    await refused(house.by_passkey(person))


async def test_a_flood_of_strange_passkeys_does_not_fill_the_log() -> None:
    """Sixty a minute are written down; how many more there were stands in the next one."""
    house = MemoryHouse()
    for _ in range(200):
        await refused(house.door.passkey("no ticket", "{}", ABROAD))
    failures = [event for event in house.log.events if event.action is Action.SIGN_IN_FAILED]
    assert len(failures) == 60
    house.clock.ms += MINUTE
    await refused(house.door.passkey("no ticket", "{}", ABROAD))
    assert "140 more" in house.log.events[-1].reason


def owner_of(person: Person):
    """What a factor is told of somebody."""
    return Owner(person.id, person.login)


@pytest.mark.parametrize("name", NAMES)
async def test_of_200_wrong_passwords_at_once_five_are_looked_at(name, tmp_path, monkeypatch) -> None:
    """By two workers on a real store, from as many networks; the owner gets in meanwhile from a known browser."""
    async with opened(name, tmp_path) as again:
        clock, log = StoppedClock(), PlainLog()
        workers = [House(await again(), clock, log) for _ in range(2)]
        await workers[0].person(Kind.PASSWORD)
        known = (await arrived(workers[0].by_password())).device
        looked_at = watch(monkeypatch)
        tries = [
            workers[at % 2].by_password(password=f"{WRONG}{at}", place=Place(f"198.51.{at}.1", f"b{at}"))
            for at in range(200)
        ]
        attack = asyncio.gather(*tries, return_exceptions=True)
        async with asyncio.timeout(5):
            got = await arrived(workers[1].by_password(place=Place("192.0.2.7", "browser-1", known)))
        refusals = await attack
        assert len([each for each in looked_at if each.startswith(WRONG)]) == 5
        assert sum(isinstance(each, Waits) for each in refusals) == 195
        assert sum(isinstance(each, NotAuthenticated) for each in refusals) == 5
        await workers[0].sessions.find(got.secret)


def watch(monkeypatch) -> list[str]:
    """Every password that is really compared with a hash."""
    looked_at: list[str] = []
    before = Hashing.matches

    async def matches(self, encoded, password):
        looked_at.append(password)
        return await before(self, encoded, password)

    monkeypatch.setattr(Hashing, "matches", matches)
    return looked_at


@pytest.mark.parametrize("name", NAMES)
async def test_of_a_spray_from_one_network_fifty_are_looked_at(name, tmp_path, monkeypatch) -> None:
    """However many it tries; and whoever it was at signs in with a known browser, or from elsewhere, all the same."""
    async with opened(name, tmp_path) as again:
        clock, log = StoppedClock(), PlainLog()
        workers = [House(await again(), clock, log) for _ in range(2)]
        await workers[0].person(Kind.PASSWORD)
        looked_at = watch(monkeypatch)
        for start in range(0, SPRAY, 100):
            await asyncio.gather(
                *(
                    workers[at % 2].by_password(f"user{at % 97}@example.org", WRONG, Place(f"203.0.113.{at % 256}"))
                    for at in range(start, start + 100)
                ),
                return_exceptions=True,
            )
        assert len(looked_at) == 50
        assert sum(event.action is Action.SIGN_IN_WAITS for event in log.events) < 60
        await arrived(workers[1].by_password())


async def test_a_wait_is_told_and_ends() -> None:
    """After five wrong ones even the right password waits half a minute, from a stranger's browser; then it opens."""
    house = MemoryHouse()
    await house.person(Kind.PASSWORD)
    for _ in range(5):
        await refused(house.by_password(password=WRONG, place=ABROAD))
    with pytest.raises(Waits, match="30 seconds") as waits:
        await house.by_password(place=ABROAD)
    assert waits.value.retry_after == 30
    house.clock.ms += 30_000
    await arrived(house.by_password(place=ABROAD))
    await refused(house.by_password(password=WRONG, place=ABROAD))
    await arrived(house.by_password(place=ABROAD))


async def test_waits_look_the_same_for_accounts_that_are_not_there() -> None:
    """The sixth try is refused alike, with the same wait."""
    house = MemoryHouse()
    await house.person(Kind.PASSWORD)
    told = []
    for login in ("ann@example.org", "nobody@example.org"):
        for _ in range(5):
            await refused(house.by_password(login, WRONG, ABROAD))
        with pytest.raises(Waits) as waits:
            await house.by_password(login, WRONG, ABROAD)
        told.append((str(waits.value), waits.value.retry_after))
    assert told[0] == told[1]


async def test_passkeys_are_not_made_to_wait() -> None:
    """However many passwords failed."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.PASSKEY)
    for _ in range(20):
        with pytest.raises((NotAuthenticated, TooMany)):
            await house.by_password(password=WRONG, place=ABROAD)
    await arrived(house.by_passkey(person, ABROAD))


async def test_too_many_codes_end_the_pending_sign_in() -> None:
    """Five wrong ones, and the sixth is not looked at; the right one is of no use any more, nor a new password sign-in."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP)
    pending = await half(house.by_password())
    for _ in range(5):
        await refused(house.door.code(pending.secret, "000000", HOME))
    with pytest.raises(Waits):
        await house.door.code(pending.secret, house.code(person), HOME)
    with pytest.raises(NotAuthenticated, match="Begin again"):
        await house.door.code(pending.secret, house.code(person), HOME)
    pending = await half(house.by_password())
    with pytest.raises(Waits):
        await house.door.code(pending.secret, house.code(person), HOME)
    house.clock.ms += 5 * MINUTE
    pending = await half(house.by_password())
    await arrived(house.door.code(pending.secret, house.code(person), HOME))


async def test_who_has_the_password_does_not_guess_codes_for_ever() -> None:
    """After a hundred wrong ones the app answers no more, to nobody; a recovery code or a passkey brings it back."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP, Kind.RECOVERY)
    for _ in range(100):
        house.clock.ms += HOUR
        pending = await half(house.by_password())
        await refused(house.door.code(pending.secret, "000000", HOME))
    house.clock.ms += HOUR
    pending = await half(house.by_password())
    with pytest.raises(Suspended):
        await house.door.code(pending.secret, house.code(person), HOME)
    await arrived(house.door.recovery("", person.login, person.codes[0], HOME))
    house.clock.ms += HOUR
    pending = await half(house.by_password())
    await arrived(house.door.code(pending.secret, house.code(person), HOME))


async def test_a_stranger_does_not_wear_out_recovery_codes() -> None:
    """Wrong ones with a user name alone make that browser wait, not the owner behind a password."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP, Kind.RECOVERY)
    for at in range(300):
        house.clock.ms += MINUTE
        with pytest.raises((NotAuthenticated, TooMany)):
            await house.door.recovery("", person.login, "0000", Place(f"198.51.{at % 250}.1"))
    pending = await half(house.by_password())
    await arrived(house.door.recovery(pending.secret, "", person.codes[0], HOME))


async def test_the_owner_is_shown_what_failed() -> None:
    """How many, when, from where; after a good sign-in it begins anew; the log keeps all of it."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD)
    for _ in range(3):
        await refused(house.by_password(password=WRONG, place=ABROAD))
    shown = await house.book.of(person.id)
    assert shown.failed == 3
    assert {(each.how, each.address, each.agent) for each in shown.newest} == {("password", "203.0.113.5", "Chrome")}
    await arrived(house.by_password())
    assert (await house.book.of(person.id)).failed == 0
    failures = [event for event in house.log.events if event.action is Action.SIGN_IN_FAILED]
    assert [(event.account, event.outcome) for event in failures] == [(person.id, Outcome.DENIED)] * 3


async def test_an_invitation_leads_to_enrolling_and_nothing_else() -> None:
    """A new patient and a new clinician: an unsettled session of the account that the code was for."""
    house = MemoryHouse()
    for new in (NewAccount("Ann", ("patient",), "", "Patient/p", birth="1980-02-29"), NewAccount("Dr", ("clinician",))):
        account = await house.accounts.create(new, "cli:test")
        code = (await house.invitations.invite(account.id, "cli:test")).code
        got = await house.door.join(code, f"user-{account.id}", new.birth, HOME)
        assert (got.session.account, got.session.unsettled, got.session.amr) == (account.id, True, ("inv",))
        with pytest.raises(NotAuthenticated):
            await house.door.join(code, "other-name", new.birth, HOME)


async def test_a_code_for_an_account_in_use_takes_its_factors_away() -> None:
    """A reset: what was lost or stolen opens nothing any more, and sessions are over."""
    house = MemoryHouse()
    person = await house.person(*EVERYTHING)
    before = await arrived(house.by_passkey(person))
    code = (await house.invitations.invite(person.id, "cli:test")).code
    await house.door.join(code, "", "", HOME)
    with pytest.raises(NotAuthenticated):
        await house.sessions.find(before.secret)
    assert await house.kit.held(person.id) == []
    await refused(house.by_password())
    with pytest.raises(NotAuthenticated):
        await house.by_passkey(person)
    assert Action.FACTOR_REMOVE in house.log.actions


async def test_a_user_name_that_is_taken_leaves_the_code_good() -> None:
    """The holder chooses another one."""
    house = MemoryHouse()
    await house.person(Kind.PASSWORD)
    account = await house.accounts.create(NewAccount("Bob", ("patient",), "", "Patient/b"), "cli:test")
    code = (await house.invitations.invite(account.id, "cli:test")).code
    with pytest.raises(Conflict, match="another user name"):
        await house.door.join(code, "ann@example.org", "", HOME)
    await house.door.join(code, "bob@example.org", "", HOME)


async def test_codes_of_invitations_are_not_guessed_all_day() -> None:
    """Twenty an hour from one network."""
    house = MemoryHouse()
    for _ in range(20):
        with pytest.raises(NotAuthenticated):
            await house.door.join("0000", "ann", "", HOME)
    with pytest.raises(Waits):
        await house.door.join("0000", "ann", "", HOME)


async def test_user_names_are_not_found_out_with_one_good_code() -> None:
    """Whoever holds an invitation tries names that others may have: each try counts, like a wrong code."""
    house = MemoryHouse()
    await house.person(Kind.PASSWORD)
    account = await house.accounts.create(NewAccount("Bob", ("patient",), "", "Patient/b"), "cli:test")
    code = (await house.invitations.invite(account.id, "cli:test")).code
    for _ in range(20):
        with pytest.raises(Conflict):
            await house.door.join(code, "ann@example.org", "", HOME)
    with pytest.raises(Waits):
        await house.door.join(code, "ann@example.org", "", HOME)


async def test_a_date_of_birth_is_not_guessed_from_many_networks() -> None:
    """The paper is found: five dates in five minutes, a hundred in all, wherever they come from; a new code helps."""
    house = MemoryHouse()
    new = NewAccount("Bob", ("patient",), "", "Patient/b", birth="1980-02-29")
    account = await house.accounts.create(new, "cli:test")
    code = (await house.invitations.invite(account.id, "cli:test", hours=720)).code
    looked_at = 0
    for network in range(400):
        place = replace(HOME, address=f"198.51.{network % 256}.{network // 256}")
        with pytest.raises((NotAuthenticated, TooMany)) as refusal:
            await house.door.join(code, "bob", f"19{network % 80 + 10}-01-01", place)
        looked_at += isinstance(refusal.value, NotAuthenticated)
        house.clock.ms += 3_600_000
    assert looked_at == 100
    with pytest.raises(TooMany):
        await house.door.join(code, "bob", "1980-02-29", HOME)
    code = (await house.invitations.invite(account.id, "cli:test")).code
    assert await house.door.join(code, "bob", "1980-02-29", HOME)


async def test_what_is_over_is_swept_and_nothing_else() -> None:
    """Sessions, half sign-ins, invitations, marks and counters go when their time has come; a wait is not shortened."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP, Kind.PASSKEY)
    await half(house.by_password())
    await arrived(house.by_passkey(person))
    other = await house.accounts.create(NewAccount("Bob", ("patient",), "", "Patient/b"), "cli:test")
    await house.invitations.invite(other.id, "cli:test", hours=1)
    await wait_begins(house)
    _, until = await house.lockout.standing(person.login)
    before = dict(house.disk.rows[Table.IDENTITY])
    assert await house.whole.sweep() == 0
    assert house.disk.rows[Table.IDENTITY] == before
    house.clock.ms += HOUR
    assert await house.whole.sweep() == 4
    assert house.disk.rows[Table.ONCE] == {}
    await refused(house.by_password(password=WRONG, place=ABROAD))
    n, later = await house.lockout.standing(person.login)
    assert (n, later) == (6, house.clock.ms + MINUTE)
    assert later > until
    house.clock.ms += 3 * 24 * HOUR
    await house.whole.sweep()
    assert house.disk.counts == {}
    assert (await house.whole.standing(person.id)).failed == 5


async def wait_begins(house: House) -> None:
    """Four wrong passwords after one that was right and led no further."""
    for _ in range(4):
        await refused(house.by_password(password=WRONG, place=ABROAD))


async def test_disabled_in_the_middle_of_a_sign_in() -> None:
    """Between password and session, on another process: nobody is in."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD)
    results = await asyncio.gather(
        *(house.by_password() for _ in range(5)),
        house.process().accounts.disable(person.id, "cli:test"),
        return_exceptions=True,
    )
    assert not isinstance(results[-1], Exception)
    assert await house.sessions.of(person.id) == []


async def test_no_store_no_sign_in() -> None:
    """Neither with the right password nor with a passkey, and nobody is told that a wrong one was wrong."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.PASSKEY)
    house.backend.fault = Fault.REFUSE
    for attempt in (house.by_password(), house.by_password(password=WRONG), house.by_passkey(person)):
        with pytest.raises(Unavailable):
            await attempt
    house.backend.fault = None
    assert await house.sessions.of(person.id) == []


async def test_no_secret_is_in_a_row_in_the_log_or_in_a_repr() -> None:
    """Passwords, codes, session and device secrets, pending ones: nowhere in clear."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP, Kind.RECOVERY)
    pending = await half(house.by_password())
    code = house.code(person)
    got = await arrived(house.door.code(pending.secret, code, HOME))
    await refused(house.by_password(password=WRONG))
    disk = b"".join(row for table in (Table.IDENTITY, Table.ONCE) for row in house.disk.rows[table].values())
    told = repr((house.log.events, pending, got, person.id))
    for secret in (PASSWORD, WRONG, pending.secret, got.secret, got.device, *person.codes, "ann@example.org"):
        assert secret.encode() not in disk
        assert secret == "ann@example.org" or secret not in told
