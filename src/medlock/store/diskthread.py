"""A thread that waits for the disk, so that the event loop does not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class DiskThread(threading.Thread):
    """Calls functions one after another and tells the event loop what came of each.

    Cheaper by half than an executor of one thread, and there are thousands of calls a second.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="medlock-disk", daemon=True)
        self._loop = loop
        self._queue: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self.start()

    def ask(self, act: Callable[[], Any]) -> asyncio.Future[Any]:
        """Have it call `act`; the future has what that returns or raises."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put((act, future))
        return future

    def stop(self) -> None:
        """End when everything asked for is done."""
        self._queue.put(None)
        self.join()

    def run(self) -> None:
        """Until stopped."""
        while (asked := self._queue.get()) is not None:
            act, future = asked
            try:
                result = act()
            except Exception as fault:  # noqa: BLE001 - whatever it is belongs to whoever asked
                self._tell(_fail, future, fault)
            else:
                self._tell(_succeed, future, result)

    def _tell(self, how: Callable[[asyncio.Future[Any], Any], None], future: asyncio.Future[Any], what: object) -> None:
        """In the event loop. A loop that is gone has nobody left to tell."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(how, future, what)


def _succeed(future: asyncio.Future[Any], result: object) -> None:
    if not future.cancelled():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], fault: BaseException) -> None:
    if not future.cancelled():
        future.set_exception(fault)
