"""Sealed notes in table JOB: receipts of what was loaded, and erasures under way. docs/spec/store.md §8.

A note says its own name, and lies where only that name can lie; so verification can open every row of the table
without knowing what to expect, and a row that was edited or copied to another place does not open.
"""

from __future__ import annotations

import struct

from medlock.errors import Tampered
from medlock.store.keyring import TenantKeys
from medlock.store.tables import Row, Table

SHRED = b"shred"
_RECEIPT = b"receipt|"
_LENGTHS = struct.Struct(">HH")
_STEP = 128
_DONE = b"done"


class Notes:
    """Seals and opens notes of one store."""

    def __init__(self, tenant: TenantKeys) -> None:
        self._aead = tenant.job
        self._label = tenant.job_labels.label

    def key(self, name: bytes) -> int:
        """Where the note of this name lies."""
        return self._label(name)

    def seal(self, name: bytes, state: bytes) -> Row:
        """The row that says: `name` stands at `state`. Padded, so that all kinds of notes look alike."""
        plain = _LENGTHS.pack(len(name), len(state)) + name + state
        key = self.key(name)
        return Table.JOB, key, self._aead.seal(plain + bytes(-len(plain) % _STEP), _place(key))

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


def _place(key: int) -> bytes:
    return b"medlock/1/job|" + key.to_bytes(8, "big", signed=True)
