"""One thread answers many callers: long work gives way now and then, and locks are held in one order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
TURN = 32
"""Items of some hundred microseconds each, so that a turn is a few milliseconds."""


class in_turns(AsyncIterator[T]):  # noqa: N801 - reads as what it does
    """The items, with everybody else's work between every `TURN` of them.

    No generator: the event loop keeps a list of those that are under way, which costs more than a short list's items.
    """

    __slots__ = ("_count", "_items")

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._count = 0

    async def __anext__(self) -> T:
        if self._count == TURN:
            self._count = 0
            await asyncio.sleep(0)
        self._count += 1
        for item in self._items:
            return item
        raise StopAsyncIteration


class Held:
    """Several locks, taken in the order given and let go of together, whatever happens."""

    __slots__ = ("_locks", "_taken")

    def __init__(self, locks: Sequence[asyncio.Lock]) -> None:
        self._locks = locks
        self._taken = 0

    async def __aenter__(self) -> None:
        try:
            for lock in self._locks:
                await lock.acquire()
                self._taken += 1
        finally:
            if self._taken < len(self._locks):  # cancelled while waiting for one of them
                self._release()

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        for lock in self._locks[: self._taken]:
            lock.release()
