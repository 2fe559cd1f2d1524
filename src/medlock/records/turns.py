"""Long work in turns: one thread answers many callers, so whoever takes long gives way now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")
TURN = 32
"""Items of some hundred microseconds each, so that a turn is a few milliseconds."""


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with everybody else's work between every `TURN` of them."""
    for count, item in enumerate(items, 1):
        yield item
        if count % TURN == 0:
            await asyncio.sleep(0)
