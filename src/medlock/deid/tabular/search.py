"""The best transformation of all: global recoding, provably optimal.

Every transformation has a floor, a value its score is not below. The one with the lowest floor is looked at next, and
the search ends when no floor is below the best score: what has not been looked at cannot be better. Floors rise, and
transformations drop out unseen, by what is learnt on the way:

- A class that is too small is too small when divided further. So a transformation that is certain to lose more records
  than may be suppressed rules out all that are finer; each such find is first moved up as far as it holds, by bisection
  along a path of low floors, so that it rules out as much as it can.
- The records that a transformation is certain to lose are lost by all finer ones, which raises their floors.
- Where nothing may be suppressed and every model is kept by unions, one that fails rules out all finer ones too.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from medlock.deid.tabular.grouping import Levels, Mask
from medlock.deid.tabular.problem import Checker, Problem, Verdict
from medlock.errors import Unprocessable

LATTICE_MAX = 10_000_000  # four numbers for each: 320 MB
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Optimum:
    """The best transformation, the tuples (T,) and records it suppresses, and how many were looked at of how many."""

    levels: Levels
    score: float
    lost: Mask
    suppressed: int
    checked: int
    lattice: int


def optimum(problem: Problem, progress: Progress | None = None) -> Optimum:
    """Search. Raises Unprocessable when no transformation satisfies the models, or when there are too many."""
    search = Search(Checker(problem), progress)
    search.run()
    if search.best is None:
        msg = (
            "No transformation satisfies the models within the suppression limit. Raise the limit, weaken a model, or "
            "add coarser levels to the hierarchies."
        )
        raise Unprocessable(msg)
    return replace(search.best, checked=search.checked)


class Search:
    """One search over the lattice of transformations."""

    def __init__(self, checker: Checker, progress: Progress | None = None) -> None:
        problem = checker.problem
        self.checker = checker
        self.best: Optimum | None = None
        self.checked = 0
        self._progress = progress
        self._top = problem.highest or tuple(each.height for each in problem.hierarchies)
        self._strict = checker.steady and problem.most_lost == 0
        shape = [each.height + 1 for each in problem.hierarchies]
        if float(np.prod([float(length) for length in shape])) > LATTICE_MAX:
            msg = (
                f"There are more than {LATTICE_MAX:,} transformations to choose from. Drop levels from the "
                "hierarchies, or use local recoding."
            )
            raise Unprocessable(msg)
        self._floor = checker.scorer.floors()
        self._close_outside(problem.lowest or (0,) * len(shape))
        self._forced = np.zeros(shape, np.int64)
        self._first = self._floor.copy()
        self._order = np.argsort(self._floor, axis=None, kind="stable")
        self._place = 0
        self._again: list[tuple[float, int]] = []

    def run(self) -> None:
        """Until nothing is left that could be better."""
        while (levels := self._next()) is not None:
            if self._strict:
                self._raise([levels, *self._path(levels)])
            elif self._rules_out(self._look(levels)):
                self._raise(self._path(levels))

    def _next(self) -> Levels | None:
        """The open transformation of the lowest floor, its floor brought up to date."""
        while (found := self._lowest()) is not None:
            at, floor = found
            if self.best is not None and floor >= self.best.score:
                return None
            levels = tuple(int(each) for each in np.unravel_index(at, self._floor.shape))
            forced = int(self._forced.flat[at])
            refined = self.checker.scorer.refined(levels, forced) if forced else floor
            self._forced.flat[at] = 0
            if refined <= floor:
                return levels
            self._floor.flat[at] = refined
            heapq.heappush(self._again, (refined, at))
        return None

    def _lowest(self) -> tuple[int, float] | None:
        """Where the lowest floor is, and the floor: in the order of the first floors, or of those that rose since."""
        while True:
            fresh = int(self._order[self._place]) if self._place < len(self._order) else None
            if self._again and (fresh is None or self._again[0][0] < self._first.flat[fresh]):
                key, at = heapq.heappop(self._again)
            elif fresh is None:
                return None
            else:
                key, at = float(self._first.flat[fresh]), fresh
                self._place += 1
            floor = float(self._floor.flat[at])
            if floor <= key < np.inf:
                return at, floor
            if floor < np.inf:
                heapq.heappush(self._again, (floor, at))

    def _look(self, levels: Levels) -> Verdict:
        """Check one transformation and draw the conclusions."""
        verdict = self.checker.check(levels)
        self.checked += 1
        if self._progress is not None:
            self._progress(self.checked)
        self._floor[levels] = np.inf
        finer = tuple(slice(0, level + 1) for level in levels)
        if self._rules_out(verdict):
            self._floor[finer] = np.inf
            return verdict
        if verdict.doomed:
            np.maximum(self._forced[finer], verdict.doomed, out=self._forced[finer])
        if not self.checker.scorer.separable:
            coarser = tuple(slice(level, None) for level in levels)
            np.maximum(self._floor[coarser], self.checker.scorer.above(verdict.view), out=self._floor[coarser])
        if verdict.holds:
            self._keep(verdict)
        return verdict

    def _rules_out(self, verdict: Verdict) -> bool:
        """Whether all finer transformations fail with this one."""
        return verdict.doomed > self.checker.problem.most_lost or (self._strict and not verdict.holds)

    def _raise(self, path: list[Levels]) -> None:
        """Bisect a path upwards for the coarsest transformation that rules out what is finer."""
        low, high = 0, len(path)
        while low < high:
            middle = (low + high) // 2
            if not np.isfinite(self._floor[path[middle]]) or not self._rules_out(self._look(path[middle])):
                high = middle
            else:
                low = middle + 1

    def _path(self, levels: Levels) -> list[Levels]:
        """Coarser and coarser open transformations, each step the one of the lowest floor."""
        path: list[Levels] = []
        limit = np.inf if self.best is None else self.best.score
        while True:
            steps = [
                (*levels[:at], level + 1, *levels[at + 1 :]) for at, level in enumerate(levels) if level < self._top[at]
            ]
            floor, levels = min(((float(self._floor[step]), step) for step in steps), default=(np.inf, levels))
            if not floor < limit:
                return path
            path.append(levels)

    def _keep(self, verdict: Verdict) -> None:
        score = self.checker.scorer.score(verdict.view)
        if self.best is None or score < self.best.score:
            self.best = Optimum(verdict.view.levels, score, verdict.view.lost, verdict.lost, 0, self._floor.size)

    def _close_outside(self, lowest: Levels) -> None:
        """Close what is outside the range of levels asked for."""
        inside = np.zeros(self._floor.shape, bool)
        inside[tuple(slice(low, high + 1) for low, high in zip(lowest, self._top, strict=True))] = True
        self._floor[~inside] = np.inf
