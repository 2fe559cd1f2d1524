"""How many of a population are unique in it, estimated from the class sizes of a sample.

Pitman's sampling formula (Hoshino 2001), Zayatz 1991, the slide negative binomial model (Chen & Keller-McNulty 1998)
and the rule of Dankar et al. 2012 that chooses among them by sampling fraction. An estimate that does not converge or
is not between 0 and the population is no estimate: None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.ranking import Ints
from medlock.deid.tabular.special import digamma, trigamma

ACCURACY = 1e-6
STEPS_MAX = 200
CLOSED_FROM = 0.01  # below this alpha differences of polygamma functions lose too many digits
SMALL_SAMPLE = 0.1  # Dankar et al. 2012: Pitman's model up to here
STARTS = [(a, b) for a in (0.0, 0.33, 0.66, 0.99) for b in (0.0, 0.33, 0.66, 0.99)]


class Estimator(StrEnum):
    """Which estimate."""

    PITMAN = "pitman"
    ZAYATZ = "zayatz"
    SNB = "snb"
    DANKAR = "dankar"


class Sizes(NamedTuple):
    """Class sizes: each `size`, ascending, and how `often` it occurs."""

    size: Ints
    often: Ints

    @property
    def classes(self) -> int:
        """Classes in all."""
        return int(self.often.sum())

    @property
    def records(self) -> int:
        """Records in all."""
        return int((self.size * self.often).sum())

    def of(self, size: int) -> int:
        """How many classes have a size."""
        at = int(np.searchsorted(self.size, size))
        return int(self.often[at]) if at < len(self.size) and self.size[at] == size else 0

    def without(self, number: int) -> Sizes:
        """Without so many of the smallest classes."""
        ends = np.cumsum(self.often)
        left = np.clip(ends - number, 0, self.often)
        return Sizes(self.size[left > 0], left[left > 0])


def sizes_of(sizes: Ints) -> Sizes:
    """The sizes of classes given one by one."""
    return Sizes(*np.unique(sizes[sizes > 0], return_counts=True))


def sizes_by_tuple(sizes: Ints, weight: Ints) -> Sizes:
    """The same, given for each tuple the size of its class and its records."""
    records = np.bincount(sizes, weight)
    size = np.flatnonzero(records)
    size = size[size > 0]
    return Sizes(size, np.rint(records[size] / size).astype(np.int64))


def estimated(sizes: Sizes, population: int, estimator: Estimator = Estimator.DANKAR) -> float | None:
    """Part of a population of that size, at least the sample's, that is unique; None without an estimate."""
    if not sizes.of(1):
        return 0.0
    number = _ESTIMATES[estimator](sizes, float(max(population, sizes.records)))
    return None if number is None else number / population


def pitman(sizes: Sizes, population: float) -> float | None:
    """Expected uniques under Pitman's formula: Gamma(theta+1) / Gamma(theta+alpha) * population ** alpha."""
    ones, twos, number, records = _counted(sizes)
    c = ones * (ones - 1) / (twos or 1.0)
    below = 2 * ones * number + ones * c - records * c
    theta = (records * number * c - ones * (records - 1) * (2 * number + c)) / below if below else math.nan
    alpha = (theta * (ones - records) + (records - 1) * ones) / (records * number)
    for start in ((theta, alpha), *STARTS):
        found = _pitman_solution(sizes, start)
        if found is not None:
            return _pitman_uniques(*found, population)
    return None


def zayatz(sizes: Sizes, population: float) -> float:
    """Sample uniques times the chance that a class of one in the sample is one in the population, scaled up."""
    records = float(sizes.records)
    chance = np.array([_drawn_once(population, int(size), records) for size in sizes.size])
    weights = sizes.often / sizes.classes * chance
    return float(sizes.of(1) * weights[0] / weights.sum() * population / records)


def snb(sizes: Sizes, population: float) -> float | None:
    """Expected uniques under the slide negative binomial model, its class number estimated by Shlosser's second."""
    ones, twos, _, records = _counted(sizes)
    fraction = records / population
    if fraction >= 1:
        return ones
    classes, seen = _shlosser(sizes, fraction), np.array([ones, twos])
    for start in STARTS:
        found = _newton_numeric(lambda a, b: _snb_gap(a, b, classes, fraction, seen), start)
        if found is not None and found[0] > 0 and 0 < found[1] < 1:
            number = float(classes * found[1] ** found[0])
            return number if 0 <= number <= population else None
    return None


def dankar(sizes: Sizes, population: float) -> float | None:
    """Pitman for small samples; else the smaller of SNB and Zayatz."""
    if sizes.records / population <= SMALL_SAMPLE:
        return pitman(sizes, population)
    by_zayatz, by_snb = zayatz(sizes, population), snb(sizes, population)
    return by_zayatz if not by_snb else min(by_zayatz, by_snb)


def _counted(sizes: Sizes) -> tuple[float, float, float, float]:
    """Classes of one, classes of two, classes, records."""
    return float(sizes.of(1)), float(sizes.of(2)), float(sizes.classes), float(sizes.records)


def _pitman_solution(sizes: Sizes, start: tuple[float, float]) -> tuple[float, float] | None:
    """Maximum of the likelihood by Newton's method with exact derivatives; None when it leaves theta >= 0 or fails."""
    theta, alpha = start
    for _ in range(STEPS_MAX):
        if not (math.isfinite(theta) and math.isfinite(alpha)) or alpha >= 1:
            return None
        gap, slope = _pitman_slopes(sizes, theta, alpha)
        if not (np.isfinite(gap).all() and np.isfinite(slope).all()) or abs(_determinant(slope)) < 1e-300:
            return None
        if np.abs(gap).max() <= ACCURACY:
            return (theta, alpha) if theta >= 0 and alpha != 0 else None
        step = np.linalg.solve(slope, gap)
        theta, alpha = theta - float(step[0]), alpha - float(step[1])
    return None


