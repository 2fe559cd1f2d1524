"""Reading the tree from its tiles: roots at any past size, and proofs (docs/spec/audit.md §8).

A proof needs a few dozen hashes whatever the size of the log: the plan names spans of leaves, each span falls into
perfect subtrees, each subtree lies in one tile. Complete tiles come from table TILE, incomplete ones from the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medlock.audit.heads import Head
from medlock.audit.ledger import tile_key
from medlock.crypto.merkle import Node, Span, consistency_path, fold, inclusion_path, perfect_root, subtrees
from medlock.crypto.tiles import LEVEL_BITS, TILE_BYTES, WIDTH, split
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
    """The tree as one head describes it. A tile that is missing or has another length raises Tampered."""

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

    async def _tiles(self, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        found = {place: self._head.tiles[place[0]] for place in wanted if self._is_partial(place)}
        stored = {tile_key(*place): place for place in wanted if place not in found}
        rows = await self._backend.get_many(Table.TILE, list(stored))
        for key, place in stored.items():
            row = rows.get(key, b"")
            if len(row) != TILE_BYTES:
                raise Tampered(f"tile {place[1]} of level {place[0]} of the log is missing or cut")
            found[place] = row
        return found

    def _is_partial(self, place: tuple[int, int]) -> bool:
        level, index = place
        return index == self._head.size >> LEVEL_BITS * (level + 1)

    def _demand(self, size: int) -> None:
        if not 0 <= size <= self._head.size:
            raise ValueError("the log was never of this size")


def _place(node: Node) -> tuple[int, int, int, int]:
    """Tile level, tile index, and first and last + 1 hash in the tile that a perfect subtree consists of."""
    height, index = node
    level, rest = divmod(height, LEVEL_BITS)
    tile, first = divmod(index << rest, WIDTH)
    return level, tile, first, first + (1 << rest)


def _root_in(tiles: dict[tuple[int, int], bytes], node: Node) -> bytes:
    level, index, first, last = _place(node)
    return perfect_root(split(tiles[level, index])[first:last])
