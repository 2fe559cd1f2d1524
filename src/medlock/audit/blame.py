"""The third part of verification: which row is to blame. docs/spec/audit.md §9.

Truth flows down. The sealed head holds the roots over the incomplete tiles, each hash in them is the root of a tile
below, and so on down to the leaves. A tile whose roots are what is said above is right, whatever lies around it; when
tile and entries disagree, that decides between them. A wrong entry is then looked up among the right leaves: found
elsewhere it was moved, found nowhere it was edited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from medlock.audit.findings import Finding, Kind
from medlock.audit.heads import CHECK_BYTES, TREE_HEAD, Head, HeadSealer
from medlock.audit.ledger import tile_key
from medlock.audit.retrace import Leaf, Retraced, leaves_of
from medlock.crypto.merkle import HASH_BYTES, perfect_root, perfect_roots, subtrees
from medlock.crypto.tiles import LEVEL_BITS, TILE_BYTES, WIDTH, split
from medlock.store.tables import Backend, Table

_PAGE = 64


@dataclass(slots=True)
class Truth:
    """What the log should be: hashes of level 1 of the tiles, checks of the leaves behind them, and what is wrong.

    wrong  sequence number → the leaf found there (None: nothing), for entries that are not what they should be
    """

    roots: list[bytes] = field(default_factory=list)
    tail: list[bytes] = field(default_factory=list)
    wrong: dict[int, Leaf] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class Judge:
    """Holds the tiles against the head and the entries against the tiles. Without a head the entries are believed."""

    def __init__(self, backend: Backend, heads: HeadSealer, traced: Retraced, head: Head | None) -> None:
        self._backend = backend
        self._heads = heads
        self._traced = traced
        self._head = head
        self._truth = Truth()

    async def judge(self) -> Truth:
        """Everything from the top level down to the entries."""
        levels = self._traced.levels
        right: list[bytes] = []
        for level in range(len(levels) - 1, 0, -1):
            right = await self._level(level, right)
        self._truth.roots = right
        for index, parent in enumerate(right):
            if index in self._traced.odd or parent != levels[1][index]:
                await self._lowest(index, parent)
        self._tail()
        return self._truth

    async def _level(self, level: int, parents: list[bytes]) -> list[bytes]:
        """The right hashes of one level, given those of the level above."""
        right: list[bytes] = []
        said = [[parent] for parent in parents]
        last = self._traced.mine(level, len(parents))
        if last:
            said.append(perfect_roots(last) if self._head is None else self._head.nodes_of(level))
        rows = await self._backend.get_many(Table.TILE, [tile_key(level, index) for index in range(len(said))])
        for index, nodes in enumerate(said):
            right += await self._weigh(level, index, nodes, rows.get(tile_key(level, index)))
        return right

    async def _weigh(self, level: int, index: int, nodes: list[bytes], row: bytes | None) -> list[bytes]:
        """The right tile: what has the roots that are said above, subtree by subtree, and a word on the row."""
        mine = self._traced.mine(level, index)
        if row == b"".join(mine) and perfect_roots(mine) == nodes:
            return mine
        theirs = split(row or b"")[: len(mine)]
        right: list[bytes] = []
        for (height, at), node in zip(subtrees((0, len(mine))), nodes, strict=True):
            span = slice(at << height, (at + 1) << height)
            choices = [mine[span], theirs[span], await self._below(level, index, mine, span)]
            right += next(
                (some for some in choices if len(some) == 1 << height and perfect_root(some) == node), mine[span]
            )
        if row != b"".join(right) and not await self._has_grown(level, index, right, row):
            self._note_tile(level, index, row, right)
        return right

    async def _below(self, level: int, index: int, mine: list[bytes], span: slice) -> list[bytes]:
        """The hashes of a part of a tile, by the rows of the tiles below where there are such."""
        first = index * WIDTH
        keys = [tile_key(level - 1, first + at) for at in range(span.start, span.stop)]
        rows = await self._backend.get_many(Table.TILE, keys)
        return [_root(rows.get(key, b"")) or hashed for key, hashed in zip(keys, mine[span], strict=True)]

    async def _has_grown(self, level: int, index: int, right: list[bytes], row: bytes | None) -> bool:
        """Whether the row is longer only because the log has grown since its head was read."""
        if row is None or self._head is None or not row.startswith(b"".join(right)) or len(row) % HASH_BYTES:
            return False
        now = self._heads.open(await self._backend.get(Table.TIP, TREE_HEAD))
        return len(row) // HASH_BYTES <= min((now.size >> LEVEL_BITS * level) - index * WIDTH, WIDTH)

    async def _lowest(self, index: int, parent: bytes) -> None:
        """A tile of level 0 that disagrees with its entries, or with its parent."""
        first = index * WIDTH
        leaves = await leaves_of(self._backend, first, WIDTH)
        row = await self._backend.get(Table.TILE, tile_key(0, index))
        mine = b"".join(leaf or b"" for leaf in leaves)
        if _root(mine) == parent:
            self._note_tile(0, index, row)
        elif row is not None and _root(row) == parent:
            self._compare(first, leaves, split(row))
        else:
            self._note_tile(0, index, row)
            self._compare(first, leaves, split(row) if row and len(row) == TILE_BYTES else [b""] * WIDTH)

    def _tail(self) -> None:
        """The leaves behind the last tile: their checks tell which is wrong, their roots whether any is."""
        first, leaves = len(self._truth.roots) * WIDTH, self._traced.tail
        found = [(leaf or b"")[:CHECK_BYTES] for leaf in leaves]
        self._truth.tail = found if self._head is None else self._head.tail()
        for seq, (leaf, check, wanted) in enumerate(zip(leaves, found, self._truth.tail, strict=True), first):
            if check != wanted:
                self._truth.wrong[seq] = leaf
        if self._head is not None:
            self._confirm(first, self._head.nodes_of(0))

    def _confirm(self, first: int, nodes: list[bytes]) -> None:
        """Should checks be forged, which takes 2^64 trials: what lies under a root that does not fit is wrong."""
        leaves, truth = self._traced.tail, self._truth
        for (height, at), node in zip(subtrees((0, len(leaves))), nodes, strict=True):
            span = range(at << height, (at + 1) << height)
            found = [leaf for leaf in leaves[span.start : span.stop] if leaf is not None]
            if not truth.wrong.keys() & {first + each for each in span} and perfect_root(found) != node:
                truth.wrong |= {first + each: leaves[each] for each in span}
                truth.tail[span.start : span.stop] = [b""] * len(span)

    def _compare(self, first: int, found: list[Leaf], right: list[bytes]) -> None:
        for seq, (leaf, wanted) in enumerate(zip(found, right, strict=True), first):
            if leaf != wanted:
                self._truth.wrong[seq] = leaf

    def _note_tile(self, level: int, index: int, row: bytes | None, right: Sequence[bytes] = ()) -> None:
        kind, what = Kind.EDITED, "edited"
        if row is None:
            kind, what = Kind.DELETED, "deleted"
        elif (
            row
            and len(row) % HASH_BYTES == 0
            and len(row) < len(right) * HASH_BYTES
            and b"".join(right).startswith(row)
        ):
            kind, what = Kind.ROLLED_BACK, "put back to an earlier state"
        sentence = f"Tile {index} of level {level} of the log's tree was {what}."
        self._truth.findings.append(Finding(Table.TILE, tile_key(level, index), kind, sentence))


def _root(tile: bytes) -> bytes:
    """The root of a complete tile; nothing for what is not one."""
    return perfect_root(split(tile)) if len(tile) == TILE_BYTES else b""


async def places_of(backend: Backend, leaves: set[bytes], tail: list[bytes], complete: int) -> dict[bytes, int]:
    """Where in the log these leaves belong, by its tiles and the checks of the tail behind `complete` of them."""
    behind = {check: complete * WIDTH + at for at, check in enumerate(tail) if check}
    places = {leaf: behind[leaf[:CHECK_BYTES]] for leaf in leaves if leaf[:CHECK_BYTES] in behind}
    for start in range(0, complete if leaves else 0, _PAGE):
        numbers = range(start, min(start + _PAGE, complete))
        rows = await backend.get_many(Table.TILE, [tile_key(0, number) for number in numbers])
        for number in numbers:
            tile = split(rows.get(tile_key(0, number), b""))
            places |= {leaf: number * WIDTH + at for at, leaf in enumerate(tile) if leaf in leaves}
    return places


def name_entries(wrong: Mapping[int, Leaf], places: Mapping[bytes, int], size: int) -> Iterator[Finding]:
    """One finding per wrong entry; one for all when the end of the log was cut off, or moved up or down."""
    rest = dict(sorted(wrong.items()))
    moved = {seq: places[leaf] - seq for seq, leaf in rest.items() if leaf is not None and leaf in places}
    cut = _run_to_end({seq: 0 for seq, leaf in rest.items() if leaf is None}, size)
    yield from _shifted(rest, moved, cut, size)
    if cut and cut[0] in rest:
        yield _entry(cut[0], Kind.TRUNCATED, f"The log was cut off: {len(cut)} entries from {cut[0]} on are missing.")
    for seq, leaf in rest.items():
        if leaf is not None or not cut or seq < cut[0]:
            yield _named(seq, leaf, moved, wrong)


def _named(seq: int, leaf: Leaf, moved: Mapping[int, int], wrong: Mapping[int, Leaf]) -> Finding:
    """What happened to one entry: gone, changed, or in the place of another."""
    if leaf is None:
        return _entry(seq, Kind.DELETED, f"Entry {seq} of the log was deleted.")
    if seq not in moved:
        return _entry(seq, Kind.EDITED, f"Entry {seq} of the log was edited.")
    there = seq + moved[seq]
    kind = Kind.REORDERED if there in wrong else Kind.EDITED  # a copy when the other still stands in its own place
    return _entry(seq, kind, f"In the place of entry {seq} of the log stands entry {there}.")


def _shifted(rest: dict[int, Leaf], moved: dict[int, int], cut: list[int], size: int) -> Iterator[Finding]:
    """Entries taken out or put in, and everything behind renumbered to hide it. Takes what it explains from `rest`."""
    run = _run_to_end(moved, size - len(cut))
    if not run:
        return
    by = moved[run[0]]
    if by > 0 and by == len(cut):
        yield _entry(run[0], Kind.DELETED, f"{by} entries from {run[0]} on were deleted and the rest moved up.")
        explained = [*run, *cut]
    elif by < 0 and len(run) > 1 and not cut:
        first = run[0] + by
        yield _entry(first, Kind.INSERTED, f"{-by} entries were inserted at {first} and the rest moved down.")
        explained = [*run, *range(first, run[0])]
    else:
        return
    for seq in explained:
        rest.pop(seq, None)


def _run_to_end(steps: dict[int, int], size: int) -> list[int]:
    """The longest run of neighbouring keys with one and the same step that ends at size - 1."""
    run: list[int] = []
    seq = size - 1
    while seq in steps and (not run or steps[seq] == steps[run[-1]]):
        run.append(seq)
        seq -= 1
    return run[::-1]


def _entry(seq: int, kind: Kind, sentence: str) -> Finding:
    return Finding(Table.LOG, seq, kind, sentence)
