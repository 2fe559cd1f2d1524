"""A large segment out of entries that come a few thousand at a time: the directory at start-up.

`segment.build` sorts Python objects, which is quickest for the few rows of a patient's index. For a whole directory
those objects cost ten times the memory of the columns that they become (measured with 50,000 patients). Here entries
stay packed, and only columns are sorted. Both make the same segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from medlock.store.packed import DATE, TEXT, PackedEntry
from medlock.store.segment import DATES, LABEL_SETS_MAX, NO_ROWS, POSTINGS, TEXTS, Segment, as_rows, of_arrays

ROWS_MAX = 1 << 18
"""Rows of one segment: every search asks each segment, so there shall be few; but a segment is sorted as a whole."""

_PACKED_DATES = np.dtype([("param", "<u4"), ("low", "<i8"), ("high", "<i8")])
_PACKED_TEXTS = np.dtype([("param", "<u4"), ("length", "<u2")])
_WORD = 8
_KEPT = np.array([(1 << 64) - (1 << 8 * (_WORD - count)) for count in range(_WORD + 1)], np.uint64)
_MOVED_AT_ONCE = 1 << 15

Column = NDArray[Any]


class Gathering:
    """Columns in the making: `add` portions, then take the `segment`."""

    def __init__(self) -> None:
        self._count = 0
        self._labels: dict[tuple[str, ...], int] = {(): 0}
        self._rows: list[Column] = [NO_ROWS]
        self._hashes: list[Column] = [np.empty(0, np.uint64)]
        self._bearers: list[Column] = [np.empty(0, np.uint32)]
        self._dates: list[Column] = [np.empty(0, DATES)]
        self._texts: list[Column] = [np.empty(0, TEXTS)]  # `end` is a length here
        self._text: list[bytes] = []

    def __len__(self) -> int:
        """Rows so far."""
        return self._count

    def add(self, entries: Sequence[PackedEntry]) -> int:
        """Take in entries of further resources; how many of them, from the first on, there was room for."""
        room = self._room(entries)
        taken = entries[:room]
        numbers = np.arange(self._count, self._count + room, dtype=np.uint32)
        self._rows.append(as_rows(taken, self._labels))
        self._hashes.append(np.frombuffer(b"".join([entry.hashes for entry in taken]), "<u8"))
        self._bearers.append(np.repeat(numbers, [len(entry.hashes) // 8 for entry in taken]))
        self._add_dates(taken, numbers)
        self._add_texts(taken, numbers)
        self._count += room
        return room

    def _room(self, entries: Sequence[PackedEntry]) -> int:
        """Rows are bounded, and so are the different sets of labels among them."""
        room = min(len(entries), ROWS_MAX - self._count)
        sets = set(self._labels)
        for at in range(room):
            sets.add(entries[at].labels)
            if len(sets) > LABEL_SETS_MAX:
                return at
        return room

    def _add_dates(self, entries: Sequence[PackedEntry], numbers: Column) -> None:
        packed = np.frombuffer(b"".join([entry.dates for entry in entries]), _PACKED_DATES)
        found = np.empty(len(packed), DATES)
        found["param"], found["low"], found["high"] = packed["param"], packed["low"], packed["high"]
        found["row"] = np.repeat(numbers, [len(entry.dates) // DATE.size for entry in entries])
        self._dates.append(found)

    def _add_texts(self, entries: Sequence[PackedEntry], numbers: Column) -> None:
        packed = np.frombuffer(b"".join([entry.texts for entry in entries]), _PACKED_TEXTS)
        found = np.empty(len(packed), TEXTS)
        found["param"], found["end"] = packed["param"], packed["length"]
        found["row"] = np.repeat(numbers, [len(entry.texts) // TEXT.size for entry in entries])
        self._texts.append(found)
        self._text.append(b"".join([entry.text for entry in entries]))

    def segment(self) -> Segment:
        """What was gathered, which is then gone from here."""
        rows = _joined(self._rows)
        order = np.argsort(rows["rid"])
        place = np.empty(len(rows), np.uint32)  # where each row, as it came, stands in the end
        place[order] = np.arange(len(rows), dtype=np.uint32)
        postings = _postings(_joined(self._hashes), place[_joined(self._bearers)])
        dates = _joined(self._dates)
        dates["row"] = place[dates["row"]]
        dates = dates[np.lexsort((dates["high"], dates["low"], dates["row"], dates["param"]))]
        texts = _joined(self._texts)
        texts["row"] = place[texts["row"]]
        text = b"".join(self._text)
        self._text.clear()
        return of_arrays(rows[order], postings, dates, _texts(texts, text), list(self._labels))


def _joined(parts: list[Column]) -> Column:
    """One column out of its parts, and the parts let go."""
    column = np.concatenate(parts)
    parts.clear()
    return column


def _postings(hashes: Column, bearers: Column) -> tuple[Column, Column]:
    """As in a segment."""
    order = np.lexsort((bearers, hashes))
    ordered = hashes[order]
    last = _last_of_each(ordered)
    found = np.empty(len(last), POSTINGS)
    found["hash"] = ordered[last]
    found["end"] = last + 1
    return found, bearers[order]


def _last_of_each(ordered: Column) -> Column:
    """The place of the last one of each value in a sorted column."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], np.ones(min(1, len(ordered)), np.bool_)))


