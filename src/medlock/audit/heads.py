"""The sealed heads in table TIP: of the tree, of the search index; and its keys. docs/spec/audit.md §5.

The head of the tree holds the incomplete tile of every level, so that any process can take up the tree from this one
row, and so that a verifier has something sealed to hold every entry against.
"""

from __future__ import annotations

import msgspec

from medlock.audit.keys import LogKeys, place
from medlock.audit.wire import FORMAT, decoder, encode
from medlock.crypto.merkle import fold
from medlock.crypto.tiles import TileTree, split
from medlock.errors import Tampered

TREE_HEAD = 0
CHECKPOINT = 1
INDEX_HEAD = 2
FIRST_TURN = 3


class Head(msgspec.Struct, array_like=True, frozen=True):
    """The tree after an append: `time` in ms, `nodes` and `tiles` as in `crypto.tiles.TileTree`."""

    format: int
    size: int
    time: int
    nodes: bytes
    tiles: tuple[bytes, ...]

    def root(self) -> bytes:
        """The Merkle root at `size`."""
        return fold(split(self.nodes))

    def tree(self) -> TileTree:
        """The tree, ready to grow. Raises Tampered when the parts do not fit together."""
        try:
            return TileTree.taken_up(self.size, self.nodes, self.tiles)
        except ValueError:
            raise Tampered("the head of the log does not fit together") from None


class IndexHead(msgspec.Struct, array_like=True, frozen=True):
    """How many runs have a row in LOGINDEX."""

    format: int
    runs: int


EMPTY = Head(FORMAT, 0, 0, b"", (b"",))

_decode_head = decoder(Head)
_decode_index_head = decoder(IndexHead)


class HeadSealer:
    """Seals and opens both heads of one store. What does not open raises Tampered."""

    def __init__(self, keys: LogKeys) -> None:
        self._aead = keys.log
        self._head_place = place(keys, "head")
        self._index_place = place(keys, "index-head")

    def seal(self, tree: TileTree, time: int) -> bytes:
        """The head of this tree."""
        head = Head(FORMAT, tree.size, time, tree.nodes, tree.partial)
        return self._aead.seal(encode(head), self._head_place)

    def open(self, row: bytes | None) -> Head:
        """The head in a row; EMPTY when there is no row."""
        return EMPTY if row is None else _decode_head(self._aead.open(row, self._head_place))

    def seal_index(self, runs: int) -> bytes:
        """The index head: `runs` runs are indexed."""
        return self._aead.seal(encode(IndexHead(FORMAT, runs)), self._index_place)

    def open_index(self, row: bytes | None) -> int:
        """How many runs are indexed; 0 when there is no row."""
        if row is None:
            return 0
        return _decode_index_head(self._aead.open(row, self._index_place)).runs
