"""What a metric of information loss is to a search; and precision and height, which ask for levels only.

A metric is bound to a table by `scorer`. Lower is better. The search is optimal because a scorer's `floors` and
`refined` never exceed the score of any transformation that they speak of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Grouper, Levels, Mask
from medlock.deid.tabular.hierarchy import Hierarchy, Reals
from medlock.deid.tabular.ranking import Ints


@dataclass(frozen=True)
class View:
    """A transformed table: its levels, the class size of each tuple (T,), and the tuples that are suppressed (T,)."""

    levels: Levels
    sizes: Ints
    lost: Mask


class Scorer(Protocol):
    """A metric bound to a table.

    It is `separable` when `floors` are as good as what `above` knows after a look.
    """

    @property
    def separable(self) -> bool:
        """Whether floors add up from what each attribute's level costs."""

    def floors(self) -> Reals:
        """For each transformation (one axis an attribute) a value that its score is not below."""

    def refined(self, levels: Levels, forced: int) -> float:
        """The same for one transformation of which it is known that `forced` records or more are suppressed."""

    def above(self, view: View) -> float:
        """A value that no score of this transformation and of those that generalise further is below."""

    def score(self, view: View) -> float:
        """The information loss."""


class Metric(Protocol):
    """A way to measure information loss."""

    def scorer(self, grouper: Grouper) -> Scorer:
        """Bound to a table."""


def grid(terms: Sequence[Reals], fold: Callable[..., Reals]) -> Reals:
    """One value for each combination of levels, from one (levels,) array for each attribute."""
    axes = np.ix_(*terms)
    total = np.zeros(tuple(len(term) for term in terms)) if fold is np.add else np.ones([len(t) for t in terms])
    for axis in axes:
        fold(total, axis, out=total)
    return total


@dataclass(frozen=True)
class Precision:
    """Mean of level divided by height over all cells; suppressed records count in full (Sweeney 2002)."""

    def scorer(self, grouper: Grouper) -> _PrecisionScorer:
        """Bound to a table."""
        return _PrecisionScorer(grouper.counts, grouper.hierarchies)


class _PrecisionScorer:
    separable = True

    def __init__(self, counts: Counts, hierarchies: Sequence[Hierarchy]) -> None:
        self._counts = counts
        self._terms = [np.arange(each.height + 1) / max(1, each.height) for each in hierarchies]

    def floors(self) -> Reals:
        return grid(self._terms, np.add) / len(self._terms)

    def refined(self, levels: Levels, forced: int) -> float:
        part = forced / self._counts.records
        mean = sum(float(term[level]) for term, level in zip(self._terms, levels, strict=True)) / len(levels)
        return mean * (1 - part) + part

    def above(self, view: View) -> float:
        return self.refined(view.levels, 0)

    def score(self, view: View) -> float:
        return self.refined(view.levels, int(self._counts.weight[view.lost].sum()))


@dataclass(frozen=True)
class Height:
    """Sum of the levels."""

    def scorer(self, grouper: Grouper) -> _HeightScorer:
        """Bound to a table."""
        return _HeightScorer(grouper.hierarchies)


class _HeightScorer:
    separable = True

    def __init__(self, hierarchies: Sequence[Hierarchy]) -> None:
        self._terms = [np.arange(each.height + 1.0) for each in hierarchies]

    def floors(self) -> Reals:
        return grid(self._terms, np.add)

    def refined(self, levels: Levels, forced: int) -> float:
        del forced
        return float(sum(levels))

    def above(self, view: View) -> float:
        return float(sum(view.levels))

    def score(self, view: View) -> float:
        return float(sum(view.levels))
