"""How requests and answers travel between a worker and the key broker: docs/spec/broker.md §3 and §4.

A frame is a length, a number that must be the next one of its connection, a code, and a body. Whatever breaks a bound
is a `BrokenFrame`, and the connection ends: there is nobody on the other side to argue with.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from medlock.errors import BadRequest

MAGIC = b"MLKB"
VERSION = 1
GREETING = struct.Struct(">4sH16sQ")
HEAD = struct.Struct(">IQB")  # length, number, code; the length counts what follows it
LEAST = HEAD.size - 4
REQUEST_BYTES = 16_384
ANSWER_BYTES = 1_048_576
NEWEST = 2**32 - 1
_NUMBERS = 2**64


class BrokenFrame(BadRequest):
    """What arrived is no frame of this protocol."""

    def __init__(self, reason: str) -> None:
        super().__init__("The key broker and its client do not understand each other.", reason=reason)


class Operation(IntEnum):
    """What may be asked."""

    OPEN = 1
    ENTRIES = 2
    ALLOT = 3
    DESTROY = 4
    GENERATIONS = 5
    ERASURES = 6
    MARK = 7
    SET_MARK = 8
    STATUS = 9
    RATCHET = 10
    OPEN_COMMON = 11
    ALLOT_COMMON = 12


class Said(IntEnum):
    """How an answer begins."""

    DONE = 0
    DESTROYED = 1
    TAMPERED = 2
    UNAVAILABLE = 3
    CONFLICT = 4
    SETUP = 5
    CAPPED = 6
    FAULT = 7


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the broker says first."""

    store_id: bytes
    first: int

    def pack(self) -> bytes:
        """As it travels."""
        return GREETING.pack(MAGIC, VERSION, self.store_id, self.first)


def greeting(data: bytes) -> Greeting:
    """Undo `pack`. Raises BrokenFrame."""
    if len(data) != GREETING.size:
        raise BrokenFrame("a greeting of the wrong length")
    magic, version, store_id, first = GREETING.unpack(data)
    if (magic, version) != (MAGIC, VERSION):
        raise BrokenFrame("not a key broker of this version")
    return Greeting(store_id, first)


def frame(number: int, code: int, body: bytes) -> bytes:
    """One request or answer as it travels."""
    return HEAD.pack(LEAST + len(body), number, code) + body


def following(number: int) -> int:
    """The number of the next request."""
    return (number + 1) % _NUMBERS


class Inbox:
    """Bytes as they arrive, taken out frame by frame.

    `feed` what came, then `take` until it answers None. A length outside the bounds is refused as soon as it is seen.
    """

    def __init__(self, most: int) -> None:
        self._longest = LEAST + most
        self._held = b""

    def at_once(self, data: bytes) -> tuple[int, int, bytes] | None:
        """What `feed` and `take` would give for a frame that arrived whole and alone, as nearly all do; else None."""
        if self._held or len(data) < HEAD.size:
            return None
        length, number, code = HEAD.unpack_from(data)
        return (number, code, data[HEAD.size :]) if length + 4 == len(data) and length <= self._longest else None

    def feed(self, data: bytes) -> None:
        """More has arrived."""
        self._held = self._held + data if self._held else data

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return bool(self._held)

    def take(self) -> tuple[int, int, bytes] | None:
        """Number, code and body of the next frame, None when it is not whole yet. Raises BrokenFrame."""
        held = self._held
        if len(held) < 4:
            return None
        length = int.from_bytes(held[:4], "big")
        if not LEAST <= length <= self._longest:
            raise BrokenFrame("a length out of bounds")
        end = 4 + length
        if len(held) < end:
            return None
        _, number, code = HEAD.unpack_from(held)
        self._held = held[end:]
        return number, code, held[HEAD.size : end]
