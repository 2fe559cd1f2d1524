"""The operating system's keyring (Secret Service, KWallet, macOS Keychain, Windows Credential Locker).

Root and epoch secrets are entries of the service `medlock <store id>`. Good for one person's machine; most
keyrings are a file on the same disk, locked by the sign-in password, so the verdict is never breach-safe.

The `keyring` package is loaded when the first `OsKeyring` is made, because loading it costs a quarter of a second
(measured) and most installations use another provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Protocol

from medlock.errors import SetupError, Unavailable
from medlock.ids import random_bytes
from medlock.store.kek.provider import Attestation, EpochDestroyed
from medlock.store.kek.split import SECRET_BYTES, epoch_key

NAME = "os-keyring"
_NO_KEYRING = (
    "This system offers no keyring that medlock can use. Unlock or install one, or use a passphrase file: "
    "set MEDLOCK_PASSPHRASE_FILE."
)


class Backend(Protocol):
    """What is used of `keyring.backend.KeyringBackend`."""

    @property
    def name(self) -> str:
        """What people call it."""

    def get_password(self, service: str, username: str) -> str | None:
        """An entry, or None."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Make or replace an entry."""

    def delete_password(self, service: str, username: str) -> None:
        """Delete an entry."""


class OsKeyring:
    """A KekProvider over the keyring that the `keyring` package finds, or over the one given."""

    name = NAME

    def __init__(self, backend: Backend | None = None) -> None:
        self._errors = import_module("keyring.errors")
        self._backend: Backend = backend or import_module("keyring").get_keyring()
        self._service = ""
        self._root = b""

    def __repr__(self) -> str:
        return "<OsKeyring>"

    def enrol(self, store_id: bytes) -> dict[str, str]:
        """Put a fresh root into the keyring, unless this store has one there."""
        self._service = _service(store_id)
        self._refuse_useless()
        if self._get("root") is None:
            self._set("root", random_bytes(SECRET_BYTES).hex())
        self.connect(store_id, {})
        return {}

    def connect(self, store_id: bytes, parameters: Mapping[str, str]) -> None:
        """Fetch the root. Raises SetupError when the keyring has none for this store."""
        if parameters:
            raise SetupError("The keystore's record of the OS keyring is damaged. Put back a good copy of it.")
        self._service = _service(store_id)
        self._refuse_useless()
        root = self._get("root")
        if root is None:
            raise SetupError(
                "The OS keyring holds no key for this store. Sign in as the account that made the store, or restore "
                "that account's keyring."
            )
        self._root = _secret(root)

    def new_epoch(self, number: int) -> None:
        """Put a fresh random secret for the epoch into the keyring."""
        if number <= self._destroyed():
            raise EpochDestroyed(number)
        if self._get(_entry(number)) is None:
            self._set(_entry(number), random_bytes(SECRET_BYTES).hex())

    def wrap(self, epoch: int, key: bytes | bytearray, aad: bytes) -> bytes:
        """Seal under root and epoch secret."""
        return epoch_key(self._root, self._epoch_secret(epoch), epoch).seal(key, aad)

    def unwrap(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Open under root and epoch secret."""
        return epoch_key(self._root, self._epoch_secret(epoch), epoch).open(blob, aad)

    def destroy_epoch(self, number: int) -> None:
        """Delete the epoch's entry and those before it, and see that they are gone."""
        floor = self._destroyed()
        for each in range(floor + 1, number + 1):
            self._delete(_entry(each))
        if number > floor:
            self._set("destroyed", str(number))

    def attest(self) -> Attestation:
        """Never breach-safe: where a keyring keeps its file is not ours to know."""
        reason = (
            "Most OS keyrings are a file on the disk that also holds the data, locked by the sign-in password: whoever "
            "takes the disk needs only that. Use a passphrase file on another device, or a key service."
        )
        return Attestation(self.name, f"entries of {self._backend.name}", breach_safe=False, reasons=(reason,))

    def _epoch_secret(self, epoch: int) -> bytes:
        if epoch <= self._destroyed():
            raise EpochDestroyed(epoch)
        secret = self._get(_entry(epoch))
        if secret is None:
            raise SetupError(
                f"The OS keyring holds no secret for epoch {epoch} of this keystore. Restore the newest keyring."
            )
        return _secret(secret)

    def _destroyed(self) -> int:
        return int(self._get("destroyed") or "0")

    def _refuse_useless(self) -> None:
        useless = tuple(import_module(f"keyring.backends.{name}").Keyring for name in ("fail", "null"))
        if isinstance(self._backend, useless):
            raise SetupError(_NO_KEYRING)

    def _get(self, entry: str) -> str | None:
        with self._reported():
            return self._backend.get_password(self._service, entry)

    def _set(self, entry: str, value: str) -> None:
        with self._reported():
            self._backend.set_password(self._service, entry, value)
            if self._backend.get_password(self._service, entry) != value:
                raise Unavailable("The OS keyring did not keep what it was given. Nothing depends on it yet.")

    def _delete(self, entry: str) -> None:
        with self._reported():
            if self._backend.get_password(self._service, entry) is None:
                return
            self._backend.delete_password(self._service, entry)
            if self._backend.get_password(self._service, entry) is not None:
                raise Unavailable("The OS keyring did not delete an entry. Run the ratchet again.")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """The keyring's errors as ours; their texts may name entries and stay private."""
        try:
            yield
        except self._errors.NoKeyringError as error:
            raise SetupError(_NO_KEYRING) from error
        except (self._errors.KeyringError, OSError) as error:
            raise Unavailable(
                "The OS keyring does not answer or is locked. Unlock it and try again.",
                reason=f"keyring: {type(error).__name__}",
            ) from error


def _service(store_id: bytes) -> str:
    return f"medlock {store_id.hex()}"


def _entry(epoch: int) -> str:
    return f"epoch {epoch}"


def _secret(value: str) -> bytes:
    try:
        secret = bytes.fromhex(value)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise SetupError("The OS keyring's entry for this store is damaged. Restore the keyring.")
    return secret
