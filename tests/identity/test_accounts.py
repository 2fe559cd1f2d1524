"""Accounts: names are taken once, changes act on the next request, and all of it is written down."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.world import HOME, PASSWORD, World
from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.errors import BadRequest, Conflict, MedlockError, NotAuthenticated, NotFound, Raced, Unavailable
from medlock.identity.account import Proxy, Status, canonical_login
from medlock.identity.accounts import NewAccount
from medlock.store.memory import Fault
from medlock.store.tables import Table

NEW = NewAccount("Ann Okafor", ("patient",), "ann@example.org", "Patient/p1")


async def test_an_account_is_found_by_what_names_it() -> None:
    """By id, user name in any writing, and record; not by others."""
    world = World()
    made = await world.accounts.create(NEW, "cli:test")
    for found in (
        await world.accounts.held(made.id),
        await world.accounts.by_login(canonical_login("  ANN@Example.org ")),
        await world.accounts.by_person("Patient/p1"),
    ):
        assert found is not None
        assert found.value == made
    assert await world.accounts.by_login("bob@example.org") is None
    assert await world.accounts.by_person("Patient/p2") is None
    with pytest.raises(NotFound):
        await world.accounts.get("nobody")


@pytest.mark.parametrize(
    "new",
    [
        NewAccount("B", ("patient",), "ANN@example.org", "Patient/p2"),
        NewAccount("B", ("patient",), "bob@example.org", "Patient/p1"),
    ],
)
async def test_names_and_records_are_taken_once(new: NewAccount) -> None:
    """A second account with the same user name or record is refused, and nothing of it is left."""
    world = World()
    await world.accounts.create(NEW, "cli:test")
    before = dict(world.disk.rows[Table.IDENTITY])
    with pytest.raises(Conflict):
        await world.accounts.create(new, "cli:test")
    assert world.disk.rows[Table.IDENTITY] == before


async def test_of_many_who_make_the_same_account_one_wins() -> None:
    """Two processes at once: one account."""
    world = World()
    elsewhere = world.process()
    tries = [(world, elsewhere)[at % 2].accounts.create(NEW, "cli:test") for at in range(10)]
    got = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in got) == 1


@pytest.mark.parametrize(
    "new",
    [
        NewAccount("A", ()),
        NewAccount("A", ("king",)),
        NewAccount("A", ("backend",)),
        NewAccount("A", ("patient", "clinician"), "", "Patient/p"),
        NewAccount("A", ("clinician", "security-admin")),
        NewAccount("A", ("patient",)),
        NewAccount("A", ("patient",), "", "Practitioner/x"),
        NewAccount("A", ("clinician",), "", "Patient/x"),
        NewAccount("A", ("clinician",), "", "Observation/x"),
        NewAccount("A", ("clinician",), "", "Practitioner/x/y"),
        NewAccount(" ", ("clinician",)),
        NewAccount("A\x07", ("clinician",)),
        NewAccount("A", ("clinician",), "ab"),
        NewAccount("A", ("clinician",), "a b c"),
        NewAccount("A", ("clinician",), "x" * 255),
        NewAccount("A", ("clinician",), "ab\u202ecd"),
    ],
)
async def test_accounts_that_make_no_sense_are_refused(new: NewAccount) -> None:
    """No role, a program's role, roles that must be apart, a record that does not fit, names that cannot be typed."""
    with pytest.raises(BadRequest):
        await World().accounts.create(new, "cli:test")


@given(st.text(min_size=3, max_size=40))
def test_a_user_name_has_one_form(text: str) -> None:
    """What is canonical stays what it is, and case and width do not make another name."""
    try:
        form = canonical_login(text)
    except BadRequest:
        return
    assert canonical_login(form) == form
    assert canonical_login(f" {form.upper()} ") == canonical_login(form.upper())


async def test_disabling_acts_on_the_next_request_of_every_process() -> None:
    """Sessions end in the same commit; nothing new can be begun; after enabling, the person signs in anew."""
    world = World()
    account = await world.active()
    begun = await world.sign_in(account.id)
    elsewhere = world.process()
    await elsewhere.sessions.find(begun.secret)
    await world.accounts.disable(account.id, "cli:test")
    with pytest.raises(NotAuthenticated):
        await elsewhere.sessions.find(begun.secret)
    with pytest.raises(NotAuthenticated):
        await elsewhere.accounts.standing(account.id)
    assert (await world.accounts.enable(account.id, "cli:test")).status is Status.ACTIVE
    with pytest.raises(NotAuthenticated):
        await elsewhere.sessions.find(begun.secret)
    await world.sign_in(account.id)


