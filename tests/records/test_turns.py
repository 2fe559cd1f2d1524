"""Whoever takes long gives way to others."""

import asyncio

from medlock.records.turns import TURN, in_turns


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
