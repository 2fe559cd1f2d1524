"""Nobody gives themselves access to records: a second operator approves, or the account waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.world import World
from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.errors import BadRequest, Conflict, NotAuthenticated, SetupError
from medlock.identity.account import Status
from medlock.identity.accounts import Accounts, NewAccount
from medlock.settings import Settings, two_persons

DOCTOR = NewAccount("Dr Okafor", ("clinician",), "okafor", "Practitioner/d1")
ADMIN = NewAccount("Alice", ("security-admin",), "alice")
ALICE, BOB = "cli:alice", "cli:bob"


def strict(world: World) -> Accounts:
    """The accounts of a site that asks for two persons always."""
    return Accounts(world.ground, (world.sessions,), two_persons=True)


async def test_an_operator_who_makes_their_own_account_waits_for_another() -> None:
    """The account that bears the operator's name waits; they do not approve it themselves, somebody else does."""
    world = World()
    made = await world.accounts.create(NewAccount("Alice", ("nurse",), "Alice"), ALICE)
    assert (made.status, made.asked) == (Status.WAITING, ALICE)
    with pytest.raises(Conflict):
        await world.accounts.approve(made.id, ALICE)
    approved = await world.accounts.approve(made.id, BOB)
    assert (approved.status, approved.asked) == (Status.INVITED, "")
    assert Action.ACCOUNT_APPROVE in world.log.actions
    assert {event.account for event in world.log.events if event.action is Action.ACCOUNT_APPROVE} == {BOB}
    with pytest.raises(Conflict):
        await world.accounts.approve(made.id, BOB)


async def test_whose_account_it_is_does_not_approve_it() -> None:
    """Who asked for another is not the only one who is refused: the account's own operator is too."""
    world = World()
    made = await strict(world).create(NewAccount("Bob", ("clinician",), "bob"), ALICE)
    with pytest.raises(Conflict):
        await strict(world).approve(made.id, BOB)
    assert (await strict(world).approve(made.id, "cli:carol")).status is Status.INVITED


async def test_an_account_that_administers_waits_before_it_treats() -> None:
    """Whoever gives it the role; until then nothing that it had is good, and it is not taken up either."""
    world = World()
    admin = await world.active("admin@example.org", Role.SECURITY_ADMIN)
    begun = await world.sign_in(admin.id)
    changed = await world.accounts.set_roles(admin.id, ("clinician",), ALICE)
    assert changed.status is Status.WAITING
    with pytest.raises(NotAuthenticated):
        await world.sessions.find(begun.secret)
    with pytest.raises(NotAuthenticated):
        await world.accounts.standing(admin.id)
    assert (await world.accounts.approve(admin.id, BOB)).status is Status.ACTIVE
    with pytest.raises(BadRequest):
        await world.accounts.set_roles(admin.id, ("nurse", "security-admin"), BOB)


async def test_disabling_and_enabling_is_no_way_round() -> None:
    """Nor is giving the role again; giving it up is one out."""
    world = World()
    made = await world.accounts.create(NewAccount("Alice", ("lab",), "alice"), ALICE)
    await world.accounts.disable(made.id, ALICE)
    with pytest.raises(Conflict):
        await world.accounts.approve(made.id, BOB)
    assert (await world.accounts.enable(made.id, ALICE)).status is Status.WAITING
    assert (await world.accounts.set_roles(made.id, ("lab",), BOB)).status is Status.WAITING
    assert (await world.accounts.set_roles(made.id, ("billing",), ALICE)).status is Status.INVITED


async def test_a_code_for_an_account_that_waits_opens_nothing() -> None:
    """The same sentence as for a wrong code; when the account is approved, it works."""
    world = World()
    made = await world.accounts.create(NewAccount("Alice", ("clinician",), "alice"), ALICE)
    code = (await world.invitations.invite(made.id, ALICE)).code
    with pytest.raises(NotAuthenticated):
        await world.invitations.take(code, "alice", "")
    await world.accounts.approve(made.id, BOB)
    assert (await world.invitations.take(code, "alice", ""))[1].account.status is Status.ACTIVE


async def test_others_do_not_wait_unless_the_site_asks() -> None:
    """An account for somebody else is as it always was; with two persons it waits, and other roles do not."""
    world = World()
    assert (await world.accounts.create(DOCTOR, ALICE)).status is Status.INVITED
    assert (await world.accounts.create(ADMIN, ALICE)).status is Status.INVITED
    more = NewAccount("Dr Berg", ("clinician",), "berg")
    assert (await strict(world).create(more, ALICE)).status is Status.WAITING
    desk = NewAccount("Cleo", ("front-desk",), "cleo")
    assert (await strict(world).create(desk, ALICE)).status is Status.INVITED


def test_the_setting(tmp_path: Path) -> None:
    """On or off, and nothing else."""
    assert not two_persons(Settings(tmp_path))
    assert two_persons(Settings(tmp_path, two_persons="on"))
    with pytest.raises(SetupError):
        two_persons(Settings(tmp_path, two_persons="maybe"))
