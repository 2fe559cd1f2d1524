"""Signed checkpoints: what the log was, said so that it cannot be taken back. docs/spec/audit.md §6.

A checkpoint is worth what its furthest copy is worth: one lies sealed in the database, its size and root go to the
keystore as the watermark, and witnesses elsewhere may keep it too. A `Witness` refuses a checkpoint that does not
continue the one before, and so finds a log that was rolled back or forked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from medlock.audit.keys import LogKeys, place
from medlock.audit.wire import FORMAT, decoder, encode
from medlock.crypto.merkle import EMPTY_ROOT, verify_consistency
from medlock.crypto.notes import Checkpoint, NoteSigner, NoteVerifier, parse_checkpoint
from medlock.errors import Tampered


class Witness(Protocol):
    """Somebody who remembers checkpoints of this log (C2SP tlog-witness)."""

    async def size(self, origin: str) -> int:
        """Size of the last checkpoint seen; 0 when none. Raises Unavailable when out of reach."""

    async def observe(self, old: int, path: Sequence[bytes], note: str) -> None:
        """Take a checkpoint that continues the one of size `old`. Raises Tampered when it does not."""


class Stored(msgspec.Struct, array_like=True, frozen=True):
    """A checkpoint as it lies in table TIP: the how-manieth, when it was made (ms), and the signed note."""

    format: int
    number: int
    time: int
    note: str


class Turn(msgspec.Struct, array_like=True, frozen=True):
    """Whose turn it was: one row per checkpoint, inserted, so that of two processes one must give way."""

    format: int
    number: int


_decode = decoder(Stored)
_decode_turn = decoder(Turn)


def origin(store_id: bytes) -> str:
    """The name of a store's log, in checkpoints and of its key."""
    return f"medlock/{store_id.hex()}"


class Checkpoints:
    """Makes, seals and opens the checkpoints of one store."""

    def __init__(self, keys: LogKeys) -> None:
        self._keys = keys
        self._signer = NoteSigner(origin(keys.store_id), keys.checkpoint_seed)

    @property
    def verifier(self) -> NoteVerifier:
        """Checks this log's signature; its key is what patients and witnesses are given."""
        return self._signer.verifier

    def sign(self, size: int, root: bytes) -> str:
        """The signed note that says: the log has `size` entries and this root."""
        return self._signer.sign(Checkpoint(self.verifier.name, size, root).text)

    def read(self, note: str) -> Checkpoint:
        """The checkpoint in a note that this log signed. Raises Tampered."""
        return read_checkpoint(note, self.verifier)

    def seal(self, number: int, time: int, note: str) -> bytes:
        """The row for checkpoint `number`, made at `time` ms."""
        return self._keys.log.seal(encode(Stored(FORMAT, number, time, note)), place(self._keys, "checkpoint"))

    def open(self, row: bytes) -> tuple[Stored, Checkpoint]:
        """A stored checkpoint and what it says. Raises Tampered."""
        stored = _decode(self._keys.log.open(row, place(self._keys, "checkpoint")))
        return stored, self.read(stored.note)

    def seal_turn(self, number: int) -> bytes:
        """The row that says: checkpoint `number` was made."""
        return self._keys.log.seal(encode(Turn(FORMAT, number)), place(self._keys, "turn"))

    def open_turn(self, row: bytes) -> int:
        """The number in such a row. Raises Tampered."""
        return _decode_turn(self._keys.log.open(row, place(self._keys, "turn"))).number


def read_checkpoint(note: str, verifier: NoteVerifier) -> Checkpoint:
    """The checkpoint in a note signed by this log. Raises Tampered, also for another log's origin."""
    checkpoint = parse_checkpoint(verifier.open(note))
    if checkpoint.origin != verifier.name:
        raise Tampered("a checkpoint of another log")
    return checkpoint


class MemoryWitness:
    """A witness in this process, the twin of one elsewhere: it keeps the last checkpoint of one log."""

    def __init__(self, verifier: NoteVerifier) -> None:
        self._verifier = verifier
        self.last = Checkpoint(verifier.name, 0, EMPTY_ROOT)

    async def size(self, origin: str) -> int:
        """Size of the last checkpoint seen."""
        return self.last.size if origin == self.last.origin else 0

    async def observe(self, old: int, path: Sequence[bytes], note: str) -> None:
        """Check signature and continuation, then remember. Raises Tampered."""
        checkpoint = read_checkpoint(note, self._verifier)
        if old != self.last.size:
            raise Tampered("the proof starts from another checkpoint than the last one seen")
        verify_consistency(old, checkpoint.size, self.last.root, checkpoint.root, path)
        self.last = checkpoint
