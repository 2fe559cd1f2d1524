"""Local recoding: every record on the finest levels that still hide it, instead of one level for a whole column.

Transformations are gone through in the order of how much of the domains their values cover. At each, what has not been
published yet is grouped; classes that satisfy the models are published on these levels. So each record is published
where it first finds enough company. Records left at the end join the published class that has to rise least for them,
when that is better than their suppression and the class still satisfies the models. The result is checked as a whole;
it is not optimal, and far less general than any global recoding.

Distances from the whole table are those of the whole table at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Classes, Grouper, Levels, Mask
from medlock.deid.tabular.hierarchy import Hierarchy, Reals
from medlock.deid.tabular.metrics import grid
from medlock.deid.tabular.problem import Problem, asking, smallest_class
from medlock.deid.tabular.ranking import Ints, Keys, joined, ranked
from medlock.deid.tabular.sample import SampleModel
from medlock.errors import BadRequest, Unprocessable

VISITS_MAX = 100_000  # of a larger lattice an even selection is visited
JOIN_WORK_MAX = 5_000_000  # tuples that may join a class, times classes that each looks at
CHOICES_MAX = 5
SUPPRESSED_LEVEL = -1
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Recoding:
    """How each tuple is published: `levels` (m, T), -1 in all attributes of a tuple that is suppressed."""

    counts: Counts
    hierarchies: Sequence[Hierarchy]
    levels: NDArray[np.int16]

    @cached_property
    def lost(self) -> Mask:
        """(T,) which tuples are suppressed."""
        return np.asarray(self.levels[0] == SUPPRESSED_LEVEL)

    @property
    def suppressed(self) -> int:
        """Records that are suppressed."""
        return int(self.counts.weight[self.lost].sum())

    @cached_property
    def classes(self) -> Classes:
        """The classes of the published tuples: those that read alike."""
        kept = np.flatnonzero(~self.lost)
        ids, number = ranked(joined(self._words(at, kept) for at in range(len(self.hierarchies))))
        return Classes(self.counts, kept, ids, number)

    def shares(self, attribute: int) -> Reals:
        """(T,) the share of the domain that each tuple's published value covers, 1 where suppressed."""
        by_level = np.array(self.hierarchies[attribute].shares)
        levels = self.levels[attribute]
        return np.where(levels < 0, 1.0, by_level[np.maximum(levels, 0), self.counts.quasi[attribute]])

    def _words(self, attribute: int, kept: Ints) -> Keys:
        """(K,) a number for each published word, the same on whichever level it stands."""
        words, numbers = self.hierarchies[attribute].words
        found = numbers[self.levels[attribute][kept], self.counts.quasi[attribute][kept]]
        return Keys(found.astype(np.int64), len(words))


def uniform(counts: Counts, hierarchies: Sequence[Hierarchy], levels: Levels, lost: Mask) -> Recoding:
    """Global recoding in the same form."""
    every = np.repeat(np.array(levels, np.int16)[:, None], len(lost), axis=1)
    every[:, lost] = SUPPRESSED_LEVEL
    return Recoding(counts, hierarchies, every)


def recoded(problem: Problem, progress: Progress | None = None) -> Recoding:
    """Recode locally.

    Raises BadRequest for models that speak of the whole sample or population, and Unprocessable when more records than
    the limit allows remain suppressed.
    """
    if any(isinstance(model, SampleModel) for model in problem.models) or problem.counts.population is not None:
        msg = (
            "Local recoding works with models of single classes: k, k-map, diversity, closeness, likeness, disclosure."
        )
        raise BadRequest(msg)
    work = _Sweep(problem)
    work.run(progress)
    work.join()
    work.verify()
    found = work.recoding()
    if found.suppressed > problem.most_lost:
        msg = (
            f"{found.suppressed} records would be suppressed, the limit allows {problem.most_lost}. Raise the limit or "
            "weaken a model."
        )
        raise Unprocessable(msg)
    return found


def _span(hierarchy: Hierarchy) -> range:
    return range(hierarchy.height + 1)


class _Published:
    """The published classes while others join them: (C,) an example tuple and size of each, (m, C) its levels."""

    def __init__(self, levels: NDArray[np.int16], classes: Classes) -> None:
        self.example = np.zeros(classes.number, np.int64)
        self.example[classes.of] = classes.members
        self.sizes = classes.sizes.copy()
        self.levels = levels[:, self.example].copy()
        self._of = np.full(levels.shape[1], -1)
        self._of[classes.members] = classes.of

    def members(self, number: int) -> Ints:
        """The tuples of a class."""
        return np.flatnonzero(self._of == number)

    def raise_to(self, number: int, new: int, levels: NDArray[np.int16], weight: int) -> None:
        """Note that a tuple joined a class, which rose to these levels."""
        self._of[new] = number
        self.sizes[number] += weight
        self.levels[:, number] = levels


