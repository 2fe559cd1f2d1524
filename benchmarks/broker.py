"""The key broker: one patient's key over its socket, asked for one after the other, as a worker does.

Beside it, in the same minute: the bare round trip of as many bytes between two processes over a socket of the same
kind, which is the floor that no broker can go below, and the whole of what a worker waits for, its cache and key
objects included.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from verdict import measure

from medlock.settings import Settings
from medlock.store.broker.beside import broker_beside
from medlock.store.broker.frames import NEWEST, Operation
from medlock.store.broker.keys import BrokeredKeys
from medlock.store.broker.process import Brokering

PATIENTS = 5_000
_ASKED, _ANSWERED = 25, 49  # bytes of an `open` and of its answer, frames included
_UNLIMITED = 1_000_000_000


def broker_measures(rounds: int) -> list[dict[str, Any]]:
    """The median of all round trips, and what it is made of."""
    with _broker() as keys, _echo() as bare:
        slots = [each.slot for each in keys.allot(PATIENTS)]
        asked = [struct.pack(">QI", slot, NEWEST) for slot in slots]
        unwraps, floors, whole = [], [], []
        for _ in range(rounds):
            floors += _times(bare, asked)
            unwraps += _times(lambda body: keys._channel.ask(Operation.OPEN, body), asked)  # noqa: SLF001 - the wire
            for slot in slots:
                keys.forget(slot)
            whole += _times(keys.keys, slots)
    found = [sorted(each) for each in (unwraps, floors, whole)]
    middle = [each[len(each) // 2] for each in found]
    return [
        measure(
            "broker_unwrap",
            middle[0],
            p99=found[0][len(found[0]) * 99 // 100],
            bare_round_trip=middle[1],
            with_cache_and_key_objects=middle[2],
            unwraps=len(unwraps),
        )
    ]


def _times(act: Callable[[Any], object], things: list[Any]) -> list[float]:
    """Microseconds that each took."""
    found = []
    for each in things:
        began = time.perf_counter()
        act(each)
        found.append((time.perf_counter() - began) * 1e6)
    return found


@contextmanager
def _broker() -> Iterator[BrokeredKeys]:
    """A real broker, its log included, over a new keystore."""
    with tempfile.TemporaryDirectory(prefix="medlock-bench-") as name:
        root = Path(name)
        (root / "passphrase").write_text("a passphrase for measuring\n")
        (root / "data").mkdir()
        settings = Settings(root / "data", passphrase_file=root / "passphrase")
        brokering = Brokering(settings, root / "data/keys.sock", _UNLIMITED)
        with broker_beside(brokering, print), closing(BrokeredKeys(brokering.socket)) as keys:
            yield keys


@contextmanager
def _echo() -> Iterator[Callable[[object], object]]:
    """Another process that answers with as many bytes as the broker would."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        ours.close()
        while theirs.recv(512):
            theirs.sendall(bytes(_ANSWERED))
        os._exit(0)
    theirs.close()

    def bare(_: object) -> object:
        ours.sendall(bytes(_ASKED))
        return ours.recv(512)

    try:
        yield bare
    finally:
        ours.close()
        os.waitpid(child, 0)
