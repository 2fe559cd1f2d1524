"""Signals for a process that watches others: remembered, and felt by whoever waits on file descriptors."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOP = (signal.SIGINT, signal.SIGTERM)


class Bell:
    """Rings when the process is told to stop or to reload. `fileno` makes it something to wait on."""

    def __init__(self) -> None:
        self.stop = False
        self._reload = False
        self._ears, self._hand = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Readable when it has rung."""
        return self._ears

    def hush(self) -> None:
        """Be ready for the next ring."""
        with suppress(BlockingIOError):
            os.read(self._ears, 64)

    def take_reload(self) -> bool:
        """Whether a reload was asked for since this was last called."""
        asked, self._reload = self._reload, False
        return asked

    @contextmanager
    def hung(self, *, reload: bool) -> Iterator[None]:
        """Answer SIGINT and SIGTERM, and SIGHUP with `reload`; as before afterwards."""
        numbers = (*STOP, signal.SIGHUP) if reload else STOP
        before = {number: signal.signal(number, self._ring) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._ears)
            os.close(self._hand)

    def _ring(self, number: int, _frame: FrameType | None) -> None:
        """Signal handler."""
        if number == signal.SIGHUP:
            self._reload = True
        else:
            self.stop = True
        with suppress(BlockingIOError):
            os.write(self._hand, b"!")
