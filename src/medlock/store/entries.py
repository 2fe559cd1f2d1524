"""What an index knows of one resource, and how it is written into a delta. docs/spec/store.md §4.

An IndexEntry is made from a resource's search values when its body is sealed (`records.indexing`). It holds
64-bit keyed hashes for everything that is compared whole, and intervals and folded text for what is compared by
range or prefix, so that a search inside an index never opens a body it does not need.
"""

from __future__ import annotations

from functools import cache
from zlib import crc32

import msgspec

DELETED = 1
POINTER = 2
DROPPED = 4
TEXT_MAX = 64
"""Folded text is cut to this many characters here; longer queries are checked on the body."""


class IndexEntry(msgspec.Struct, array_like=True, frozen=True):
    """One row of an index.

    `slot` is the owner of the body; in a pointer row it differs from the index's own. `tag` is the first 8 bytes
    of the sealed body's authentication tag as an integer: it names exactly one ciphertext. `updated` is ms since
    1970Z. `flags`: DELETED the resource is a tombstone, POINTER the body lies under another patient's key,
    DROPPED the row leaves this index (the resource moved to another owner). A dropped row with a version stays as a
    mark: history up to that version lies under this patient's key and must go with it.
    `dates` are (parameter, low, high), `texts` (parameter, folded text); parameters are `parameter_number`s.
    """

    rid: int
    slot: int
    version: int
    tag: int
    type: int
    flags: int
    updated: int
    labels: tuple[str, ...]
    hashes: tuple[int, ...]
    dates: tuple[tuple[int, int, int], ...]
    texts: tuple[tuple[int, str], ...]


class Delta(msgspec.Struct, array_like=True, frozen=True):
    """One appended change of an index: its number, the owner's logical id, and the rows it adds or replaces.

    `previous` is the tag of the delta before: a chain, so that none can be left out unseen.
    """

    format: int
    number: int
    patient: str
    previous: bytes
    entries: tuple[IndexEntry, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Delta).decode


def encode_delta(delta: Delta) -> bytes:
    """The bytes that are sealed as a delta."""
    return _encode(delta)


def decode_delta(data: bytes) -> Delta:
    """The delta in `data`, which came out of an authenticated row."""
    return _decode(data)


@cache
def parameter_number(name: str) -> int:
    """A search parameter's number in an index: CRC-32 of its name (no two R4 names collide, a test shows it)."""
    return crc32(name.encode())
