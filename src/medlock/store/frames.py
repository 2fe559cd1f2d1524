"""How index data is framed before it is sealed: format, length, payload, padding. docs/spec/store.md §4.

Rows of one kind have one length, whatever they hold: a length would tell how much there is of a patient, and how much
there is tells how old they are. What does not fit into one row either goes on in further rows (segments), is folded
away (deltas), or is rare (directory entries).
"""

from __future__ import annotations

import struct

import zstandard

from medlock.errors import Tampered

_HEAD = struct.Struct("<BI")  # 1 plain or 2 zstd; payload length
_PLAIN, _ZSTD = 1, 2
_PAYLOAD_MAX = 1 << 30
HEAD_BYTES = 512
DELTA_BYTES = 1_024
ENTRY_BYTES = 1_024
# Level -1 leaves bytes that nothing repeats (hashes, tags) as they are; level 1 codes them and saves a tenth of it all.
# A patient's first search reads half a piece more and unpacks it in half the time; a fold packs a quarter faster.
_compress = zstandard.ZstdCompressor(level=-1).compress
_decompress = zstandard.ZstdDecompressor().decompress


def frame(data: bytes, step: int) -> bytes:
    """Payload with its length, compressed when it is too long for one step, padded to a multiple of `step` bytes."""
    form = _PLAIN
    if _HEAD.size + len(data) > step:
        form, data = _ZSTD, _compress(data)
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
