"""A serving process's place among the others: what its log lines and counts are told apart by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seat:
    """`number` counts from 1; a worker that takes another's place takes its number."""

    number: int = 1
