"""A key provider that lives as long as its process: for a drill, whose copy of the keys must be dead when it ends.

However the process ends, what it left on the disk opens no more. It has nothing to do with the provider of the living
store, so a drill can destroy no epoch of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from medlock.crypto.aead import KEY_BYTES, Aead
from medlock.errors import SetupError
from medlock.ids import random_bytes
from medlock.store.kek.provider import Attestation, EpochDestroyed


class Ephemeral:
    """A `KekProvider` in memory."""

    name = "ephemeral"

    def __init__(self) -> None:
        self._epochs: dict[int, Aead] = {}
        self._destroyed = 0

    def __repr__(self) -> str:
        return "<Ephemeral>"

    def enrol(self, store_id: bytes) -> dict[str, str]:
        """Nothing needs to be prepared."""
        del store_id
        return {}

    def connect(self, store_id: bytes, parameters: Mapping[str, str]) -> None:
        """Nothing needs to be found."""
        del store_id, parameters

    def new_epoch(self, number: int) -> None:
        """A fresh key, unless there is one. Raises EpochDestroyed."""
        self._living(number)
        self._epochs.setdefault(number, Aead(random_bytes(KEY_BYTES)))

    def wrap(self, epoch: int, key: bytes | bytearray, aad: bytes) -> bytes:
        """Seal under the epoch's key."""
        return self._key(epoch).seal(key, aad)

    def unwrap(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Undo `wrap`. Raises EpochDestroyed, Tampered, SetupError."""
        return self._key(epoch).open(blob, aad)

    def destroy_epoch(self, number: int) -> None:
        """Forget this epoch's key and those before it."""
        self._destroyed = max(self._destroyed, number)
        self._epochs = {epoch: key for epoch, key in self._epochs.items() if epoch > number}

    def attest(self) -> Attestation:
        """It is in no file."""
        return Attestation(self.name, "memory of one process", breach_safe=True, reasons=())

    def _living(self, number: int) -> None:
        if number <= self._destroyed:
            raise EpochDestroyed(number)

    def _key(self, epoch: int) -> Aead:
        self._living(epoch)
        if epoch not in self._epochs:
            raise SetupError("The process that held this keystore's epoch key has ended: the copy is dead.")
        return self._epochs[epoch]
