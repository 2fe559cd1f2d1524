"""A run of index rows as columns: what a search filters. docs/spec/store.md §5.

Columns are numpy arrays over one buffer, so opening a segment copies next to nothing. A condition becomes the rows
that bear it (exact hashes, through binary search in the sorted postings) or a boolean mask over all rows (dates by
comparing intervals, text by prefix in a sorted column). A segment never changes; a later row of the same resource kills
the earlier one through `alive`.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medlock.errors import Tampered
from medlock.store.entries import DELETED, DROPPED, POINTER, TEXT_MAX, IndexEntry
from medlock.store.packed import PackedEntry

FORMAT = 1
_HEADER = struct.Struct("<HHIIIIIII")  # format, label sets, rows, hashes, postings, dates, texts, two sizes
Mask = NDArray[np.bool_]
Rows = NDArray[np.uint32] | NDArray[np.intp]  # numbers of rows
_AFTER_ALL = b"\xff"  # no byte of UTF-8 is greater, or as great

ROWS = np.dtype(
    [
        ("rid", "<u8"),
        ("slot", "<u8"),
        ("tag", "<u8"),
        ("updated", "<i8"),
        ("version", "<u4"),
        ("type", "<u2"),
        ("flags", "<u1"),
        ("label", "<u1"),
    ]
)
POSTINGS = np.dtype([("hash", "<u8"), ("end", "<u4")])
DATES = np.dtype([("param", "<u4"), ("row", "<u4"), ("low", "<i8"), ("high", "<i8")])
TEXTS = np.dtype([("param", "<u4"), ("row", "<u4"), ("end", "<u4")])
NO_ROWS = np.empty(0, ROWS)
_COLUMNS = (ROWS, POSTINGS, np.dtype("<u4"), DATES, TEXTS)
_SIZES = tuple(dtype.itemsize for dtype in _COLUMNS)
LABEL_SETS_MAX = 255
_NOBODY = memoryview(b"").cast("I")
_read_row = struct.Struct("<QQQqIHBB").unpack_from  # a row of ROWS
_read_end = struct.Struct("<I").unpack_from
_ROW_BYTES = ROWS.itemsize
_FLAGS_AT = 38
_FACTS = ("rid", "slot", "version", "tag", "type", "flags", "updated")  # in the order of IndexEntry


class DateColumns(NamedTuple):
    """Date values of one parameter: the row that carries each, ascending, and the interval [low, high) in ms.

    `each` has the same three columns as plain integers, for looking at a few; `first` says for every row of the segment
    where its first value stands: binary search would make an integer of each value it passes.
    """

    row: NDArray[np.uint32]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    each: tuple[Sequence[int], Sequence[int], Sequence[int]]
    first: Sequence[int]


def _integers(column: NDArray[Any]) -> memoryview:
    """A column as plain integers without copying: binary search in it costs a fifth of numpy's."""
    flat: Any = column.data if len(column) else _NOBODY
    aligned = not len(column) or flat.format == column.dtype.char
    found: memoryview = flat if aligned else flat.cast("B").cast(column.dtype.char)
    return found


class Columns(NamedTuple):
    """What a segment is made of, each as it lies on disk: docs/spec/store.md §5."""

    rows: memoryview
    postings: memoryview
    listed: memoryview
    dates: memoryview
    texts: memoryview


