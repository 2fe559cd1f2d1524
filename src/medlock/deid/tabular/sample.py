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
from medlock.deid.tabular.loss import LossScorer
from medlock.deid.tabular.metrics import Scorer, View
from medlock.deid.tabular.population import Estimator, unique_part
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


class SampleModel(ABC):
    """A model that holds or not for the sizes of all classes that are published."""

    attribute: str | None = None
    steady = True

    def smallest(self, counts: Counts) -> int:
        """Any class may be published."""
        del counts
        return 1

    @abstractmethod
    def holds(self, sizes: Ints) -> bool:
        """Whether it holds for these class sizes (C,), ascending."""


@dataclass(frozen=True)
class AverageRisk(SampleModel):
    """The mean over records of 1 / class size, that is classes / records, is at most `most`."""

    most: float

    def __post_init__(self) -> None:
        _check(self.most, "The average risk")

    def __str__(self) -> str:
        return f"avg:{self.most:g}"

    def holds(self, sizes: Ints) -> bool:
        """Whether it holds."""
        return len(sizes) > 0 and 1 / (float(sizes.sum()) / len(sizes)) <= self.most


@dataclass(frozen=True)
class SampleUniqueness(SampleModel):
    """At most a part `most` of the records is alone in its class."""

    most: float

    def __post_init__(self) -> None:
        _check(self.most, "Sample uniqueness")

    def __str__(self) -> str:
        return f"su:{self.most:g}"

    def holds(self, sizes: Ints) -> bool:
        """Whether it holds."""
        return len(sizes) > 0 and int(np.searchsorted(sizes, 1, "right")) / float(sizes.sum()) <= self.most


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

    def holds(self, sizes: Ints) -> bool:
        """Whether it holds; a table without records holds."""
        if not len(sizes) or sizes[0] > 1:
            return True
        part = unique_part(sizes, self.population, self.estimator)
        return part is not None and 0 < part <= self.most


def suppress_smallest(model: SampleModel, classes: Classes, view: View, scorer: Scorer) -> None:
    """Mark in `view.lost` the fewest of the smallest classes without which the model holds; all if it never does."""
    kept = np.flatnonzero(~view.lost[_representative(classes)])
    order = kept[np.lexsort((classes.first[kept], _losses(classes, view, scorer)[kept], classes.sizes[kept]))]
    sizes = classes.sizes[order]
    if model.holds(sizes):
        return
    low, high = 1, len(order)
    while low < high:
        middle = (low + high) // 2
        if model.holds(sizes[middle:]):
            high = middle
        else:
            low = middle + 1
    gone = np.zeros(classes.number, bool)
    gone[order[:low]] = True
    view.lost[classes.members[gone[classes.of]]] = True


def _representative(classes: Classes) -> Ints:
    """(C,) one tuple of each class."""
    found = np.zeros(classes.number, np.int64)
    found[classes.of] = classes.members
    return found


def _losses(classes: Classes, view: View, scorer: Scorer) -> np.typing.NDArray[np.float64]:
    """(C,) loss of each class by itself, where the metric knows one."""
    if not isinstance(scorer, LossScorer):
        return np.zeros(classes.number)
    return scorer.entry_losses(view.levels, _representative(classes), classes.sizes)


def _check(most: float, name: str) -> None:
    if not 0 <= most < 1:
        msg = f"{name} needs a threshold from 0 to below 1, not {most:g}."
        raise BadRequest(msg)
