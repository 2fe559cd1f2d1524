"""l-diversity of a sensitive attribute in every class: distinct, entropy, recursive (Machanavajjhala et al. 2007)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Classes, Mask
from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


def distinct_values(classes: Classes, attribute: str) -> Ints:
    """(C,) how many values of the attribute each class has."""
    return np.count_nonzero(classes.table(attribute), axis=1).astype(np.int64)


def entropies(table: Ints) -> Reals:
    """(C,) Shannon entropy of each line of a (C, S) table of counts, in nats."""
    totals = table.sum(axis=1)
    logs = np.log(np.maximum(table, 1))
    return np.log(totals) - (table * logs).sum(axis=1) / totals


@dataclass(frozen=True)
class DistinctDiversity:
    """Every class has at least l values of the attribute."""

    attribute: str
    l: int  # noqa: E741 - the model's letter
    steady = True

    def __post_init__(self) -> None:
        _check(self.l, str(self))

    def __str__(self) -> str:
        return f"dl:{self.attribute}:{self.l}"

    def smallest(self, counts: Counts) -> int:
        """As many records as values. Raises BadRequest when the table has fewer values."""
        return _enough(counts, self.attribute, self.l)

    def passes(self, classes: Classes) -> Mask:
        """Which classes have l values."""
        return distinct_values(classes, self.attribute) >= self.l

    def doomed(self, classes: Classes) -> Ints:
        """All records of a class with too few values: its parts have no more."""
        return np.where(self.passes(classes), 0, classes.sizes)


@dataclass(frozen=True)
class EntropyDiversity:
    """The entropy of the attribute in every class is at least log l (Shannon's estimate)."""

    attribute: str
    l: float  # noqa: E741 - the model's letter
    steady = True

    def __post_init__(self) -> None:
        _check(self.l, str(self))

    def __str__(self) -> str:
        return f"el:{self.attribute}:{self.l:g}"

    def smallest(self, counts: Counts) -> int:
        """As many records as values."""
        return _enough(counts, self.attribute, int(self.l))

    def passes(self, classes: Classes) -> Mask:
        """Whether n (ln n - ln l) reaches the sum of count times ln count: the definition without its divisions."""
        table = classes.table(self.attribute)
        totals = classes.sizes
        sums = (table * np.log(np.maximum(table, 1))).sum(axis=1)
        enough = np.count_nonzero(table, axis=1) >= int(self.l)
        return enough & (totals * (np.log(np.maximum(totals, 1)) - math.log(self.l)) >= sums)

    def doomed(self, classes: Classes) -> Ints:
        """All records where values are too few; else at least one of a class that fails."""
        few = distinct_values(classes, self.attribute) < int(self.l)
        return np.where(few, classes.sizes, ~self.passes(classes))


@dataclass(frozen=True)
class RecursiveDiversity:
    """The most frequent value of a class is rarer than c times all from the l-th most frequent on."""

    attribute: str
    c: float
    l: int  # noqa: E741 - the model's letter
    steady = True

    def __post_init__(self) -> None:
        _check(self.l, str(self))
        if self.c <= 0:
            msg = f"Recursive diversity needs c above 0, not {self.c:g}."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"rl:{self.attribute}:{self.c:g}:{self.l}"

    def smallest(self, counts: Counts) -> int:
        """As many records as values."""
        return _enough(counts, self.attribute, self.l)

    def passes(self, classes: Classes) -> Mask:
        """Which classes satisfy it."""
        return self._lacking(classes) < 0

    def doomed(self, classes: Classes) -> Ints:
        """All where values are too few; else what the most frequent value has too many of, and at least one."""
        lacking = self._lacking(classes)
        few = distinct_values(classes, self.attribute) < self.l
        least = np.where(lacking < 0, 0, np.maximum(1, np.ceil(lacking - 1e-6)))
        return np.where(few, classes.sizes, least).astype(np.int64)

    def _lacking(self, classes: Classes) -> Reals:
        """(C,) the most frequent value's records less c times the tail's; below zero is well."""
        table = np.sort(classes.table(self.attribute), axis=1)
        tail = table[:, : max(0, table.shape[1] - self.l + 1)].sum(axis=1)
        return table[:, -1] - self.c * tail


def _check(needed: float, name: str) -> None:
    if needed < 1:
        msg = f"{name}: diversity needs l of at least 1."
        raise BadRequest(msg)


def _enough(counts: Counts, attribute: str, needed: int) -> int:
    values = len(np.unique(counts.sensitive[attribute]))
    if needed > values:
        msg = f"{attribute} has {values} values in the table; {needed} different ones in a class are impossible."
        raise BadRequest(msg)
    return needed
