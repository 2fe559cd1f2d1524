"""A passphrase in a file: the provider that needs nothing but a second place to put it.

The root is Argon2id of the passphrase; every epoch adds a random secret that lies beside the passphrase file in
`<passphrase file>.<first 8 hex digits of the store id>.kek`, away from the data. A ratchet overwrites the old
secret, so an older copy of data and keystore does not open again, not even with the passphrase. Where that place
cannot keep a file (read-only, or gone after a restart) the secrets lie in the data directory, and `attest` says
what that costs.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medlock.crypto.kdf import argon2id
from medlock.errors import SetupError
from medlock.ids import random_bytes
from medlock.store.kek.place import Distance, Place, distance, place_of
from medlock.store.kek.provider import Attestation
from medlock.store.kek.secretfile import EpochSecret, SecretFile
from medlock.store.kek.split import SECRET_BYTES, check_value, epoch_key

NAME = "passphrase-file"
LEAST_CHARACTERS = 12
MOST_BYTES = 65_536
SALT_BYTES = 16
_SECRETS_IN_DATA = (
    "The epoch secrets lie in the data directory, because the passphrase's directory is read-only or does not outlive "
    "a restart: a copy of the whole data directory made before a ratchet still opens with the passphrase, and the "
    "passphrase alone protects it. Keep the passphrase in a writable place that lasts."
)
MOST_MEMORY_KIB = 4 * 1024 * 1024  # a parameter that asks for more was not written by us


@dataclass(frozen=True, slots=True)
class Cost:
    """What Argon2id costs (RFC 9106 §4, second recommendation with one lane: 64 MiB, 3 passes, 0.2 s)."""

    memory_kib: int = 65_536
    iterations: int = 3
    lanes: int = 1


class PassphraseFile:
    """A KekProvider over a passphrase file; `data_dir` is where the keystore lies.

    `look` says on what a path lies; tests hand in disks of their own.
    """

    name = NAME

    def __init__(
        self, path: Path, data_dir: Path, cost: Cost | None = None, look: Callable[[Path], Place] = place_of
    ) -> None:
        self._path = path
        self._data_dir = data_dir
        self._cost = cost or Cost()
        self._look = look
        self._root = b""
        self._secrets: SecretFile | None = None

    def __repr__(self) -> str:
        return "<PassphraseFile>"

    def enrol(self, store_id: bytes) -> dict[str, str]:
        """Choose salt, cost and a place for the epoch secrets."""
        parameters = {
            "kdf": "argon2id",
            "salt": random_bytes(SALT_BYTES).hex(),
            "memory_kib": str(self._cost.memory_kib),
            "iterations": str(self._cost.iterations),
            "lanes": str(self._cost.lanes),
            "secrets": "beside" if self._can_lie_beside() else "data",
        }
        self.connect(store_id, parameters)
        return parameters

    def connect(self, store_id: bytes, parameters: Mapping[str, str]) -> None:
        """Read the passphrase and stretch it; whether it is the right one shows at the first `unwrap`."""
        salt, cost = _understood(parameters)
        passphrase = read_passphrase(self._path)
        self._root = argon2id(
            passphrase, salt, memory_kib=cost.memory_kib, iterations=cost.iterations, lanes=cost.lanes
        )
        self._secrets = SecretFile(self._secrets_path(store_id, parameters["secrets"]), store_id)

    def new_epoch(self, number: int) -> None:
        """Write a fresh random secret for the epoch."""
        secret = random_bytes(SECRET_BYTES)
        entry = EpochSecret(secret.hex(), check_value(self._root, secret).hex())
        self._connected().add(number, entry, self._is_ours)

    def wrap(self, epoch: int, key: bytes | bytearray, aad: bytes) -> bytes:
        """Seal under root and epoch secret."""
        return epoch_key(self._root, self._secret(epoch), epoch).seal(key, aad)

    def unwrap(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Open under root and epoch secret. Raises SetupError when the passphrase is another one."""
        return epoch_key(self._root, self._secret(epoch), epoch).open(blob, aad)

    def destroy_epoch(self, number: int) -> None:
        """Overwrite the secret of the epoch and of those before it."""
        self._connected().destroy(number)

    def attest(self) -> Attestation:
        """Compare where passphrase, secrets and data lie."""
        apart = self._distance()
        inside = self._path.resolve().is_relative_to(self._data_dir.resolve())
        secrets = self._connected().path
        reasons = [
            *_about_distance(inside, apart),
            *_about_secrets(secrets, self._data_dir),
            *_about_readers((self._path, secrets)),
        ]
        place = f"passphrase in {self._path}, epoch secrets in {secrets}"
        return Attestation(self.name, place, apart is Distance.APART and not inside, tuple(reasons))

    def _secret(self, epoch: int) -> bytes:
        for entry in self._connected().get(epoch):
            if self._is_ours(entry):
                return bytes.fromhex(entry.secret)
        raise SetupError(
            f"The passphrase in {self._path} is not the one that this keystore was made with. "
            "Name the file that holds the right one."
        )

    def _is_ours(self, entry: EpochSecret) -> bool:
        """Whether a secret was made with this passphrase."""
        try:
            check = check_value(self._root, bytes.fromhex(entry.secret)).hex()
        except ValueError:
            return False
        return hmac.compare_digest(check, entry.check)

    def _connected(self) -> SecretFile:
        if self._secrets is None:
            raise SetupError("The passphrase provider was used before it was connected to a store.")
        return self._secrets

    def _secrets_path(self, store_id: bytes, choice: str) -> Path:
        if choice == "data":
            return self._data_dir / "keystore.kek"
        return self._path.with_name(f"{self._path.name}.{store_id.hex()[:8]}.kek")

    def _can_lie_beside(self) -> bool:
        """A file made beside the passphrase must outlive a restart, or as little as the data does."""
        beside = self._path.parent
        if not os.access(beside, os.W_OK | os.X_OK):
            return False
        there, here = self._look(beside), self._look(self._data_dir)
        return there.lasting or there.device == here.device

    def _distance(self) -> Distance:
        try:
            return distance(self._look(self._path), self._look(self._data_dir))
        except OSError:  # moved away since we read it
            return Distance.UNKNOWN


