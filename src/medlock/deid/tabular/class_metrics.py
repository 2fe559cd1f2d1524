"""Metrics that look at the classes alone: discernibility and average class size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.grouping import Grouper, Levels
from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.metrics import View


class _ClassScorer:
    """What is known before a transformation is looked at: nothing but what it specialises."""

    least = 0.0
    separable = False

    def __init__(self, grouper: Grouper) -> None:
        self._weight = grouper.counts.weight.astype(np.float64)
        self._records = grouper.counts.records
        self._shape = tuple(each.height + 1 for each in grouper.hierarchies)

    def floors(self) -> Reals:
        return np.full(self._shape, self.least)

    def refined(self, levels: Levels, forced: int) -> float:
        del levels, forced
        return self.least


class _DiscernibilityScorer(_ClassScorer):
    def __init__(self, grouper: Grouper, *, monotone: bool) -> None:
        super().__init__(grouper)
        self._monotone = monotone

    def above(self, view: View) -> float:
        return float((self._weight * view.sizes).sum())

    def score(self, view: View) -> float:
        if self._monotone:
            return self.above(view)
        return float((self._weight * np.where(view.lost, self._records, view.sizes)).sum())


class _AverageSizeScorer(_ClassScorer):
    least = 1.0

    def above(self, view: View) -> float:
        return self._records / self._number(view, np.ones(len(view.lost), bool))

    def score(self, view: View) -> float:
        return self._records / (self._number(view, ~view.lost) + bool(self._weight[view.lost].any()))

    def _number(self, view: View, tuples: np.typing.NDArray[np.bool_]) -> int:
        """Classes: each tuple counts as its part of its class."""
        held = tuples & (view.sizes > 0)
        return round(float((self._weight[held] / view.sizes[held]).sum()))


@dataclass(frozen=True)
class Discernibility:
    """Sum over records of the size of their class, of the table for a suppressed one (Bayardo & Agrawal 2005).

    With `monotone` suppressed records count as if they were not (DM*).
    """

    monotone: bool = False

    def scorer(self, grouper: Grouper) -> _DiscernibilityScorer:
        """Bound to a table."""
        return _DiscernibilityScorer(grouper, monotone=self.monotone)


@dataclass(frozen=True)
class AverageSize:
    """Records divided by classes, the suppressed records being one more class (LeFevre et al. 2006, not normalised)."""

    def scorer(self, grouper: Grouper) -> _AverageSizeScorer:
        """Bound to a table."""
        return _AverageSizeScorer(grouper)
