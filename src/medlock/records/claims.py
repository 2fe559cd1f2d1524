"""Criteria that are being acted on: two requests of one process with the same criteria take turns.

A caller who sends a conditional create or update again, because an answer was slow, must not make a second resource.
So whoever looks for what criteria mean holds them until what follows is committed. Another process does not see this:
there two may both find nothing, as R4 allows.

Turns are taken among callers with one reach. A caller who is held to a patient would else learn, by having to wait, by
which criteria others are writing, and could make them wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from medlock.fhir.query import SearchQuery


class Claims:
    """Locks by criteria; one is there for as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, patient: str, criteria: Iterable[SearchQuery | None]) -> AsyncIterator[None]:
        """Nobody else who is held to the same patient, or like the caller to none, acts on these criteria meanwhile.

        They are taken in one order, so that nobody waits in a ring.
        """
        names = sorted({f"{patient}/{query.type}?{query.text}" for query in criteria if query is not None})
        async with AsyncExitStack() as held:
            for name in names:
                await held.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))
            yield