def _determinant(of: Reals) -> float:
    return float(of[0, 0] * of[1, 1] - of[0, 1] * of[1, 0])


def _pitman_slopes(sizes: Sizes, theta: float, alpha: float) -> tuple[Reals, Reals]:
    """Gradient and Hessian of the log-likelihood in theta and alpha (Hoshino 2001, 3.2)."""
    records = float(sizes.records)
    larger = sizes.size > 1
    often = sizes.often[larger]
    with np.errstate(all="ignore"):
        once, by_at, twice, mixed, by_squares = _inverse_sums(float(sizes.classes), theta, alpha)
        points = np.concatenate([[records + theta, theta + 1, 1 - alpha], sizes.size[larger] - alpha])
        first, second = digamma(points), trigamma(points)
        by_theta = once - (first[0] - first[1])
        by_alpha = by_at - float((often * (first[3:] - first[2])).sum())
        twice_theta = second[1] - second[0] - twice
        twice_alpha = -by_squares - float((often * (second[2] - second[3:])).sum())
    return np.array([by_theta, by_alpha]), np.array([[twice_theta, -mixed], [-mixed, twice_alpha]])


def _inverse_sums(number: float, theta: float, alpha: float) -> tuple[float, float, float, float, float]:
    """Sums over i below `number` of 1/d, i/d, 1/d^2, i/d^2, i^2/d^2 with d = theta + i alpha.

    By polygamma functions where alpha is large enough for their differences, else term by term.
    """
    if alpha < CLOSED_FROM or theta < 0:
        at = np.arange(1.0, number)
        inverse = 1 / (theta + at * alpha)
        square = inverse * inverse
        return (
            float(inverse.sum()),
            float((at * inverse).sum()),
            float(square.sum()),
            float((at * square).sum()),
            float((at * at * square).sum()),
        )
    ends = np.array([number + theta / alpha, 1 + theta / alpha])
    first, second = digamma(ends), trigamma(ends)
    once, twice = float(first[0] - first[1]) / alpha, float(second[1] - second[0]) / alpha**2
    by_at = (number - 1 - theta * once) / alpha
    return once, by_at, twice, (once - theta * twice) / alpha, (by_at - theta * (once - theta * twice) / alpha) / alpha


def _pitman_uniques(theta: float, alpha: float, population: float) -> float | None:
    if theta + alpha <= 0:
        return None
    power = math.lgamma(theta + 1) - math.lgamma(theta + alpha) + alpha * math.log(population)
    number = math.exp(power) if power < 700 else math.inf
    return number if 0 <= number <= population else None


def _drawn_once(population: float, size: int, records: float) -> float:
    """Chance that a sample holds exactly one of `size`: hypergeometric."""
    rest = population - size
    if rest < records - 1:
        return 0.0
    return math.exp(math.log(size) + _choose(rest, records - 1) - _choose(population, records))


def _choose(n: float, k: float) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _shlosser(sizes: Sizes, fraction: float) -> float:
    """Classes in the population (Haas & Stokes 1998, the modified estimator of Shlosser)."""
    size, often = sizes.size.astype(np.float64), sizes.often
    square = fraction * fraction
    first = (size * square * (1 - square) ** (size - 1) * often).sum()
    second = (((1 - square) ** size - (1 - fraction) ** size) * often).sum()
    third = ((1 - fraction) ** size * often).sum()
    fourth = (size * fraction * (1 - fraction) ** (size - 1) * often).sum()
    return float(sizes.classes + sizes.of(1) * (first / second) * (third / fourth) ** 2)


def _snb_gap(a: float, b: float, classes: float, fraction: float, seen: Reals) -> Reals:
    """Expected classes of one and of two in the sample, less those seen (Chen & Keller-McNulty 1998)."""
    missed = (1 - fraction) * (1 - b)
    with np.errstate(all="ignore"):
        base = np.float64(b) / (1 - missed)
        one = classes * fraction * base**a * (a * missed / (1 - missed) + 1)
        two = classes * a * np.float64(b) ** a * fraction**2 * (1 - b) * (2 - (1 - a) * missed)
        return np.array([one, two / (2 * (1 - missed) ** (a + 2))]) - seen


def _newton_numeric(gap: Callable[[float, float], Reals], start: tuple[float, float]) -> tuple[float, float] | None:
    """A root near the start by Newton's method with central differences."""
    point = np.array(start) + 1e-3
    for _ in range(STEPS_MAX):
        value = gap(*point)
        if not np.isfinite(value).all():
            return None
        if np.abs(value).max() <= ACCURACY:
            return float(point[0]), float(point[1])
        eps = 1e-7
        columns = [(gap(*(point + move)) - gap(*(point - move))) / (2 * eps) for move in np.eye(2) * eps]
        slope = np.column_stack(columns)
        if not np.isfinite(slope).all() or abs(np.linalg.det(slope)) < 1e-300:
            return None
        point = point - np.linalg.solve(slope, value)
    return None


_ESTIMATES = {
    Estimator.PITMAN: pitman,
    Estimator.ZAYATZ: zayatz,
    Estimator.SNB: snb,
    Estimator.DANKAR: dankar,
}
