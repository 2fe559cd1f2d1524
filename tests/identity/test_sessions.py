"""Sessions: recognised exactly while they last, under a secret that changes with every proof."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import pytest

from identity.world import HOME, PASSWORD, World
from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.errors import NotAuthenticated, NotFound, Tampered, Unavailable
from medlock.identity.ground import Place
from medlock.identity.sessions import LONGEST_MS, SENTENCE, SESSIONS_MAX, Proven
from medlock.store.memory import Fault
from medlock.store.tables import Table

MINUTE = 60_000


async def refused(world, secret: str) -> str:
    """The private reason for which a secret is refused."""
    with pytest.raises(NotAuthenticated) as refusal:
        await world.sessions.find(secret)
    assert str(refusal.value) == SENTENCE
    return refusal.value.reason


async def test_a_secret_is_recognised_by_every_process() -> None:
    """It says whose it is and how they proved it; other texts say nothing."""
    world = World()
    account = await world.active()
    begun = await world.sign_in(account.id)
    found = await world.process().sessions.find(begun.secret)
    assert found == begun.session
    assert (found.account, found.amr, found.agent, found.address) == (account.id, ("pwd",), "Firefox", "192.0.2.7")
    assert len(begun.secret) * 6 >= 256
    for secret in ("", "x", found.id, begun.secret[:-1], begun.secret + "=", "\ud800"):
        assert await refused(world, secret) == "unknown session"


@pytest.mark.parametrize(("role", "minutes"), [(Role.PATIENT, 30), (Role.CLINICIAN, 15), (Role.SECURITY_ADMIN, 15)])
async def test_a_session_that_is_not_used_ends(role: Role, minutes: int) -> None:
    """After a quarter of an hour for who works here, half an hour for patients."""
    world = World()
    account = await world.active(role=role)
    begun = await world.sign_in(account.id)
    world.clock.ms += minutes * MINUTE - 1
    await world.sessions.find(begun.secret)
    world.clock.ms += minutes * MINUTE - 1
    await world.sessions.find(begun.secret)
    world.clock.ms += minutes * MINUTE
    assert "run out" in await refused(world, begun.secret)


async def test_a_session_that_is_used_all_the_time_ends_after_twelve_hours() -> None:
    """However busy it is, and however often its owner proved who they are."""
    world = World()
    account = await world.active()
    began, secret = world.clock.ms, (await world.sign_in(account.id)).secret
    while world.clock.ms < began + LONGEST_MS:
        await world.sessions.find(secret)
        secret = (await world.sessions.renew(secret, PASSWORD)).secret
        world.clock.ms += 20 * MINUTE
    assert "run out" in await refused(world, secret)


async def test_when_it_was_used_is_written_once_a_minute() -> None:
    """A busy session costs one write a minute, and is never taken for younger than it is."""
    world = World()
    begun = await world.sign_in((await world.active()).id)
    before = sum(world.backend.tally().sizes[:-1])
    for _ in range(121):
        await world.sessions.find(begun.secret)
        world.clock.ms += 1_000
    assert sum(world.backend.tally().sizes[:-1]) - before == 2


async def test_a_proof_changes_the_secret_and_kills_the_former() -> None:
    """The id stays; methods add up; the time of the proof is now, that of the sign-in stays."""
    world = World()
    begun = await world.sign_in((await world.active()).id)
    world.clock.ms += 5 * MINUTE
    renewed = await world.sessions.renew(begun.secret, Proven(("hwk", "user"), "phr"))
    assert renewed.secret != begun.secret
    assert await refused(world, begun.secret) == "unknown session"
    found = await world.sessions.find(renewed.secret)
    assert (found.id, found.amr, found.acr) == (begun.session.id, ("pwd", "hwk", "user"), "phr")
    assert (found.auth_time, found.stepped_up) == (begun.session.auth_time, world.clock.ms)
    assert len(await world.sessions.of(found.account)) == 1


async def test_of_many_who_renew_at_once_one_does() -> None:
    """The same secret, twenty times, two processes: one new session, not twenty."""
    world = World()
    begun = await world.sign_in((await world.active()).id)
    processes = world, world.process()
    tries = (processes[at % 2].sessions.renew(begun.secret, PASSWORD) for at in range(20))
    got = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in got) == 1
    assert len(await world.sessions.of(begun.session.account)) == 1


async def test_the_owner_sees_and_ends_sessions() -> None:
    """One by one, or all but the present one; another's cannot be ended."""
    world = World()
    ann, bob = await world.active(), await world.active("bob@example.org")
    here = await world.sign_in(ann.id)
    phone = await world.sign_in(ann.id, Place("198.51.100.9", agent="Phone"))
    world.clock.ms += 2 * MINUTE
    await world.sessions.find(here.secret)
    others = await world.sign_in(bob.id)
    assert [each.id for each in await world.sessions.of(ann.id)] == [here.session.id, phone.session.id]
    with pytest.raises(NotFound):
        await world.sessions.end(ann.id, others.session.id)
    await world.sessions.end(ann.id, phone.session.id)
    assert await refused(world, phone.secret) == "unknown session"
    for _ in range(3):
        await world.sign_in(ann.id)
    assert await world.sessions.end_all(ann.id, but=here.session.id) == 3
    assert [each.id for each in await world.sessions.of(ann.id)] == [here.session.id]
    assert await world.sessions.lives(ann.id, here.session.id)
    assert not await world.sessions.lives(ann.id, phone.session.id)
    assert await world.sessions.end_all(ann.id) == 1
    await world.sessions.find(others.secret)


