"""The keystore's sealed account of itself: how many keys there are, which ones, and how far the log has grown.

It lies in one row, sealed under a tenant key and replaced in the transaction of every change, so a key row that
is deleted, brought back or exchanged behind our back no longer agrees with it. It also remembers the size and
root of the audit log, because the keystore does not travel with the data: a data file rolled back to last week
has a shorter log than the keystore knows of. What it cannot show is a roll-back of the whole keystore file within
one epoch; only something outside the machine can (a witness of the log).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from medlock.crypto.aead import Aead
from medlock.crypto.setdigest import EMPTY
from medlock.errors import Tampered

_LAYOUT = struct.Struct(">BQQQ16sq32s")  # version, revision, erasures, keys, digest, log size, log root
_VERSION = 1


@dataclass(frozen=True, slots=True)
class KeyState:
    """What the keystore knows of itself.

    revision  counts changes
    erasures  counts changes after which a cached key may be wrong: keys destroyed, generations begun
    keys      number of rows in the key table, the tenant's included
    digest    SetDigest over the AEAD tags of those rows
    log_size  entries that the audit log is known to have had; -1 before the first
    log_root  its Merkle root at that size
    """

    revision: int = 0
    erasures: int = 0
    keys: int = 0
    digest: bytes = EMPTY
    log_size: int = -1
    log_root: bytes = bytes(32)

    def seal(self, aead: Aead, store_id: bytes) -> bytes:
        """The row as it lies in the file."""
        packed = _LAYOUT.pack(
            _VERSION, self.revision, self.erasures, self.keys, self.digest, self.log_size, self.log_root
        )
        return aead.seal(packed, _aad(store_id))


def open_state(blob: bytes, aead: Aead, store_id: bytes) -> KeyState:
    """Undo `seal`. Raises Tampered."""
    packed = aead.open(blob, _aad(store_id))
    if len(packed) != _LAYOUT.size or packed[0] != _VERSION:
        raise Tampered("the keystore's state row has an unknown form")
    return KeyState(*_LAYOUT.unpack(packed)[1:])


def _aad(store_id: bytes) -> bytes:
    return b"medlock/1/keystore/state|" + store_id
