"""Re-identification audit: its time on 30,000 rows, and whether it tells a leaky release from a harmless one.

Seconds are processor time of a process of its own, from the tables in memory to the verdict: risk, utility, 13 attacks
of 2,000 people each with a control, and linkage with a register of everybody.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from deid_tabular_measures import ADULT
from verdict import measure


def deid_audit_measures(rounds: int) -> list[dict[str, Any]]:
    """Every measure of the group; none where the data is absent."""
    if not ADULT.exists():
        sys.stderr.write(f"no {ADULT}: deid_audit is left out\n")
        return []
    slowest = min((_run("30000", "0") for _ in range(min(3, rounds))), key=lambda figures: figures["seconds"])
    leaky, harmless = _run("20000", "0"), _run("20000", "0.02")
    return [
        measure("deid_audit", slowest["seconds"], **slowest),
        measure("deid_audit_leaky", leaky["singling-out_low"], **leaky),
        measure(
            "deid_audit_harmless", max(harmless[f"{name}_high"] for name in ("singling-out", "linkability")), **harmless
        ),
    ]


def _run(*words: str) -> dict[str, Any]:
    script = Path(__file__).parent / "deid_audit_case.py"
    ended = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)
