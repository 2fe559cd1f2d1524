"""The sealed heads in table TIP: of the tree, of the search index; and its keys. docs/spec/audit.md §5.

The head of the tree is written with every commit, so it is kept short enough for one page of any database: the roots
of the perfect subtrees, which prove every entry and every tile, and eight bytes of each leaf behind the last complete
tile, which prove nothing but let a verifier name the very entry that was changed.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from medlock.audit.keys import LogKeys, place
from medlock.audit.wire import FORMAT, decoder, encode
from medlock.crypto.merkle import HASH_BYTES, fold
from medlock.crypto.tiles import LEVEL_BITS, WIDTH, split
from medlock.errors import Tampered

TREE_HEAD = 0
CHECKPOINT = 1
INDEX_HEAD = 2
FIRST_TURN = 3
CHECK_BYTES = 8


class Head(msgspec.Struct, array_like=True, frozen=True):
    """The tree after an append: `time` in ms, `nodes` as in `crypto.tiles.TileTree`, `checks` of its tail."""

    format: int
    size: int
    time: int
    nodes: bytes
    checks: bytes

    def root(self) -> bytes:
        """The Merkle root at `size`."""
        return fold(split(self.nodes))

    def nodes_of(self, level: int) -> list[bytes]:
        """The roots of the perfect subtrees of the incomplete tile of a level, left to right."""
        nodes = split(self.nodes)
        end = len(nodes) - (self.size & (1 << LEVEL_BITS * level) - 1).bit_count()
        return nodes[end - (self.size >> LEVEL_BITS * level & WIDTH - 1).bit_count() : end]

    def tail(self) -> list[bytes]:
        """The check of each leaf behind the last complete tile."""
        return [self.checks[at : at + CHECK_BYTES] for at in range(0, len(self.checks), CHECK_BYTES)]


class IndexHead(msgspec.Struct, array_like=True, frozen=True):
    """How many runs have a row in LOGINDEX."""

    format: int
    runs: int


EMPTY = Head(FORMAT, 0, 0, b"", b"")

_decode_head = decoder(Head)
_decode_index_head = decoder(IndexHead)


def checks_of(leaves: Iterable[bytes]) -> bytes:
    """The checks of leaf hashes, put together."""
    return b"".join([leaf[:CHECK_BYTES] for leaf in leaves])


class HeadSealer:
    """Seals and opens both heads of one store. What does not open raises Tampered."""

    def __init__(self, keys: LogKeys) -> None:
        self._aead = keys.log
        self._head_place = place(keys, "head")
        self._index_place = place(keys, "index-head")

    def seal(self, head: Head) -> bytes:
        """The row for this head; 3,200 bytes at most."""
        return self._aead.seal(encode(head), self._head_place)

    def open(self, row: bytes | None) -> Head:
        """The head in a row; EMPTY when there is no row."""
        if row is None:
            return EMPTY
        head = _decode_head(self._aead.open(row, self._head_place))
        wanted = (head.size.bit_count() * HASH_BYTES, head.size % WIDTH * CHECK_BYTES)
        if head.size < 0 or (len(head.nodes), len(head.checks)) != wanted:
            raise Tampered("the head of the log does not fit together")
        return head

    def seal_index(self, runs: int) -> bytes:
        """The index head: `runs` runs are indexed."""
        return self._aead.seal(encode(IndexHead(FORMAT, runs)), self._index_place)

    def open_index(self, row: bytes | None) -> int:
        """How many runs are indexed; 0 when there is no row."""
        if row is None:
            return 0
        return _decode_index_head(self._aead.open(row, self._index_place)).runs
