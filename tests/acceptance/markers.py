"""Markers: random words planted in records, and a search for them, in many spellings, in the bytes of files."""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import zstandard

LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
WIDTH = 8
ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b\x08"


class Planter:
    """Gives out markers of fourteen letters, each once, and remembers them."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.planted: set[str] = set()

    def word(self) -> str:
        """A new marker."""
        made = "q" + "".join(self._rng.choices(LETTERS, k=13))
        self.planted.add(made)
        return made

    def attachment(self) -> str:
        """A new marker as attachments carry it: the base64 of a text."""
        return base64.b64encode(f"note {self.word()} end".encode()).decode()


def spellings(marker: str) -> Iterator[bytes]:
    """How a word may stand in a file: plain, wide, backwards, in hex, in base64 at each alignment."""
    raw = marker.encode()
    yield raw
    yield marker.encode("utf-16-le")
    yield raw[::-1]
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for shift in range(3):
        packed = base64.b64encode(b"\0" * shift + raw)
        yield packed[(shift * 8 + 5) // 6 : len(raw) * 8 // 6 - 1]


class Seeker:
    """Looks for markers in bytes: every window of eight bytes is held against the start of every spelling."""

    def __init__(self, markers: Iterable[str]) -> None:
        every = [spelling for marker in markers for spelling in spellings(marker)]
        assert all(len(each) >= WIDTH for each in every)
        starts = np.frombuffer(b"".join(each[:WIDTH] for each in every), "<u8")
        order = np.argsort(starts)
        self._starts, self._every = starts[order], [every[at] for at in order]

    def found(self, data: bytes) -> set[bytes]:
        """The spellings in `data`, and in what is plainly compressed inside it."""
        hits = self._in(data)
        for opened in unpacked(data):
            hits |= self._in(opened)
        return hits

    def _in(self, data: bytes) -> set[bytes]:
        hits: set[bytes] = set()
        for shift in range(WIDTH):
            usable = (len(data) - shift) // WIDTH * WIDTH
            windows = np.frombuffer(data[shift : shift + usable], "<u8")
            at = np.searchsorted(self._starts, windows)
            at[at == len(self._starts)] = 0
            for window in np.flatnonzero(self._starts[at] == windows).tolist():
                hits |= self._confirmed(data, shift + window * WIDTH, int(at[window]))
        return hits

    def _confirmed(self, data: bytes, place: int, at: int) -> set[bytes]:
        """The spellings with this start that really stand there."""
        hits = set()
        while at < len(self._every) and self._every[at][:WIDTH] == data[place : place + WIDTH]:
            if data.startswith(self._every[at], place):
                hits.add(self._every[at])
            at += 1
        return hits


def unpacked(data: bytes) -> Iterator[bytes]:
    """Whatever opens as a zstd or gzip stream without a key."""
    for magic in (ZSTD, GZIP):
        place = data.find(magic)
        while place >= 0:
            opened = _unpack(magic, data[place : place + (1 << 22)])
            if opened:
                yield opened
            place = data.find(magic, place + 1)


def _unpack(magic: bytes, data: bytes) -> bytes:
    try:
        if magic == ZSTD:
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        return zlib.decompressobj(31).decompress(data)
    except (zstandard.ZstdError, zlib.error):
        return b""


def files_below(*directories: Path) -> list[Path]:
    """Every file in the directories, journals and temporary files too."""
    return [path for directory in directories for path in sorted(directory.rglob("*")) if path.is_file()]
