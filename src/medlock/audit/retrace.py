"""The second part of verification: the tree computed again from every entry, and compared with every tile.

A million entries take about two seconds of processor time: one hash for the leaf, one for the node, and the reading;
they are shared among the processors there are (`audit.hands`). Only what does not agree is kept; who is to blame for it
is decided in `audit.blame`, from the head downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256

from medlock.audit.hands import ODD, roots
from medlock.audit.ledger import last_tiles, tile_key
from medlock.crypto.merkle import fold, perfect_root, subtrees
from medlock.crypto.tiles import LEVEL_BITS, TILE_BYTES, WIDTH, split, widths
from medlock.store.tables import Backend, Table

Leaf = bytes | None
"""A leaf hash, or None where the entry is missing."""


@dataclass(slots=True)
class Retraced:
    """What the entries say.

    size    entries that the log should have
    levels  at l: the hashes of level l of the tiles, from complete subtrees only; levels[0] is not kept
    odd     tiles of level 0 that do not agree with their entries
    tail    leaves behind the last complete tile of level 0
    """

    size: int
    levels: list[list[bytes]] = field(default_factory=lambda: [[], []])
    odd: set[int] = field(default_factory=set)
    tail: list[Leaf] = field(default_factory=list)

    def mine(self, level: int, index: int) -> list[bytes]:
        """The tile as the entries make it; level 1 and above."""
        return self.levels[level][index * WIDTH : (index + 1) * WIDTH]


def root_of(tiles: Sequence[bytes], tail: Sequence[Leaf]) -> bytes:
    """The root over complete tiles of level 0, given by their roots, and the leaves behind them."""
    leaves = [leaf or b"" for leaf in tail]
    nodes = [_subtree(tiles, node) for node in subtrees((0, len(tiles)))]
    nodes += [_subtree(leaves, node) for node in subtrees((0, len(leaves)))]
    return fold(nodes)


def _subtree(hashes: Sequence[bytes], node: tuple[int, int]) -> bytes:
    level, index = node
    return perfect_root(hashes[index << level : (index + 1) << level])


async def retrace(backend: Backend, size: int) -> Retraced:
    """Read all entries below `size` and compute the tree."""
    traced = Retraced(size)
    complete = size // WIDTH
    async with aclosing(roots(backend, complete)) as told:
        async for tile, root in told:
            if root == ODD:
                await _hash_tile(traced, backend, tile)
            else:
                traced.levels[1].append(root)
    traced.tail = await leaves_of(backend, complete * WIDTH, size % WIDTH)
    while len(traced.levels[-1]) >= WIDTH:
        below = traced.levels[-1]
        whole = range(0, len(below) - WIDTH + 1, WIDTH)
        traced.levels.append([perfect_root(below[start : start + WIDTH]) for start in whole])
    return traced


async def _hash_tile(traced: Retraced, backend: Backend, tile: int) -> None:
    """One complete tile of level 0; one at a time, so that rows and hashes stay in the processor's cache."""
    leaves = await leaves_of(backend, tile * WIDTH, WIDTH)
    _add_tile(traced, leaves, await backend.get(Table.TILE, tile_key(0, tile)))


async def leaves_of(backend: Backend, first: int, count: int) -> list[Leaf]:
    """The leaf hashes of `count` entries from `first`, None where one is missing."""
    rows = (await backend.scan(Table.LOG, first - 1, count))[:count]
    leaves = [sha256(b"\x00" + entry).digest() for _, entry in rows]
    if rows and len(rows) == count and rows[-1][0] == first + count - 1:  # ascending, so nothing is missing between
        return list(leaves)
    found = {key: leaf for (key, _), leaf in zip(rows, leaves, strict=True)}
    return [found.get(key) for key in range(first, first + count)]


def _add_tile(traced: Retraced, leaves: list[Leaf], row: bytes | None) -> None:
    """The root of one complete tile of level 0: from its entries, or from its row when an entry is missing."""
    whole = [leaf for leaf in leaves if leaf is not None]
    if len(whole) < WIDTH or b"".join(whole) != row:
        traced.odd.add(len(traced.levels[1]))
    if len(whole) < WIDTH and row is not None and len(row) == TILE_BYTES:
        whole = split(row)
    traced.levels[1].append(perfect_root(whole) if len(whole) == WIDTH else b"")


def expected_tiles(size: int) -> set[int]:
    """The row keys of all tiles of a log of `size` entries."""
    keys, level = {key for key, count in zip(last_tiles(size), widths(size)[1:], strict=True) if count}, 0
    while count := size >> LEVEL_BITS * (level + 1):
        keys |= {tile_key(level, index) for index in range(count)}
        level += 1
    return keys