@pytest.mark.parametrize("change", ["roles", "proxy", "dismiss", "fields"])
async def test_every_change_of_rights_ends_what_was_given(change: str) -> None:
    """Other roles, another proxy or none, another record: the sessions of before are over."""
    world = World()
    account = await world.active("dr@example.org", Role.CLINICIAN)
    begun = await world.sign_in(account.id)
    now = world.clock.ms
    await {
        "roles": lambda: world.accounts.set_roles(account.id, ("front-desk",), "cli:test"),
        "proxy": lambda: world.accounts.represent(account.id, Proxy("p2", "RelatedPerson/r", now), "cli:test"),
        "dismiss": lambda: world.accounts.dismiss(account.id, "p2", "cli:test"),
        "fields": lambda: world.accounts.change(account.id, "cli:test", organisations=("Organization/o",)),
    }[change]()
    with pytest.raises(NotAuthenticated):
        await world.sessions.find(begun.secret)


async def test_who_signs_in_while_the_account_is_disabled_loses() -> None:
    """A session that was about to begin with the account as it was read is not begun after it changed."""
    world = World()
    account = await world.active()
    held = await world.accounts.standing(account.id)
    await world.accounts.disable(account.id, "cli:test")
    with pytest.raises(Raced):
        await world.sessions.start(held, PASSWORD, HOME)
    assert await world.sessions.of(account.id) == []


async def test_disabling_and_signing_in_at_once_leaves_no_session() -> None:
    """Many sign-ins against one disabling, on two processes: whatever the order, no session outlives it."""
    world = World()
    account = await world.active()
    elsewhere = world.process()

    async def enter(process) -> None:
        for _ in range(5):
            try:
                await process.sign_in(account.id)
            except MedlockError:
                return

    await asyncio.gather(
        enter(world), enter(elsewhere), elsewhere.accounts.disable(account.id, "x"), enter(world), enter(elsewhere)
    )
    assert await world.sessions.of(account.id) == []
    assert [session async for session in world.sessions.every()] == []


async def test_proxies_count_while_they_are_verified_and_in_time() -> None:
    """Before their first day, after their last, and when nobody saw the papers they count for nothing."""
    world = World()
    account = await world.active("guard@example.org", resource="RelatedPerson/r1")
    now = world.clock.ms
    for patient, proxy in {
        "good": Proxy("good", "RelatedPerson/a", now - 1, now + 1, now - 1, "cli:test"),
        "open": Proxy("open", "RelatedPerson/b", now - 1, 0, now - 1, "cli:test"),
        "unseen": Proxy("unseen", "RelatedPerson/c", now - 1),
        "over": Proxy("over", "RelatedPerson/d", now - 9, now, now - 9, "cli:test"),
        "later": Proxy("later", "RelatedPerson/e", now + 1, 0, now - 1, "cli:test"),
    }.items():
        assert proxy.patient == patient
        account = await world.accounts.represent(account.id, proxy, "cli:test")
    assert account.patients(now) == ("good", "open")
    account = await world.accounts.dismiss(account.id, "open", "cli:test")
    assert account.patients(now) == ("good",)
    assert (await world.active("own@example.org", resource="Patient/own")).patients(now) == ("own",)


async def test_every_act_is_written_down_by_the_one_who_did_it() -> None:
    """One event for each, which names the account, its version, and who asked; versions go up by one."""
    world = World()
    account = await world.active()
    await world.accounts.disable(account.id, "cli:boss")
    await world.accounts.enable(account.id, "cli:boss")
    await world.accounts.change(account.id, "cli:boss", organisations=("Organization/o",))
    await world.accounts.confirm(account.id)
    assert [action for action in world.log.actions if "account" in action] == [
        Action.ACCOUNT_CREATE,
        Action.ACCOUNT_INVITE,
        Action.ACCOUNT_TAKE_UP,
        Action.ACCOUNT_DISABLE,
        Action.ACCOUNT_ENABLE,
        Action.ACCOUNT_CHANGE,
        Action.ACCOUNT_CHANGE,
    ]
    marks = [event.request.split(":") for event in world.log.events if ":" in event.request]
    assert [(name, int(version)) for name, version, _ in marks] == [(account.id, at) for at in range(1, 7)]
    assert {event.account for event in world.log.events if event.action is Action.ACCOUNT_DISABLE} == {"cli:boss"}


async def test_nothing_is_changed_that_cannot_be_written() -> None:
    """A disk that refuses leaves the account, and what it was given, as it was."""
    world = World()
    account = await world.active()
    begun = await world.sign_in(account.id)
    world.backend.fault = Fault.REFUSE
    with pytest.raises(Unavailable):
        await world.accounts.disable(account.id, "cli:test")
    world.backend.fault = None
    assert (await world.accounts.get(account.id)).status is Status.ACTIVE
    await world.sessions.find(begun.secret)


async def test_rows_say_nothing() -> None:
    """Neither names nor roles nor the record lie in clear."""
    world = World()
    account = await world.active("marker-login@example.org", resource="Patient/marker-record")
    await world.sign_in(account.id)
    disk = b"".join(world.disk.rows[Table.IDENTITY].values())
    for text in ("marker", "Okafor", "patient", account.id, "Firefox", "192.0.2"):
        assert text.encode() not in disk
