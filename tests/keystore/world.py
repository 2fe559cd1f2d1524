"""A small world for keystore tests: a data directory, a directory for secrets elsewhere, and cheap Argon2."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from medlock.clock import Clock
from medlock.store.kek.passphrase import Cost, PassphraseFile
from medlock.store.keystore import Keystore

CHEAP = Cost(memory_kib=64, iterations=1)
PASSPHRASE = "correct horse battery staple"


class StillClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self, ms: int = 1_795_000_000_000) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms


@dataclass(frozen=True)
class World:
    """Two directories that a thief would have to visit both."""

    root: Path

    def __post_init__(self) -> None:
        for directory in (self.data, self.secrets):
            directory.mkdir(parents=True, exist_ok=True)
        if not self.passphrase_file.exists():
            self.write_passphrase(PASSPHRASE)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def path(self) -> Path:
        return self.data / "keystore.db"

    @property
    def passphrase_file(self) -> Path:
        return self.secrets / "passphrase"

    def write_passphrase(self, text: str, name: str = "passphrase") -> Path:
        path = self.secrets / name
        path.write_text(text + "\n", encoding="utf-8")
        path.chmod(0o600)
        return path

    def provider(self, name: str = "passphrase") -> PassphraseFile:
        return PassphraseFile(self.secrets / name, self.data, CHEAP)

    def create(self) -> Keystore:
        return Keystore.create(self.path, self.provider())

    def open(self) -> Keystore:
        return Keystore.open(self.path, self.provider())

    def stolen_copy(self) -> World:
        """A copy of the data directory as it is now, beside the secrets as they will be."""
        copy = Path(tempfile.mkdtemp(prefix="stolen-", dir=self.root.parent))
        shutil.copytree(self.data, copy / "data")
        (copy / "secrets").symlink_to(self.secrets)
        return World(copy)

    def clone(self) -> World:
        """A copy of everything, secrets included."""
        copy = Path(tempfile.mkdtemp(prefix="clone-", dir=self.root.parent))
        shutil.copytree(self.root, copy, dirs_exist_ok=True)
        return World(copy)

    def holds(self, needle: bytes) -> list[str]:
        """The files of this world in which some bytes occur."""
        return [str(path) for path in self.root.rglob("*") if path.is_file() and needle in path.read_bytes()]