def read_passphrase(path: Path) -> bytes:
    """The file's content without its line ending. Raises SetupError when it is missing, long or weak."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SetupError(
            f"The passphrase file {path} cannot be read: {error.strerror}. "
            "Set MEDLOCK_PASSPHRASE_FILE to a file that holds the passphrase."
        ) from error
    passphrase = content.removesuffix(b"\n").removesuffix(b"\r")
    if len(passphrase.decode("utf-8", "replace").strip()) < LEAST_CHARACTERS:
        raise SetupError(f"The passphrase in {path} is empty or too short: use at least {LEAST_CHARACTERS} characters.")
    if len(passphrase) > MOST_BYTES:
        raise SetupError(f"The file {path} is too long to be a passphrase: use at most {MOST_BYTES} bytes.")
    return passphrase


def _understood(parameters: Mapping[str, str]) -> tuple[bytes, Cost]:
    try:
        salt = bytes.fromhex(parameters["salt"])
        cost = Cost(*(int(parameters[name]) for name in ("memory_kib", "iterations", "lanes")))
        known = parameters["kdf"] == "argon2id" and parameters["secrets"] in {"beside", "data"}
    except (KeyError, ValueError):
        known = False
    else:
        known = known and 8 * cost.lanes <= cost.memory_kib <= MOST_MEMORY_KIB and len(salt) == SALT_BYTES
        known = known and 0 < cost.iterations <= 1000 and 0 < cost.lanes <= 64
    if not known:
        raise SetupError("The keystore's record of its passphrase is damaged. Put back a good copy of the keystore.")
    return salt, cost


def _about_distance(inside: bool, apart: Distance) -> list[str]:
    if inside:
        return ["The passphrase lies in the data directory: whoever copies it has lock and key. Keep it elsewhere."]
    if apart is Distance.TOGETHER:
        return ["The passphrase lies on the same disk as the data: whoever takes the disk has both. Keep it elsewhere."]
    if apart is Distance.UNKNOWN:
        return ["medlock cannot tell whether passphrase and data lie on different disks, so it assumes the same one."]
    return []


def _about_secrets(secrets: Path, data_dir: Path) -> list[str]:
    if secrets.parent.resolve() != data_dir.resolve():
        return []
    return [_SECRETS_IN_DATA]


def _about_readers(paths: tuple[Path, ...]) -> list[str]:
    open_to_others = [str(path) for path in paths if path.exists() and path.stat().st_mode & 0o077]
    return [f"Other accounts of this machine may read {path}. Run: chmod 600 {path}" for path in open_to_others]
