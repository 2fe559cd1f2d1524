"""Success rates of attacks, and what is left of them after a control, with 95 % intervals.

Rates have Wilson's score interval (Wilson 1927). An attack that succeeds as often on people who are not in the release
has learnt about the world, not about people: only the excess over the control counts (Giomi et al., PoPETs 2023, §4.2).
Shares of leaks are exact (Clopper & Pearson 1934), since they are few.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
ALPHA = 0.05
STEPS = 60  # halvings: an interval of one becomes smaller than the precision of a float


@dataclass(frozen=True)
class Estimate:
    """A value from 0 to 1 and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rate:
    """How many attempts succeeded."""

    successes: int
    attempts: int

    @property
    def value(self) -> float:
        """The centre of the interval; one half without attempts."""
        return (self.successes + Z95 * Z95 / 2) / (self.attempts + Z95 * Z95)

    @property
    def margin(self) -> float:
        """Half its width."""
        spread = self.successes * (self.attempts - self.successes) / self.attempts if self.attempts else 0.0
        return Z95 / (self.attempts + Z95 * Z95) * math.sqrt(spread + Z95 * Z95 / 4)

    @property
    def estimate(self) -> Estimate:
        """The plain share, in Wilson's interval."""
        share = self.successes / self.attempts if self.attempts else 0.0
        return Estimate(share, max(0.0, self.value - self.margin), min(1.0, self.value + self.margin))


def excess(attack: Rate, control: Rate | None) -> Estimate:
    """The risk (attack - control) / (1 - control), errors propagated; the attack's own rate without a control."""
    if control is None:
        return attack.estimate
    room = 1 - control.value
    value = (attack.value - control.value) / room
    margin = math.hypot(attack.margin / room, (attack.value - 1) / room**2 * control.margin)
    return Estimate(_unit(value), _unit(value - margin), _unit(value + margin))


def exact_interval(found: int, checked: int) -> Estimate:
    """The Clopper-Pearson interval of a share; 0 to 1 when nothing was checked."""
    if not checked:
        return Estimate(0.0, 0.0, 1.0)
    low = 0.0 if not found else _root(lambda p: 1 - _at_most(found - 1, checked, p) - ALPHA / 2)
    high = 1.0 if found == checked else _root(lambda p: ALPHA / 2 - _at_most(found, checked, p))
    return Estimate(found / checked, low, high)


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def _at_most(number: int, trials: int, p: float) -> float:
    """Probability of at most so many successes."""
    return math.fsum(
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(each + 1)
            - math.lgamma(trials - each + 1)
            + each * math.log(p)
            + (trials - each) * math.log1p(-p)
        )
        for each in range(number + 1)
    )


def _root(rising: Callable[[float], float]) -> float:
    """Where a function that rises on (0, 1) passes zero, by halving."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
