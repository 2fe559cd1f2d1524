"""Attempts are counted before they are looked at: no number of hands, workers or networks gains more than the pace.

And nobody is kept out by somebody else.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.stores import NAMES, opened
from identity.world import HOME, PlainLog, Process, StoppedClock, World
from medlock.errors import TooMany, Unavailable
from medlock.identity.lockout import HOUR, MINUTE, SECOND, Suspended, Waits, prefix_of
from medlock.store.memory import Fault
from medlock.store.sqlite import open_sqlite
from store.backend_conformance import CountingLedger

SPRAY = 10_000 if os.environ.get("MEDLOCK_THOROUGH") else 400
LOGIN = "ann@example.org"
ELSEWHERE = "203.0.113.5"


async def through(lockout, login=LOGIN, address=ELSEWHERE, device=None) -> bool:
    """Whether a guess is let through."""
    try:
        await lockout.guess(login, address, device)
    except TooMany:
        return False
    return True


async def known_device(world, account_id: str):
    """A browser in which the owner signed in before."""
    batch, _, secret = await world.devices.remember(account_id, HOME)
    await world.backend.commit(batch)
    return await world.devices.find(account_id, secret)


@pytest.mark.parametrize("name", NAMES)
async def test_of_200_guesses_at_once_five_are_looked_at(name, tmp_path) -> None:
    """From 200 networks, by two workers, on a real store."""
    async with opened(name, tmp_path) as again:
        clock = StoppedClock()
        workers = [Process(await again(), clock, PlainLog()) for _ in range(2)]
        got = await asyncio.gather(*(through(workers[at % 2].lockout, address=f"198.51.{at}.1") for at in range(200)))
        assert sum(got) == 5


async def test_two_processes_share_one_count(tmp_path) -> None:
    """Two operating system processes on one file, 100 guesses each: five get through in all."""
    file = tmp_path / "medlock.db"
    await open_sqlite(file, CountingLedger()).close()
    command = [sys.executable, "-m", "identity.guesser", str(file), LOGIN, "100"]
    tests = Path(__file__).parents[1]
    running = [
        await asyncio.create_subprocess_exec(*command, cwd=tests, stdout=asyncio.subprocess.PIPE) for _ in range(2)
    ]
    told = [await each.communicate() for each in running]
    assert sum(int(out) for out, _ in told) == 5


@pytest.mark.parametrize("name", NAMES)
async def test_a_spray_from_one_network_stops_at_fifty(name, tmp_path) -> None:
    """However many user names it tries; and it has not touched the counts of those it did not reach."""
    async with opened(name, tmp_path) as again:
        clock = StoppedClock()
        workers = [Process(await again(), clock, PlainLog()) for _ in range(2)]
        got = []
        for start in range(0, SPRAY, 200):
            got += await asyncio.gather(
                *(
                    through(workers[at % 2].lockout, f"user-{at}", f"203.0.113.{at % 256}")
                    for at in range(start, start + 200)
                )
            )
        assert sum(got) == 50
        assert await workers[0].lockout.standing(f"user-{SPRAY - 1}") == (0, 0)
        clock.ms += HOUR
        assert await through(workers[1].lockout)


async def test_waits_grow_from_half_a_minute_to_an_hour() -> None:
    """Five free, then one after each wait; what is refused makes no wait longer; after a quiet day all begins anew."""
    world = World()
    for _ in range(5):
        assert await through(world.lockout)
    for wait in (30 * SECOND, MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 16 * MINUTE, 32 * MINUTE, HOUR, HOUR):
        world.clock.ms += wait - 1
        with pytest.raises(Waits) as refusal:
            await world.lockout.guess(LOGIN, ELSEWHERE, None)
        assert refusal.value.retry_after == 1
        world.clock.ms += 1
        assert await through(world.lockout)
    world.clock.ms += 25 * HOUR
    assert [await through(world.lockout) for _ in range(6)] == [True] * 5 + [False]


async def test_a_stranger_does_not_keep_the_owner_out() -> None:
    """While somebody guesses all the time, a browser that signed in before has its own five tries, and no address."""
    world = World()
    account = await world.active(LOGIN)
    device = await known_device(world, account.id)
    for at in range(100):
        await through(world.lockout, address=f"198.51.{at}.1")
    for _ in range(60):
        await through(world.lockout, "x", HOME.address)
    assert not await through(world.lockout, address=HOME.address)
    guess = await world.lockout.guess(LOGIN, HOME.address, device)
    await world.lockout.right(guess)
    await world.lockout.entered(guess)
    assert (await world.lockout.guess(LOGIN, HOME.address, device)).n == 1


async def test_the_owners_sign_in_gives_a_stranger_nothing() -> None:
    """A sign-in from a known browser does not free the count that strangers are on."""
    world = World()
    account = await world.active(LOGIN)
    device = await known_device(world, account.id)
    for _ in range(5):
        await through(world.lockout)
    guess = await world.lockout.guess(LOGIN, HOME.address, device)
    await world.lockout.right(guess)
    await world.lockout.entered(guess)
    assert not await through(world.lockout)


async def test_a_stolen_device_secret_is_good_for_one_account_and_one_pace() -> None:
    """It has five tries like anybody, and none at another account."""
    world = World()
    account = await world.active(LOGIN)
    other = await world.active("bob@example.org")
    device = await known_device(world, account.id)
    assert await world.devices.find(other.id, "stolen") is None
    assert [await through(world.lockout, device=device) for _ in range(8)] == [True] * 5 + [False] * 3


async def test_right_passwords_do_not_use_up_an_address() -> None:
    """A hundred people behind one address sign in: none is refused."""
    world = World()
    for at in range(100):
        guess = await world.lockout.guess(f"user-{at}", ELSEWHERE, None)
        await world.lockout.right(guess)
        await world.lockout.entered(guess)


async def test_someone_with_an_account_gains_no_guesses_at_others() -> None:
    """Signing in to one's own between guesses gives back one's own count and nothing more."""
    world = World()
    looked_at = 0
    for at in range(200):
        looked_at += await through(world.lockout, f"victim-{at}")
        try:
            guess = await world.lockout.guess("own", ELSEWHERE, None)
        except TooMany:
            continue
        await world.lockout.right(guess)
        await world.lockout.entered(guess)
    assert looked_at <= 50


async def test_the_whole_store_has_a_limit() -> None:
    """A thousand guesses in five minutes, from wherever they come and whomever they are at."""
    world = World()
    got = [await through(world.lockout, f"user-{at}", f"10.{at // 250}.{at % 250}.1") for at in range(1_100)]
    assert sum(got) == 1_000
    world.clock.ms += 5 * MINUTE
    assert await through(world.lockout)


async def test_one_network_does_not_use_up_what_the_others_have() -> None:
    """However often it is refused, new browsers elsewhere sign in; the same for codes of invitations."""
    world = World()
    for at in range(1_200):
        await through(world.lockout, f"user-{at}")
        with suppress(TooMany):
            await world.lockout.join(ELSEWHERE)
    assert await through(world.lockout, address="198.51.100.1")
    await world.lockout.join("198.51.100.1")


@pytest.mark.parametrize("factor", ["totp", "recovery"])
async def test_codes_have_windows_of_their_own(factor) -> None:
    """Five in five minutes, twenty an hour, fifty a day, for who tries two a minute all day."""
    world = World()
    times = []
    for minute in range(24 * 60):
        for _ in range(2):
            with suppress(TooMany):
                await world.lockout.code("a", factor)
                times.append(minute)
        world.clock.ms += MINUTE
    assert len(times) == 50
    assert max(sum(start <= minute < start + 5 for minute in times) for start in range(0, 1440, 5)) == 5
    assert max(sum(start <= minute < start + 60 for minute in times) for start in range(0, 1440, 60)) == 20


async def test_a_hundred_wrong_codes_in_a_row_suspend_the_factor() -> None:
    """Even one a quarter of an hour; another factor proven, or an unlock, and it answers again."""
    world = World()

    async def wear_out() -> int:
        for n in range(1_000):
            world.clock.ms += HOUR
            try:
                await world.lockout.code("a", "totp")
            except Suspended:
                return n
        return -1

    assert await wear_out() == 100
    assert await world.lockout.suspended("a", ["totp", "recovery"]) == ["totp"]
    world.clock.ms += 1_000 * HOUR
    with pytest.raises(Suspended):
        await world.lockout.code("a", "totp")
    await world.lockout.proven("a", "passkey", ["totp", "recovery"])
    await world.lockout.code("a", "totp")
    assert await wear_out() == 99
    await world.lockout.unlock("a", LOGIN, ["totp", "recovery"], [])
    await world.lockout.code("a", "totp")
    await world.lockout.code_right("a", "totp")
    assert await wear_out() == 100


async def test_a_flood_of_refused_codes_does_not_suspend() -> None:
    """Only what was looked at counts in the row."""
    world = World()
    for _ in range(500):
        with suppress(Waits):
            await world.lockout.code("a", "totp")
    assert await world.lockout.suspended("a", ["totp"]) == []


@pytest.mark.parametrize("name", NAMES)
async def test_codes_at_once_are_no_more(name, tmp_path) -> None:
    """Two hundred at the same moment on two workers: five are looked at."""
    async with opened(name, tmp_path) as again:
        clock = StoppedClock()
        workers = [Process(await again(), clock, PlainLog()) for _ in range(2)]
        tries = (workers[at % 2].lockout.code("a", "totp") for at in range(200))
        got = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(each is None for each in got) == 5


async def test_codes_of_invitations_are_counted_by_address() -> None:
    """Twenty an hour; a right one does not count."""
    world = World()
    for _ in range(30):
        await world.lockout.joined(await world.lockout.join(ELSEWHERE))
    for _ in range(20):
        await world.lockout.join(ELSEWHERE)
    with pytest.raises(Waits):
        await world.lockout.join(ELSEWHERE)
    await world.lockout.join("198.51.100.1")


async def test_proofs_in_a_session_have_their_own_pace() -> None:
    """Somebody at an open session guesses five times, and the owner's sign-in is not touched."""
    world = World()
    for _ in range(5):
        name = await world.lockout.proof("session")
    with pytest.raises(Waits):
        await world.lockout.proof("session")
    assert await through(world.lockout)
    await world.lockout.settle([name])
    await world.lockout.proof("session")


