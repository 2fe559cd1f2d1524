"""The sealed files of a backup: rows, an index of what there is, the list of the erased. docs/spec/backup.md §4.

Each opens under its own name in its own backup only, so a file that was edited, cut, or put there from elsewhere is
refused by name. What lies in them is already sealed row by row; this seal hides which rows there are, and binds them
together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from medlock.crypto.aead import Aead
from medlock.errors import Tampered
from medlock.store.tables import Table

PIECE_BYTES = 4 * 1024 * 1024
TABLES = tuple(Table)
ERASED = "erased"
_GONE = 0xFFFFFFFF
_ROW = struct.Struct(">BqI")
_ENTRY = struct.Struct(">qQ")
_NUMBERS = {table: number for number, table in enumerate(TABLES)}

Kept = tuple[Table, int, bytes | None]
"""Table, key and ct of a row; None for one that is gone."""


class Seal:
    """Seals and opens the files of one backup."""

    def __init__(self, aead: Aead, store: str, backup: str) -> None:
        self._aead = aead
        self._place = b"medlock/1/backup|" + bytes.fromhex(store) + bytes.fromhex(backup)

    def seal(self, name: str, plain: bytes | bytearray) -> bytes:
        """What the file of this name holds."""
        return self._aead.seal(plain, self._place + name.encode())

    def open(self, name: str, blob: bytes) -> bytes:
        """Undo `seal`. Raises Tampered."""
        return self._aead.open(blob, self._place + name.encode())


def rows_name(number: int) -> str:
    """The name of a file of rows."""
    return f"rows-{number:05d}"


def index_name(table: Table, number: int) -> str:
    """The name of a file of the index."""
    return f"index-{table.value}-{number:05d}"


def pack_row(table: Table, key: int, ct: bytes | None) -> bytes:
    """One row, or that it is gone."""
    if ct is None:
        return _ROW.pack(_NUMBERS[table], key, _GONE)
    return _ROW.pack(_NUMBERS[table], key, len(ct)) + ct


def rows_in(plain: bytes) -> Iterator[Kept]:
    """The rows of a file. Raises Tampered when it is not made of rows."""
    at, end = 0, len(plain)
    while at < end:
        try:
            number, key, length = _ROW.unpack_from(plain, at)
            table = TABLES[number]
        except (struct.error, IndexError):
            raise Tampered("a file of rows holds something else") from None
        at += _ROW.size
        if length == _GONE:
            yield table, key, None
            continue
        if at + length > end:
            raise Tampered("a file of rows ends within a row")
        yield table, key, plain[at : at + length]
        at += length


def pack_entry(key: int, digest: int) -> bytes:
    """One entry of an index: a key and the hash of the row that lies there."""
    return _ENTRY.pack(key, digest)


def entries_in(plain: bytes) -> list[tuple[int, int]]:
    """The entries of a file of the index. Raises Tampered."""
    try:
        return list(_ENTRY.iter_unpack(plain))
    except struct.error:
        raise Tampered("a file of the index holds something else") from None


def pack_slots(slots: Iterable[int]) -> bytes:
    """The list of the erased."""
    return b"".join(slot.to_bytes(8, "big") for slot in sorted(slots))


def slots_in(plain: bytes) -> frozenset[int]:
    """The slots in such a list. Raises Tampered."""
    if len(plain) % 8:
        raise Tampered("the list of the erased holds something else")
    return frozenset(int.from_bytes(plain[at : at + 8], "big") for at in range(0, len(plain), 8))
