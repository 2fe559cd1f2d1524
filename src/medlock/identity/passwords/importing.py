"""An operator's own list of known passwords, made into the form that is looked up in.

Two forms are read: lines `SHA-1:count`, in which Have I Been Pwned gives out its whole set, and one password a line.
The file is read once; digests go into 256 bins by their first byte, each bin is sorted by itself, and the bins are
written one after another: a thousand million lines take a few hundred megabytes of memory and twice the result's
place on disk. The new list appears whole or not at all; processes that have the former one open keep it until they
start anew.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medlock.crypto.passwords import canonical
from medlock.errors import BadRequest
from medlock.identity.passwords.blocklist import AS_TYPED, SHORTEST, header

WIDTH = 7
LINE_MAX = 1_024
_BINS = 256
_FLUSH = 1 << 18
_SHA1 = re.compile(rb"([0-9A-Fa-f]{40})(:[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: lines read, digests kept, lines passed over (too short, or not text)."""

    lines: int
    entries: int
    passed_over: int


def import_list(source: Path, target: Path) -> Imported:
    """Make `target` from `source`. Raises BadRequest with the number of a line that is not like the first."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".password-list-") as folder:
        bins = _Bins(Path(folder))
        lines = kept = 0
        with source.open("rb") as file:
            for number, digests in enumerate(_read(file), 1):
                lines, kept = number, kept + bool(digests)
                for digest in digests:
                    bins.add(digest)
        made = Path(folder) / "made"
        entries = bins.write(made)
        made.replace(target)
    return Imported(lines, entries, lines - kept)


def _read(file: BinaryIO) -> Iterator[tuple[bytes, ...]]:
    """The digests of each line: none when it says nothing."""
    hashes: bool | None = None
    number = 0
    while line := file.readline(LINE_MAX):
        number += 1
        text = line.strip(b"\r\n")
        found = _SHA1.fullmatch(text)
        hashes = found is not None if hashes is None and text else hashes
        if hashes and text and found is None:
            raise BadRequest(f"Line {number} is no SHA-1 digest with a count, as the lines before it are.")
        if len(line) == LINE_MAX and not line.endswith(b"\n"):
            raise BadRequest(f"Line {number} is longer than any password.")
        yield (bytes.fromhex(found[1].decode())[:WIDTH],) if found and hashes else _of_password(text)


def _of_password(line: bytes) -> tuple[bytes, ...]:
    """Digests of a password in both forms that are looked for."""
    try:
        form = canonical(line.decode())
    except (UnicodeDecodeError, BadRequest):
        return ()
    if len(form) < SHORTEST:
        return ()
    forms = {form, form.lower()}
    return tuple(hashlib.sha1(each.encode(), usedforsecurity=False).digest()[:WIDTH] for each in forms)


class _Bins:
    """Digests on disk by their first byte."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting = [bytearray() for _ in range(_BINS)]

    def add(self, digest: bytes) -> None:
        """Put one into its bin."""
        waiting = self._waiting[digest[0]]
        waiting += digest
        if len(waiting) >= _FLUSH:
            self._flush(digest[0])

    def write(self, target: Path) -> int:
        """All bins, sorted, into one list; how many digests it holds."""
        entries = 0
        with target.open("wb") as file:
            file.write(header(AS_TYPED, WIDTH))
            for number in range(_BINS):
                in_order = np.unique(np.frombuffer(self._taken(number), dtype=f"S{WIDTH}"))
                entries += len(in_order)
                file.write(in_order.tobytes())
            file.flush()
            os.fsync(file.fileno())
        return entries

    def _taken(self, number: int) -> bytes:
        """All of a bin, which is empty afterwards."""
        waiting, self._waiting[number] = bytes(self._waiting[number]), bytearray()
        path = self._folder / str(number)
        if not path.exists():
            return waiting
        written = path.read_bytes()
        path.unlink()
        return written + waiting

    def _flush(self, number: int) -> None:
        with (self._folder / str(number)).open("ab") as file:
            file.write(self._waiting[number])
        self._waiting[number] = bytearray()
