"""The released records that look most like a person, as an attacker finds them: nearest in Gower's distance.

Records at the same distance are as good as one another, so among them chance decides. Equal released tuples are
measured once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from medlock.deid.audit.cover import Attribute, Sight
from medlock.deid.tabular.counts import Rows
from medlock.deid.tabular.hierarchy import Codes
from medlock.deid.tabular.ranking import Ints, firsts

CLOSE = 1e-6  # distances are sums of float32: nearer than this is equal
REMEMBERED = 4096  # rows of distances kept for each attribute


class Neighbours:
    """Finds rows of the release by some of its attributes (their places in `sight`)."""

    def __init__(self, sight: Sight, places: Sequence[int], rnd: np.random.Generator) -> None:
        self._rnd = rnd
        self._attributes = [sight.attributes[at] for at in places]
        ids, count = Rows([sight.release[at] for at in places], {}).tuples
        example = firsts(ids, count)
        self._columns = [sight.release[at][example] for at in places]
        self._order = np.argsort(ids, kind="stable")
        self._weight = np.bincount(ids, minlength=count)
        self._start = np.cumsum(self._weight) - self._weight
        self._near = [lru_cache(REMEMBERED)(_row(each)) for each in self._attributes]

    def of(self, leaves: Sequence[int], number: int) -> Ints:
        """So many rows nearest to a person's exact values, given in the order of `places`."""
        distance = np.zeros(len(self._weight), np.float32)
        for near, codes, leaf in zip(self._near, self._columns, leaves, strict=True):
            distance += near(leaf)[codes]
        edge = self._edge(distance, number)
        sure = self._rows(np.flatnonzero(distance < edge - CLOSE))
        tied = np.flatnonzero(np.abs(distance - edge) <= CLOSE)
        return np.concatenate([sure, self._drawn(tied, number - len(sure))])

    def _edge(self, distance: np.typing.NDArray[np.float32], number: int) -> float:
        """The distance within which the wanted number of rows lies."""
        if number == 1:
            return float(distance.min())
        many = min(number, len(distance))
        nearest = np.argpartition(distance, many - 1)[:many]
        nearest = nearest[np.argsort(distance[nearest])]
        enough = np.cumsum(self._weight[nearest]) >= number
        return float(distance[nearest[np.argmax(enough) if enough.any() else -1]])

    def _drawn(self, tied: Ints, number: int) -> Ints:
        """Rows drawn without replacement from tied tuples."""
        weight = self._weight[tied]
        ends = np.cumsum(weight)
        picks = self._rnd.choice(int(ends[-1]), min(number, int(ends[-1])), replace=False)
        at = np.searchsorted(ends, picks, side="right")
        return self._order[self._start[tied[at]] + picks - (ends[at] - weight[at])]

    def _rows(self, which: Ints) -> Ints:
        parts = [self._order[self._start[at] : self._start[at] + self._weight[at]] for at in which]
        return np.concatenate([np.zeros(0, np.int64), *parts])


def _row(attribute: Attribute) -> Callable[[int], np.typing.NDArray[np.float32]]:
    return lambda leaf: attribute.distances(leaf).astype(np.float32)


def drawn(people: Sequence[Codes], number: int, rnd: np.random.Generator) -> Ints:
    """Persons to attack, each at most once."""
    rows = len(people[0])
    return rnd.choice(rows, min(number, rows), replace=False)
