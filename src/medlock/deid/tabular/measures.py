"""Which privacy models a table satisfies already, and with which parameters: the measures of pycanon, under its names.

Every measure is the worst over all classes of records that are alike in the quasi-identifiers. They agree with pycanon
1.3.5 except `recursive_c`, which follows the definition (Machanavajjhala et al. 2007), most frequent value first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.closeness import equal_distance, ordered_distance
from medlock.deid.tabular.diversity import entropies
from medlock.deid.tabular.grouping import Classes
from medlock.deid.tabular.likeness import ratios
from medlock.deid.tabular.ranking import Ints


@dataclass(frozen=True)
class Measures:
    """For one sensitive attribute.

    `alpha`: largest share of one value in a class. `recursive_c`: smallest whole c with which recursive (c,
    `l`)-diversity holds, nan when l is 1. `t_equal` and `t_ordered`: t-closeness by equal distance and by rank. Delta
    in nats.
    """

    k: int
    alpha: float
    l: int  # noqa: E741 - the model's letter
    entropy_l: int
    recursive_c: float
    basic_beta: float
    enhanced_beta: float
    t_equal: float
    t_ordered: float
    delta: float


def measured(classes: Classes, attribute: str) -> Measures:
    """Measure the classes of a table."""
    table = classes.table(attribute)
    whole = classes.counts.distribution(attribute)
    diversity = int(np.count_nonzero(table, axis=1).min())
    found = ratios(table, whole)
    beta = float(found[table > 0].max()) - 1
    logs = np.log(found, out=np.zeros_like(found), where=found > 0)
    rarest = float(whole[whole > 0].min())
    return Measures(
        k=int(classes.sizes.min()),
        alpha=float((table.max(axis=1) / classes.sizes).max()),
        l=diversity,
        entropy_l=int(math.exp(float(entropies(table).min())) + 1e-9),
        recursive_c=_recursive(table, diversity),
        basic_beta=beta,
        enhanced_beta=min(beta, -math.log(rarest)),
        t_equal=float(equal_distance(table, whole).max()),
        t_ordered=float(ordered_distance(table, whole).max()),
        delta=float(np.abs(logs).max()),
    )


def _recursive(table: Ints, diversity: int) -> float:
    if diversity < 2:
        return math.nan
    ordered = -np.sort(-table, axis=1)
    return float(np.floor(ordered[:, 0] / ordered[:, diversity - 1 :].sum(axis=1) + 1).max())
