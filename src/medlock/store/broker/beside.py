"""A broker beside the server that needs it: started before the workers, started again when it dies, ended after them.

The broker is a process of its own, started afresh so that it inherits nothing. It holds one end of a pipe, whose
closing ends it: so the server says, and so it happens when the server's process is gone, however it went. Signals
that reach the whole group of processes (ctrl-C, a service manager) it leaves to the others: workers need keys until
they are done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from medlock.clock import Clock
from medlock.errors import MedlockError, SetupError
from medlock.settings import Settings
from medlock.store.broker.process import SOCKET, Brokering, run
from medlock.store.opening import demand_broker, open_keystore

PAUSE_SECONDS = 0.2
START_SECONDS = 60.0
_JOIN_SECONDS = 10
_FAILED = 3
_END = signal.SIGUSR1  # from the thread that holds the pipe to the one that serves

Notice = Callable[[str, int], None]
AUTO, ON, OFF = "auto", "on", "off"
DIED, DOWN = "died", "does not start"  # what a `Notice` is told
Held = Callable[[Settings], Settings]


@contextmanager
def keys_held(settings: Settings, broker: str, limit: int, notice: Notice) -> Iterator[Held]:
    """What tells workers where their keys are: with a broker beside them, one that runs elsewhere, or none.

    `broker` is auto (one beside two workers or more), on, off, or the socket of one that was started apart. What this
    yields is asked again with the settings of a reload: when the provider is another one, so is the broker. Makes the
    keystore when it is new. Raises SetupError.
    """
    if broker not in {AUTO, ON, OFF}:
        yield lambda now: replace(now, broker=Path(broker))
    elif broker == ON or (broker == AUTO and _wanted(settings)):
        socket = settings.data_dir / SOCKET

        def brokering(now: Settings) -> Brokering:
            return Brokering(now, socket, limit, settings.workers)

        with broker_beside(brokering(settings), notice) as change:

            def held(now: Settings) -> Settings:
                change(brokering(now))
                return replace(now, broker=socket)

            yield held
    else:
        demand_broker(settings)
        if settings.workers > 1:  # make or refuse the data once, before every worker tries
            open_keystore(settings, Clock(), create=True).close()
        yield lambda now: now


def _wanted(settings: Settings) -> bool:
    """Whether keys are better held apart: with several workers, and where these are not to have all of them."""
    return (settings.workers > 1 and sys.platform == "linux") or not settings.cleared


@contextmanager
def broker_beside(brokering: Brokering, notice: Notice) -> Iterator[Callable[[Brokering], None]]:
    """A broker that answers for as long as this lasts. `notice(event, code)` is told when it died.

    Yields what replaces it by another one where that makes a difference. Raises SetupError when it cannot start; the
    broker has said why by then.
    """
    keeper = _Keeper(brokering, notice)
    keeper.start()
    watch = threading.Thread(target=keeper.watch, daemon=True)
    watch.start()
    try:
        yield keeper.change
    finally:
        keeper.stopping.set()
        watch.join()
        keeper.stop()


@dataclass(slots=True)
class _Keeper:
    """Keeps one broker running."""

    brokering: Brokering
    notice: Notice
    stopping: threading.Event = field(default_factory=threading.Event)
    process: SpawnProcess | None = None
    pipe: Connection | None = None
    changing: threading.Lock = field(default_factory=threading.Lock)

    def change(self, brokering: Brokering) -> None:
        """Start this one instead, if it finds its keys elsewhere. Raises SetupError: the former runs again then."""
        with self.changing:
            former = self.brokering
            if _keys_of(former) == _keys_of(brokering):
                return
            self.stop()
            self.brokering = brokering
            try:
                self.start()
            except SetupError:
                self.brokering = former
                raise

    def start(self) -> None:
        """Start one and wait for its word. Raises SetupError."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self.brokering, theirs), daemon=True)
        process.start()
        theirs.close()
        self.process, self.pipe = process, ours
        if not self._accepts(process, ours):
            process.kill()
            process.join()
            raise SetupError("The key broker ended before it could serve: see its message above.")

    def _accepts(self, process: SpawnProcess, pipe: Connection) -> bool:
        """Wait for its word, its end, or ours."""
        gives_up = time.monotonic() + START_SECONDS
        while not pipe.poll(PAUSE_SECONDS):
            if self.stopping.is_set() or not process.is_alive() or time.monotonic() > gives_up:
                return False
        return _said_ready(pipe)

    def watch(self) -> None:
        """Start another for each that dies, until told to stop."""
        while not self.stopping.is_set():
            if self.process is None:
                return
            self.process.join(PAUSE_SECONDS)
            with self.changing:
                if not (self.process.is_alive() or self.stopping.is_set()):
                    self._again(self.process.exitcode or 0)

    def _again(self, code: int) -> None:
        """Start another for one that died."""
        self.notice(DIED, code)
        while not self.stopping.wait(PAUSE_SECONDS):
            try:
                self.start()
            except SetupError:
                self.notice(DOWN, 0)
            else:
                return

    def stop(self) -> None:
        """End it; it finishes what it does."""
        if self.process is not None and self.pipe is not None:
            self.pipe.close()
            self.process.join(_JOIN_SECONDS)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()


def _keys_of(brokering: Brokering) -> Settings:
    """What decides where the keys are found."""
    now = brokering.settings
    return replace(
        Settings(now.data_dir),
        keystore_dir=now.keystore_dir,
        passphrase_file=now.passphrase_file,
        key_provider=now.key_provider,
        key_service=now.key_service,
        key_credential=now.key_credential,
        clearance=now.clearance,
    )


def _said_ready(pipe: Connection) -> bool:
    """What came through the pipe: the word, or its end."""
    try:
        return bool(pipe.recv())
    except EOFError:
        return False


def _work(brokering: Brokering, pipe: Connection) -> None:
    """A broker process from start to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(pipe,), daemon=True).start()
    try:
        run(brokering, lambda: pipe.send(True), (_END,))  # noqa: FBT003 - the word itself
    except MedlockError as fault:
        sys.stderr.write(f"medlock: key broker: {fault}\n")
        sys.exit(_FAILED)


def _follow(pipe: Connection) -> None:
    """Stop this broker when the process that watches it is gone."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), _END)
