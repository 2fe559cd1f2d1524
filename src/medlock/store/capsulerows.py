"""The rows of one capsule: their keys, names and lengths. docs/spec/store.md §4.

A head, a delta and a piece of a segment have one length each. A segment is cut into as many pieces as it needs, and
the pieces of all patients lie among each other under keys that nobody can group: so nobody sees how long one is.
Each piece carries the tag of the next and the head that of the first, so that no piece can be exchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from medlock.errors import Tampered
from medlock.store.frames import frame, unframe
from medlock.store.keyring import PatientKeys

TAG_BYTES = 16
PIECE_BYTES = 3_456
"""Content of a piece. A sealed piece has 3,500 bytes: it fills a page of 4,096 and leaves room for one head."""
_LAST = bytes(TAG_BYTES)


class SegmentName(msgspec.Struct, array_like=True, frozen=True):
    """A segment as the head names it: its number, the tag of its first piece, how many pieces it has."""

    number: int
    tag: bytes
    pieces: int


class CapsuleCipher:
    """Keys and names of one capsule's rows. `kind` is head, segment or delta; only segments have several pieces."""

    __slots__ = ("_aad", "_aead", "_labels", "generation")

    def __init__(self, keys: PatientKeys) -> None:
        self.generation = keys.generation
        self._aead = keys.capsule
        self._labels = keys.labels
        self._aad = keys.slot.to_bytes(8, "big") + keys.generation.to_bytes(2, "big")

    def key(self, kind: str, number: int = 0, piece: int = 0) -> int:
        """Where a row of this capsule lies."""
        return self._labels.label(_name(kind, number, piece))

    def piece_keys(self, name: SegmentName) -> list[int]:
        """Where all pieces of a segment lie."""
        return [self.key("segment", name.number, piece) for piece in range(name.pieces)]

    def seal(self, kind: str, number: int, plain: bytes, piece: int = 0) -> bytes:
        """A sealed row."""
        return self._aead.seal(plain, self._aad + _name(kind, number, piece))

    def open(self, kind: str, number: int, ct: bytes, piece: int = 0) -> bytes:
        """What `seal` was given. Raises Tampered."""
        return self._aead.open(ct, self._aad + _name(kind, number, piece))

    def seal_segment(self, number: int, data: bytes) -> tuple[SegmentName, list[bytes]]:
        """A segment's name and the rows of its pieces, in order."""
        framed = frame(data, PIECE_BYTES)
        count = len(framed) // PIECE_BYTES
        pieces: list[bytes] = []
        tag = _LAST
        for piece in reversed(range(count)):
            part = framed[piece * PIECE_BYTES : (piece + 1) * PIECE_BYTES]
            pieces.append(self.seal("segment", number, tag + part, piece))
            tag = pieces[-1][-TAG_BYTES:]
        return SegmentName(number, tag, count), pieces[::-1]

    def open_segment(self, name: SegmentName, rows: Sequence[bytes]) -> bytes:
        """What `seal_segment` was given. Raises Tampered when a piece is not the one that was named."""
        parts, tag = [], name.tag
        for piece, ct in enumerate(rows):
            if ct[-TAG_BYTES:] != tag:
                raise Tampered(f"piece {piece} of segment {name.number} of an index is not the one that was named")
            plain = self.open("segment", name.number, ct, piece)
            tag = plain[:TAG_BYTES]
            parts.append(plain[TAG_BYTES:])
        if tag != _LAST:
            raise Tampered(f"segment {name.number} of an index does not have all its pieces")
        return unframe(b"".join(parts))

    def wrong_pieces(self, name: SegmentName, rows: Sequence[bytes | None]) -> Iterator[int]:
        """Which pieces are missing, do not open, or are not those that the head and the pieces before them name."""
        expected: bytes | None = name.tag
        for piece, ct in enumerate(rows):
            plain = None if ct is None else self._opened(name.number, ct, piece)
            if ct is None or plain is None or expected not in {None, ct[-TAG_BYTES:]}:
                yield piece
            expected = None if plain is None else plain[:TAG_BYTES]

    def _opened(self, number: int, ct: bytes, piece: int) -> bytes | None:
        try:
            return self.open("segment", number, ct, piece)
        except Tampered:
            return None


def _name(kind: str, number: int, piece: int) -> bytes:
    return (f"{kind}|{number}|{piece}" if piece else f"{kind}|{number}").encode()
