"""Reading the tree from its tiles: roots at any past size, and proofs (docs/spec/audit.md §8).

A proof needs a few dozen hashes whatever the size of the log: the plan names spans of leaves, each span falls into
perfect subtrees, each subtree lies in one tile. Tiles come from table TILE; the leaves behind the last complete tile
are hashed from their entries. What is incomplete is held against the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medlock.audit.heads import Head
from medlock.audit.ledger import tile_key
from medlock.crypto.merkle import (
    HASH_BYTES,
    Node,
    Span,
    consistency_path,
    fold,
    inclusion_path,
    leaf_hash,
    perfect_root,
    perfect_roots,
    subtrees,
)
from medlock.crypto.tiles import LEVEL_BITS, WIDTH, split
from medlock.errors import Tampered
from medlock.store.tables import Backend, Table


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Entry number `seq`, whose leaf hash is `leaf`, is in the tree of `size` leaves with this root."""

    seq: int
    size: int
    leaf: bytes
    root: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """The tree of size `old` is a prefix of the tree of size `new`."""

    old: int
    new: int
    old_root: bytes
    new_root: bytes
    path: tuple[bytes, ...]


class TreeReader:
    """The tree as one head describes it. A tile or an entry that is not as the head says raises Tampered."""

    def __init__(self, backend: Backend, head: Head) -> None:
        self._backend = backend
        self._head = head

    async def root(self, size: int) -> bytes:
        """The root that the tree had at `size`. Needs size <= that of the head."""
        return (await self.hashes([(0, size)]))[0]

    async def inclusion(self, seq: int, size: int) -> InclusionProof:
        """Proof of entry `seq` in the tree of `size`. Raises ValueError unless seq < size <= that of the head."""
        self._demand(size)
        spans = [(seq, seq + 1), (0, size), *inclusion_path(seq, size)]
        leaf, root, *path = await self.hashes(spans)
        return InclusionProof(seq, size, leaf, root, tuple(path))

    async def consistency(self, old: int, new: int) -> ConsistencyProof:
        """Proof between two sizes. Raises ValueError unless old <= new <= that of the head."""
        self._demand(new)
        spans = [(0, old), (0, new), *consistency_path(old, new)]
        old_root, new_root, *path = await self.hashes(spans)
        return ConsistencyProof(old, new, old_root, new_root, tuple(path))

    async def hashes(self, spans: Sequence[Span]) -> list[bytes]:
        """MTH of each span; spans must come from the recursion of RFC 9162."""
        plan = [subtrees(span) for span in spans]
        tiles = await self._tiles({_place(node)[:2] for nodes in plan for node in nodes})
        return [fold([_root_in(tiles, node) for node in nodes]) for nodes in plan]

    async def _tiles(self, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], list[bytes]]:
        found = {place: await self._tail() for place in wanted if place == (0, self._head.size // WIDTH)}
        stored = {tile_key(*place): place for place in wanted if place not in found}
        rows = await self._backend.get_many(Table.TILE, list(stored))
        for key, place in stored.items():
            found[place] = self._cut(place, split(rows.get(key, b"")))
        return found

    def _cut(self, place: tuple[int, int], tile: list[bytes]) -> list[bytes]:
        """A tile as it was when the head was written: since then it may have grown. Raises Tampered."""
        level, index = place
        count = min((self._head.size >> LEVEL_BITS * level) - index * WIDTH, WIDTH)
        if len(tile) < count or len(tile[-1]) != HASH_BYTES:
            raise Tampered(f"tile {index} of level {level} of the log is missing or cut")
        if count < WIDTH and perfect_roots(tile[:count]) != self._head.nodes_of(level):
            raise Tampered(f"tile {index} of level {level} of the log is not as the head says")
        return tile[:count]

    async def _tail(self) -> list[bytes]:
        """The leaves behind the last complete tile of level 0. Raises Tampered."""
        count = self._head.size % WIDTH
        rows = await self._backend.scan(Table.LOG, self._head.size - count - 1, count)
        leaves = [leaf_hash(entry) for _, entry in rows]
        if perfect_roots(leaves) != self._head.nodes_of(0):
            raise Tampered("the last entries of the log are not as its head says")
        return leaves

    def _demand(self, size: int) -> None:
        if not 0 <= size <= self._head.size:
            raise ValueError("the log was never of this size")


def _place(node: Node) -> tuple[int, int, int, int]:
    """Tile level, tile index, and first and last + 1 hash in the tile that a perfect subtree consists of."""
    height, index = node
    level, rest = divmod(height, LEVEL_BITS)
    tile, first = divmod(index << rest, WIDTH)
    return level, tile, first, first + (1 << rest)


def _root_in(tiles: dict[tuple[int, int], list[bytes]], node: Node) -> bytes:
    level, index, first, last = _place(node)
    return perfect_root(tiles[level, index][first:last])
