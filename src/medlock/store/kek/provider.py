"""The port to whatever guards the epoch keys: a passphrase, an OS keyring, a hardware or cloud key service.

A provider wraps one 32-byte key per epoch, so it may be remote and slow: a handful of calls at start and at each
ratchet. It holds something for every epoch that can be destroyed for ever (a random secret, a key in a service);
that is what makes old copies of the keystore worthless. docs/spec/keystore.md §6 states what all of them MUST do
and tests/keystore/kek_conformance.py checks it.

Every method may raise Unavailable (try again) and SetupError (the operator must act).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from medlock.errors import SetupError


class EpochDestroyed(SetupError):
    """The epoch's secret was destroyed: whatever was wrapped under it is gone for ever."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"This is an old copy of the keystore: its epoch {number} was destroyed by a ratchet and cannot be "
            "opened again. Use the newest copy of the keystore."
        )


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a provider says about itself, computed from facts when asked.

    name         the provider's name
    place        where the secrets lie, for people
    breach_safe  whether a thief of the disk that holds the data lacks what opens it (45 CFR 164.402 and the HHS
                 guidance on unsecured PHI: the means of decryption are kept on a separate device)
    reasons      sentences: why not, what weakens it, what to do
    """

    name: str
    place: str
    breach_safe: bool
    reasons: tuple[str, ...]


class KekProvider(Protocol):
    """What the keystore needs. One object serves one store, from `enrol` or `connect` onwards."""

    @property
    def name(self) -> str:
        """A stable name; the keystore records it and refuses another provider."""

    def enrol(self, store_id: bytes) -> dict[str, str]:
        """Prepare for a new store; the public parameters that `connect` will need, kept in the keystore."""

    def connect(self, store_id: bytes, parameters: Mapping[str, str]) -> None:
        """Prepare for a store that exists."""

    def new_epoch(self, number: int) -> None:
        """Make the epoch's secret durable; does nothing when it is there. Raises EpochDestroyed."""

    def wrap(self, epoch: int, key: bytes | bytearray, aad: bytes) -> bytes:
        """Encrypt a 32-byte key so that it opens only under this epoch, store and `aad`."""

    def unwrap(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Undo `wrap`. Raises EpochDestroyed, Tampered (does not open), SetupError (wrong passphrase, lost)."""

    def destroy_epoch(self, number: int) -> None:
        """Destroy the epoch's secret and every earlier one for ever; may be repeated."""

    def attest(self) -> Attestation:
        """Where the secrets lie now and whether that is safe."""
