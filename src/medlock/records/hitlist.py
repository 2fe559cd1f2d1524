"""What a search found, in order: numbers of rows, made into Hits only where somebody looks.

A page shows fifty of perhaps thousands; sorting and counting need no objects. The default order is newest first, then
by row id, so that it is the same for everybody and from page to page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from medlock.store.capsule import IndexRow
from medlock.store.segment import Rows, Segment

FEW = 128


class Part(NamedTuple):
    """Rows of one segment that match."""

    segment: Segment
    rows: Rows | list[int]


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A row that matches: where its body lies, and what sorting needs."""

    row: IndexRow
    updated: int
    segment: Segment
    at: int


def hits_of(parts: Sequence[Part]) -> Sequence[Hit]:
    """What was found, in default order; a resource that stands in two indexes counts once."""
    found = [part for part in parts if len(part.rows)]
    return _few(found) if sum([len(part.rows) for part in found]) <= FEW else Hits(found)


def merged(found: Sequence[Sequence[Hit]]) -> Sequence[Hit]:
    """Hits of several types in default order; a resource has one type, so none comes twice."""
    held = [hits for hits in found if hits]
    return held[0] if len(held) == 1 else sorted((hit for hits in held for hit in hits), key=_default_order)


def _few(parts: Sequence[Part]) -> list[Hit]:
    """A handful is put in order by hand: each step with columns costs as much as ten hits."""
    hits = [hit for part in parts for hit in _hits(*part)]
    if len(hits) > 1:
        hits.sort(key=_default_order)
    if len(parts) < 2:
        return hits
    return list({hit.row.rid: hit for hit in reversed(hits)}.values())[::-1]


def _default_order(hit: Hit) -> tuple[int, int]:
    return -hit.updated, hit.row.rid


class Hits(Sequence[Hit]):
    """Many hits of several segments in default order, each resource once. `hits_of` makes them."""

    def __init__(self, found: Sequence[Part]) -> None:
        self._segments = [part.segment for part in found]
        self._rids = _joined([part.segment.rids[part.rows] for part in found])
        updated = _joined([part.segment.rows["updated"][part.rows] for part in found])
        order = np.lexsort((self._rids, -updated))
        self._order = order if len(found) < 2 else order[_first_of_each(self._rids[order])]
        self._at = _joined([np.asarray(part.rows, np.intp) for part in found])
        self._ends = np.cumsum([len(part.rows) for part in found])

    def __len__(self) -> int:
        """How many resources."""
        return len(self._order)

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> list[Hit]: ...
    def __getitem__(self, at: int | slice) -> Hit | list[Hit]:
        """The hit at a place, or those of a slice."""
        if isinstance(at, slice):
            return self._made(at)
        return self._made(slice(at, at + 1 or None))[0]

    def __iter__(self) -> Iterator[Hit]:
        """All of them."""
        return iter(self._made(slice(None)))

    def place_of(self, rid: int) -> int:
        """Where a resource stands, -1 when it does not."""
        found = np.flatnonzero(self._rids[self._order] == np.uint64(rid))
        return int(found[0]) if len(found) else -1

    def _made(self, wanted: slice) -> list[Hit]:
        chosen = self._order[wanted]
        rows = self._at[chosen]
        if len(self._segments) == 1:
            return _hits(self._segments[0], rows)
        numbers = self._ends.searchsorted(chosen, "right")
        made: dict[int, Hit] = {}
        for number, segment in enumerate(self._segments):
            places = np.flatnonzero(numbers == number)
            made.update(zip(places.tolist(), _hits(segment, rows[places]), strict=True))
        return [made[place] for place in range(len(rows))]


def _hits(segment: Segment, at: Rows | list[int]) -> list[Hit]:
    """Hits of these rows."""
    hits: list[Hit] = []
    for row in at if isinstance(at, list) else at.tolist():
        rid, slot, tag, updated, version, _, _, _ = segment.row(row)
        hits.append(Hit(IndexRow(rid, slot, version, tag), updated, segment, row))
    return hits


def _joined(columns: list[NDArray[Any]]) -> NDArray[Any]:
    """One column after the other."""
    if len(columns) == 1:
        return columns[0]
    return np.concatenate(columns) if columns else np.empty(0, np.int64)


def _first_of_each(ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of these are not the same as the one before."""
    first: NDArray[np.bool_] = np.ones(len(ordered), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return first
