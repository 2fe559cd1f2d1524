"""Counting, in memory that a process shares with the one that watches it.

A request costs three additions to fixed cells: no lock, because each process has cells of its own and one thread that
counts; no file, because the watching process made the memory. When a worker ends, its counts are kept (`Board.fold`),
so totals never go back; its gauges go with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, MutableSequence
from typing import Any, Protocol

from medlock.records.vitals import Vitals
from medlock.web.seat import Seat
from medlock.web.series import (
    ACCEPTING,
    ALONE,
    CACHED,
    CELLS,
    CLASSES,
    COMMITS,
    CROWDED,
    DEATHS,
    GROUPS,
    INTERACTIONS,
    PLACES,
    QUOTAS,
    REFUSED,
    RELOADS,
    REQUEST_SECONDS,
    REQUESTS,
    SERIES,
    UNWRAPS,
    WAITING,
    Kind,
    Series,
)

_BEYOND = len(REQUEST_SECONDS)
_ROW = REQUESTS.width
_OF = {name: PLACES[REQUESTS.name] + at * len(CLASSES) * _ROW for at, name in enumerate(INTERACTIONS)}


class Cells(Protocol):
    """An array of floats; `multiprocessing.RawArray` is one that can be handed to a new process."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...


class Counts:
    """One process's counts."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def answered(self, interaction: str, status: int, seconds: float) -> None:
        """One request. An interaction that has no place of its own counts as none."""
        at = _OF.get(interaction, _OF[INTERACTIONS[-1]]) + min(max(status // 100 - 2, 0), len(CLASSES) - 1) * _ROW
        cells = self._cells
        cells[at + bisect_left(REQUEST_SECONDS, seconds)] += 1
        cells[at + _BEYOND + 1] += seconds

    def sample(self, vitals: Vitals) -> None:
        """Take over what the store counts by itself."""
        self._set(COMMITS, *vitals.commits.seconds)
        self._set(GROUPS, *vitals.commits.sizes)
        self._set(WAITING, vitals.commits.waiting)
        self._set(CACHED, vitals.keys_cached, vitals.indexes_cached, vitals.directory_entries)
        self._set(UNWRAPS, vitals.unwraps)

    def died(self) -> None:
        """One worker ended by itself."""
        self._cells[PLACES[DEATHS.name]] += 1

    def reloaded(self, *, done: bool) -> None:
        """One reload."""
        self._cells[PLACES[RELOADS.name] + (not done)] += 1

    def accepting(self, workers: int) -> None:
        """So many accept now."""
        self._set(ACCEPTING, workers)

    def refused(self, quota: str) -> None:
        """A limit refused one request."""
        self._cells[PLACES[REFUSED.name] + QUOTAS.index(quota)] += 1

    def alone(self) -> None:
        """The shared counter could not be had."""
        self._cells[PLACES[ALONE.name]] += 1

    def crowded(self) -> None:
        """Somebody saw unusually many patients."""
        self._cells[PLACES[CROWDED.name]] += 1

    def _set(self, series: Series, *values: float) -> None:
        for at, value in enumerate(values, PLACES[series.name]):
            self._cells[at] = value


class Board:
    """The counts of all processes of a server. `make` gives new cells; None: nobody asks, and nothing is counted."""

    def __init__(self, make: Callable[[int], Cells] | None) -> None:
        self._make = make
        self._own: MutableSequence[float] = [0.0] * CELLS
        self._past: MutableSequence[float] = [0.0] * CELLS
        self._living: list[tuple[int, Cells]] = [(0, self._own)]
        self.own = Counts(self._own)

    def seat(self, number: int) -> Seat:
        """A place for a new process."""
        if self._make is None:
            return Seat(number)
        cells = self._make(CELLS)
        self._living.append((number, cells))
        return Seat(number, cells)

    def fold(self, seat: Seat) -> None:
        """A process has ended: keep what it counted."""
        for entry in [each for each in self._living if each[1] is seat.cells]:
            for series in SERIES:
                if series.kind is not Kind.GAUGE:
                    _add(self._past, entry[1], series)
            self._living.remove(entry)

    def total(self, series: Series) -> list[float]:
        """The cells of a series, over all processes there are and were."""
        summed: MutableSequence[float] = [0.0] * CELLS
        for cells in (self._past, *(each for _, each in list(self._living))):
            _add(summed, cells, series)
        at = PLACES[series.name]
        return list(summed[at : at + _width(series)])

    def by_worker(self, series: Series) -> dict[int, list[float]]:
        """The same for each worker that there is; 0 is the process that watches."""
        found: dict[int, list[float]] = {}
        at, width = PLACES[series.name], _width(series)
        for number, cells in list(self._living):
            before = found.get(number, [0.0] * width)
            found[number] = [old + cells[at + step] for step, old in enumerate(before)]
        return found


def _width(series: Series) -> int:
    return series.width * sum(1 for _ in series.rows())


def _add(into: MutableSequence[float], cells: Cells, series: Series) -> None:
    at = PLACES[series.name]
    for place in range(at, at + _width(series)):
        into[place] += cells[place]
