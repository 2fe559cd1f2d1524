"""Answers that show nothing go out on a beat: how long they took does not tell whether there was something to hide.

To refuse a record that is there takes longer than to find none: its row, its index and its patient's consents are read.
So a refusal, and an answer that no resource stands in, is held back until a whole number of beats has passed since its
question came in. It costs such answers some milliseconds of waiting and no work; answers that show something wait for
nothing. Work that takes longer than a beat, on a busy machine, is told apart no finer than by beats.
"""

from __future__ import annotations

import asyncio
from typing import Self

SECONDS = 0.01
"""Several times what a refusal takes on a quiet machine, the log's fsync included; less than anybody notices."""


class Bar:
    """The time in which one question is answered. Unless it is told that the answer shows something, it ends on a beat."""

    __slots__ = ("_began", "shows")

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self.shows = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait until a whole number of beats has passed since it began."""
        if not self.shows:
            took = asyncio.get_running_loop().time() - self._began
            await asyncio.sleep(-took % SECONDS)