async def test_an_unlock_begins_everything_anew() -> None:
    """For the account, its devices and its codes; not for the address of whoever guessed."""
    world = World()
    account = await world.active(LOGIN)
    device = await known_device(world, account.id)
    for at in range(9):
        await through(world.lockout, address=f"198.51.{at}.1")
        await through(world.lockout, device=device)
    n, until = await world.lockout.standing(LOGIN)
    assert (n, until) == (5, world.clock.ms + 30 * SECOND)
    await world.lockout.unlock(account.id, LOGIN, ["totp", "recovery"], await world.devices.of(account.id))
    assert await world.lockout.standing(LOGIN) == (0, 0)
    assert await through(world.lockout)
    assert await through(world.lockout, device=device)


async def test_what_cannot_be_counted_is_refused() -> None:
    """A store that does not answer lets nobody guess."""
    world = World()
    world.backend.fault = Fault.REFUSE
    for attempt in (
        world.lockout.guess(LOGIN, ELSEWHERE, None),
        world.lockout.code("a", "totp"),
        world.lockout.join(ELSEWHERE),
        world.lockout.proof("session"),
    ):
        with pytest.raises(Unavailable):
            await attempt


async def test_what_is_counted_does_not_say_for_whom() -> None:
    """Counters are named by a keyed function: the same attempts under another key have other names."""
    world, other = World(), World()
    other.lockout._name = replace(other.ground, counters=type(other.ground.counters)(b"x" * 32)).counter
    await through(world.lockout)
    await through(other.lockout)
    assert len(world.disk.counts) == len(other.disk.counts) == 3
    assert not set(world.disk.counts) & set(other.disk.counts)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.9", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("", "unix", False),
    ],
)
def test_networks_are_counted_as_one(one, other, same) -> None:
    """/24 and /64, however an address is written."""
    assert (prefix_of(one) == prefix_of(other)) is same


@given(st.ip_addresses())
def test_every_address_has_a_network(address) -> None:
    """And it says how wide it is."""
    assert prefix_of(str(address)).endswith(("/24", "/64"))
