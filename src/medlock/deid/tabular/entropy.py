"""Non-uniform entropy: bits that generalisation takes from each cell (De Waal & Willenborg 1999; Gionis & Tassa 2009).

A cell whose value occurs n times in the input and whose generalisation occurs g times loses log2(g / n). Unless it is
the monotone form, a suppressed record also loses, in each attribute, log2(S / s) where s of the S suppressed records
share its generalised value. The score is the sum over all cells, in bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.grouping import Grouper, Levels
from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.metrics import View, grid


@dataclass(frozen=True)
class Entropy:
    """Non-uniform entropy; with `monotone` suppression costs nothing."""

    monotone: bool = False

    def scorer(self, grouper: Grouper) -> EntropyScorer:
        """Bound to a table."""
        return EntropyScorer(grouper, monotone=self.monotone)


class EntropyScorer:
    """Entropy lost by one table's transformations."""

    separable = True

    def __init__(self, grouper: Grouper, *, monotone: bool) -> None:
        self._grouper = grouper
        self._monotone = monotone
        self._base = [self._bits(attribute) for attribute in range(len(grouper.hierarchies))]

    def floors(self) -> Reals:
        """The bits that generalisation takes."""
        return grid(self._base, np.add)

    def refined(self, levels: Levels, forced: int) -> float:
        """The same: suppressed records may all be alike and then cost nothing more."""
        del forced
        return float(sum(base[level] for base, level in zip(self._base, levels, strict=True)))

    def above(self, view: View) -> float:
        """The same."""
        return self.refined(view.levels, 0)

    def score(self, view: View) -> float:
        """With the bits that suppression takes."""
        bits = self.refined(view.levels, 0)
        if self._monotone or not view.lost.any():
            return bits
        weight = self._grouper.counts.weight[view.lost]
        for attribute, level in enumerate(view.levels):
            counts = np.bincount(self._grouper.generalised(attribute, level)[view.lost], weight)
            counts = counts[counts > 0]
            bits += float(counts @ np.log2(counts.sum() / counts))
        return bits

    def _bits(self, attribute: int) -> Reals:
        hierarchy = self._grouper.hierarchies[attribute]
        leaves = np.bincount(self._grouper.counts.quasi[attribute], self._grouper.counts.weight, hierarchy.size)
        present = leaves > 0
        found = []
        for group in hierarchy.groups:
            together = np.bincount(group, leaves)[group]
            found.append(float(leaves[present] @ np.log2(together[present] / leaves[present])))
        return np.array(found)
