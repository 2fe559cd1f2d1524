"""Models of the whole sample rather than of each class: average risk, sample uniqueness, population uniqueness.

They are enforced by suppressing the smallest classes first, among classes of one size the one that is least
generalised, until the model holds: the order of ARX 3.9.2, so that results can be compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Classes
from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.loss import LossScorer
from medlock.deid.tabular.metrics import Scorer, View
from medlock.deid.tabular.population import Estimator, Sizes, estimated
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


class SampleModel(ABC):
    """A model that holds or not for the sizes of all classes that are published.

    One that is `steady` never needs more suppressed when classes are united.
    """

    attribute: str | None = None
    steady = True

    def smallest(self, counts: Counts) -> int:
        """Any class may be published."""
        del counts
        return 1

    @abstractmethod
    def holds(self, sizes: Sizes) -> bool:
        """Whether it holds for these class sizes."""

    def needed(self, sizes: Sizes, most: int) -> int | None:
        """How many of the smallest classes have to go; None as soon as it is certain that more than `most` records do.

        All of them when nothing less will do.
        """
        if self.holds(sizes):
            return 0
        low, high = 1, sizes.classes
        while low < high:
            middle = (low + high) // 2
            if self.holds(sizes.without(middle)):
                high = middle
            elif sizes.records - sizes.without(middle).records > most:
                return None
            else:
                low = middle + 1
        return low


@dataclass(frozen=True)
class AverageRisk(SampleModel):
    """The mean over records of 1 / class size, that is classes / records, is at most `most`."""

    most: float

    def __post_init__(self) -> None:
        _check(self.most, "The average risk")

    def __str__(self) -> str:
        return f"avg:{self.most:g}"

    def holds(self, sizes: Sizes) -> bool:
        """Whether it holds."""
        return sizes.classes > 0 and 1 / (sizes.records / sizes.classes) <= self.most


@dataclass(frozen=True)
class SampleUniqueness(SampleModel):
    """At most a part `most` of the records is alone in its class."""

    most: float

    def __post_init__(self) -> None:
        _check(self.most, "Sample uniqueness")

    def __str__(self) -> str:
        return f"su:{self.most:g}"

    def holds(self, sizes: Sizes) -> bool:
        """Whether it holds."""
        return sizes.classes > 0 and sizes.of(1) / sizes.records <= self.most


@dataclass(frozen=True)
class PopulationUniqueness(SampleModel):
    """At most a part `most` of the population is unique in it, by an estimate from the sample.

    Without an estimate it holds only where no record of the sample is unique. Not steady: estimates may rise.
    """

    most: float
    population: int
    estimator: Estimator = Estimator.DANKAR
    steady = False

    def __post_init__(self) -> None:
        _check(self.most, "Population uniqueness")
        if self.population < 1:
            msg = f"Population uniqueness needs the size of the population, not {self.population}."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"pu:{self.most:g}:{self.estimator}"

    def holds(self, sizes: Sizes) -> bool:
        """Whether it holds; a table without records holds."""
        if not sizes.classes or not sizes.of(1):
            return True
        part = estimated(sizes, self.population, self.estimator)
        return part is not None and 0 < part <= self.most


def suppress_smallest(needed: int, classes: Classes, view: View, scorer: Scorer) -> None:
    """Mark the tuples of so many of the smallest classes in `view.lost`."""
    kept = np.flatnonzero(~view.lost[_representative(classes)])
    order = kept[np.lexsort((classes.first[kept], _losses(classes, view, scorer)[kept], classes.sizes[kept]))]
    gone = np.zeros(classes.number, bool)
    gone[order[:needed]] = True
    view.lost[classes.members[gone[classes.of]]] = True


def _representative(classes: Classes) -> Ints:
    """(C,) one tuple of each class."""
    found = np.zeros(classes.number, np.int64)
    found[classes.of] = classes.members
    return found


def _losses(classes: Classes, view: View, scorer: Scorer) -> Reals:
    """(C,) loss of each class by itself, where the metric knows one."""
    if not isinstance(scorer, LossScorer):
        return np.zeros(classes.number)
    return scorer.entry_losses(view.levels, _representative(classes), classes.sizes)


def _check(most: float, name: str) -> None:
    if not 0 <= most < 1:
        msg = f"{name} needs a threshold from 0 to below 1, not {most:g}."
        raise BadRequest(msg)
