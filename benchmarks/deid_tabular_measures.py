"""Anonymous tables: speed and quality of search, local recoding and measures, each in a process of its own.

Seconds are processor time of that process from its first byte read to its result, imports left out; the least of
several runs counts. Data: ARX's copy of Adult beside the project, and a million rows made from it.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from verdict import measure

ADULT = Path(__file__).parents[2] / "shared/data/deid/adult"
ROWS = 1_000_000
Figures = dict[str, float]


def deid_table_measures(rounds: int) -> list[dict[str, Any]]:
    """Every measure of the group; none where the data is absent."""
    if not ADULT.exists():
        sys.stderr.write(f"no {ADULT}: deid_table is left out\n")
        return []
    adult = str(ADULT / "adult.csv")
    with tempfile.TemporaryDirectory(prefix="medlock-bench-") as folder:
        large = Path(folder) / "large.csv"
        enlarge(ADULT / "adult.csv", large)
        return [
            *_timed("deid_search_8", rounds, "search", adult, "8", "k:5", "0.02"),
            *_timed("deid_search_9", rounds, "search", adult, "9", "k:5", "0.02"),
            *_large("deid_million_8", rounds, str(large), "8"),
            *_large("deid_million_9", rounds, str(large), "9"),
            *_local("deid_local_8", rounds, adult, "8", "k:5"),
            *_local("deid_local_9", rounds, adult, "9", "k:5"),
            *_local("deid_local_t", rounds, adult, "8", "k:5+th:0.2"),
            *_timed("deid_measures", rounds, "measures", adult, "8", "k:5", "0"),
            *_ground_truth(),
        ]


def enlarge(source: Path, target: Path, number: int = ROWS) -> None:
    """Adult drawn again to so many rows: each value replaced by one of another row with p = 0.05, age by +-2."""
    rnd = random.Random(20240611)
    header, *lines = source.read_text().splitlines()
    rows = [line.split(";") for line in lines]
    age = header.split(";").index("age")
    with target.open("w") as file:
        file.write(header + "\n")
        for _ in range(number):
            row = list(rows[rnd.randrange(len(rows))])
            for at in range(len(row)):
                if rnd.random() < 0.05:
                    row[at] = rows[rnd.randrange(len(rows))][at]
            row[age] = str(min(90, max(17, int(row[age]) + rnd.choice((-2, -1, 0, 0, 1, 2)))))
            file.write(";".join(row) + "\n")


def _run(*words: str) -> Figures:
    script = Path(__file__).parent / "deid_tabular_case.py"
    ended = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def _best(rounds: int, *words: str) -> Figures:
    return min((_run(*words) for _ in range(rounds)), key=lambda figures: figures["seconds"])


def _timed(name: str, rounds: int, *words: str) -> Iterator[dict[str, Any]]:
    figures = _best(rounds, *words)
    yield measure(name, figures["seconds"], **figures)


def _large(name: str, rounds: int, table: str, quasi: str) -> Iterator[dict[str, Any]]:
    figures = _best(rounds, "search", table, quasi, "k:5", "0.02")
    yield measure(name, figures["seconds"], **figures)
    yield measure(f"{name}_rss", figures["rss_mb"], **figures)


def _local(name: str, rounds: int, table: str, quasi: str, models: str) -> Iterator[dict[str, Any]]:
    figures = _best(rounds, "local", table, quasi, models, "1")
    yield measure(name, figures["seconds"], **figures)
    yield measure(f"{name}_kept", figures["granularity"], **figures)


def _ground_truth() -> Iterator[dict[str, Any]]:
    """How many of ARX's published optima come out the same."""
    figures = _run("ground-truth")
    yield measure("deid_ground_truth", figures["same"] / figures["rows"], **figures)
