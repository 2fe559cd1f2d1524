"""How index data is framed before it is sealed: format, length, payload, padding. docs/spec/store.md §4.

Large payloads are compressed; sizes are rounded up to 512 bytes, or to an eighth of their size when they are large,
so that the length of a patient's index tells only roughly how much there is.
"""

from __future__ import annotations

import struct

import zstandard

from medlock.errors import Tampered

_HEAD = struct.Struct("<BI")  # 1 plain or 2 zstd; payload length
_PLAIN, _ZSTD = 1, 2
_COMPRESS_FROM = 1024
_STEP = 512
_PAYLOAD_MAX = 1 << 30
_compress = zstandard.ZstdCompressor(level=1).compress
_decompress = zstandard.ZstdDecompressor().decompress


def frame(data: bytes) -> bytes:
    """Payload with its length, padded."""
    form = _PLAIN
    if len(data) >= _COMPRESS_FROM:
        form, data = _ZSTD, _compress(data)
    step = max(_STEP, 1 << max(0, len(data).bit_length() - 4))
    head = _HEAD.pack(form, len(data))
    return head + data + bytes(-(len(head) + len(data)) % step)


def unframe(framed: bytes) -> bytes:
    """The payload. Raises Tampered for a format this program does not know."""
    form, length = _HEAD.unpack_from(framed)
    data = framed[_HEAD.size : _HEAD.size + length]
    if form == _PLAIN:
        return data
    if form == _ZSTD:
        return _decompress(data, max_output_size=_PAYLOAD_MAX)
    raise Tampered(f"index data framed in unknown format {form}")
