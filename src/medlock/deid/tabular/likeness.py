"""Bounds on how far the share of each sensitive value in a class may stand from its share in the table.

Basic and enhanced beta-likeness (Cao & Karras 2012) bound the gain, delta-disclosure privacy (Brickell & Shmatikov
2008) bounds the ratio both ways, for the values that occur in the class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Classes, Mask
from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.models import nothing
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


def ratios(table: Ints, whole: Reals) -> Reals:
    """(C, S) share of each value in each class divided by its share in the table; values without records have 1."""
    parts = table / table.sum(axis=1, keepdims=True)
    return np.divide(parts, whole, out=np.ones_like(parts), where=whole > 0)


@dataclass(frozen=True)
class BetaLikeness:
    """No value's share grows by more than beta; with `enhanced` by more than -ln of its share, if that is less."""

    attribute: str
    beta: float
    enhanced: bool = False
    steady = True

    def __post_init__(self) -> None:
        if self.beta <= 0:
            msg = f"Beta-likeness of {self.attribute} needs beta above 0, not {self.beta:g}."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"{'eb' if self.enhanced else 'bb'}:{self.attribute}:{self.beta:g}"

    def smallest(self, counts: Counts) -> int:
        """Any class may satisfy it."""
        del counts
        return 1

    def limits(self, whole: Reals) -> Reals:
        """(S,) how much each share may grow."""
        if not self.enhanced:
            return np.full(len(whole), self.beta)
        return np.minimum(self.beta, -np.log(np.where(whole > 0, whole, 1.0)))

    def passes(self, classes: Classes) -> Mask:
        """Which classes satisfy it."""
        return classes.once(self, lambda: self._passes(classes))

    def _passes(self, classes: Classes) -> Mask:
        whole = classes.counts.distribution(self.attribute)
        table = classes.table(self.attribute)
        parts = table / table.sum(axis=1, keepdims=True)
        gains = np.divide(parts - whole, whole, out=np.zeros_like(parts), where=whole > 0)
        return ~((gains > self.limits(whole)) & (table > 0)).any(axis=1)

    def doomed(self, classes: Classes) -> Ints:
        """What a value has too many of: x of n records have to go until its share (n_s - x) / (n - x) is allowed."""
        whole = classes.counts.distribution(self.attribute)
        table = classes.table(self.attribute)
        most = np.minimum(whole * (1 + self.limits(whole)), 1.0)
        excess = table - most * classes.sizes[:, None]
        least = np.divide(excess, 1 - most, out=np.zeros_like(excess), where=most < 1).max(axis=1)
        return np.where(self.passes(classes), 0, np.maximum(1, np.ceil(least - 1e-6))).astype(np.int64)


@dataclass(frozen=True)
class DeltaDisclosure:
    """The binary logarithm of the ratio of shares is below delta either way, for every value in the class.

    Not steady: a union may make a value rarer than its parts did that had it.
    """

    attribute: str
    delta: float
    steady = False

    def __post_init__(self) -> None:
        if self.delta <= 0:
            msg = f"Delta-disclosure of {self.attribute} needs delta above 0, not {self.delta:g}."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"dd:{self.attribute}:{self.delta:g}"

    def smallest(self, counts: Counts) -> int:
        """Any class may satisfy it."""
        del counts
        return 1

    def passes(self, classes: Classes) -> Mask:
        """Which classes satisfy it."""
        found = ratios(classes.table(self.attribute), classes.counts.distribution(self.attribute))
        logs = np.abs(np.log2(np.where(found > 0, found, 1.0)))
        return np.asarray((logs < self.delta).all(axis=1))

    def doomed(self, classes: Classes) -> Ints:
        """Nothing is known of parts."""
        return nothing(classes)
