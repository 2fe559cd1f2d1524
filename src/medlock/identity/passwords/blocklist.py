"""Passwords that are known to attackers, looked up offline (NIST SP 800-63B-4 §3.1.1.2, ASVS 5.0 6.2.4 and 6.2.12).

A list is a sorted file of digests cut short (docs/spec/factors.md §2), found by bisection in memory or in a mapped
file. The list that ships holds the lower-case form of 474,743 passwords of eight characters or more, five bytes each;
a password that is not in it is taken for listed once in 2.3 million. An operator may import a fuller list; it is
asked after ours, never in its place. Nothing here opens a connection: a password's digest never leaves the process.
"""

from __future__ import annotations

import hashlib
import mmap
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from medlock.crypto.passwords import canonical
from medlock.errors import SetupError

MAGIC = b"medlock-listed/1"
HEADER = 32
"""Bytes before the digests: magic (16), hash (8, padded with zeros), width of a digest (1), zeros (7)."""
SHORTEST = 8
AS_TYPED = "sha1"
"""A list of this hash, which is how public lists come, holds passwords as they were; the other one lower-case forms."""
IMPORTED = "password-blocklist.bin"
_HASHES: dict[str, Callable[[bytes], bytes]] = {
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),  # the form public lists come in
}


class Lookup(Protocol):
    """Anything that knows whether a password is known to attackers."""

    def __contains__(self, password: str) -> bool:
        """Whether it is, as typed or in lower case."""


@dataclass(frozen=True, slots=True)
class DigestList:
    """One list. `data` holds the digests behind a header; `hash_name` and `width` are what the header says."""

    data: bytes | mmap.mmap
    hash_name: str
    width: int

    def __len__(self) -> int:
        """How many passwords it lists, two with equal digests counted once."""
        return (len(self.data) - HEADER) // self.width

    def __contains__(self, password: str) -> bool:
        """Whether the password is listed, in lower case or, in a list of passwords as they were, as typed."""
        form = canonical(password)
        lower = form.lower()
        return self._has(lower) or (self.hash_name == AS_TYPED and form != lower and self._has(form))

    @property
    def false_positive_rate(self) -> float:
        """The share of passwords on no list that are taken for listed, for each form that is looked up."""
        return len(self) / float(1 << (8 * self.width))

    def _has(self, form: str) -> bool:
        wanted = _HASHES[self.hash_name](form.encode())[: self.width]
        data, width = self.data, self.width

        def digest(place: int) -> bytes:
            start = HEADER + place * width
            return data[start : start + width]

        place = bisect_left(range(len(self)), wanted, key=digest)
        return place < len(self) and digest(place) == wanted


def header(hash_name: str, width: int) -> bytes:
    """The first bytes of a list."""
    return (MAGIC + hash_name.encode().ljust(8, b"\0") + bytes((width,))).ljust(HEADER, b"\0")


def read_list(data: bytes | mmap.mmap) -> DigestList:
    """A list from its bytes. Raises SetupError when they are none."""
    name, width = data[16:24].rstrip(b"\0").decode("ascii", "replace"), data[24] if len(data) >= HEADER else 0
    sound = data[:16] == MAGIC and name in _HASHES and 4 <= width <= 20 and not any(data[25:HEADER])
    if not sound or (len(data) - HEADER) % width:
        raise SetupError("The list of known passwords cannot be read; import it again.")
    return DigestList(data, name, width)


@cache
def shipped() -> DigestList:
    """The list inside this package; read once, 2.4 MB."""
    return read_list(files("medlock.identity").joinpath("data/listed-1.bin").read_bytes())


def imported(data_dir: Path) -> DigestList | None:
    """The operator's list, mapped and not read; None when there is none. Raises SetupError."""
    path = data_dir / IMPORTED
    try:
        with path.open("rb") as file:
            return read_list(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as fault:  # ValueError: an empty file cannot be mapped
        raise SetupError(f"{path} cannot be read; import the list again or remove the file.") from fault


@dataclass(frozen=True, slots=True)
class Blocklist:
    """All lists together."""

    lists: tuple[Lookup, ...]

    def __contains__(self, password: str) -> bool:
        """Whether any list has it."""
        return any(password in each for each in self.lists)


def blocklist(data_dir: Path) -> Blocklist:
    """Our list and the operator's, if there is one. Raises SetupError."""
    theirs = imported(data_dir)
    return Blocklist((shipped(),) if theirs is None else (shipped(), theirs))
