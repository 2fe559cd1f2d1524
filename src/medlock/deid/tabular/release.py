"""From a table and a plan to a table that may be released: encode, search, recode, check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medlock.deid.tabular.closeness import Closeness, Ground
from medlock.deid.tabular.columns import Column, Table
from medlock.deid.tabular.counts import Counts, Rows
from medlock.deid.tabular.grouping import Grouper, Levels, Mask
from medlock.deid.tabular.hierarchy import SUPPRESSED, Codes, Hierarchy
from medlock.deid.tabular.local import Recoding, recoded, uniform
from medlock.deid.tabular.loss import Loss
from medlock.deid.tabular.metrics import Metric
from medlock.deid.tabular.models import Model
from medlock.deid.tabular.problem import Problem
from medlock.deid.tabular.risk import Risks, risks
from medlock.deid.tabular.sample import SampleModel
from medlock.deid.tabular.search import optimum
from medlock.deid.tabular.utility import Utility, utility
from medlock.errors import BadRequest

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Plan:
    """How a table is to be made anonymous.

    `quasi` gives each quasi-identifier its hierarchy; `sample` (N,) marks the rows that are released of a population;
    `keep` names columns that are published as they are, besides the sensitive attributes of the models. All other
    columns are left out. `lowest` and `highest` hold single attributes to levels.
    """

    quasi: Mapping[str, Hierarchy]
    models: Sequence[Model | SampleModel]
    limit: float = 0.0
    metric: Metric = field(default_factory=Loss)
    local: bool = False
    sample: Mask | None = None
    keep: Sequence[str] = ()
    lowest: Mapping[str, int] = field(default_factory=dict)
    highest: Mapping[str, int] = field(default_factory=dict)

    @property
    def sensitive(self) -> list[str]:
        """The sensitive attributes, each once."""
        return list(dict.fromkeys(model.attribute for model in self.models if model.attribute is not None))

    @property
    def published(self) -> list[str]:
        """The columns of the result."""
        return list(dict.fromkeys([*self.quasi, *self.sensitive, *self.keep]))


@dataclass(frozen=True)
class Release:
    """A table that may be released. `withheld` rows are outside the sample; global recoding has levels and a score."""

    table: Table
    recoding: Recoding
    withheld: int
    levels: dict[str, int] | None
    score: float | None
    checked: int | None
    lattice: int | None


def encoded(table: Table, plan: Plan) -> Rows:
    """The rows as codes. Raises BadRequest for contradictions, unknown columns and values outside a hierarchy."""
    contradictions(plan)
    return Rows(
        [table.column(name).leaves(hierarchy) for name, hierarchy in plan.quasi.items()],
        {name: sensitive_codes(table.column(name), plan) for name in plan.sensitive},
        plan.sample,
    )


def sensitive_codes(column: Column, plan: Plan) -> Codes:
    """Ranks of a sensitive attribute, or leaves where a model asks for its hierarchy."""
    for model in plan.models:
        if isinstance(model, Closeness) and model.attribute == column.name and model.hierarchy is not None:
            return column.leaves(model.hierarchy)
    return column.ranks


def contradictions(plan: Plan) -> None:
    """Raise BadRequest for parts of a plan that are missing or exclude one another."""
    if not plan.quasi:
        msg = "Name at least one quasi-identifier."
        raise BadRequest(msg)
    for name in plan.keep:
        if name in plan.quasi:
            msg = f"{name} cannot be kept as it is and be a quasi-identifier; choose one."
            raise BadRequest(msg)
    for name in plan.sensitive:
        if name in plan.quasi:
            msg = f"{name} cannot be a sensitive attribute of a model and a quasi-identifier; choose one."
            raise BadRequest(msg)
    grounds = {model.ground for model in plan.models if isinstance(model, Closeness)}
    if {Ground.ORDERED, Ground.HIERARCHICAL} <= grounds:
        msg = "t-closeness by order and by hierarchy cannot be asked for together; choose one."
        raise BadRequest(msg)
    for name in (*plan.lowest, *plan.highest):
        _check_levels(plan, name)


def _check_levels(plan: Plan, name: str) -> None:
    if name not in plan.quasi:
        msg = f"Levels are given for {name}, which is no quasi-identifier."
        raise BadRequest(msg)
    low, high = plan.lowest.get(name, 0), plan.highest.get(name, plan.quasi[name].height)
    if not 0 <= low <= high <= plan.quasi[name].height:
        msg = f"Levels of {name} must lie in 0 to {plan.quasi[name].height}, the lower one first."
        raise BadRequest(msg)


def problem_of(counts: Counts, plan: Plan) -> Problem:
    """The plan over counted tuples."""
    hierarchies = list(plan.quasi.values())
    lowest: Levels = tuple(plan.lowest.get(name, 0) for name in plan.quasi)
    highest: Levels = tuple(plan.highest.get(name, each.height) for name, each in plan.quasi.items())
    return Problem(counts, hierarchies, plan.models, plan.limit, plan.metric, lowest, highest)


def released(table: Table, plan: Plan, progress: Progress | None = None) -> Release:
    """Make a table anonymous.

    Raises BadRequest when plan and table do not fit, Unprocessable when the models cannot be satisfied.
    """
    rows = encoded(table, plan)
    for name in plan.keep:
        table.column(name)
    problem = problem_of(rows.counted(), plan)
    if plan.local:
        recoding = recoded(problem, progress)
        return Release(published(table, rows, recoding, plan), recoding, _outside(plan), None, None, None, None)
    best = optimum(problem, progress)
    recoding = uniform(problem.counts, problem.hierarchies, best.levels, best.lost)
    levels = dict(zip(plan.quasi, best.levels, strict=True))
    table = published(table, rows, recoding, plan)
    return Release(table, recoding, _outside(plan), levels, best.score, best.checked, best.lattice)


def _outside(plan: Plan) -> int:
    return 0 if plan.sample is None else int((~plan.sample).sum())


def published(table: Table, rows: Rows, recoding: Recoding, plan: Plan) -> Table:
    """The published columns row by row: suppressed rows hold nothing, rows outside the sample are left out."""
    shown = np.ones(len(table), bool) if plan.sample is None else plan.sample
    tuples = rows.tuples.keys[shown]
    lost = recoding.lost[tuples]
    columns = {}
    for name in plan.published:
        column = table.column(name)
        if name in plan.quasi:
            at = list(plan.quasi).index(name)
            column = _generalised(column.name, recoding, at, tuples, rows.quasi[at][shown])
        else:
            column = Column(name, column.words, column.codes[shown])
        columns[name] = _blanked(column, lost)
    return Table(columns)


def _generalised(name: str, recoding: Recoding, at: int, tuples: np.typing.NDArray[np.int64], leaves: Codes) -> Column:
    """A quasi-identifier on the levels of its tuples."""
    words, numbers = recoding.hierarchies[at].words
    return Column(name, words, numbers[np.maximum(recoding.levels[at][tuples], 0), leaves])


def _blanked(column: Column, lost: Mask) -> Column:
    """With the mark of suppression in suppressed rows."""
    if not lost.any():
        return column
    words = column.words if SUPPRESSED in column.words else (*column.words, SUPPRESSED)
    return Column(column.name, words, np.where(lost, words.index(SUPPRESSED), column.codes).astype(np.int32))


def before(recoding: Recoding, threshold: float, population: int | None) -> Risks:
    """Risks of the table as it was."""
    grouper = Grouper(recoding.counts, recoding.hierarchies)
    keys = grouper.keys((0,) * len(recoding.hierarchies))
    return risks(grouper.classes(keys, grouper.sizes(keys) > 0), threshold, population)


def after(recoding: Recoding, threshold: float, population: int | None) -> tuple[Risks, Utility]:
    """Risks and utility of the result."""
    return risks(recoding.classes, threshold, population), utility(recoding)
