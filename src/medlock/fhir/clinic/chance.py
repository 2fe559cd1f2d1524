"""Seeded choices that come out the same on every machine and every Python.

Only `random.Random.random()` is used: it is the one method whose sequence Python promises to keep across versions.
Everything else (integers, choices, noise) is plain arithmetic on it, with no logarithms or powers whose last bit
depends on the machine's mathematics library.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of choices named by its key; the same key gives the same stream."""

    def __init__(self, *key: object) -> None:
        digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
        self._next = random.Random(int.from_bytes(digest, "big")).random  # noqa: S311  # demo data, not secrets

    def unit(self) -> float:
        """A number in [0, 1)."""
        return self._next()

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self._next() < probability

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int(self._next() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each equally likely."""
        return options[int(self._next() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the (option, weight) pairs' options, in proportion to the weights."""
        left = self._next() * sum(weight for _, weight in options)
        for option, weight in options:
            left -= weight
            if left < 0:
                return option
        return options[-1][0]

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options (or all, if there are fewer), in drawn order."""
        rest = list(options)
        return [rest.pop(int(self._next() * len(rest))) for _ in range(min(count, len(rest)))]

    def wobble(self, spread: float) -> float:
        """Bell-shaped noise around 0 with standard deviation `spread`, never beyond 3 of them."""
        return spread * 2 * (self._next() + self._next() + self._next() - 1.5)

    def day(self, first: date, last: date) -> date:
        """A day from first to last, both included; first when the order is wrong."""
        return first + timedelta(days=self.between(0, max(0, (last - first).days)))

    def digits(self, count: int) -> str:
        """A string of decimal digits."""
        return "".join(str(int(self._next() * 10)) for _ in range(count))
