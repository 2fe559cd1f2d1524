"""What the three attacks of Giomi et al. (PoPETs 2023) share: the question and the answer.

The attacks follow the paper's definitions. Its library is not used: it needs numpy below 1.27, and knows no generalised
values. Here a released value stands for all it covers (`cover`).
"""

from __future__ import annotations

from dataclasses import dataclass

from medlock.deid.audit.intervals import Estimate, Rate, excess

ATTACKS = 2000


@dataclass(frozen=True)
class Attack:
    """The result of one attack.

    `attack` counts successes on people of the original, `control` on people outside it, `baseline` those of guessing.
    An `exhaustive` attack tried all there is to try: that none succeeded leaves nothing to chance.
    """

    kind: str
    detail: str
    attack: Rate
    control: Rate | None
    baseline: Rate
    exhaustive: bool = False

    @property
    def risk(self) -> Estimate:
        """What the release itself gave away."""
        if self.exhaustive and not self.attack.successes:
            return Estimate(0.0, 0.0, 0.0)
        return excess(self.attack, self.control)

    @property
    def weak(self) -> bool:
        """Whether guessing did as well: then the attack says little about the risk."""
        return self.attack.successes * self.baseline.attempts <= self.baseline.successes * self.attack.attempts
