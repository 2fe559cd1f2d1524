"""How long to wait before a worker that died is started again: not at all at first, then ever longer.

One death is an accident: the next worker starts at once. Deaths that follow each other have a cause that starting does
not cure, and each start costs a second of processor time, so the pauses double up to half a minute. A calm minute after
a pause forgets what was before.
"""

from __future__ import annotations

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
CALM_SECONDS = 60.0
LOOP_DEATHS = 3  # so many in a row are told as a crash loop


class Backoff:
    """Counts deaths that follow each other. Times are seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self.deaths = 0
        self._calm_from = 0.0

    def died(self, now: float) -> float:
        """One more death; how long to wait before the next start."""
        if now >= self._calm_from:
            self.deaths = 0
        self.deaths += 1
        pause = 0.0 if self.deaths == 1 else min(FIRST_SECONDS * 2.0 ** min(self.deaths - 2, 16), LONGEST_SECONDS)
        self._calm_from = now + pause + CALM_SECONDS
        return pause

    @property
    def looping(self) -> bool:
        """Whether the operator should know."""
        return self.deaths >= LOOP_DEATHS
