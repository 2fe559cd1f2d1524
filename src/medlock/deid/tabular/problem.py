"""What is asked of a search, and how one transformation is checked against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Grouper, Levels, Mask
from medlock.deid.tabular.hierarchy import Hierarchy
from medlock.deid.tabular.loss import Loss
from medlock.deid.tabular.metrics import Metric, Scorer, View
from medlock.deid.tabular.models import Model, Sized
from medlock.deid.tabular.population import sizes_by_tuple
from medlock.deid.tabular.presence import DeltaPresence
from medlock.deid.tabular.ranking import Ints, Keys
from medlock.deid.tabular.sample import SampleModel, suppress_smallest
from medlock.errors import BadRequest


@dataclass(frozen=True)
class Problem:
    """Counted tuples, a hierarchy for each quasi-identifier, the models to satisfy and the metric to minimise.

    `limit` is the part of the records, from 0 to 1, that may be suppressed; `lowest` and `highest` hold attributes to a
    range of levels. Raises BadRequest when the parts do not fit together.
    """

    counts: Counts
    hierarchies: Sequence[Hierarchy]
    models: Sequence[Model | SampleModel]
    limit: float = 0.0
    metric: Metric = field(default_factory=Loss)
    lowest: Levels | None = None
    highest: Levels | None = None

    def __post_init__(self) -> None:
        if not self.models:
            msg = "Name at least one privacy model, such as k:5."
            raise BadRequest(msg)
        if not self.hierarchies:
            msg = "Name at least one quasi-identifier."
            raise BadRequest(msg)
        if not 0 <= self.limit <= 1:
            msg = f"The suppression limit is a part of the records, from 0 to 1, not {self.limit:g}."
            raise BadRequest(msg)

    @property
    def most_lost(self) -> int:
        """Records that may be suppressed."""
        return int(self.limit * self.counts.records)


@dataclass(frozen=True)
class Verdict:
    """How a transformation fares: `view` holds what it suppresses; nothing finer loses fewer than `doomed` records."""

    view: View
    lost: int
    doomed: int
    holds: bool


def smallest_class(problem: Problem) -> int:
    """The number of records that all models together demand of a class."""
    sizes = [model.smallest(problem.counts) for model in problem.models if not isinstance(model, SampleModel)]
    return max(sizes, default=0)


def asking(models: Sequence[Model | SampleModel]) -> list[Model]:
    """The models that look at each class, and at more than its size."""
    return [model for model in models if not isinstance(model, (SampleModel, Sized))]


class Checker:
    """Checks transformations of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.grouper = Grouper(problem.counts, problem.hierarchies)
        self.scorer: Scorer = problem.metric.scorer(self.grouper)
        self.asking = asking(problem.models)
        self._samplewise = [each for each in problem.models if isinstance(each, SampleModel)]
        self.smallest = smallest_class(problem)
        self._presence = next((each for each in self.asking if isinstance(each, DeltaPresence)), None)
        self.steady = all(model.steady for model in problem.models)

    def check(self, levels: Levels) -> Verdict:
        """Group, and suppress what fails; as soon as too much is certain to fail, no more is looked at."""
        counts, most = self.problem.counts, self.problem.most_lost
        keys = self.grouper.keys(levels)
        sizes = self.grouper.sizes(keys)
        lost = sizes < self.smallest
        doomed = number = int(counts.weight[lost].sum())
        view = View(levels, sizes, lost)
        if doomed > most or not (self.asking or self._samplewise):
            return Verdict(view, number, doomed, doomed <= most)
        doomed = max(doomed, self._doomed_sample(sizes))
        if doomed > most or self._absent_fails(sizes):
            return Verdict(view, number, doomed, holds=False)
        doomed = max(doomed, int(counts.weight[lost].sum()) + self._suppress_classes(keys, sizes, lost))
        if int(counts.weight[lost].sum()) <= most:
            self._suppress_sample(view, keys)
        number = int(counts.weight[lost].sum())
        return Verdict(view, number, doomed, number <= most)

    def _doomed_sample(self, sizes: Ints) -> int:
        """Records that the models of the sample cost, here and with any finer classes; see `SampleModel.steady`."""
        steady = [model for model in self._samplewise if model.steady]
        if not steady:
            return 0
        every, most = sizes_by_tuple(sizes, self.problem.counts.weight), self.problem.most_lost
        needed = [model.needed(every, most) for model in steady]
        return max(most + 1 if each is None else every.records - every.without(each).records for each in needed)

    def _suppress_classes(self, keys: Keys, sizes: Ints, lost: Mask) -> int:
        """Mark the tuples of classes that fail; records that no finer grouping saves."""
        if not self.asking:
            return 0
        classes = self.grouper.classes(keys, ~lost & (sizes > 0))
        fails = np.zeros(classes.number, bool)
        doomed = np.zeros(classes.number, np.int64)
        for model in self.asking:
            fails |= ~model.passes(classes)
            doomed = np.maximum(doomed, model.doomed(classes))
        lost[classes.members[fails[classes.of]]] = True
        return int(doomed.sum())

    def _absent_fails(self, sizes: Ints) -> bool:
        """Whether a class with nobody of the sample breaks delta-presence; see there."""
        if self._presence is None or self.smallest > 0 or self._presence.least == 0:
            return False
        return bool((sizes == 0).any())

    def _suppress_sample(self, view: View, keys: Keys) -> None:
        """Suppress the smallest classes until the models of the sample hold; everything where that is too much."""
        weight = self.problem.counts.weight
        for model in self._samplewise:
            kept = ~view.lost & (weight > 0)
            spare = self.problem.most_lost - int(weight[~kept].sum())
            needed = model.needed(sizes_by_tuple(view.sizes[kept], weight[kept]), spare)
            if needed is None:
                view.lost[:] = True
                return
            if needed:
                suppress_smallest(needed, self.grouper.classes(keys, kept), view, self.scorer)
