"""A serving process's place among the others: what its log lines and counts are told apart by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Seat:
    """`number` counts from 1; a worker that takes another's place takes its number.

    cells  where it counts (`counts.Cells`), None when nobody asks
    """

    number: int = 1
    cells: Any = field(default=None, compare=False, repr=False)
