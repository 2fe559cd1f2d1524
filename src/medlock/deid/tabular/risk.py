"""How likely somebody is recognised in a published table (El Emam 2013): three attackers.

The prosecutor knows that the person is in the table: the risk of a record is 1 / size of its class. The journalist
knows only that the person is in the population: 1 / size of the class there. The marketer wants as many as possible
right: the mean. Suppressed records are not published and do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.grouping import Classes
from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.population import Estimator, estimated, sizes_of
from medlock.deid.tabular.ranking import Ints


@dataclass(frozen=True)
class Attacker:
    """Risks from 0 to 1: the highest of a record, the mean, and the part of the records above the threshold."""

    highest: float
    average: float
    records_at_risk: float


@dataclass(frozen=True)
class Risks:
    """All risks of a table. `population_uniques` has the part of the population that each model takes for unique.

    `marketer` is the part of the records that the marketer gets right; `histogram` (size, classes) lists the classes.
    """

    prosecutor: Attacker
    journalist: Attacker
    marketer: float
    sample_uniques: float
    population_uniques: dict[str, float | None]
    histogram: list[tuple[int, int]]


NOBODY = Attacker(0.0, 0.0, 0.0)


def risks(classes: Classes, threshold: float = 0.09, population: int | None = None) -> Risks:
    """Risks of published classes; a record is at risk above `threshold`, `population` is people in all."""
    held = classes.sizes > 0
    sizes, people = classes.sizes[held], np.maximum(classes.population[held], classes.sizes[held])
    if not len(sizes):
        return Risks(NOBODY, NOBODY, 0.0, 0.0, {}, [])
    records = int(sizes.sum())
    right = float((sizes / people).sum()) / records
    return Risks(
        prosecutor=_attacker(sizes, 1 / sizes, len(sizes) / records, threshold),
        journalist=_attacker(sizes, 1 / people, max(right, len(sizes) / int(people.sum())), threshold),
        marketer=right,
        sample_uniques=int((sizes == 1).sum()) / records,
        population_uniques=_uniques(sizes, population),
        histogram=[(int(size), int(often)) for size, often in zip(*np.unique(sizes, return_counts=True), strict=True)],
    )


def _uniques(sizes: Ints, population: int | None) -> dict[str, float | None]:
    if population is None:
        return {}
    return {str(each): estimated(sizes_of(sizes), population, each) for each in Estimator}


def _attacker(sizes: Ints, each: Reals, average: float, threshold: float) -> Attacker:
    above = int(sizes[each > threshold].sum())
    return Attacker(float(each.max()), average, above / int(sizes.sum()))
