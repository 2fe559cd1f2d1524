"""t-closeness: in every class a sensitive attribute is distributed nearly as in the whole table (Li et al. 2007).

Nearness is the earth mover's distance, at most 1, under one of three ground distances: all values equally far apart,
ordered values as far as their ranks, values as far as the hierarchy level on which they meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Classes, Mask
from medlock.deid.tabular.hierarchy import Hierarchy, Reals
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


class Ground(StrEnum):
    """Distance between two values."""

    EQUAL = "equal"
    ORDERED = "ordered"
    HIERARCHICAL = "hierarchical"


def equal_distance(table: Ints, whole: Reals) -> Reals:
    """(C,) half the sum of differences between each line of a (C, S) table and the (S,) whole."""
    return 0.5 * np.abs(_parts(table) - whole).sum(axis=1)


def ordered_distance(table: Ints, whole: Reals) -> Reals:
    """(C,) the same for values in the order of their codes."""
    moved = np.abs(np.cumsum(_parts(table) - whole, axis=1)).sum(axis=1)
    return moved / max(1, len(whole) - 1)


def hierarchical_distance(table: Ints, whole: Ints, hierarchy: Hierarchy) -> Reals:
    """(C,) the same where codes are leaves of a hierarchy and `whole` counts records.

    At each group, what its children have too much meets what they lack, at the cost level / height. Counts stay
    integers times totals until the end, so that equality with t is not lost to rounding.
    """
    padded = np.zeros((len(table), hierarchy.size))
    padded[:, : table.shape[1]] = table
    records, totals = float(whole.sum()), padded.sum(axis=1)
    below = np.zeros(hierarchy.size)
    below[: len(whole)] = whole
    extra = below * totals[:, None] - padded * records
    cost = np.zeros(len(table))
    tops = _levels(hierarchy)
    for level, (child, parent) in enumerate(pairwise(tops), 1):
        above = _parents(child, parent)
        surplus, lack = _gathered(np.maximum(extra, 0), above), _gathered(np.maximum(-extra, 0), above)
        cost += level / (len(tops) - 1) * np.minimum(surplus, lack).sum(axis=1)
        extra = surplus - lack
    return cost / (records * totals)


def _parts(table: Ints) -> Reals:
    return table / table.sum(axis=1, keepdims=True)


def _levels(hierarchy: Hierarchy) -> list[Ints]:
    """Groups level by level, with one root above them all."""
    groups = [group.astype(np.int64) for group in hierarchy.groups]
    return groups if len(hierarchy.labels[-1]) == 1 else [*groups, np.zeros(hierarchy.size, np.int64)]


def _parents(child: Ints, parent: Ints) -> Ints:
    """The parent group of each child group."""
    above = np.zeros(int(child.max()) + 1, np.int64)
    above[child] = parent
    return above


def _gathered(values: Reals, above: Ints) -> Reals:
    """(C, groups) sums of the children's columns."""
    out = np.zeros((len(values), int(above.max()) + 1))
    for child, parent in enumerate(above):
        out[:, parent] += values[:, child]
    return out


@dataclass(frozen=True)
class Closeness:
    """The distance of every class is at most t. `hierarchy` is for the hierarchical ground distance."""

    attribute: str
    t: float
    ground: Ground = Ground.EQUAL
    hierarchy: Hierarchy | None = None
    steady = True

    def __post_init__(self) -> None:
        if not 0 <= self.t <= 1:
            msg = f"t-closeness of {self.attribute} needs t from 0 to 1, not {self.t:g}."
            raise BadRequest(msg)
        if self.ground is Ground.HIERARCHICAL and self.hierarchy is None:
            msg = f"t-closeness of {self.attribute} by hierarchy needs a hierarchy of {self.attribute}."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"t{self.ground[0]}:{self.attribute}:{self.t:g}"

    def smallest(self, counts: Counts) -> int:
        """Any class may satisfy it."""
        del counts
        return 1

    def distances(self, classes: Classes) -> Reals:
        """(C,) distance of each class from the whole table."""
        return classes.once(("distance", self.attribute, self.ground), lambda: self._distances(classes))

    def _distances(self, classes: Classes) -> Reals:
        table = classes.table(self.attribute)
        if self.hierarchy is not None and self.ground is Ground.HIERARCHICAL:
            return hierarchical_distance(table, classes.counts.totals[self.attribute], self.hierarchy)
        measure = ordered_distance if self.ground is Ground.ORDERED else equal_distance
        return measure(table, classes.counts.distribution(self.attribute))

    def passes(self, classes: Classes) -> Mask:
        """Which classes are near enough."""
        return self.distances(classes) <= self.t

    def doomed(self, classes: Classes) -> Ints:
        """Removing a part r of a class moves its distribution by at most r: at least distance - t has to go."""
        distances = self.distances(classes)
        least = np.ceil(classes.sizes * (distances - self.t) - 1e-6)
        return np.where(distances <= self.t, 0, np.maximum(1, least)).astype(np.int64)
