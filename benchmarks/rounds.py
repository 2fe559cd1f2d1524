"""Interleaved runs: A B C A B C…, medians of each, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

Figures = dict[str, Any]
"""What one run gave: `per_second`, `cpu_us` (CPU time for each thing done), and more."""


class Rounds:
    """Figures of several contestants, run after run."""

    def __init__(self) -> None:
        self._seen: dict[str, list[Figures]] = defaultdict(list)

    def add(self, name: str, figures: Figures) -> None:
        """One run of one contestant."""
        self._seen[name].append(figures)

    def medians(self) -> dict[str, Figures]:
        """For each contestant the median of every figure; `each` keeps the rates that the median is made of."""
        return {name: _medians(found) for name, found in self._seen.items()}


def interleaved(acts: Mapping[str, Callable[[], Figures]], rounds: int) -> dict[str, Figures]:
    """Run every act `rounds` times, in turn."""
    kept = Rounds()
    for _ in range(rounds):
        for name, act in acts.items():
            kept.add(name, act())
    return kept.medians()


def timed(count: int, wall_ns: int, cpu_ns: int) -> Figures:
    """Figures of `count` things that took so long."""
    return {"per_second": count / (wall_ns / 1e9), "wall_us": wall_ns / count / 1e3, "cpu_us": cpu_ns / count / 1e3}


def ratios(found: Mapping[str, Figures], above: str, below: str) -> dict[str, float]:
    """How `above` compares with `below`: by things done per second, and by CPU time for each."""
    return {
        "by_wall": round(found[above]["per_second"] / found[below]["per_second"], 3),
        "by_cpu": round(found[below]["cpu_us"] / found[above]["cpu_us"], 3),
    }


def _medians(found: list[Figures]) -> Figures:
    medians = {key: round(statistics.median(each[key] for each in found), 2) for key in found[0]}
    return medians | {"each": [round(figures["per_second"], 1) for figures in found]}
