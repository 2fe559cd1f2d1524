"""One serving process, or several on one listening socket with one that watches them (`crew`).

Each worker holds one end of a pipe; when the watching process is gone, however it went, the pipe closes and the workers
stop by themselves, so that none goes on serving behind a lock that is free again.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from array import array
from collections.abc import Callable
from multiprocessing.connection import Connection

from medlock.errors import MedlockError
from medlock.web.admin import administered
from medlock.web.counts import Board
from medlock.web.crew import Crew
from medlock.web.notify import Notifier
from medlock.web.seat import Seat
from medlock.web.server import Serving, Words, Worker

_FAILED = 3


def serve(serving: Serving, listener: socket.socket, ready: Callable[[], None], renew: Callable[[], Serving]) -> None:
    """Serve until SIGTERM or SIGINT; `renew` says what to serve after SIGHUP. Raises MedlockError when it cannot start.

    Where somebody sits at the terminal, SIGHUP means that it was closed, and ends the server as SIGTERM does.
    """
    notifier = Notifier(serving.settings.notify_socket)
    reload = sys.stdin is None or not sys.stdin.isatty()
    if serving.settings.workers > 1:
        Crew(serving, listener, work, renew, notifier).run(ready, reload=reload)
        return

    def accepting() -> None:
        ready()
        notifier.ready()

    board = Board((lambda cells: array("d", bytes(8 * cells))) if serving.settings.admin else None)
    board.own.accepting(1)
    with administered(serving.settings.admin, board):
        Worker(serving, board.seat(1)).run(listener, Words(accepting, notifier.stopping, reload=reload))


def work(serving: Serving, listener: socket.socket, pipe: Connection, seat: Seat) -> None:
    """A worker process from start to end. SIGHUP is for the one that watches."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(pipe,), daemon=True).start()
    try:
        Worker(serving, seat).run(listener, Words(lambda: pipe.send(True)))  # noqa: FBT003 - the word itself
    except MedlockError as fault:
        sys.stderr.write(f"medlock: {fault}\n")
        sys.exit(_FAILED)


def _follow(pipe: Connection) -> None:
    """Stop this worker when the process that watches it is gone."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
