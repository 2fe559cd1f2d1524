"""Filling purses: alone, or in shares that a counter gives out to all workers of all servers.

A share is counted in the shared counter *before* it is spent from, in one step that two workers cannot do at once, so
together they give out no more than the quota: over-admission is nought, and at most a share a worker lies unused at
the end of a window. A purse that the counter has refused stays refused until its window ends, without asking again: an
abusive client costs the counter nothing.

When the counter cannot be reached the purse is filled for a window as if this worker were alone, and an alarm is
raised: these limits protect availability and must not take it away. Counters of sign-in refuse instead; they are
identity's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from medlock.errors import Unavailable
from medlock.web.limits.purse import Purse

WAIT_SECONDS = 1.0


class Shared(Protocol):
    """A counter that all workers share. Raises Unavailable."""

    async def count(self, key: str, now_ms: int, window_ms: int) -> tuple[int, int]:
        """One more under `key`: how many in its window now, and when that ends (ms)."""


class Filling:
    """Fills purses. `alarm` is told when the shared counter cannot be had."""

    def __init__(self, shared: Shared | None, alarm: Callable[[], None]) -> None:
        self._shared = shared
        self._alarm = alarm

    async def fill(self, purse: Purse, weight: int, now: int) -> None:
        """Return when the purse holds `weight`. Raises Throttled."""
        while purse.left < weight or purse.ends <= now:
            if purse.ends > now and (purse.spent or self._shared is None):
                raise purse.refusal(now)
            if self._shared is None:
                purse.open(now + purse.term.window_ms, purse.term.quota.amount)
            else:
                await self._once(purse, self._shared, now)

    async def _once(self, purse: Purse, shared: Shared, now: int) -> None:
        """Ask for a share; whoever asks meanwhile waits for the same answer."""
        if purse.filling is None or purse.filling.done():
            purse.filling = asyncio.ensure_future(self._ask(purse, shared, now))
        await asyncio.shield(purse.filling)

    async def _ask(self, purse: Purse, shared: Shared, now: int) -> None:
        term = purse.term
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                count, ends = await shared.count(f"{term.name}:{purse.key}", now, term.window_ms)
        except (Unavailable, TimeoutError):
            purse.open(max(purse.ends, now + term.window_ms), purse.left + term.quota.amount)
            purse.spent = True  # the counter is not asked again in this window
            self._alarm()
            return
        if purse.ends <= now or ends > purse.ends + term.window_ms // 2:  # not the window that was open
            purse.open(ends, 0)
        if count <= term.shares:
            purse.left += term.share
        purse.beyond = max(0, term.shares - count) * term.share
        purse.spent = count >= term.shares
