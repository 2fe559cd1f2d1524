"""Sealed notes in table JOB: receipts of what was loaded; erasures and rotations, under way and done.

docs/spec/store.md §8 is the format.

A note says its own name, and lies where only that name can lie; so verification can open every row of the table
without knowing what to expect, and a row that was edited or copied to another place does not open.

An erasure also leaves an *end* in table DELTA, in the place of the change that would have come next: a process that was
about to write to the patient finds the place taken, and learns of the erasure instead of writing to nobody.
"""

from __future__ import annotations

import struct
from enum import StrEnum

from medlock.errors import Tampered
from medlock.store.frames import DELTA_BYTES, frame, unframe
from medlock.store.keyring import TenantKeys
from medlock.store.tables import Row, Table

SHRED = b"shred"
_ERASED = b"shredded|"
_BURIED = b"buried|"
_RECEIPT = b"receipt|"
_END = b"medlock/1/end|"
_LENGTHS = struct.Struct(">HH")
_PAIR = struct.Struct(">QQ")
_SCOPE = struct.Struct(">QI")
_STEP = 128
_DONE = b"done"
UPLOAD = b"upload|"
_UPLOADING = struct.Struct(">IQ")
_ROTATION = b"rotate|"


class Stage(StrEnum):
    """How far a rotation of keys has come. A note for each stage, written once, stays."""

    BEGUN = "begun"
    SEALED = "sealed"  # nothing lies under a former key any more
    DONE = "done"  # the former keys are destroyed


class Notes:
    """Seals and opens notes of one store."""

    def __init__(self, tenant: TenantKeys) -> None:
        self._aead = tenant.job
        self._label = tenant.job_labels.label
        self._digest = tenant.job_labels.digest

    def key(self, name: bytes) -> int:
        """Where the note of this name lies."""
        return self._label(name)

    def digest(self, data: bytes) -> bytes:
        """What a note may say of something without saying it: under a key of the store's own, apart from its names."""
        return self._digest(b"said|" + data)

    def seal(self, name: bytes, state: bytes, step: int = _STEP) -> Row:
        """The row that says: `name` stands at `state`. Padded, so that all kinds of notes look alike."""
        plain = _LENGTHS.pack(len(name), len(state)) + name + state
        key = self.key(name)
        return Table.JOB, key, self._aead.seal(plain + bytes(-len(plain) % step), _place(key))

    def open(self, key: int, ct: bytes) -> tuple[bytes, bytes]:
        """Name and state of the note in a row. Raises Tampered."""
        plain = self._aead.open(ct, _place(key))
        start = _LENGTHS.size
        name_end = start + _LENGTHS.unpack_from(plain)[0]
        name, state = plain[start:name_end], plain[name_end : name_end + _LENGTHS.unpack_from(plain)[1]]
        if self.key(name) != key:
            raise Tampered("a note lies under another name")
        return name, state

    def receipt(self, digest: bytes) -> Row:
        """The note that says: what has this digest was loaded."""
        return self.seal(_RECEIPT + digest, _DONE)

    def receipt_key(self, digest: bytes) -> int:
        """Where such a note lies."""
        return self.key(_RECEIPT + digest)

    def under_way(self, slot: int, end: int) -> Row:
        """The note that says: this slot is being erased, and its end lies under this key."""
        return self.seal(SHRED, _PAIR.pack(slot, end))

    def erased(self, slot: int, end: int) -> Row:
        """The note that says: the erasure of this slot is done."""
        return self.seal(_ERASED + slot.to_bytes(8, "big"), _PAIR.pack(slot, end))

    def erased_key(self, slot: int) -> int:
        """Where such a note lies."""
        return self.key(_ERASED + slot.to_bytes(8, "big"))

    def rotation(self, number: int, stage: Stage, scope: int, shared: int) -> Row:
        """The note that says: rotation number `number` of this scope (a slot, or all) has come to this stage.

        `shared` is the generation that the keys of slot 0 had before.
        """
        return self.seal(_rotation(number, stage), _SCOPE.pack(scope, shared))

    @staticmethod
    def scope(state: bytes) -> tuple[int, int]:
        """Scope and former generation of slot 0 in such a note."""
        found: tuple[int, int] = _SCOPE.unpack(state)
        return found

    def rotation_key(self, number: int, stage: Stage) -> int:
        """Where such a note lies."""
        return self.key(_rotation(number, stage))

    @staticmethod
    def erasure(name: bytes, state: bytes) -> tuple[int, int] | None:
        """Slot and end in a note of an erasure, None for other notes."""
        return _PAIR.unpack(state) if name == SHRED or name.startswith(_ERASED) else None

    def upload(self, stream: bytes, reach: int, touched: int) -> Row:
        """The note that says: this stream is being received, has so many chunks at the most, and was seen then (ms)."""
        return self.seal(UPLOAD + stream, _UPLOADING.pack(reach, touched))

    @staticmethod
    def uploading(name: bytes, state: bytes) -> tuple[bytes, int, int] | None:
        """Stream, reach and time in such a note, None for other notes."""
        return (name.removeprefix(UPLOAD), *_UPLOADING.unpack(state)) if name.startswith(UPLOAD) else None

    def buried_end(self, slot: int) -> int:
        """Where the end of a patient lies whose key was gone before the erasure: nobody can tell the next change."""
        return self.key(_BURIED + slot.to_bytes(8, "big"))

    def end(self, slot: int, key: int) -> Row:
        """The row that takes the place of the next change. It is as long as a change."""
        framed = frame(slot.to_bytes(8, "big"), DELTA_BYTES)
        return Table.DELTA, key, self._aead.seal(framed, _END + key.to_bytes(8, "big"))

    def ends(self, key: int, ct: bytes) -> int | None:
        """Whose end a row of table DELTA is; None when it is none."""
        try:
            return int.from_bytes(unframe(self._aead.open(ct, _END + key.to_bytes(8, "big", signed=True))), "big")
        except Tampered:
            return None


def _rotation(number: int, stage: Stage) -> bytes:
    return _ROTATION + number.to_bytes(4, "big") + b"|" + stage.encode()


def _place(key: int) -> bytes:
    return b"medlock/1/job|" + key.to_bytes(8, "big", signed=True)
