"""The loss metric: how much of each attribute's domain a published value covers (Iyengar 2002, as ARX normalises it).

The share of a cell is the part of the hierarchy's leaves under its value, 1 in a suppressed record. For attribute j
with D leaves and N records, L = (sum of shares - N/D) / (N - N/D). The score is the geometric mean of 1 + L, less 1, or
the arithmetic mean of L.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.grouping import Grouper, Levels
from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.metrics import View, grid
from medlock.deid.tabular.ranking import Ints


@dataclass(frozen=True)
class Loss:
    """Loss by geometric mean, or with `arithmetic` by arithmetic mean."""

    arithmetic: bool = False

    def scorer(self, grouper: Grouper) -> LossScorer:
        """Bound to a table."""
        return LossScorer(grouper, arithmetic=self.arithmetic)


class LossScorer:
    """Loss of one table's transformations."""

    separable = True

    def __init__(self, grouper: Grouper, *, arithmetic: bool) -> None:
        self._grouper = grouper
        self._weight = grouper.counts.weight
        self._arithmetic = arithmetic
        self._attributes = range(len(grouper.hierarchies))
        self._base = [self._losses(attribute) for attribute in self._attributes]
        self._cheapest: dict[tuple[int, int], tuple[Reals, Reals]] = {}

    def floors(self) -> Reals:
        """The loss of generalisation alone."""
        if self._arithmetic:
            return grid(self._base, np.add) / len(self._base)
        return grid([1 + base for base in self._base], np.multiply) ** (1 / len(self._base)) - 1

    def refined(self, levels: Levels, forced: int) -> float:
        """With those records suppressed that add least, chosen for each attribute by itself."""
        return self._folded(
            [
                self._base[at][level] + self._unit(at) * float(np.interp(forced, *self._cost(at, level)))
                for at, level in enumerate(levels)
            ]
        )

    def above(self, view: View) -> float:
        """The same: shares only grow."""
        return self.refined(view.levels, 0)

    def score(self, view: View) -> float:
        """The loss with the suppressed records."""
        lost = np.flatnonzero(view.lost)
        weight = self._weight[lost]
        return self._folded(
            [
                self._base[at][level] + self._unit(at) * self._growth(at, level, lost, weight)
                for at, level in enumerate(view.levels)
            ]
        )

    def shares(self, attribute: int, level: int) -> Reals:
        """(T,) the share of each tuple's value."""
        return self._grouper.hierarchies[attribute].shares[level][self._grouper.counts.quasi[attribute]]

    def entry_losses(self, levels: Levels, members: Ints, weight: Ints) -> Reals:
        """(P,) the loss of single classes, which orders classes of one size for suppression: the way ARX folds it."""
        parts = [weight * self.shares(at, level)[members] for at, level in enumerate(levels)]
        if self._arithmetic:
            return np.sum(parts, axis=0) / len(parts)
        total = np.ones(len(members))
        for part in parts:
            total *= part + 1.0
        return total ** (1 / len(parts)) - 1.0

    def _growth(self, attribute: int, level: int, lost: Ints, weight: Ints) -> float:
        """How much the sum of shares grows when tuples are suppressed: by leaf, for BLAS would wake its threads."""
        leaves = np.bincount(self._grouper.counts.quasi[attribute][lost], weight)
        return float((leaves * (1 - self._grouper.hierarchies[attribute].shares[level][: len(leaves)])).sum())

    def _unit(self, attribute: int) -> float:
        """The loss of one record whose share grows by 1."""
        size = self._grouper.hierarchies[attribute].size
        return 1 / (self._grouper.counts.records * (1 - 1 / size)) if size > 1 else 0.0

    def _losses(self, attribute: int) -> Reals:
        hierarchy = self._grouper.hierarchies[attribute]
        leaves = np.bincount(self._grouper.counts.quasi[attribute], self._weight, hierarchy.size)
        sums = np.array([leaves @ (share - 1 / hierarchy.size) for share in hierarchy.shares])
        return np.maximum(0.0, sums * self._unit(attribute))

    def _cost(self, attribute: int, level: int) -> tuple[Reals, Reals]:
        """Least growth of the sum of shares by records suppressed: corners of a convex line."""
        if (attribute, level) not in self._cheapest:
            hierarchy = self._grouper.hierarchies[attribute]
            leaves = np.bincount(self._grouper.counts.quasi[attribute], self._weight, hierarchy.size)
            order = np.argsort(-hierarchy.shares[level])
            growth = 1 - hierarchy.shares[level][order]
            records = np.concatenate([[0.0], np.cumsum(leaves[order])])
            self._cheapest[attribute, level] = records, np.concatenate([[0.0], np.cumsum(leaves[order] * growth)])
        return self._cheapest[attribute, level]

    def _folded(self, losses: list[float]) -> float:
        if self._arithmetic:
            return sum(losses) / len(losses)
        return float(np.prod([1 + loss for loss in losses])) ** (1 / len(losses)) - 1
