"""Answers that show nothing go out on a beat: how long they took does not tell whether there was something to hide.

To refuse a record that is there takes longer than to find none: its row, its index and its patient's consents are read.
So a refusal, and an answer that no resource stands in, is held back until a whole number of beats has passed since its
question came in. It costs such answers some milliseconds of waiting; answers that show something wait for nothing. What
takes longer than a beat, on a busy machine, is told apart no finer than by beats.

Each entry of a bundle that shows nothing is held back like that by itself: else a thousand of them would tell, in one
request, a thousand times as much. What rides along in an answer that shows something is not.

Timers of an event loop are as fine as a millisecond, and late by a part of one that would tell when the work was done.
So the last of the wait is spent looking at the clock, between whatever else the loop has to do.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Self

from medlock.records.finding import Finding

SECONDS = 0.02
"""Several times what a refusal takes on a quiet machine, the log's fsync included; less than anybody notices."""
_COARSE = 0.0015


class Bar:
    """The time in which one question is answered. It ends on a beat, unless it is told that the answer `shows` some."""

    __slots__ = ("_began", "shows")

    def __init__(self) -> None:
        self._began = monotonic()
        self.shows = False

    def found(self, finding: Finding) -> Finding:
        """Take note of whether a finding shows something; what was written does."""
        self.shows = finding.logged or bool(finding.disclosed or finding.seen)
        return finding

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait until a whole number of beats has passed since it began."""
        if self.shows:
            return
        now = monotonic()
        until = now + (self._began - now) % SECONDS
        if until - now > _COARSE:
            await asyncio.sleep(until - now - _COARSE)
        while monotonic() < until:  # noqa: ASYNC110 - nothing happens that could be waited for but time
            await asyncio.sleep(0)
