"""Large content in sealed chunks: what a Binary of more than a few rows holds. docs/spec/store.md §3.1 is the format.

    nonce    = 0[7] | at u32 | last u8
    chunk at = AES-256-GCM(K, nonce, 262,144 bytes, "medlock/1/content|" stream | at u32 | last u8)

K is drawn for one content and stands, with the random name of its stream and its size, inside the sealed body that the
content belongs to. So whoever can open that version of the resource can open its chunks, and nobody else: a destroyed
patient's key takes them along, a rotated one seals K anew and leaves them where they are. Number and flag of a chunk
are in its nonce, its binding and its key's place: one that is cut off, swapped, doubled or moved does not open.

All chunks are as long as each other; the last is filled up with zeros, which `size` cuts off.
"""

from __future__ import annotations

import struct

import msgspec

from medlock.crypto.aead import KEY_BYTES, TAG_BYTES, Aead
from medlock.errors import Tampered
from medlock.ids import random_bytes

CHUNK = 256 * 1024
CHUNK_ROW = CHUNK + TAG_BYTES
STREAM_BYTES = 16
CONTENT_MAX = 1 << 40
_SAID = struct.Struct(f">{STREAM_BYTES}s{KEY_BYTES}sQ")
SAID_BYTES = _SAID.size
_NAME = struct.Struct(f">8s{STREAM_BYTES}sI")
_NONCE = struct.Struct(">7xIB")
_BINDING = struct.Struct(f">18s{STREAM_BYTES}sIB")


class Content(msgspec.Struct, frozen=True):
    """What a sealed body says of its content: the name of the stream, its key, and how many bytes it has."""

    stream: bytes
    key: bytes
    size: int

    def __repr__(self) -> str:
        return f"<Content of {self.size} bytes>"

    @property
    def chunks(self) -> int:
        """How many chunks it has; one at least."""
        return max(1, -(-self.size // CHUNK))

    def pack(self) -> bytes:
        """The same as it stands in a body."""
        return _SAID.pack(self.stream, self.key, self.size)


def unpack_content(data: bytes) -> Content:
    """What `pack` made. Raises Tampered for what it never makes."""
    try:
        content = Content(*_SAID.unpack(data))
    except struct.error:
        raise Tampered("a body does not say what its content is") from None
    if not 0 < content.size <= CONTENT_MAX:
        raise Tampered("a body says that its content has a size that none has")
    return content


def new_stream() -> tuple[bytes, bytes]:
    """Name and key of a stream that begins."""
    return random_bytes(STREAM_BYTES), random_bytes(KEY_BYTES)


def chunk_name(stream: bytes, at: int) -> bytes:
    """What names chunk number `at`; its key is a PRF of this."""
    return _NAME.pack(b"content|", stream, at)


class ChunkCipher:
    """Seals and opens the chunks of one stream."""

    def __init__(self, stream: bytes, key: bytes) -> None:
        self._stream = stream
        self._aead = Aead(key)

    def seal(self, at: int, plain: bytes | bytearray, *, last: bool) -> bytes:
        """Chunk number `at`: CHUNK bytes, or fewer when it is the last. A number MUST be sealed once only."""
        if len(plain) > CHUNK or (len(plain) < CHUNK and not last):
            raise ValueError("only the last chunk is shorter than all others")
        filled = plain if len(plain) == CHUNK else bytes(plain) + bytes(CHUNK - len(plain))
        return self._aead.seal_with(_NONCE.pack(at, last), filled, self._binding(at, last=last))

    def open(self, at: int, row: bytes, *, last: bool) -> bytes:
        """What `seal` was given, filled up. Raises Tampered."""
        if len(row) != CHUNK_ROW:
            raise Tampered("a chunk is not as long as all are")
        return self._aead.open_with(_NONCE.pack(at, last), row, self._binding(at, last=last))

    def _binding(self, at: int, *, last: bool) -> bytes:
        return _BINDING.pack(b"medlock/1/content|", self._stream, at, last)
