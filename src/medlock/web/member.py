"""One worker process as its crew sees it: started, accepting, leaving, gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.context import SpawnContext
from typing import Any

from medlock.web.seat import Seat


class Member:
    """A worker. Its pipe carries one word, that it accepts; when our end closes, it stops by itself.

    `main(*inside, pipe, seat)` is what the process runs.
    """

    def __init__(self, context: SpawnContext, main: Callable[..., None], inside: tuple[Any, ...], seat: Seat) -> None:
        self.seat = seat
        self.accepting = False
        self._deadline = float("inf")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(*inside, theirs, seat))
        self._process.start()
        theirs.close()

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` takes: ready when the process has ended."""
        return self._process.sentinel

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return not self._process.is_alive()

    @property
    def code(self) -> int:
        """Its exit code once it is gone; below zero: the signal that ended it."""
        return self._process.exitcode or 0

    def listen(self) -> None:
        """Take its word, if there is one."""
        try:
            if not self.accepting and self.pipe.poll():
                self.accepting = bool(self.pipe.recv())
        except (EOFError, OSError):  # it is ending; its sentinel tells when it has
            return

    def leave(self, seconds: float) -> None:
        """Ask it to finish what runs and end; after so many seconds it is ended."""
        if self._deadline == float("inf"):
            self._deadline = time.monotonic() + seconds
            self._process.terminate()

    def enforce(self) -> None:
        """End it when its time is over."""
        if time.monotonic() > self._deadline:
            self._process.kill()

    def close(self) -> None:
        """Wait for its end, if it is not gone yet, and let go of it."""
        self._process.join(max(0.0, self._deadline - time.monotonic()) if self._deadline < float("inf") else 0.0)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self.pipe.close()
        self._process.close()
