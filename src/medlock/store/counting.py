"""Counters that cannot be raced: each act is one statement, durable before it is answered. docs/spec/store.md §10.

A counter is a number and the moment until which it stands. Whoever limits something counts *before* they act and looks
at what they were told: two who ask at once get two different numbers. Nobody reads a number and then writes one.

Two kinds of limit are made of them. A **window** (`bump`) counts everything that comes in a span of time, refused or
not. A **pace** (`claim`) counts what it lets through: some at once, then one after each wait, and each wait is twice
as long as the one before; what it refuses changes nothing, so an attacker who goes on asking does not make others wait
longer than one who stops.

Keys are PRF values: the table says that somebody was counted, not who (`store.cabinet` is where names are made).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

DOUBLINGS_MAX = 30
Count = tuple[int, int]
"""How many, and until when (ms); (0, 0) for a counter that is not there."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What `claim` lets through.

    free        so many at once
    first_ms    the wait after the last of these; each next one is twice as long
    longest_ms  up to this
    forget_ms   after so long without any, counted from the end of the last wait, it begins anew
    """

    free: int
    first_ms: int
    longest_ms: int
    forget_ms: int

    def wait(self, n: int) -> int:
        """Milliseconds that must pass after the n-th."""
        return 0 if n < self.free else min(self.longest_ms, self.first_ms << min(n - self.free, DOUBLINGS_MAX))


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of asking. `n` were let through, this one included if it was; until `until` (ms) none will be."""

    allowed: bool
    n: int
    until: int


class Counters(Protocol):
    """Counters by key. All raise Unavailable: whoever cannot count must refuse."""

    async def bump(self, keys: Sequence[int], now_ms: int, windows_ms: Sequence[int]) -> list[Count]:
        """One more for each key (all different), or 1 in a fresh window when the former has ended."""

    async def claim(self, key: int, now_ms: int, pace: Pace) -> Claim:
        """One more if the pace allows it now, and nothing otherwise."""

    async def refund(self, keys: Sequence[int]) -> None:
        """One less for each key that is there: what was counted turned out not to count."""

    async def settle(self, keys: Sequence[int]) -> None:
        """Forget these counters."""

    async def peek(self, keys: Sequence[int]) -> list[Count]:
        """What they stand at. To be shown, never to be decided by."""

    async def lapse(self, before_ms: int) -> int:
        """Remove counters whose time was over at `before_ms`, up to a thousand; how many.

        Of a pace nothing may be forgotten before its `forget_ms` is over: `before_ms` lies that far back.
        """
