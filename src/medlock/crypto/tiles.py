"""A growing Merkle tree cut into tiles of 256 hashes, as in C2SP tlog-tiles.

Tile n of level l holds up to 256 consecutive hashes, each the root over 256^l leaves. Tiles of leaves leave this object
when they are full, tiles above with every hash that they gain; what stays is the incomplete tile of every level and
the frontier, so that a tree of any size can be put down and taken up from its last tiles.
"""

from __future__ import annotations

from collections.abc import Sequence

from medlock.crypto.merkle import HASH_BYTES, Frontier, fold, perfect_root, perfect_roots

WIDTH = 256
LEVEL_BITS = 8
TILE_BYTES = WIDTH * HASH_BYTES

Tile = tuple[int, int, bytes]
"""Level, index, and the hashes: 8,192 bytes when it is complete."""


class TileTree:
    """The right edge of a tree: `size` leaves, the incomplete tile of each level, the perfect subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self._partial: list[list[bytes]] = [[]]
        self._low = Frontier()  # over the incomplete tile of level 0
        self._high = Frontier()  # over the roots of its predecessors

    @classmethod
    def taken_up(cls, size: int, partial: Sequence[Sequence[bytes]]) -> TileTree:
        """The tree whose incomplete tiles, from level 0, hold these hashes. Raises ValueError when they are too few."""
        if [len(tile) for tile in partial] != widths(size):
            raise ValueError("incomplete tiles of another size")
        tree = cls()
        tree.size = size
        tree._partial = [list(tile) for tile in partial]
        tree._low.extend(partial[0])
        above = [node for tile in reversed(partial[1:]) for node in perfect_roots(tile)]
        tree._high = Frontier(size // WIDTH, above)
        return tree

    @property
    def nodes(self) -> bytes:
        """The roots of the perfect subtrees, left to right."""
        return b"".join((*self._high.nodes, *self._low.nodes))

    @property
    def tail(self) -> list[bytes]:
        """The leaves behind the last complete tile."""
        return self._partial[0]

    def root(self) -> bytes:
        """MTH of all leaves."""
        return fold((*self._high.nodes, *self._low.nodes))

    def extend(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Append leaf hashes; tiles of level 0 that became complete, and those above that grew. About 0.6 us a leaf."""
        done: dict[tuple[int, int], bytes] = {}
        at = 0
        while at < len(leaves):
            some = leaves[at : at + WIDTH - self.size % WIDTH]
            self._partial[0] += some
            if len(some) == 1:
                self._low.push(some[0])
            else:
                self._low.extend(some)
            self.size += len(some)
            at += len(some)
            if self.size % WIDTH == 0:
                self._complete(done)
        return [(level, index, hashes) for (level, index), hashes in done.items()]

    def _complete(self, done: dict[tuple[int, int], bytes]) -> None:
        """Take out the full tile of level 0, and hand its root to the level above as far as tiles get full."""
        (root,) = self._low.nodes
        self._low = Frontier()
        self._high.push(root)
        level, count = 0, self.size
        while len(self._partial[level]) == WIDTH:
            count >>= LEVEL_BITS
            done[level, count - 1] = b"".join(self._partial[level])
            root = perfect_root(self._partial[level]) if level else root
            self._partial[level] = []
            level += 1
            if level == len(self._partial):
                self._partial.append([])
            self._partial[level].append(root)
        done[level, count >> LEVEL_BITS] = b"".join(self._partial[level])


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
