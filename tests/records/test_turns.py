"""Whoever takes long gives way to others."""

import asyncio

import pytest

from medlock.records.turns import TURN, Held, in_turns


async def test_all_items_come_in_order():
    """Nothing is lost between turns."""
    assert [item async for item in in_turns(range(3 * TURN + 1))] == list(range(3 * TURN + 1))


async def test_others_go_between():
    """Somebody who waits is served after every turn, not at the end."""
    served: list[int] = []
    taken = 0

    async def other():
        while True:
            served.append(taken)
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    async for _ in in_turns(range(4 * TURN)):
        taken += 1
    waiting.cancel()
    assert served == [TURN, 2 * TURN, 3 * TURN, 4 * TURN]


async def test_locks_are_let_go_of_whatever_happens():
    """After an error inside, and when the wait for the second lock is called off."""
    locks = [asyncio.Lock(), asyncio.Lock()]

    async def fail():
        async with Held(locks):
            raise ValueError([lock.locked() for lock in locks])

    with pytest.raises(ValueError, match="True, True"):
        await fail()
    assert not any(lock.locked() for lock in locks)

    async def hold():
        async with Held(locks):
            raise AssertionError("the second lock is taken")

    await locks[1].acquire()
    waiting = asyncio.create_task(hold())
    await asyncio.sleep(0)
    assert locks[0].locked()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [lock.locked() for lock in locks] == [False, True]
