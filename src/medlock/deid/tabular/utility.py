"""How much of a table is left after recoding, global or local: utilities from 0 (nothing) to 1 (all).

Normalised as ARX 3.9.2 reports them, so that figures can be compared; a suppressed cell covers its whole domain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.grouping import Grouper
from medlock.deid.tabular.hierarchy import Codes, Hierarchy, Reals
from medlock.deid.tabular.local import Recoding
from medlock.deid.tabular.ranking import Ints


@dataclass(frozen=True)
class Utility:
    """`granularity` by shares of the domains (Iyengar 2002), `precision` by levels (Sweeney 2002).

    `nu_entropy` by bits (De Waal & Willenborg 1999), `aecs` by the average size of the published classes (LeFevre et
    al. 2006), `discernibility` by squared class sizes (Bayardo & Agrawal 2005), `ambiguity` by the tuples that a record
    may stand for (Goldberger & Tassa 2010).
    """

    granularity: float
    precision: float
    nu_entropy: float
    aecs: float
    discernibility: float
    ambiguity: float


def utility(recoding: Recoding) -> Utility:
    """Measure a recoding of counted tuples against the tuples themselves."""
    shares = [recoding.shares(at) for at in range(len(recoding.hierarchies))]
    before = _sizes(recoding)
    return Utility(
        granularity=_granularity(recoding, shares),
        precision=_precision(recoding),
        nu_entropy=_entropy(recoding),
        aecs=_average_size(recoding, before),
        discernibility=_discernibility(recoding, before),
        ambiguity=_ambiguity(recoding, shares),
    )


def _sizes(recoding: Recoding) -> Ints:
    """(T,) records that are alike before recoding."""
    grouper = Grouper(recoding.counts, recoding.hierarchies)
    return grouper.sizes(grouper.keys((0,) * len(recoding.hierarchies)))


def _granularity(recoding: Recoding, shares: list[Reals]) -> float:
    weight = recoding.counts.weight / recoding.counts.records
    kept = sum(float((weight * (1 - share)).sum()) for share in shares)
    most = sum(1 - 1 / hierarchy.size for hierarchy in recoding.hierarchies)
    return kept / most if most else 1.0


def _precision(recoding: Recoding) -> float:
    weight = recoding.counts.weight / recoding.counts.records
    kept = 0.0
    for hierarchy, levels in zip(recoding.hierarchies, recoding.levels, strict=True):
        heights = np.where(levels < 0, 1.0, levels / max(1, hierarchy.height))
        kept += float((weight * (1 - heights)).sum())
    return kept / len(recoding.hierarchies)


def _entropy(recoding: Recoding) -> float:
    """One less the bits lost, level above level, divided by the bits there were (Prasser, Bild & Kuhn 2016)."""
    lost = most = 0.0
    for at, hierarchy in enumerate(recoding.hierarchies):
        levels = _first_levels(hierarchy)[_filled(recoding, at), recoding.counts.quasi[at]]
        leaves = recoding.counts.quasi[at]
        lost += _column_bits(hierarchy, leaves, levels, recoding.counts.weight)
        counts = np.bincount(leaves, recoding.counts.weight)
        counts = counts[counts > 0]
        most += float((counts * np.log2(counts.sum() / counts)).sum())
    return 1 - lost / most if most else 1.0


def _filled(recoding: Recoding, attribute: int) -> Ints:
    """(T,) levels, the coarsest where suppressed."""
    levels = recoding.levels[attribute]
    return np.where(levels < 0, recoding.hierarchies[attribute].height, levels)


def _first_levels(hierarchy: Hierarchy) -> Ints:
    """(levels, D) the finest level on which the word of a leaf stands for any leaf."""
    first: dict[str, int] = {}
    for level, words in enumerate(hierarchy.labels):
        for word in words:
            first.setdefault(word, level)
    return np.array([[first[line[level]] for line in hierarchy.lines] for level in range(hierarchy.height + 1)])


def _column_bits(hierarchy: Hierarchy, leaves: Codes, levels: Ints, weight: Ints) -> float:
    bits, before = 0.0, 0
    for level in np.unique(levels):
        above = levels >= level
        fine, coarse = hierarchy.groups[before][leaves[above]], hierarchy.groups[level][leaves[above]]
        many, few = np.bincount(coarse, weight[above])[coarse], np.bincount(fine, weight[above])[fine]
        held = weight[above] > 0
        bits += float((weight[above][held] * np.log2(many[held] / few[held])).sum())
        before = int(level)
    return bits


def _average_size(recoding: Recoding, before: Ints) -> float:
    weight = recoding.counts.weight
    records = recoding.counts.records
    held = weight > 0
    classes = round(float((weight[held] / before[held]).sum()))
    sizes = recoding.classes.sizes
    after = int((sizes > 0).sum())
    return _scaled(records / classes, float(sizes.sum()) / after if after else records, records)


def _discernibility(recoding: Recoding, before: Ints) -> float:
    records = recoding.counts.records
    fine = float((recoding.counts.weight * before).sum())
    sizes = recoding.classes.sizes.astype(np.float64)
    return _scaled(fine, float((sizes * sizes).sum()) + recoding.suppressed * records, records * records)


def _ambiguity(recoding: Recoding, shares: list[Reals]) -> float:
    sizes = [hierarchy.size for hierarchy in recoding.hierarchies]
    product = np.ones(len(recoding.counts.weight))
    for share, size in zip(shares, sizes, strict=True):
        product *= share * size
    records = recoding.counts.records
    found = float((recoding.counts.weight * product).sum())
    return _scaled(records, found, records * float(np.prod([float(size) for size in sizes])))


def _scaled(least: float, found: float, most: float) -> float:
    return 1.0 if most == least else (most - found) / (most - least)
