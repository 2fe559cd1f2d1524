"""A broker from start to end: `medlock keys broker`, or started by `medlock serve` and kept running beside it.

The order of a start: open the keystore (and make it, when it is new), finish what a killed ratchet left, open the
log, only then listen and say ready. SIGTERM ends it; answers under way are finished, the log is synced, the keystore
is closed.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from medlock.clock import Clock
from medlock.settings import Settings
from medlock.store.broker.allowance import Allowance
from medlock.store.broker.desk import Desk
from medlock.store.broker.server import Server, listen
from medlock.store.broker.unwraplog import Kind, UnwrapLog
from medlock.store.opening import alone, open_keystore

SOCKET = "keys.sock"
LOG = "unwraps"
_LOCK = "broker.lock"
NAME = b"medlock-keys"  # what ps and top call it
_PR_SET_DUMPABLE, _PR_SET_NAME = 4, 15


@dataclass(frozen=True, slots=True)
class Brokering:
    """What one broker serves.

    settings  with the data directory and the provider
    socket    where it listens
    limit     different patients that one worker may open in a minute
    workers   how many workers there are
    uid       the account that workers run as, when it is another one
    """

    settings: Settings
    socket: Path
    limit: int
    workers: int = 1
    uid: int | None = None


def run(brokering: Brokering, ready: Callable[[], None], signals: Sequence[signal.Signals]) -> None:
    """Serve until one of these signals comes. Raises MedlockError when it cannot start."""
    keep_memory_to_itself()
    directory, clock = brokering.settings.data_dir, Clock()
    with closing(open_keystore(brokering.settings, clock, create=True)) as keystore:
        keystore.finish_ratchet()
        with (
            alone(directory / _LOCK, f"A key broker is running for {directory} already. Stop it first."),
            closing(UnwrapLog(directory / LOG, keystore.tenant.unwraps, keystore.store_id)) as log,
        ):
            allowance = Allowance(brokering.limit, brokering.workers, time.monotonic)
            cleared = brokering.settings.cleared
            desk = Desk(keystore, allowance, log, clock, time.monotonic, cleared=cleared)
            _serve(brokering, desk, ready, signals)


def _serve(brokering: Brokering, desk: Desk, ready: Callable[[], None], signals: Sequence[signal.Signals]) -> None:
    """Listen, say ready, answer until told to stop."""
    uids = {os.geteuid()} if brokering.uid is None else {os.geteuid(), brokering.uid}
    with listen(brokering.socket, brokering.uid) as listener:
        server = Server(desk, listener, uids, _report)
        for number in signals:
            signal.signal(number, lambda _number, _frame: server.stop())
        desk.note(Kind.START, os.getpid(), brokering.limit)
        gc.freeze()  # all that is here now stays; an unwrap leaves no cycles to look for
        gc.set_threshold(50_000, 20, 50)
        ready()
        try:
            server.run()
            desk.note(Kind.STOP, os.getpid())
        finally:
            with suppress(OSError):
                brokering.socket.unlink()


def keep_memory_to_itself() -> None:
    """No core dumps, and on Linux no tracing or reading of memory by other processes of the same account (prctl(2))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(_PR_SET_NAME, NAME, 0, 0, 0)


def _report(fault: BaseException) -> None:
    """A fault of ours on stderr: its kind and place, without its message, which may quote values."""
    frame = fault.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" at {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
    sys.stderr.write(f"medlock: key broker: fault {type(fault).__name__}{place}\n")
