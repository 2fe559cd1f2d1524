"""The broker's socket: who may connect, one thread for each connection, and bounds on all that a client can do.

A thread waits for its own client only, so nobody waits for a slow one. The system says who the peer is. What a client
may send is in frames.py, what it gets in desk.py.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from medlock.errors import SetupError, Unavailable
from medlock.ids import random_bytes
from medlock.store.broker.desk import Desk
from medlock.store.broker.frames import REQUEST_BYTES, BrokenFrame, Greeting, Inbox, following, frame
from medlock.store.broker.unwraplog import Kind

SLOW_SECONDS = 5
CONNECTIONS_MOST, OF_ONE_PROCESS = 640, 32
BACKLOG = 64
_LOOK_SECONDS = 0.5
_CHUNK = 1_024  # most requests are a few bytes; a large buffer costs more to make than to fill
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred, unix(7)
_TIME = struct.Struct("ll")  # struct timeval

Report = Callable[[BaseException], None]


class Server:
    """Serves one desk on one socket until it is stopped. `report` gets faults of ours."""

    def __init__(self, desk: Desk, listener: socket.socket, uids: Collection[int], report: Report) -> None:
        self._desk = desk
        self._listener = listener
        self._uids = frozenset(uids)
        self._report = report
        self._lock = threading.Lock()
        self._open: dict[socket.socket, int] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Accept until `stop`, then let go of everybody."""
        self._listener.settimeout(_LOOK_SECONDS)
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as fault:  # told to stop, or the system has no handle left for now
                if not self._stopping.wait(_LOOK_SECONDS):
                    self._report(fault)
                continue
            self._admit(client)
        with self._lock:
            left = list(self._open)
        for client in left:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Have `run` return soon; for a signal handler."""
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`

    def _admit(self, client: socket.socket) -> None:
        pid, uid = _peer(client)
        with self._lock:
            full = len(self._open) >= CONNECTIONS_MOST or Counter(self._open.values())[pid] >= OF_ONE_PROCESS
            if uid not in self._uids or full:
                client.close()
                return
            self._open[client] = pid
        threading.Thread(target=self._serve, args=(client, pid), daemon=True).start()

    def _serve(self, client: socket.socket, pid: int) -> None:
        """One connection from its greeting to its end."""
        try:
            _Connection(client, pid, self._desk).run()
        except BrokenFrame:
            with suppress(Unavailable):  # the log is full; the connection ends in any case
                self._desk.note(Kind.REFUSED, pid)
        except OSError:  # the client is gone
            pass
        except Exception as fault:  # noqa: BLE001 - the boundary of a thread
            self._report(fault)
        finally:
            with self._lock:
                self._open.pop(client, None)
            client.close()


class _Connection:
    """A client and the number that it must say next."""

    def __init__(self, client: socket.socket, pid: int, desk: Desk) -> None:
        self._client = client
        self._pid = pid
        self._desk = desk
        self._expected = int.from_bytes(random_bytes(8), "big")

    def run(self) -> None:
        """Answer one request after the other. Raises BrokenFrame, OSError."""
        client, inbox = self._client, Inbox(REQUEST_BYTES)
        bound = _TIME.pack(SLOW_SECONDS, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            client.setsockopt(socket.SOL_SOCKET, option, bound)
        client.sendall(Greeting(self._desk.store_id, self._expected).pack())
        while True:
            try:
                data = client.recv(_CHUNK)
            except BlockingIOError:  # SO_RCVTIMEO
                if inbox.partial:
                    raise BrokenFrame("a frame that does not become whole") from None
                continue
            if not data:
                return
            if (request := inbox.at_once(data)) is not None:
                client.sendall(self._answered(*request))
                continue
            inbox.feed(data)
            while (request := inbox.take()) is not None:
                client.sendall(self._answered(*request))

    def _answered(self, number: int, code: int, body: bytes) -> bytes:
        if number != self._expected:
            raise BrokenFrame("a request that is not the next one")
        self._expected = following(number)
        said, answer = self._desk.answer(self._pid, code, body)
        return frame(number, said, answer)


def listen(path: Path, owner: int | None = None) -> socket.socket:
    """The broker's socket, for its own account, or for `owner`. Raises SetupError when a broker answers there.

    Bound under another name with no rights for others and renamed then: at no moment can anybody else connect. The
    directory is reached by its handle, because a socket's address holds some hundred bytes only (unix(7)).
    """
    if answers(path):
        raise SetupError(f"A key broker is running at {path} already. Stop it first.")
    if path.exists() and not path.is_socket():
        raise SetupError(f"At {path} lies a file that is no socket. Choose another path for the key broker's socket.")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            fresh.unlink()
        mask = os.umask(0o177)
        try:
            with_address(fresh, listener.bind)
        finally:
            os.umask(mask)
        if owner is not None:
            os.chown(fresh, owner, -1)
        listener.listen(BACKLOG)
        fresh.replace(path)
    except OSError as error:
        listener.close()
        raise SetupError(f"The key broker's socket cannot be made at {path}: {error.strerror}.") from error
    return listener


def answers(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            with_address(path, probe.connect)
        except OSError:
            return False
    return True


def with_address(path: Path, act: Callable[[str], None]) -> None:
    """Bind or connect to a socket however long its path is. Raises OSError."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        act(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


def _peer(client: socket.socket) -> tuple[int, int]:
    """Pid and uid of the other side, as the system vouches for them when it connected."""
    pid, uid, _ = _CREDENTIALS.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid
