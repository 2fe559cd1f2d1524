"""The third part of verification: which row is to blame. docs/spec/audit.md §9.

Truth flows down. The sealed head holds the incomplete tiles, each hash in them is the root of a tile below, and so
on down to the leaves. A tile whose root is what its parent says is right, whatever lies above or below it; when
tile and entries disagree, that decides between them. A wrong entry is then looked up among the right leaves: found
elsewhere it was moved, found nowhere it was edited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from medlock.audit.findings import Finding, Kind
from medlock.audit.heads import Head
from medlock.audit.ledger import tile_key
from medlock.audit.retrace import Leaf, Retraced, leaves_of
from medlock.crypto.merkle import perfect_root
from medlock.crypto.tiles import TILE_BYTES, WIDTH, split
from medlock.store.tables import Backend, Table

_PAGE = 64


@dataclass(slots=True)
class Truth:
    """What the log should be: hashes of level 1 of the tiles, right leaves behind them, and what is wrong.

    wrong  sequence number → the leaf found there (None: nothing), for entries that are not what they should be
    """

    roots: list[bytes] = field(default_factory=list)
    tail: list[bytes] = field(default_factory=list)
    wrong: dict[int, Leaf] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class Judge:
    """Holds the tiles against the head and the entries against the tiles. Without a head the entries are believed."""

    def __init__(self, backend: Backend, traced: Retraced, head: Head | None) -> None:
        self._backend = backend
        self._traced = traced
        self._partial = [split(tile) for tile in head.tiles] if head else []
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
        traced, right = self._traced, []
        rows = await self._backend.get_many(Table.TILE, [tile_key(level, index) for index in range(len(parents))])
        for index, parent in enumerate(parents):
            row, mine = rows.get(tile_key(level, index)), traced.mine(level, index)
            right += split(self._weigh(level, index, parent, mine, row))
        mine_behind = traced.levels[level][len(parents) * WIDTH :]
        return right + (self._partial[level] if level < len(self._partial) else mine_behind)

    def _weigh(self, level: int, index: int, parent: bytes, mine: bytes, row: bytes | None) -> bytes:
        """The right tile: the row or what the entries make, whichever has the root that the parent says."""
        if row == mine and _root(mine) == parent:
            return mine
        if row is not None and _root(row) == parent:
            return row
        self._note_tile(level, index, row)
        return mine

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
        first = len(self._truth.roots) * WIDTH
        leaves = self._traced.tail
        self._truth.tail = self._partial[0] if self._partial else [leaf or b"" for leaf in leaves]
        self._compare(first, leaves, self._truth.tail)

    def _compare(self, first: int, found: list[Leaf], right: list[bytes]) -> None:
        for seq, (leaf, wanted) in enumerate(zip(found, right, strict=True), first):
            if leaf != wanted:
                self._truth.wrong[seq] = leaf

    def _note_tile(self, level: int, index: int, row: bytes | None) -> None:
        kind = Kind.DELETED if row is None else Kind.EDITED
        sentence = f"Tile {index} of level {level} of the log's tree was {kind}."
        self._truth.findings.append(Finding(Table.TILE, tile_key(level, index), kind, sentence))


def _root(tile: bytes) -> bytes:
    """The root of a complete tile; nothing for what is not one."""
    return perfect_root(split(tile)) if len(tile) == TILE_BYTES else b""


async def places_of(backend: Backend, leaves: set[bytes], tail: list[bytes], complete: int) -> dict[bytes, int]:
    """Where in the log these leaves belong, by its tiles and the right tail behind `complete` of them."""
    places = {leaf: complete * WIDTH + at for at, leaf in enumerate(tail) if leaf in leaves}
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
