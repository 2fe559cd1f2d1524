"""A growing Merkle tree cut into tiles of 256 hashes, as in C2SP tlog-tiles.

Tile n of level l holds 256 consecutive hashes, each the root over 256^l leaves. Complete tiles leave this object as
soon as they are full; what stays is the incomplete tile of every level and the frontier, 8 KiB a level at most,
so that a tree of any size can be put down and taken up again without reading a single entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from medlock.crypto.merkle import HASH_BYTES, Frontier, fold, perfect_root

WIDTH = 256
LEVEL_BITS = 8
TILE_BYTES = WIDTH * HASH_BYTES

Tile = tuple[int, int, bytes]
"""Level, index, and the 8,192 bytes of a complete tile."""


class TileTree:
    """The right edge of a tree: `size` leaves, the incomplete tile of each level, the perfect subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self._partial: list[list[bytes]] = [[]]
        self._low: list[bytes] = []  # frontier of the incomplete tile of level 0
        self._high = Frontier()  # frontier over the roots of its predecessors

    @classmethod
    def taken_up(cls, size: int, nodes: bytes, partial: Sequence[bytes]) -> TileTree:
        """The tree that `nodes` and `partial` described. Raises ValueError when they cannot be of this size."""
        if [len(tile) for tile in partial] != [count * HASH_BYTES for count in widths(size)]:
            raise ValueError("incomplete tiles of another size")
        hashes = split(nodes)
        tiles, rest = divmod(size, WIDTH)
        tree = cls()
        tree.size = size
        tree._partial = [split(tile) for tile in partial]
        tree._high = Frontier(tiles, hashes[: tiles.bit_count()])
        tree._low = Frontier(rest, hashes[tiles.bit_count() :]).nodes
        return tree

    @property
    def nodes(self) -> bytes:
        """The roots of the perfect subtrees, left to right."""
        return b"".join((*self._high.nodes, *self._low))

    @property
    def partial(self) -> tuple[bytes, ...]:
        """The incomplete tile of each level, from level 0."""
        return tuple(b"".join(tile) for tile in self._partial)

    def root(self) -> bytes:
        """MTH of all leaves."""
        return fold((*self._high.nodes, *self._low))

    def extend(self, leaves: Iterable[bytes]) -> list[Tile]:
        """Append leaf hashes; the tiles that became complete, in order. About a microsecond a leaf."""
        done: list[Tile] = []
        tile, low = self._partial[0], self._low
        for leaf in leaves:
            node, count = leaf, len(tile)
            tile.append(leaf)
            while count & 1:
                node = sha256(b"\x01" + low.pop() + node).digest()
                count >>= 1
            low.append(node)
            self.size += 1
            if len(tile) == WIDTH:
                root = low.pop()
                self._high.push(root)
                done += self._complete(0, root)
        return done

    def _complete(self, level: int, root: bytes) -> list[Tile]:
        """Take out the full tile of `level` and hand its root to the level above."""
        tile = self._partial[level]
        done = [(level, (self.size >> LEVEL_BITS * (level + 1)) - 1, b"".join(tile))]
        tile.clear()
        if level + 1 == len(self._partial):
            self._partial.append([])
        above = self._partial[level + 1]
        above.append(root)
        if len(above) == WIDTH:
            done += self._complete(level + 1, perfect_root(above))
        return done


def widths(size: int) -> list[int]:
    """How many hashes the incomplete tile of each level holds in a tree of `size` leaves."""
    found = [size % WIDTH]
    while size >= WIDTH:
        size //= WIDTH
        found.append(size % WIDTH)
    return found


def split(hashes: bytes) -> list[bytes]:
    """A string of hashes as a list."""
    return [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]
