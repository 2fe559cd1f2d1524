"""Who holds what opens the key service: a key that lies elsewhere is of no use beside a token for it on the same disk.

A thief of the disk asks the service with whatever credential lies there. So the verdict of a remote key service is the
verdict on its credential: given by the platform to this machine at run time, or in a file, whose place is looked at as
that of a passphrase is. What cannot be known counts as unsafe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medlock.errors import SetupError
from medlock.store.kek.place import Distance, Place, distance, place_of

MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Credential:
    """What opens a service.

    path      the file it lies in, if it is a file
    platform  whether the platform gives it to this machine at run time, so that no disk holds it
    """

    path: Path | None = None
    platform: bool = False


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares places with that of the data; `look` is replaced in tests."""

    data_dir: Path
    look: Callable[[Path], Place] = place_of

    def __call__(self, credential: Credential) -> tuple[bool, tuple[str, ...]]:
        """Whether a thief of the data's disk lacks the credential, and reasons."""
        if credential.platform:
            return True, ()
        if credential.path is None:
            reason = "Nothing tells where the credential for the key service comes from; it may lie on the data's disk."
            return False, (f"{reason} Name a file elsewhere, or have the platform give the machine an identity.",)
        apart = self._distance(credential.path)
        reasons = (*_about(credential.path, apart), *_readable(credential.path))
        return apart is Distance.APART, reasons

    def _distance(self, path: Path) -> Distance:
        try:
            if path.resolve().is_relative_to(self.data_dir.resolve()):
                return Distance.TOGETHER
            return distance(self.look(path), self.look(self.data_dir))
        except OSError:  # gone since it was read
            return Distance.UNKNOWN


def _about(path: Path, apart: Distance) -> tuple[str, ...]:
    advice = "Keep it in memory or on another device, or have the platform give the machine an identity."
    if apart is Distance.TOGETHER:
        return (
            f"The credential {path} lies on the disk that holds the data: who takes it can ask the service. {advice}",
        )
    if apart is Distance.UNKNOWN:
        return (f"Nothing tells whether the credential {path} lies on another disk than the data. {advice}",)
    return ()


def _readable(path: Path) -> tuple[str, ...]:
    if path.exists() and path.stat().st_mode & 0o077:
        return (f"Other accounts of this machine may read {path}. Run: chmod 600 {path}",)
    return ()


def read_credential(path: Path | None, what: str) -> str:
    """The content of a credential file without surrounding space. Raises SetupError."""
    if path is None:
        raise SetupError(f"Set MEDLOCK_KEY_CREDENTIAL_FILE to a file, outside the data directory, with {what}.")
    try:
        content = path.read_bytes()[: MOST_BYTES + 1]
    except OSError as error:
        raise SetupError(f"The credential file {path} cannot be read: {error.strerror}.") from error
    text = content.decode("utf-8", "replace").strip()
    if not text or len(content) > MOST_BYTES:
        raise SetupError(f"The credential file {path} is empty or too long. It must hold {what}.")
    return text
