"""One or several serving processes on one listening socket.

With several, this process only watches: it starts them, tells when all accept, starts a new one for one that died, and
passes SIGTERM on. Each worker holds one end of a pipe; when this process is gone, however it went, the pipe closes
and the workers stop by themselves, so that none goes on serving behind a lock that is free again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from medlock.clock import Clock
from medlock.errors import MedlockError, SetupError
from medlock.web.oplog import OpLog
from medlock.web.server import DRAIN_SECONDS, Serving, Worker

RESTARTS_MAX = 10  # a worker that dies this often has a reason that restarting does not cure
_FAILED = 3


def serve(serving: Serving, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. Raises MedlockError when it cannot start."""
    if serving.settings.workers <= 1:
        Worker(serving).run(listener, ready)
    else:
        _Crew(serving, listener).run(ready)


class _Crew:
    """The workers of one server."""

    def __init__(self, serving: Serving, listener: socket.socket) -> None:
        self._serving = serving
        self._listener = listener
        self._context = multiprocessing.get_context("spawn")
        self._members: dict[SpawnProcess, Connection] = {}
        self._stopping = threading.Event()
        self._restarts = 0
        self._log = OpLog(Clock())

    def run(self, ready: Callable[[], None]) -> None:
        """Start all, then watch until told to stop."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        try:
            for _ in range(self._serving.settings.workers):
                self._start()
            if self._all_accept():
                ready()
            while not self._stopping.is_set():
                self._replace_dead()
        finally:
            self._end()

    def _start(self) -> None:
        """One more worker."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(self._serving, self._listener, theirs))
        process.start()
        theirs.close()
        self._members[process] = ours

    def _all_accept(self) -> bool:
        """Wait for each worker's word. Raises SetupError when one cannot start; False when stopped meanwhile."""
        for process, pipe in list(self._members.items()):
            while not self._stopping.is_set() and not pipe.poll(0.2):
                if not process.is_alive():
                    raise SetupError("A worker ended before it could serve: see its message above.")
            if not self._stopping.is_set() and not _said_ready(pipe):
                raise SetupError("A worker ended before it could serve: see its message above.")
        return not self._stopping.is_set()

    def _replace_dead(self) -> None:
        """Start a new worker for each that died."""
        wait([process.sentinel for process in self._members], timeout=0.5)
        for process in [each for each in self._members if not each.is_alive()]:
            self._members.pop(process).close()
            if self._stopping.is_set():
                return
            self._log.notice("worker-died", code=process.exitcode or 0)
            self._restarts += 1
            if self._restarts > RESTARTS_MAX:
                raise SetupError("Workers keep dying: see the log for the faults they met.")
            self._start()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler."""
        self._stopping.set()

    def _end(self) -> None:
        """Ask all to finish, then make them."""
        for process in self._members:
            process.terminate()
        for process in self._members:
            process.join(DRAIN_SECONDS + 5)
            if process.is_alive():
                process.kill()
                process.join()


def _said_ready(pipe: Connection) -> bool:
    """What came through the pipe: the word, or its end."""
    try:
        return bool(pipe.recv())
    except EOFError:
        return False


def _work(serving: Serving, listener: socket.socket, pipe: Connection) -> None:
    """A worker process from start to end."""
    worker = Worker(serving)
    threading.Thread(target=_follow, args=(pipe,), daemon=True).start()
    try:
        worker.run(listener, lambda: pipe.send(True))  # noqa: FBT003 - the word itself
    except MedlockError as fault:
        sys.stderr.write(f"medlock: {fault}\n")
        sys.exit(_FAILED)


def _follow(pipe: Connection) -> None:
    """Stop this worker when the process that watches it is gone."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
