"""A key service as a provider: one key per epoch lies in the service, never leaves it, and is destroyed there.

`EpochKeys` is the provider; a `KeyService` is what one kind of service must be able to do for it. All services share
the rules that way: which epochs are gone for ever, what a wrapped key is bound to, how damage is told from refusal.

A service keeps a *floor* beside its keys: the number of the last destroyed epoch. Most services forget a key that they
destroyed, and an old copy of the keystore must be told "destroyed", not "unknown". docs/spec/keystore.md §7.5.

The service's answer is believed where it is about our own blob only: what it opens is bound to store, epoch and `aad`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from medlock.crypto.aead import KEY_BYTES
from medlock.errors import SetupError, Tampered
from medlock.store.kek.provider import Attestation, EpochDestroyed

CHECK_BYTES = 8
TIMEOUT_SECONDS = 5.0  # for one request; an outage must be told while a caller still waits


@dataclass(frozen=True, slots=True)
class Lodging:
    """Where a service keeps its keys, and who else can get at them: the parts of an Attestation."""

    place: str
    breach_safe: bool
    reasons: tuple[str, ...] = ()


class KeyService(Protocol):
    """What `EpochKeys` needs. Keys are named by store and epoch. All may raise Unavailable and SetupError."""

    @property
    def name(self) -> str:
        """The provider's name in settings and in the keystore."""

    @property
    def parameters(self) -> dict[str, str]:
        """What the keystore records to recognise the service; nothing secret, and nothing that is followed."""

    def reach(self, store: str) -> None:
        """Connect on behalf of one store, named in hex."""

    def prepare(self) -> None:
        """For a new store: make what holds the floor. Does nothing when it is there."""

    def floor(self) -> int:
        """The last destroyed epoch, 0 for none."""

    def raise_floor(self, number: int) -> None:
        """Make that durable."""

    def has(self, epoch: int) -> bool:
        """Whether the epoch's key is there and usable."""

    def make(self, epoch: int) -> None:
        """Make the epoch's key durable. Does nothing when it is there."""

    def seal(self, epoch: int, key: bytes, aad: bytes) -> bytes:
        """Encrypt with authentication."""

    def open(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Undo `seal`. Raises Tampered."""

    def destroy(self, epoch: int) -> None:
        """Destroy the epoch's key, or begin what the service takes for that. May be repeated."""

    def lodging(self) -> Lodging:
        """Where the keys lie."""


class EpochKeys:
    """A KekProvider over a key service."""

    def __init__(self, service: KeyService) -> None:
        self._service = service
        self._store = b""

    def __repr__(self) -> str:
        return "<EpochKeys>"

    @property
    def name(self) -> str:
        """The service's."""
        return self._service.name

    def enrol(self, store_id: bytes) -> dict[str, str]:
        """Have the service remember this store."""
        self._reach(store_id)
        self._service.prepare()
        return self._service.parameters

    def connect(self, store_id: bytes, parameters: Mapping[str, str]) -> None:
        """Reach the service that settings name. What the keystore records is compared, never followed.

        Whoever can write the file must not be able to send us to a service of theirs.
        """
        if dict(parameters) != self._service.parameters:
            raise SetupError(
                f"The keystore is guarded by another {self.name} than the one in MEDLOCK_KEY_SERVICE: "
                f"it recorded {_shown(parameters)}. Name that one."
            )
        self._reach(store_id)

    def new_epoch(self, number: int) -> None:
        """Have a key made for the epoch."""
        if number <= self._service.floor():
            raise EpochDestroyed(number)
        self._service.make(number)

    def wrap(self, epoch: int, key: bytes | bytearray, aad: bytes) -> bytes:
        """Check (8) | what the service made of it. The check tells damage from a refusal of the service."""
        self._usable(epoch)
        sealed = self._service.seal(epoch, bytes(key), self._bound(epoch, aad))
        return _check(sealed) + sealed

    def unwrap(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Have the service open it."""
        self._usable(epoch)
        check, sealed = blob[:CHECK_BYTES], blob[CHECK_BYTES:]
        if not hmac.compare_digest(check, _check(sealed)):
            raise Tampered("a wrapped epoch key is damaged")
        key = self._service.open(epoch, sealed, self._bound(epoch, aad))
        if len(key) != KEY_BYTES:
            raise Tampered("the key service opened something that is no key")
        return key

    def destroy_epoch(self, number: int) -> None:
        """Destroy the keys first and raise the floor then: killed in between, a repetition does the rest."""
        floor = self._service.floor()
        for epoch in range(floor + 1, number + 1):
            self._service.destroy(epoch)
        if number > floor:
            self._service.raise_floor(number)

    def attest(self) -> Attestation:
        """What the service's lodging amounts to."""
        found = self._service.lodging()
        return Attestation(self.name, found.place, found.breach_safe, found.reasons)

    def _reach(self, store_id: bytes) -> None:
        self._store = store_id
        self._service.reach(store_id.hex())

    def _usable(self, epoch: int) -> None:
        """Raises EpochDestroyed, or SetupError for an epoch that the service does not know."""
        if epoch <= self._service.floor():
            raise EpochDestroyed(epoch)
        if not self._service.has(epoch):
            raise SetupError(
                f"The key service {self.name} holds no usable key for epoch {epoch} of this keystore. Enable or "
                "restore it there, or put back the newest copy of the keystore."
            )

    def _bound(self, epoch: int, aad: bytes) -> bytes:
        return b"MLP1" + self._store + epoch.to_bytes(4, "big") + aad


def missing_extra(name: str) -> SetupError:
    """The optional package of a provider is not installed."""
    return SetupError(f"The provider {name} needs an optional package. Install medlock with the extra {name}.")


def _check(sealed: bytes) -> bytes:
    return sha256(sealed).digest()[:CHECK_BYTES]


def _shown(parameters: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value!s:.200}" for name, value in sorted(parameters.items())) or "nothing"
