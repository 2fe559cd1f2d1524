"""Looking for ten thousand texts in many files at once, in every spelling in which bytes can hide in plain sight.

Spellings: UTF-8, UTF-16 and UTF-32 in both byte orders, upper and lower case, without accents, backwards, hex,
base64 at each of its three alignments (both alphabets), percent signs, JSON escapes; instants also as milliseconds
in eight bytes. What unpacks as zlib, gzip, zstd, bz2 or xz is unpacked and searched as well, and so is every value
of every SQLite table, since a long value lies in pieces in its file.

Speed: all spellings are compared by their first eight bytes, at every offset, with a table of 2^24 bits and then a
sorted array; only what passes both is compared in full. Thirty megabytes take about a second.
"""

from __future__ import annotations

import bz2
import lzma
import re
import sqlite3
import unicodedata
import zlib
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import zstandard

_WIDTH = 8
_TABLE = 1 << 24
_PACKED_MAX, _UNPACKED_MAX = 1 << 20, 1 << 24
_MAGIC = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:")
_SQLITE = b"SQLite format 3\x00"


def spellings(text: str) -> Iterator[bytes]:
    """Every way in which `text` is looked for; those too short to tell from noise are left out."""
    plain = text.encode()
    folded = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    for each in {text, text.lower(), text.upper(), folded, folded.casefold()}:
        yield each.encode()
        yield from (each.encode(code) for code in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"))
    yield plain[::-1]
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    yield "".join(f"%{byte:02X}" for byte in plain).encode()
    yield "".join(f"\\u{ord(c):04x}" if ord(c) > 127 else c for c in text).encode()
    yield from _base64(plain)
    yield from _instants(text)


def _base64(plain: bytes) -> Iterator[bytes]:
    """The characters that `plain` alone decides, for each place it may have in a group of three."""
    for shift in range(3):
        whole = b64encode(bytes(shift) + plain)
        inner = whole[-(-shift * 4 // 3) : len(whole) - 4 if (shift + len(plain)) % 3 else len(whole)]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


def _instants(text: str) -> Iterator[bytes]:
    """An instant with milliseconds as a number."""
    if _INSTANT.match(text):
        ms = round(datetime.fromisoformat(text).timestamp() * 1000)
        yield ms.to_bytes(8, "little", signed=True)
        yield ms.to_bytes(8, "big", signed=True)


class Needles:
    """The texts to look for."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._full: dict[int, list[tuple[bytes, str]]] = defaultdict(list)
        for text in texts:
            for spelling in set(spellings(text)):
                if len(spelling) >= _WIDTH:
                    self._full[int.from_bytes(spelling[:_WIDTH], "little")].append((spelling, text))
        self._heads = np.array(sorted(self._full), np.uint64)
        self._table = np.zeros(_TABLE, np.bool_)
        self._table[(self._heads & np.uint64(_TABLE - 1)).astype(np.int64)] = True

    def in_bytes(self, data: bytes) -> set[str]:
        """The texts that occur in some spelling, also in what can be unpacked from anywhere in `data`."""
        found = self._plain(data)
        for unpacked in _unpacked(data):
            found |= self._plain(unpacked)
        return found

    def in_file(self, path: Path) -> set[str]:
        """The texts that occur in a file; in a database also in its values, each taken together."""
        data = path.read_bytes()
        found = self.in_bytes(data)
        if data.startswith(_SQLITE):
            found |= self.in_bytes(b"\0".join(_values(path)))
        return found

    def in_tree(self, *roots: Path) -> dict[str, set[str]]:
        """The files below, by what was found in them; file names are searched, too."""
        found: dict[str, set[str]] = {}
        for path in sorted(path for root in roots for path in root.rglob("*")):
            texts = self._plain(str(path).encode())
            if path.is_file():
                texts |= self.in_file(path)
            if texts:
                found[str(path)] = texts
        return found

    def _plain(self, data: bytes) -> set[str]:
        found: set[str] = set()
        for offset in range(_WIDTH):
            usable = (len(data) - offset) // _WIDTH * _WIDTH
            if usable <= 0:
                break
            words = np.frombuffer(data, np.dtype("<u8"), usable // _WIDTH, offset)
            likely = np.flatnonzero(self._table[(words & np.uint64(_TABLE - 1)).astype(np.uint32)])
            at = np.minimum(self._heads.searchsorted(words[likely]), len(self._heads) - 1)
            hits = likely[self._heads[at] == words[likely]]
            for hit in hits.tolist():
                start = offset + hit * _WIDTH
                for spelling, text in self._full[int(words[hit])]:
                    if data.startswith(spelling, start):
                        found.add(text)
        return found


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Whatever unpacks from a place that looks like the start of something packed."""
    for magic in _MAGIC:
        at = data.find(magic)
        while at >= 0:
            unpacked = _unpack(magic, memoryview(data)[at : at + _PACKED_MAX])
            if len(unpacked) > _WIDTH:
                yield unpacked
            at = data.find(magic, at + 1)


def _unpack(magic: bytes, data: memoryview) -> bytes:
    try:
        if magic[0] == 0x28:
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        if magic[0] == 0x42:
            return bz2.BZ2Decompressor().decompress(data, _UNPACKED_MAX)
        if magic[0] == 0xFD:
            return lzma.LZMADecompressor().decompress(data, _UNPACKED_MAX)
        return zlib.decompressobj(31 if magic[0] == 0x1F else 15).decompress(data, _UNPACKED_MAX)
    except (zlib.error, zstandard.ZstdError, OSError, lzma.LZMAError, EOFError):
        return b""


def _values(path: Path) -> Iterator[bytes]:
    """Every value of every table."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f"SELECT * FROM {table}"):  # noqa: S608
                yield from (each if isinstance(each, bytes) else str(each).encode() for each in row)
