"""Contents in chunks, naively: written from docs/spec/store.md §3.1 alone, on generic AES-GCM."""

from __future__ import annotations

import struct
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.naive import Bad, demand, derive, prf

CHUNK = 262_144


def said(stream: bytes, key: bytes, size: int) -> bytes:
    """What a body of form 2 says of its content."""
    return stream + key + size.to_bytes(8, "big")


def heard(data: bytes) -> tuple[bytes, bytes, int]:
    """The same, read."""
    demand(len(data) == 56)
    size = int.from_bytes(data[48:], "big")
    demand(1 <= size <= 1 << 40)
    return data[:16], data[16:48], size


def chunk_key(tenant: bytes, stream: bytes, at: int) -> int:
    return prf(derive(tenant, "tenant/rid"), b"content|" + stream + at.to_bytes(4, "big"))


def seal_chunk(stream: bytes, key: bytes, at: int, last: int, plain: bytes) -> bytes:
    mark = struct.pack(">IB", at, last)
    return AESGCM(key).encrypt(bytes(7) + mark, plain, b"medlock/1/content|" + stream + mark)


def seal_content(stream: bytes, key: bytes, content: bytes) -> list[bytes]:
    """All chunks of a content."""
    starts = range(0, len(content), CHUNK)
    return [
        seal_chunk(stream, key, at, at == len(starts) - 1, content[start : start + CHUNK].ljust(CHUNK, b"\0"))
        for at, start in enumerate(starts)
    ]


def open_content(stream: bytes, key: bytes, size: int, rows: list[bytes]) -> bytes:
    """A content out of all its chunks."""
    count = -(-size // CHUNK)
    demand(len(rows) == count)
    plain = b""
    for at, row in enumerate(rows):
        demand(len(row) == CHUNK + 16)
        mark = struct.pack(">IB", at, at == count - 1)
        try:
            plain += AESGCM(key).decrypt(bytes(7) + mark, row, b"medlock/1/content|" + stream + mark)
        except InvalidTag:
            raise Bad from None
    return plain[:size]


def made(size: int) -> bytes:
    """A content of a vector: SHA-256 of 0, 1, 2… in decimal, one after the other."""
    return b"".join(sha256(b"%d" % at).digest() for at in range(-(-size // 32)))[:size]


def changed(rows: list[bytes], change: list[int | str]) -> list[bytes]:
    """What a vector says that became of the rows."""
    how, *numbers = change
    at, to = ([int(each) for each in numbers] + [0, 0])[:2]
    rows = list(rows)
    if how == "flip":
        rows[at] = rows[at][:to] + bytes([rows[at][to] ^ 1]) + rows[at][to + 1 :]
    elif how == "swap":
        rows[at], rows[to] = rows[to], rows[at]
    elif how == "copy":
        rows[to] = rows[at]
    elif how == "drop":
        del rows[at]
    elif how == "cut":
        rows[at] = rows[at][:to]
    elif how == "fill":
        rows[at] += bytes(to)
    return rows
