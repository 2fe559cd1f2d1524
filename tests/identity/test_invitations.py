"""Invitations: the only way into a record that is there already, good once, in time, for who knows the date of birth."""

from __future__ import annotations

import asyncio

import pytest

from identity.world import World
from medlock.errors import BadRequest, Conflict, NotAuthenticated, Raced
from medlock.identity import codes
from medlock.identity.account import Status
from medlock.identity.accounts import NewAccount
from medlock.identity.invitations import SENTENCE
from medlock.store.tables import Table

HOUR = 3_600_000


async def invited(world: World, birth: str = "", login: str = "") -> tuple[str, str]:
    """A new patient's account and its code."""
    account = await world.accounts.create(NewAccount("Ann", ("patient",), login, "Patient/p1", birth=birth), "cli:test")
    return account.id, (await world.invitations.invite(account.id, "cli:test", hours=1)).code


async def take(world: World, code: str, login: str = "ann", birth: str = "") -> None:
    """Take it up, to the end."""
    _, taken = await world.invitations.take(code, login, birth)
    await world.backend.commit(taken.batch)


async def refused(world: World, code: str, login: str = "ann", birth: str = "") -> str:
    """The private reason for which it is refused."""
    with pytest.raises(NotAuthenticated, match="ask for a new code") as refusal:
        await take(world, code, login, birth)
    assert str(refusal.value) == SENTENCE
    return refusal.value.reason


def test_codes_are_long_and_read_as_they_are_written() -> None:
    """120 bits; small letters, spaces, other dashes and mistaken letters do not matter."""
    code = codes.new_code()
    assert len(codes.plain(code)) * 5 == 120
    typed = code.lower().replace("-", " \N{EN DASH} ").replace("1", "l").replace("0", "o")
    assert codes.digest(typed) == codes.digest(code)
    assert codes.digest(code[:-1]) != codes.digest(code)
    assert len({codes.new_code() for _ in range(500)}) == 500


async def test_a_code_makes_the_account_its_holders_once() -> None:
    """It becomes active under the chosen user name; the code is worth nothing afterwards."""
    world = World()
    account, code = await invited(world)
    await take(world, code.lower(), "Ann@Example.org")
    found = await world.accounts.by_login("ann@example.org")
    assert found is not None
    assert (found.value.id, found.value.status) == (account, Status.ACTIVE)
    assert await refused(world, code) == "no such code"


async def test_of_many_who_take_it_up_at_once_one_does() -> None:
    """Fifty at the same moment, on two processes, with different user names: one account, one name."""
    world = World()
    _, code = await invited(world)
    processes = world, world.process()
    names = [f"ann-{at}" for at in range(50)]
    tries = (take(processes[at % 2], code, name) for at, name in enumerate(names))
    got = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(each is None for each in got) == 1
    assert all(each is None or isinstance(each, (Raced, NotAuthenticated)) for each in got)
    assert sum([await world.accounts.by_login(name) is not None for name in names]) == 1


async def test_a_code_ends_with_its_time_and_with_the_next_one() -> None:
    """Not at its last millisecond any more; and a new code for the same account ends the former."""
    world = World()
    account, code = await invited(world)
    again = (await world.invitations.invite(account, "cli:test", hours=2)).code
    assert await refused(world, code) == "no such code"
    world.clock.ms += 2 * HOUR
    assert "over" in await refused(world, again)
    assert await world.invitations.sweep() == 1
    assert await refused(world, again) == "no such code"


async def test_the_date_of_birth_must_be_known_where_one_was_given() -> None:
    """A found or stolen code alone opens nothing."""
    world = World()
    _, code = await invited(world, birth="1980-02-29")
    for birth in ("", "1980-02-28", "29.02.1980"):
        assert "date of birth" in await refused(world, code, birth=birth)
    await take(world, code, birth=" 1980-02-29 ")


async def test_a_disabled_account_is_not_taken_up() -> None:
    """Neither with a code from before, nor is a new one made."""
    world = World()
    account, code = await invited(world)
    await world.accounts.disable(account, "cli:test")
    assert "disabled" in await refused(world, code)
    with pytest.raises(Conflict):
        await world.invitations.invite(account, "cli:test")


async def test_a_user_name_that_is_taken_is_not_taken_again() -> None:
    """Whoever chose it first has it; the code stays good for another name."""
    world = World()
    await world.active("ann@example.org", resource="Patient/p9")
    account, code = await invited(world)
    with pytest.raises(Raced):
        await take(world, code, "ann@example.org")
    await take(world, code, "ann2@example.org")
    assert (await world.accounts.get(account)).login == "ann2@example.org"


async def test_a_name_from_the_clinic_stays() -> None:
    """Where the clinic chose the user name, the holder of the code does not."""
    world = World()
    account, code = await invited(world, login="dr.who")
    await take(world, code, "another")
    assert (await world.accounts.get(account)).login == "dr.who"


async def test_a_code_for_an_account_in_use_is_a_reset() -> None:
    """What was given to it ends; it keeps its name."""
    world = World()
    account = await world.active()
    begun = await world.sign_in(account.id)
    code = (await world.invitations.invite(account.id, "cli:test")).code
    _, taken = await world.invitations.take(code, "", "")
    assert taken.reset
    await world.backend.commit(taken.batch)
    with pytest.raises(NotAuthenticated):
        await world.sessions.find(begun.secret)
    assert (await world.accounts.get(account.id)).login == account.login


async def test_how_long_is_bounded() -> None:
    """From an hour to a month."""
    world = World()
    account, _ = await invited(world)
    for hours in (0, -1, 24 * 30 + 1):
        with pytest.raises(BadRequest):
            await world.invitations.invite(account, "cli:test", hours=hours)


async def test_the_disk_does_not_hold_a_code() -> None:
    """Neither the code nor its digest lies in clear, and neither is in the log or in a repr."""
    world = World()
    account, _ = await invited(world)
    made = await world.invitations.invite(account, "cli:test")
    disk = b"".join(world.disk.rows[Table.IDENTITY].values())
    for secret in (codes.plain(made.code).encode(), made.code.encode(), codes.digest(made.code)):
        assert secret not in disk
    assert made.code not in repr(world.log.events) + repr(made)