def _texts(texts: Column, text: bytes) -> tuple[Column, bytes]:
    """As in a segment: sorted by parameter, then text, then row."""
    params, rows, lengths = (np.ascontiguousarray(texts[name]) for name in ("param", "row", "end"))
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    raised = np.frombuffer(text, np.uint8) + np.uint8(1)  # UTF-8 has no byte 255; the end of a text is 0, below all
    words = sliding_window_view(np.append(raised, np.zeros(_WORD, np.uint8)), _WORD)
    orders = [np.empty(0, np.intp)]
    for param in np.unique(params):  # one at a time: what sorting takes in memory is gone before the next
        places = np.flatnonzero(params == param)
        ranks = _ranks(starts[places], lengths[places].astype(np.int64), words)
        orders.append(places[np.argsort(ranks * ROWS_MAX + rows[places])])
    order = np.concatenate(orders)
    texts["param"], texts["row"], texts["end"] = params[order], rows[order], np.cumsum(lengths[order])
    return texts, _moved(np.frombuffer(text, np.uint8), starts[order], lengths[order])


def _ranks(starts: Column, lengths: Column, words: Column) -> Column:
    """Numbers in the order of these texts; `words` are the eight bytes from each place on.

    Eight bytes are compared at a time, and each time only texts that are still alike and go on: soon there are few.
    """
    ranks = np.zeros(len(starts), np.int64)
    rest, at = np.arange(len(starts)), 0
    while len(rest):
        left = np.clip(lengths[rest] - at, 0, _WORD)
        word = words[np.where(left > 0, starts[rest] + at, 0)].view(">u8").ravel().astype(np.uint64) & _KEPT[left]
        order = np.lexsort((word, ranks[rest])) if at else np.argsort(word)
        rest, word = rest[order], word[order]
        before, alike = ranks[rest], _starts_of_runs(ranks[rest], word)
        ranks[rest] = before + alike - _starts_of_runs(before)
        at += _WORD
        rest = rest[_to_go_on(alike, lengths[rest] > at)]
    return ranks


def _starts_of_runs(*columns: Column) -> Column:
    """For each place of sorted columns: where the run of equal values begins that it stands in."""
    new = np.zeros(len(columns[0]), np.bool_)
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))


def _to_go_on(alike: Column, longer: Column) -> Column:
    """Members of runs of several, one of which at least is longer than what was compared."""
    several = np.bincount(alike, minlength=len(alike))[alike] > 1
    some_longer = np.bincount(alike, longer, minlength=len(alike))[alike] > 0
    chosen: Column = several & some_longer
    return chosen


def _moved(text: Column, starts: Column, lengths: Column) -> bytes:
    """The texts in this order, one after another."""
    parts = []
    for first in range(0, len(starts), _MOVED_AT_ONCE):
        sizes = lengths[first : first + _MOVED_AT_ONCE].astype(np.int64)
        shift = starts[first : first + _MOVED_AT_ONCE] - (np.cumsum(sizes) - sizes)
        parts.append(text[np.arange(sizes.sum()) + np.repeat(shift, sizes)].tobytes())
    return b"".join(parts)
