"""A keystore with a broker in a thread of this process, and the real program for what only a process can show."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

from keystore.world import World
from medlock.clock import Clock
from medlock.store.broker.allowance import Allowance
from medlock.store.broker.desk import Desk
from medlock.store.broker.frames import GREETING
from medlock.store.broker.keys import BrokeredKeys
from medlock.store.broker.server import Server, listen, with_address
from medlock.store.broker.unwraplog import UnwrapLog, read_log

HEAD = struct.Struct(">IQB")


class Hours:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class BrokerWorld:
    """Files of one store, and a broker that can be started, stopped and asked."""

    def __init__(self, root: Path) -> None:
        self.world = World(root)
        self.world.create().close()
        self.socket = root / "keys.sock"
        self.log = root / "unwraps"
        self.hours = Hours()
        self.limit, self.workers = 1_000, 2
        self.uids = {os.geteuid()}
        self.faults: list[BaseException] = []

    @contextmanager
    def broker(self):
        """A broker for as long as this lasts; yields its keystore."""
        with (
            closing(self.world.open()) as keystore,
            closing(UnwrapLog(self.log, keystore.tenant.unwraps, keystore.store_id)) as log,
            listen(self.socket) as listener,
        ):
            desk = Desk(keystore, Allowance(self.limit, self.workers, self.hours), log, Clock(), self.hours)
            server = Server(desk, listener, self.uids, self.faults.append)
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            self.server, self.desk = server, desk
            try:
                yield keystore
            finally:
                server.stop()
                thread.join()
                while server._open:  # threads let go of keystore and log first
                    time.sleep(0.001)

    @contextmanager
    def keys(self):
        """A worker's view."""
        with closing(BrokeredKeys(self.socket)) as keys:
            yield keys

    def records(self):
        """What the log holds."""
        with closing(self.world.open()) as keystore:
            return list(read_log(self.log, keystore.tenant.unwraps, keystore.store_id))


class Raw:
    """A client that may send anything."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        with_address(path, self.socket.connect)
        self.greeting = self.read(GREETING.size)
        self.number = int.from_bytes(self.greeting[-8:], "big")

    def read(self, count: int) -> bytes:
        """So many bytes, or fewer when the broker closes."""
        held = b""
        while len(held) < count:
            try:
                data = self.socket.recv(count - len(held))
            except ConnectionResetError:
                return held
            if not data:
                return held
            held += data
        return held

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, code: int, body: bytes = b"", number: int | None = None) -> bytes:
        """The bytes of a request that is the next one, or claims another number."""
        mine = self.number if number is None else number
        self.number = (self.number + 1) % 2**64
        return HEAD.pack(9 + len(body), mine, code) + body

    def ask(self, code: int, body: bytes = b"") -> tuple[int, bytes] | None:
        """Code and body of the answer, None when the broker closed."""
        asked = self.number
        self.send(self.request(code, body))
        head = self.read(HEAD.size)
        if len(head) < HEAD.size:
            return None
        length, number, said = HEAD.unpack(head)
        assert number == asked
        return said, self.read(length - 9)

    def closed(self) -> bool:
        """Whether the broker has closed, without a further byte."""
        return self.read(1) == b""

    def close(self) -> None:
        self.socket.close()


@contextmanager
def raw(path: Path):
    """A client for as long as this lasts."""
    client = Raw(path)
    try:
        yield client
    finally:
        client.close()


PROGRAM = str(Path(sys.executable).with_name("medlock"))
