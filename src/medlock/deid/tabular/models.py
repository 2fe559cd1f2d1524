"""What a privacy model is to a search, and the models that ask only for the size of a class: k-anonymity and k-map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Classes, Mask
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


class Model(Protocol):
    """One privacy model.

    A model is `steady` when the union of classes that satisfy it satisfies it too: then, where nothing may be
    suppressed, generalising further never breaks it.
    """

    @property
    def attribute(self) -> str | None:
        """The sensitive attribute it protects."""

    @property
    def steady(self) -> bool:
        """Whether unions keep it."""

    def smallest(self, counts: Counts) -> int:
        """The number of records that every class needs at least."""

    def passes(self, classes: Classes) -> Mask:
        """(C,) which classes satisfy it."""

    def doomed(self, classes: Classes) -> Ints:
        """(C,) records of each class that have to go however finely the class is divided: a lower bound."""


class Sized:
    """What models share that ask for class sizes only."""

    attribute: str | None = None
    steady = True

    def passes(self, classes: Classes) -> Mask:
        """All: classes that are too small have been left out before."""
        return np.ones(classes.number, bool)

    def doomed(self, classes: Classes) -> Ints:
        """None, for the same reason."""
        return np.zeros(classes.number, np.int64)


@dataclass(frozen=True)
class KAnonymity(Sized):
    """Every record is like at least k - 1 others (Sweeney 2002)."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            msg = f"k-anonymity needs k of at least 1, not {self.k}."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"k:{self.k}"

    def smallest(self, counts: Counts) -> int:
        """The k asked for. Raises BadRequest when the table has fewer records."""
        if self.k > counts.records:
            msg = f"k is {self.k}, the table has {counts.records} records: no class can be that large. Lower k."
            raise BadRequest(msg)
        return self.k


@dataclass(frozen=True)
class KMap(Sized):
    """Every record is like k of the population (Sweeney 2002), of which only the size is known.

    Classes of the population are estimated as Poisson, or with `truncated` as zero-truncated Poisson, from those of
    the sample (estimators D3 and D4 of El Emam & Dankar 2008); `significance` is the risk of the estimate.
    """

    k: int
    population: int
    significance: float = 0.01
    truncated: bool = False

    def __post_init__(self) -> None:
        if self.k < 1 or self.population < 1 or not 0 <= self.significance < 1:
            msg = "k-map needs k and a population of at least 1, and a significance from 0 to below 1."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"kmap:{self.k}"

    def smallest(self, counts: Counts) -> int:
        """The class size in the sample that stands for k in the population."""
        mean = counts.records / self.population * self.k
        derived = self._truncated(mean) if self.truncated else self._poisson(mean)
        return min(derived, self.k, counts.records)

    def _poisson(self, mean: float) -> int:
        """One more than the smallest sample count whose distribution reaches the confidence."""
        count, reached = 0, 0.0
        while reached < 1 - self.significance:
            reached += _poisson(mean, count)
            count += 1
            if count >= self.k:
                break
        return count + 1

    def _truncated(self, mean: float) -> int:
        count, reached = 1, 0.0
        while reached < 1 - self.significance:
            reached += _poisson(mean, count) / -math.expm1(-mean)
            count += 1
            if count >= self.k:
                break
        return count


def _poisson(mean: float, count: int) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def nothing(classes: Classes) -> NDArray[np.int64]:
    """(C,) zeros."""
    return np.zeros(classes.number, np.int64)
