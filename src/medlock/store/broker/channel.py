"""A worker's connection to the key broker: one question at a time, connected again when the broker is back.

While the broker is known to be gone nobody waits for it: for half a second after a failed attempt, and five after it
did not answer in time, the answer is Unavailable at once. Every operation may be repeated, so one whose connection
broke is asked once more on a new one. Whoever answers on a new one must hold the keys of the same store: new patients
would lie under keys of another one otherwise, and nobody could read them again.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from medlock.errors import Conflict, MedlockError, SetupError, Tampered, Unavailable
from medlock.store.broker.allowance import Capped
from medlock.store.broker.frames import (
    ANSWER_BYTES,
    GREETING,
    BrokenFrame,
    Greeting,
    Inbox,
    Operation,
    Said,
    following,
    frame,
    greeting,
)
from medlock.store.broker.server import with_address
from medlock.store.keyring import KeyDestroyed

PATIENCE_SECONDS = 5
PAUSE_SECONDS = 0.5
_CHUNK = 65_536
_SHORT = 512  # most answers; a large buffer costs more to make than to fill
_TIME = struct.Struct("ll")
_GONE = "The keys of this record cannot be had now. Try again."


class _Lost(Exception):
    """The connection is of no use any more."""


class Channel:
    """Connections to one broker, one for each thread that asks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._all: set[_Line] = set()
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._store_id = b""

    def greet(self) -> Greeting:
        """Connect, or see that we are. Raises Unavailable."""
        return self._line().greeted

    def ask(self, operation: Operation, body: bytes = b"", patience: int = PATIENCE_SECONDS) -> bytes:
        """The body of the answer. Raises what the broker said, and Unavailable when it says nothing."""
        for attempt in (1, 2):
            line = self._line()
            try:
                said, answer = line.ask(operation, body, patience)
            except (OSError, BrokenFrame, _Lost) as error:
                self._drop(line)
                if isinstance(error, BlockingIOError):  # it hangs: whoever waits for it holds up everybody else here
                    self._quiet_until = time.monotonic() + PATIENCE_SECONDS
                if attempt == 2 or isinstance(error, BlockingIOError | BrokenFrame):
                    raise _unavailable(error) from error
                continue
            if said != Said.DONE:
                raise _meant(said, answer)
            return answer
        raise AssertionError("the second attempt returns or raises")

    def close(self) -> None:
        """Let go of all connections."""
        with self._lock:
            lines, self._all = self._all, set()
        for line in lines:
            line.close()

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._own, "line", None)
        if line is None:
            line = self._connected()
            self._own.line = line
        return line

    def _connected(self) -> _Line:
        if time.monotonic() < self._quiet_until:
            raise _unavailable(None)
        try:
            line = _Line(self._path)
        except (OSError, BrokenFrame, _Lost) as error:
            self._quiet_until = time.monotonic() + PAUSE_SECONDS
            raise _unavailable(error) from error
        with self._lock:
            self._store_id = self._store_id or line.greeted.store_id
            if line.greeted.store_id == self._store_id:
                self._all.add(line)
                return line
        line.close()
        raise _unavailable(_Lost("it holds the keys of another store"))

    def _drop(self, line: _Line) -> None:
        line.close()
        self._own.line = None
        with self._lock:
            self._all.discard(line)


class _Line:
    """One connection."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._patience = 0
        self._inbox = Inbox(ANSWER_BYTES)
        with ExitStack() as failed:
            failed.callback(self._socket.close)
            self._wait_at_most(PATIENCE_SECONDS)
            with_address(path, self._socket.connect)
            self.greeted = greeting(self._first_bytes())
            failed.pop_all()
        self._next = self.greeted.first

    def ask(self, operation: int, body: bytes, patience: int) -> tuple[int, bytes]:
        """Code and body of the answer. Raises OSError, BrokenFrame, _Lost."""
        if patience != self._patience:
            self._wait_at_most(patience)
        number = self._next
        self._next = following(number)
        self._socket.sendall(frame(number, operation, body))
        data = self._socket.recv(_SHORT)
        echoed, code, answer = self._inbox.at_once(data) or self._pieced(data)
        if echoed != number or self._inbox.partial:
            raise BrokenFrame("an answer to another request")
        return code, answer

    def close(self) -> None:
        """Let go."""
        self._socket.close()

    def _pieced(self, data: bytes) -> tuple[int, int, bytes]:
        """An answer from its first piece and those that follow."""
        while True:
            if not data:
                raise _Lost("the broker closed the connection")
            self._inbox.feed(data)
            answer = self._inbox.take()
            if answer is not None:
                return answer
            data = self._socket.recv(_CHUNK)

    def _first_bytes(self) -> bytes:
        held = b""
        while len(held) < GREETING.size:
            data = self._socket.recv(GREETING.size - len(held))
            if not data:
                raise _Lost("the broker does not serve this account or this many connections")
            held += data
        return held

    def _wait_at_most(self, seconds: int) -> None:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _TIME.pack(seconds, 0))
        self._patience = seconds


def _unavailable(cause: BaseException | None) -> Unavailable:
    why = "known to be gone" if cause is None else f"{type(cause).__name__}: {getattr(cause, 'reason', cause)}"
    return Unavailable(_GONE, reason=f"key broker: {why}")


def _meant(said: int, body: bytes) -> MedlockError:
    """The broker's refusal as the error that it was there."""
    retry, text = int.from_bytes(body[:2], "big"), body[2:].decode("utf-8", "replace")
    if said == Said.CAPPED:
        return Capped(max(1, retry))
    if said == Said.UNAVAILABLE:
        refusal = Unavailable(_GONE, reason=f"key broker: {text}")
        refusal.retry_after = max(1, retry)
        return refusal
    if said == Said.SETUP:
        return SetupError("An operator must act: medlock keys status says what is wrong with the keys.", reason=text)
    kinds = {Said.DESTROYED: KeyDestroyed, Said.TAMPERED: Tampered, Said.CONFLICT: Conflict}
    kind = kinds.get(Said(said)) if said in set(Said) else None
    if kind is KeyDestroyed:
        return KeyDestroyed()
    return MedlockError("The key broker failed; its log says how.") if kind is None else kind(text)
