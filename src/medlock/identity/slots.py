"""Two slots for work that takes a processor: password hashes, and judging a new password.

A hash takes 160 ms and 64 MiB. Two threads bound both, and the event loop goes on meanwhile; it is Argon2's C code
that runs there, without the interpreter's lock, and at a lower priority than what answers requests. Who finds too
many waiting is turned away: a queue without end would be a way to keep everybody else out.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from medlock.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

SLOTS = 2
WAITING_MAX = 64  # five seconds of hashing
NICE = 10
"""By how much a thread that hashes steps back: beside two of them the loop keeps four fifths of a single core."""


class Slots:
    """Runs functions in two threads of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(SLOTS, thread_name_prefix="medlock-slot", initializer=_step_back)
        self._taken = 0

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `work` answers. Raises what it raises, and Unavailable when too many wait."""
        if self._taken >= SLOTS + WAITING_MAX:
            raise Unavailable("Too many people are signing in at this moment. Try again in a few seconds.")
        self._taken += 1
        future = asyncio.wrap_future(self._pool.submit(lambda: work(*args, **kwargs)))
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, _future: asyncio.Future[R]) -> None:
        """A slot is free again; a caller who gave up does not free it before."""
        self._taken -= 1
        if not _future.cancelled():
            _future.exception()  # a caller who gave up does not ask for it

    def close(self) -> None:
        """Wait for what runs; nothing new begins."""
        self._pool.shutdown(cancel_futures=True)


def _step_back() -> None:
    """Lower this thread's priority; where threads have none of their own, nothing happens."""
    with suppress(OSError, AttributeError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICE))
