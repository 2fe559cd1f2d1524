"""How many of a population are unique in it, estimated from the class sizes of a sample.

Pitman's sampling formula (Hoshino 2001), Zayatz 1991, the slide negative binomial model (Chen & Keller-McNulty 1998)
and the rule of Dankar et al. 2012 that chooses among them by sampling fraction. An estimate that does not converge or
is not between 0 and the population is no estimate: None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np

from medlock.deid.tabular.hierarchy import Reals
from medlock.deid.tabular.ranking import Ints
from medlock.deid.tabular.special import digamma, trigamma

ACCURACY = 1e-6
STEPS_MAX = 200
SMALL_SAMPLE = 0.1  # Dankar et al. 2012: Pitman's model up to here
STARTS = [(a, b) for a in (0.0, 0.33, 0.66, 0.99) for b in (0.0, 0.33, 0.66, 0.99)]


class Estimator(StrEnum):
    """Which estimate."""

    PITMAN = "pitman"
    ZAYATZ = "zayatz"
    SNB = "snb"
    DANKAR = "dankar"


def unique_part(sizes: Ints, population: int, estimator: Estimator = Estimator.DANKAR) -> float | None:
    """Part of a population of that size, at least the sample's, that is unique; None without an estimate."""
    if not (sizes == 1).any():
        return 0.0
    number = _ESTIMATES[estimator](sizes, float(max(population, int(sizes.sum()))))
    return None if number is None else number / population


def pitman(sizes: Ints, population: float) -> float | None:
    """Expected uniques under Pitman's formula: Gamma(theta+1) / Gamma(theta+alpha) * population ** alpha."""
    ones, twos, number, records = _counted(sizes)
    c = ones * (ones - 1) / (twos or 1.0)
    below = 2 * ones * number + ones * c - records * c
    theta = (records * number * c - ones * (records - 1) * (2 * number + c)) / below if below else math.nan
    alpha = (theta * (ones - records) + (records - 1) * ones) / (records * number)
    for start in ((theta, alpha), *STARTS):
        found = _pitman_solution(np.unique(sizes, return_counts=True), number, records, start)
        if found is not None:
            return _pitman_uniques(*found, population)
    return None


def zayatz(sizes: Ints, population: float) -> float:
    """Sample uniques times the chance that a class of one in the sample is one in the population, scaled up."""
    records = float(sizes.sum())
    distinct, often = np.unique(sizes, return_counts=True)
    chance = np.array([_drawn_once(population, int(size), records) for size in distinct])
    weights = often / len(sizes) * chance
    return float(often[distinct == 1][0] * weights[distinct == 1][0] / weights.sum() * population / records)


def snb(sizes: Ints, population: float) -> float | None:
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


def dankar(sizes: Ints, population: float) -> float | None:
    """Pitman for small samples; else the smaller of SNB and Zayatz."""
    if float(sizes.sum()) / population <= SMALL_SAMPLE:
        return pitman(sizes, population)
    by_zayatz, by_snb = zayatz(sizes, population), snb(sizes, population)
    return by_zayatz if not by_snb else min(by_zayatz, by_snb)


def _counted(sizes: Ints) -> tuple[float, float, float, float]:
    """Classes of one, classes of two, classes, records."""
    return float((sizes == 1).sum()), float((sizes == 2).sum()), float(len(sizes)), float(sizes.sum())


def _pitman_solution(
    histogram: tuple[Ints, Ints], number: float, records: float, start: tuple[float, float]
) -> tuple[float, float] | None:
    """Maximum of the likelihood by Newton's method with exact derivatives; None when it leaves theta >= 0 or fails."""
    theta, alpha = start
    for _ in range(STEPS_MAX):
        if not (math.isfinite(theta) and math.isfinite(alpha)) or alpha >= 1:
            return None
        gap, slope = _pitman_slopes(histogram, number, records, theta, alpha)
        if not (np.isfinite(gap).all() and np.isfinite(slope).all()) or abs(np.linalg.det(slope)) < 1e-300:
            return None
        if np.abs(gap).max() <= ACCURACY:
            return (theta, alpha) if theta >= 0 and alpha != 0 else None
        step = np.linalg.solve(slope, gap)
        theta, alpha = theta - float(step[0]), alpha - float(step[1])
    return None


def _pitman_slopes(
    histogram: tuple[Ints, Ints], number: float, records: float, theta: float, alpha: float
) -> tuple[Reals, Reals]:
    """Gradient and Hessian of the log-likelihood in theta and alpha (Hoshino 2001, 3.2)."""
    at = np.arange(1.0, number)
    with np.errstate(all="ignore"):
        inverse = 1 / (theta + at * alpha)
        larger = histogram[0] > 1
        size, often = histogram[0][larger] - alpha, histogram[1][larger]
        by_theta = inverse.sum() - (digamma(records + theta) - digamma(theta + 1))
        by_alpha = (at * inverse).sum() - often @ (digamma(size) - digamma(1 - alpha))
        mixed = -(at * inverse * inverse).sum()
        twice_theta = trigamma(theta + 1) - trigamma(records + theta) - (inverse * inverse).sum()
        twice_alpha = -(at * at * inverse * inverse).sum() - often @ (trigamma(1 - alpha) - trigamma(size))
    return np.array([by_theta, by_alpha]), np.array([[twice_theta, mixed], [mixed, twice_alpha]])


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


def _shlosser(sizes: Ints, fraction: float) -> float:
    """Classes in the population (Haas & Stokes 1998, the modified estimator of Shlosser)."""
    size, often = (each.astype(np.float64) for each in np.unique(sizes, return_counts=True))
    square = fraction * fraction
    first = (size * square * (1 - square) ** (size - 1) * often).sum()
    second = ((1 - fraction) ** size * ((1 + fraction) ** size - 1) * often).sum()
    third = ((1 - fraction) ** size * often).sum()
    fourth = (size * fraction * (1 - fraction) ** (size - 1) * often).sum()
    return float(len(sizes) + (sizes == 1).sum() * (first / second) * (third / fourth) ** 2)


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