class _Sweep:
    """The work of one recoding."""

    def __init__(self, problem: Problem) -> None:
        self._counts, self._hierarchies = problem.counts, problem.hierarchies
        self._smallest, self._asking = smallest_class(problem), asking(problem.models)
        self._grouper = Grouper(problem.counts, problem.hierarchies)
        self._levels = np.full((len(problem.hierarchies), len(problem.counts.weight)), SUPPRESSED_LEVEL, np.int16)
        self._left: Ints = np.arange(len(problem.counts.weight))
        self._lowest = problem.lowest or (0,) * len(problem.hierarchies)
        self._highest = problem.highest or tuple(each.height for each in problem.hierarchies)

    def recoding(self) -> Recoding:
        return Recoding(self._counts, self._hierarchies, self._levels)

    def run(self, progress: Progress | None) -> None:
        """Publish class after class, finest transformations first."""
        for number, levels in enumerate(self._order(), 1):
            if progress is not None:
                progress(number)
            published = self._publishable(levels)
            if published.any():
                self._levels[:, self._left[published]] = np.array(levels, np.int16)[:, None]
                self._left = self._left[~published]
            if not len(self._left):
                return

    def _order(self) -> NDArray[np.int64]:
        """(V, m) transformations by the mean share of the domain that their values cover."""
        covers = [
            np.array([(self._counts.weight * share[codes]).sum() for share in each.shares])[low : high + 1]
            for each, codes, low, high in zip(
                self._hierarchies, self._counts.quasi, self._lowest, self._highest, strict=True
            )
        ]
        total = grid(covers, np.add)
        order = np.argsort(total, axis=None, kind="stable")
        if len(order) > VISITS_MAX:
            order = order[np.unique(np.linspace(0, len(order) - 1, VISITS_MAX).astype(np.int64))]
        return np.stack(np.unravel_index(order, total.shape), axis=1) + np.array(self._lowest)

    def _publishable(self, levels: NDArray[np.int64]) -> Mask:
        """(left,) which of the tuples that are left are in a class that satisfies the models."""
        keys = self._grouper.keys(tuple(levels.tolist()), self._left)
        enough: Mask = self._grouper.sizes(keys, self._left) >= self._smallest
        if not self._asking or not enough.any():
            return enough
        classes = self._grouper.classes(keys, enough, self._left)
        passes = self._passing(classes)
        enough[enough] = passes[classes.of]
        return enough

    def _passing(self, classes: Classes) -> Mask:
        passes = np.ones(classes.number, bool)
        for model in self._asking:
            passes &= model.passes(classes)
        return passes

    def join(self) -> None:
        """Let the tuples that are left, the most frequent first, join published classes."""
        classes = self.recoding().classes
        if not classes.number:
            return
        known = _Published(self._levels, classes)
        order = np.argsort(-self._counts.weight[self._left], kind="stable")
        for new in self._left[order][: JOIN_WORK_MAX // classes.number]:
            self._join_one(int(new), known)

    def _join_one(self, new: int, known: _Published) -> None:
        levels = self._meeting(new, known)
        costs = self._costs(new, levels, known)
        nearest = (
            np.argpartition(costs, CHOICES_MAX)[:CHOICES_MAX] if len(costs) > CHOICES_MAX else np.arange(len(costs))
        )
        for choice in nearest[np.argsort(costs[nearest])]:
            if costs[choice] >= 0:
                return
            members = np.append(known.members(int(choice)), new)
            joint = Classes(self._counts, members, np.zeros(len(members), np.int64), 1)
            if self._passing(joint).all():
                known.raise_to(int(choice), new, levels[:, choice], int(self._counts.weight[new]))
                self._levels[:, members] = levels[:, choice][:, None]
                return

    def _meeting(self, new: int, known: _Published) -> NDArray[np.int16]:
        """(m, C) the levels on which a tuple and each class read alike, none below the class's own."""
        found = known.levels.copy()
        for at, hierarchy in enumerate(self._hierarchies):
            meet = np.full(found.shape[1], hierarchy.height + 1, np.int16)
            leaf = self._counts.quasi[at]
            for level in reversed(_span(hierarchy)):
                group = hierarchy.groups[level]
                meet[group[leaf[known.example]] == group[leaf[new]]] = level
            found[at] = np.maximum(found[at], meet)
        return found

    def _costs(self, new: int, levels: NDArray[np.int16], known: _Published) -> Reals:
        """(C,) shares that the class loses and the tuple takes, less those of its suppression."""
        weight = int(self._counts.weight[new])
        costs = np.full(levels.shape[1], -float(weight * len(self._hierarchies)))
        for at, hierarchy in enumerate(self._hierarchies):
            shares = np.array([*hierarchy.shares, np.full(hierarchy.size, np.inf)])
            leaf = self._counts.quasi[at][known.example]
            after, before = shares[levels[at], leaf], shares[known.levels[at], leaf]
            costs += known.sizes * (after - before) + weight * after
        return costs

    def verify(self) -> None:
        """Suppress what, read as a whole, does not satisfy the models: words may be the same on several levels."""
        classes = self.recoding().classes
        if not classes.number:
            return
        fails = ~self._passing(classes) | (classes.sizes < self._smallest)
        self._levels[:, classes.members[fails[classes.of]]] = SUPPRESSED_LEVEL
