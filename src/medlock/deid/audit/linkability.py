"""Linkability: do two parties that know different attributes of a person find the same released record?

Giomi et al. 2023, §5.2: the attack on a person succeeds when the released records nearest to what the one knows and
those nearest to what the other knows have a record in common.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medlock.deid.audit.attack import ATTACKS, Attack
from medlock.deid.audit.cover import Sight
from medlock.deid.audit.intervals import Rate
from medlock.deid.audit.neighbours import Neighbours, drawn
from medlock.deid.tabular.hierarchy import Codes


def linkability(
    sight: Sight,
    left: Sequence[int],
    right: Sequence[int],
    rnd: np.random.Generator,
    *,
    attacks: int = ATTACKS,
    neighbours: int = 1,
) -> Attack:
    """Attack by two sets of attributes, given by their places."""
    sides = [(places, Neighbours(sight, places, rnd)) for places in (left, right)]

    def rate(people: Sequence[Codes]) -> Rate:
        rows = drawn(people, attacks, rnd)
        linked = 0
        for row in rows:
            first, second = (near.of([int(people[at][row]) for at in places], neighbours) for places, near in sides)
            linked += bool(np.isin(first, second).any())
        return Rate(linked, len(rows))

    names = [", ".join(sight.names[at] for at in places) for places in (left, right)]
    return Attack(
        "linkability",
        f"{names[0]} with {names[1]}",
        rate(sight.original),
        None if sight.control is None else rate(sight.control),
        _guessed(sight.rows, neighbours, min(attacks, len(sight.original[0])), rnd),
    )


def halves(number: int) -> tuple[list[int], list[int]]:
    """The attributes dealt to two parties in turn."""
    return list(range(0, number, 2)), list(range(1, number, 2))


def _guessed(rows: int, neighbours: int, attacks: int, rnd: np.random.Generator) -> Rate:
    number = min(neighbours, rows)
    pairs = ((rnd.choice(rows, number, replace=False), rnd.choice(rows, number, replace=False)) for _ in range(attacks))
    return Rate(sum(bool(np.isin(first, second).any()) for first, second in pairs), attacks)
