"""Risk and utility of a release, beside those of the original and of other generalisations of it.

Risks are those of `tabular.risk`: prosecutor, journalist, marketer, with the population model when the size of the
population is known. Utility is measured on the released words, so it holds whoever made the release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medlock.deid.audit.cover import Attribute, Sight, tuples
from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Classes, Grouper, Levels
from medlock.deid.tabular.hierarchy import Codes, Hierarchy
from medlock.deid.tabular.risk import Risks, risks

NODES = 150  # other generalisations shown beside the release


@dataclass(frozen=True)
class Kept:
    """What is left of the original, 0 to 1.

    `granularity`: one less the mean share of the domain that a cell covers (Iyengar 2002). `fidelity`: for each
    attribute one less the total variation distance between its distribution before and after, a cell's weight spread
    evenly over what it covers. `shown`: rows not suppressed.
    """

    granularity: float
    fidelity: dict[str, float]
    shown: float
    class_size: float


@dataclass(frozen=True)
class Node:
    """A generalisation: a level for each attribute, its utility and its risks."""

    levels: Levels
    granularity: float
    average: float
    highest: float


def risk_after(sight: Sight, quasi: Sequence[int], threshold: float, population: int | None) -> Risks:
    """Risks of the released rows, by what can be seen of the quasi-identifiers."""
    return _risks([sight.release[at][sight.shown] for at in quasi], threshold, population)


def risk_before(sight: Sight, quasi: Sequence[int], threshold: float, population: int | None) -> Risks:
    """Risks if the original were released."""
    return _risks([sight.original[at] for at in quasi], threshold, population)


def kept(sight: Sight, quasi: Sequence[int]) -> Kept:
    """Utility of the release over the quasi-identifiers."""
    chosen = [(sight.attributes[at], sight.release[at], sight.original[at]) for at in quasi]
    counts = tuples([released for _, released, _ in chosen])
    return Kept(
        granularity=_granularity(
            [float(each.sizes[released].mean()) / each.hierarchy.size for each, released, _ in chosen],
            [each.hierarchy for each, _, _ in chosen],
        ),
        fidelity={each.name: _fidelity(each, released, original) for each, released, original in chosen},
        shown=float(sight.shown.mean()),
        class_size=counts.records / len(counts.weight),
    )


def levels(sight: Sight, hierarchies: Mapping[str, Hierarchy]) -> dict[str, int | None]:
    """For each generalised attribute the one level that the shown rows are on; None where they are on several."""
    return {
        attribute.name: _level(attribute, codes[sight.shown])
        for attribute, codes in zip(sight.attributes, sight.release, strict=True)
        if attribute.name in hierarchies
    }


def others(sight: Sight, quasi: Sequence[int], rnd: np.random.Generator) -> list[Node]:
    """Generalisations of the original drawn from the lattice, bottom and top among them, by utility."""
    ladders = [sight.attributes[at].hierarchy for at in quasi]
    grouper = Grouper(tuples([sight.original[at] for at in quasi]), ladders)
    heights = [each.height for each in ladders]
    drawn = {tuple(int(rnd.integers(height + 1)) for height in heights) for _ in range(NODES)}
    nodes = [_node(grouper, each) for each in sorted({*drawn, tuple(0 for _ in heights), tuple(heights)})]
    return sorted(nodes, key=lambda node: node.granularity)


def _node(grouper: Grouper, at: Levels) -> Node:
    weight, records = grouper.counts.weight, grouper.counts.records
    sizes = grouper.sizes(grouper.keys(at))
    shares = [
        float((weight * each.shares[level][codes]).sum()) / records
        for each, level, codes in zip(grouper.hierarchies, at, grouper.counts.quasi, strict=True)
    ]
    granularity = _granularity(shares, grouper.hierarchies)
    return Node(at, granularity, float((weight / sizes).sum()) / records, 1 / int(sizes.min()))


def _granularity(shares: Sequence[float], hierarchies: Sequence[Hierarchy]) -> float:
    """As `tabular.utility` has it, from each attribute's mean share of its domain."""
    most = sum(1 - 1 / each.size for each in hierarchies)
    return sum(1 - share for share in shares) / most if most else 1.0


def _risks(columns: Sequence[Codes], threshold: float, population: int | None) -> Risks:
    if not len(columns[0]):
        everyone = np.zeros(0, np.int64)
        nothing = Counts([], {}, everyone, everyone)
        return risks(Classes(nothing, everyone, everyone, 0), threshold, population)
    counts = tuples(columns)
    each = np.arange(len(counts.weight))
    return risks(Classes(counts, each, each, len(each)), threshold, population)


def _fidelity(attribute: Attribute, released: Codes, original: Codes) -> float:
    size = attribute.hierarchy.size
    weight = np.bincount(released, minlength=len(attribute.words)) / attribute.sizes
    after = np.bincount(attribute.leaf_of, weight[attribute.word_of], size) / len(released)
    before = np.bincount(original, minlength=size) / len(original)
    return 1 - float(np.abs(after - before).sum()) / 2


def _level(attribute: Attribute, released: Codes) -> int | None:
    words = {attribute.words[at] for at in np.unique(released)}
    return next((at for at, each in enumerate(attribute.hierarchy.labels) if words <= set(each)), None)