class Segment:
    """Immutable rows with their postings. `alive` is the only part that changes, in memory only; `whole`: all are.

    Each column becomes one of numpy's when somebody asks for it: a search in a patient's index looks at few.
    """

    def __init__(self, columns: Columns, text: bytes, labels: list[tuple[str, ...]]) -> None:
        self._raw, self._postings, listed, self._dates, self._texts = columns
        self.listed = listed.cast("I") if len(listed) else _NOBODY
        self._count = len(self._raw) // _ROW_BYTES
        self.text = text
        self.labels = labels
        flags = bytes(self._raw[_FLAGS_AT::_ROW_BYTES])
        self.whole = flags.count(0) + flags.count(POINTER) == self._count
        self._by_param: dict[int, DateColumns] = {}

    @cached_property
    def alive(self) -> Mask:
        """Rows that are there: not deleted, not dropped, not replaced by a later segment."""
        alive: Mask = (self.rows["flags"] & (DELETED | DROPPED)) == 0
        return alive

    @cached_property
    def rows(self) -> NDArray[np.void]:
        """The rows, as ROWS."""
        return np.frombuffer(self._raw, ROWS)

    @cached_property
    def postings(self) -> NDArray[np.void]:
        """The hashes, as POSTINGS."""
        return np.frombuffer(self._postings, POSTINGS)

    @cached_property
    def dates(self) -> NDArray[np.void]:
        """The dates, as DATES."""
        return np.frombuffer(self._dates, DATES)

    @cached_property
    def texts(self) -> NDArray[np.void]:
        """The texts, as TEXTS."""
        return np.frombuffer(self._texts, TEXTS)

    @cached_property
    def rids(self) -> NDArray[np.uint64]:
        """The resources, ascending."""
        return np.ascontiguousarray(self.rows["rid"])

    @cached_property
    def _rid_at(self) -> memoryview:
        return _integers(self.rids)

    @cached_property
    def _hashes(self) -> memoryview:
        return _integers(np.ascontiguousarray(self.postings["hash"]))

    @property
    def columns(self) -> Columns:
        """As they lie on disk."""
        return Columns(self._raw, self._postings, self.listed.cast("B"), self._dates, self._texts)

    def __len__(self) -> int:
        """Rows, dead ones included."""
        return self._count

    def find(self, rid: int) -> int:
        """The row of a resource, or -1. Rows are sorted by rid."""
        at = bisect_left(self._rid_at, rid)
        return at if at < len(self._rid_at) and self._rid_at[at] == rid else -1

    def kill(self, rids: NDArray[np.uint64]) -> None:
        """A later segment holds newer rows of these resources."""
        if self._count:
            at = np.minimum(self.rids.searchsorted(rids), self._count - 1)
            dead = at[self.rids[at] == rids]
            if len(dead):
                self.alive[dead] = self.whole = False

    def row(self, at: int) -> tuple[int, ...]:
        """One row as plain integers, in the order of ROWS: a tenth of what numpy takes for a few."""
        return _read_row(self._raw, at * _ROW_BYTES)

    def bearers(self, value: int) -> memoryview:
        """The rows that carry one hash, ascending; no copy."""
        at = bisect_left(self._hashes, value)
        return self._listing(at) if at < len(self._hashes) and self._hashes[at] == value else _NOBODY

    def with_hashes(self, hashes: Sequence[int]) -> Mask:
        """Rows that carry any of the hashes."""
        mask: Mask = np.zeros(self._count, np.bool_)
        for value in hashes:
            mask[np.asarray(self.bearers(value), np.intp)] = True
        return mask

    def _listing(self, at: int) -> memoryview:
        """The rows that carry the hash at this place."""
        return self.listed[self._end(at - 1) if at else 0 : self._end(at)]

    def _end(self, at: int) -> int:
        """Where the run of the hash at this place ends."""
        end: int = _read_end(self._postings, at * POSTINGS.itemsize + 8)[0]
        return end

    def of_type(self, type_number: int) -> Mask:
        """Rows of one resource type."""
        found: Mask = self.rows["type"] == type_number
        return found

    def with_rids(self, rids: Sequence[int]) -> Mask:
        """Rows of these resources."""
        mask: Mask = np.zeros(self._count, np.bool_)
        for rid in rids:
            at = self.find(rid)
            if at >= 0:
                mask[at] = True
        return mask

    def dates_of(self, param: int) -> DateColumns:
        """The date values of one parameter, in the order of rows; remembered, for searches ask for the same."""
        found = self._by_param.get(param)
        if found is None:
            params = _integers(np.ascontiguousarray(self.dates["param"]))
            part = self.dates[bisect_left(params, param) : bisect_right(params, param)]
            row, low, high = (np.ascontiguousarray(part[name]) for name in ("row", "low", "high"))
            each = _integers(row), _integers(low), _integers(high)
            first = np.zeros(self._count, np.uint32)
            first[row[::-1]] = np.arange(len(row), dtype=np.uint32)[::-1]  # of several the first is put last
            found = self._by_param[param] = DateColumns(row, low, high, each, _integers(first))
        return found

    def with_prefix(self, param: int, prefix: str) -> Mask:
        """Rows with a text of `param` that starts with `prefix` (folded, at most TEXT_MAX characters)."""
        wanted, places = prefix.encode(), range(*self._span(param))
        low = bisect_left(places, wanted, key=self._text_at)
        high = bisect_left(places, wanted + _AFTER_ALL, low, key=self._text_at)
        return self._with_texts(places[low:high])

    def with_part(self, param: int, part: str) -> Mask:
        """Rows with a text of `param` that contains `part`, or whose text may have been cut and might."""
        wanted, (first, last) = part.encode(), self._span(param)
        return self._with_texts(
            [
                place
                for place, (low, high) in enumerate(self._spans(first, last), first)
                if high - low >= TEXT_MAX or self.text.find(wanted, low, high) >= 0
            ]
        )

    def _text_at(self, place: int) -> bytes:
        ends = self.texts["end"]
        return self.text[ends[place - 1] if place else 0 : ends[place]]

    def _spans(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Start and end of these texts."""
        ends = self.texts["end"][first:last].tolist()
        return zip([int(self.texts["end"][first - 1]) if first else 0, *ends], ends, strict=False)

    def _span(self, param: int) -> tuple[int, int]:
        params = self.texts["param"]
        return int(params.searchsorted(param)), int(params.searchsorted(param, "right"))

    def _with_texts(self, chosen: range | list[int]) -> Mask:
        mask: Mask = np.zeros(self._count, np.bool_)
        if chosen:
            mask[self.texts["row"][chosen]] = True
        return mask

    def entries(self) -> list[IndexEntry]:
        """The rows as entries again, for merging, dead ones included."""
        hashes: list[list[int]] = [[] for _ in range(len(self))]
        for at, value in enumerate(self._hashes):
            for row in self._listing(at).tolist():
                hashes[row].append(value)
        dates: list[list[tuple[int, int, int]]] = [[] for _ in range(len(self))]
        for param, row, low, high in self.dates.tolist():
            dates[row].append((param, low, high))
        texts: list[list[tuple[int, str]]] = [[] for _ in range(len(self))]
        for (param, row, _), (low, high) in zip(self.texts.tolist(), self._spans(0, len(self.texts)), strict=True):
            texts[row].append((param, self.text[low:high].decode()))
        facts = zip(*(self.rows[name].tolist() for name in _FACTS), strict=True)
        return [
            _entry(fact, (self.labels[label], tuple(hashes[at]), tuple(dates[at]), tuple(texts[at])))
            for at, (fact, label) in enumerate(zip(facts, self.rows["label"].tolist(), strict=True))
        ]


def _entry(facts: tuple[Any, ...], values: tuple[Any, ...]) -> IndexEntry:
    return IndexEntry(*facts, *values)


def build(entries: Sequence[IndexEntry]) -> Segment:
    """Columns of these entries, one per resource, sorted by rid."""
    ordered = sorted(entries, key=lambda entry: entry.rid)
    labels: dict[tuple[str, ...], int] = {(): 0}
    rows = as_rows(ordered, labels)
    return of_arrays(rows, _postings(ordered), _dates(ordered), _texts(ordered), list(labels))


def of_arrays(
    rows: NDArray[np.void],
    postings: tuple[NDArray[np.void], NDArray[np.uint32]],
    dates: NDArray[np.void],
    texts: tuple[NDArray[np.void], bytes],
    labels: list[tuple[str, ...]],
) -> Segment:
    """A segment of finished columns, which are not copied."""
    arrays = rows, *postings, dates, texts[0]
    raw = [np.ascontiguousarray(each).view(np.uint8).data if len(each) else memoryview(b"") for each in arrays]
    return Segment(Columns(*raw), texts[1], labels)


def as_rows(entries: Sequence[IndexEntry | PackedEntry], labels: dict[tuple[str, ...], int]) -> NDArray[np.void]:
    """The first column of these entries, in their order; sets of labels that are new are added to `labels`."""
    return np.array(
        [
            (e.rid, e.slot, e.tag, e.updated, e.version, e.type, e.flags, label_number(labels, e.labels))
            for e in entries
        ],
        ROWS,
    )


def label_number(labels: dict[tuple[str, ...], int], wanted: tuple[str, ...]) -> int:
    """The number of a label set; sets beyond the 255th share one that carries all their labels: never fewer."""
    if wanted in labels:
        return labels[wanted]
    if len(labels) < LABEL_SETS_MAX:
        labels[wanted] = len(labels)
        return labels[wanted]
    raise Tampered("an index with more than 255 different sets of security labels must be split")


def _postings(entries: Sequence[IndexEntry]) -> tuple[NDArray[np.void], NDArray[np.uint32]]:
    """Each distinct hash once, with the end of its run in the list of rows."""
    counts = [len(entry.hashes) for entry in entries]
    hashes = np.fromiter(chain.from_iterable(entry.hashes for entry in entries), np.uint64, sum(counts))
    rows = np.repeat(np.arange(len(entries), dtype=np.uint32), counts)
    order = np.argsort(hashes, kind="stable")
    distinct, starts = np.unique(hashes[order], return_index=True)
    found = np.empty(len(distinct), POSTINGS)
    found["hash"] = distinct
    found["end"] = np.append(starts[1:], len(hashes))[: len(distinct)]
    return found, rows[order]


def _dates(entries: Sequence[IndexEntry]) -> NDArray[np.void]:
    values = [(param, row, low, high) for row, entry in enumerate(entries) for param, low, high in entry.dates]
    return np.array(sorted(values), DATES)


def _texts(entries: Sequence[IndexEntry]) -> tuple[NDArray[np.void], bytes]:
    values = sorted((param, text, row) for row, entry in enumerate(entries) for param, text in entry.texts)
    table = np.empty(len(values), TEXTS)
    table["param"] = [param for param, _, _ in values]
    table["row"] = [row for _, _, row in values]
    texts = [text.encode() for _, text, _ in values]
    table["end"] = np.cumsum([len(text) for text in texts])
    return table, b"".join(texts)


def to_bytes(segment: Segment) -> bytes:
    """The segment as one buffer, little-endian columns one after another."""
    labels = "\n".join("\t".join(each) for each in segment.labels).encode()
    columns = segment.columns
    counts = [len(column) // size for column, size in zip(columns, _SIZES, strict=True)]
    header = _HEADER.pack(FORMAT, len(segment.labels), *counts, len(segment.text), len(labels))
    return b"".join((header, *columns, segment.text, labels))


def from_bytes(data: bytes) -> Segment:
    """The segment in an authenticated buffer. Raises Tampered for a format this program does not know."""
    form, label_sets, *counts, text_size, label_size = _HEADER.unpack_from(data)
    if form != FORMAT:
        raise Tampered(f"index segment in unknown format {form}")
    at, flat = _HEADER.size, memoryview(data)
    columns = []
    for size, count in zip(_SIZES, counts, strict=True):
        columns.append(flat[at : at + size * count])
        at += size * count
    text = data[at : at + text_size]
    labels = data[at + text_size : at + text_size + label_size].decode().split("\n")
    sets = [tuple(each.split("\t")) if each else () for each in labels[:label_sets]]
    return Segment(Columns(*columns), text, sets)
