"""Project keys in files: 64 hexadecimal digits that only their owner can read."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from medlock.deid.fhir.pseudonyms import KEY_BYTES
from medlock.errors import SetupError

_FORM: Final = re.compile(rb"\s*([0-9a-fA-F]{64})\s*")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def make_key(path: Path) -> None:
    """Make a new project key. Raises SetupError when there is a file already."""
    write_new(path, os.urandom(KEY_BYTES).hex().encode() + b"\n")


def write_new(path: Path, data: bytes) -> None:
    """Write a file that nobody but the owner can read. Raises SetupError when it exists or cannot be written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SetupError("There is a file of that name already; it was left as it is.") from None
    except OSError:
        raise SetupError("The file cannot be made there; check the directory and its permissions.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file in one step, for the owner alone."""
    new = path.with_name(f".{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def read_secret(path: Path, what: str) -> bytes:
    """The bytes of a file that must be its owner's alone. Raises SetupError."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        raise SetupError(f"The {what} cannot be read; name a file that exists.") from None
    with os.fdopen(handle, "rb") as file:
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & _OTHERS:
            raise SetupError(f"Others can read the {what}; run chmod 600 on it, and ask who has read it.")
        return file.read(1_000_000)


def read_key(path: Path) -> bytes:
    """The 32 bytes of a key file. Raises SetupError when it is none, or when others can read it."""
    found = _FORM.fullmatch(read_secret(path, "key file"))
    if found is None:
        raise SetupError("The key file does not hold 64 hexadecimal digits; make one with medlock deid key.")
    return bytes.fromhex(found[1].decode())
