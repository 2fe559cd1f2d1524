"""What the writer counts of its work: how many batches share a commit, how long commits take, how many wait.

Each commit carries the audit entries of what it is about, so its time is the time that an answer waits for its entry to
be durable. Numbers only; how they are shown is not decided here.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Tally:
    """Histograms as arrays: a cell for each bound (observed ≤ bound, and > the one before), one beyond, and the sum."""

    def __init__(self) -> None:
        self.sizes = array("d", bytes(8 * (len(SIZES) + 2)))
        self.seconds = array("d", bytes(8 * (len(SECONDS) + 2)))
        self.waiting = 0

    def committed(self, size: int, seconds: float) -> None:
        """One commit of so many batches."""
        _count(self.sizes, SIZES, size)
        _count(self.seconds, SECONDS, seconds)


def _count(cells: array[float], bounds: Sequence[float], value: float) -> None:
    cells[bisect_left(bounds, value)] += 1
    cells[-1] += value