async def test_sessions_are_bounded_and_swept() -> None:
    """Who begins more than fifty loses the oldest; those that ran out go from the disk."""
    world = World()
    account = await world.active()
    begun = []
    for _ in range(SESSIONS_MAX + 2):
        world.clock.ms += 1
        begun.append(await world.sign_in(account.id))
    assert len(await world.sessions.of(account.id)) == SESSIONS_MAX
    assert await refused(world, begun[1].secret) == "unknown session"
    await world.sessions.find(begun[2].secret)
    rows = len(world.disk.rows[Table.IDENTITY])
    world.clock.ms += 31 * MINUTE
    assert await world.sessions.sweep() == SESSIONS_MAX
    assert len(world.disk.rows[Table.IDENTITY]) == rows - SESSIONS_MAX
    await world.sign_in(account.id)
    assert len(await world.sessions.of(account.id)) == 1


async def test_begin_prove_and_end_are_written_down() -> None:
    """Each an event that names the session and its account; none holds a secret or its digest."""
    world = World()
    account = await world.active()
    begun = await world.sign_in(account.id)
    renewed = await world.sessions.renew(begun.secret, PASSWORD)
    await world.sessions.end(account.id, begun.session.id, by="cli:test")
    mine = [event for event in world.log.events if event.request == begun.session.id]
    assert [event.action for event in mine] == [Action.SESSION_START, Action.SESSION_PROVE, Action.SESSION_END]
    assert [event.account for event in mine] == [account.id, account.id, "cli:test"]
    told = repr(world.log.events) + repr(begun) + repr(renewed)
    for secret in (begun.secret, renewed.secret):
        assert secret not in told
        assert sha256(secret.encode()).hexdigest() not in told


async def test_nothing_begins_that_cannot_be_written() -> None:
    """A disk that refuses gives no session."""
    world = World()
    account = await world.active()
    world.backend.fault = Fault.REFUSE
    with pytest.raises(Unavailable):
        await world.sign_in(account.id)
    world.backend.fault = None
    assert await world.sessions.of(account.id) == []


async def test_a_row_moved_to_another_place_does_not_open() -> None:
    """A strong session's row copied over a weak one's is tampering, not rights."""
    world = World()
    weak = await world.sign_in((await world.active()).id)
    strong = await world.sign_in((await world.active("dr@example.org", Role.CLINICIAN)).id)
    drawer = world.sessions._rows
    rows = world.disk.rows[Table.IDENTITY]
    rows[drawer.key(weak.session.digest)] = rows[drawer.key(strong.session.digest)]
    with pytest.raises(Tampered):
        await world.process().sessions.find(weak.secret)


async def test_a_known_device_is_an_accounts_own() -> None:
    """The secret of a browser is known to those who signed in there, for half a year, and to nobody else."""
    world = World()
    ann, bob = await world.active(), await world.active("bob@example.org")
    batch, name, secret = await world.devices.remember(ann.id, HOME)
    await world.backend.commit(batch)
    found = await world.devices.find(ann.id, secret)
    assert found is not None
    assert found.id == name
    assert await world.devices.find(bob.id, secret) is None
    assert await world.devices.find("", secret) is None
    assert await world.devices.find(ann.id, "") is None
    assert await world.devices.find(ann.id, secret[:-1]) is None
    world.clock.ms += 100
    batch, again, fresh = await world.devices.remember(ann.id, Place(device=secret))
    await world.backend.commit(batch)
    assert (again, fresh) == (name, "")
    batch, _, fresh = await world.devices.remember(ann.id, Place(device="chosen by an attacker"))
    assert fresh
    world.clock.ms += 180 * 86_400_000
    assert await world.devices.find(ann.id, secret) is None
