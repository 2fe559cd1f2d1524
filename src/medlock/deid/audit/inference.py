"""Inference: does the release tell an attacker a secret of a person whose other attributes are known?

Giomi et al. 2023, §5.3: the guess is the secret of the released record nearest to what is known. A number counts as
guessed within 5 % of the truth, another value when it is the same. For a generalised secret the guess is a leaf drawn
from those it covers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medlock.deid.audit.attack import ATTACKS, Attack
from medlock.deid.audit.cover import Attribute, Sight
from medlock.deid.audit.intervals import Rate
from medlock.deid.audit.neighbours import Neighbours, drawn
from medlock.deid.tabular.hierarchy import Codes

TOLERANCE = 0.05


def inference(
    sight: Sight, secret: int, known: Sequence[int], rnd: np.random.Generator, *, attacks: int = ATTACKS
) -> Attack:
    """Attack one attribute by others, given by their places."""
    near = Neighbours(sight, known, rnd)
    attribute, released = sight.attributes[secret], sight.release[secret]

    def rate(people: Sequence[Codes], *, blind: bool = False) -> Rate:
        rows = drawn(people, attacks, rnd)
        right = 0
        for row in rows:
            found = rnd.integers(sight.rows) if blind else near.of([int(people[at][row]) for at in known], 1)[0]
            guess = int(rnd.choice(attribute.covered(int(released[found]))))
            right += _right(attribute, guess, int(people[secret][row]))
        return Rate(right, len(rows))

    return Attack(
        "inference",
        attribute.name,
        rate(sight.original),
        None if sight.control is None else rate(sight.control),
        rate(sight.original, blind=True),
    )


def _right(attribute: Attribute, guess: int, truth: int) -> bool:
    if attribute.numbers is None:
        return guess == truth
    wanted = float(attribute.numbers[truth])
    return abs(float(attribute.numbers[guess]) - wanted) <= TOLERANCE * abs(wanted)
