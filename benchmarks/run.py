"""`make bench`: every measure of speed and memory, as one JSON document on stdout; progress on stderr.

    python benchmarks/run.py [--only get,page,search,…] [--quick] [--crowd N] [--data DIR]

Ratios come from interleaved runs on one machine in one session. docs/benchmarks.md says what each measure means.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consent_case import consent_measures
from corpus import Corpus, load_corpus
from deid_audit_measures import deid_audit_measures
from deid_tabular_measures import deid_table_measures
from deid_text_bench import deid_text_measures
from distinguish import distinguish_measures
from guarded import guarded_measures
from http_import import import_measures
from http_reads import read_measures
from identity_case import identity_measures
from invisible_case import invisible_measures
from machine import facts
from many import growth_measures, memory_measures
from oauth_case import oauth_measures
from postgres import postgres_measures
from relationship_case import relationship_measures
from servers import Bench, open_bench
from sign_in import sign_in_measures
from storage import storage_measures
from throttle import limit_measures
from workers import workers_measures

from audit import audit_measures
from backup import backup_measures
from broker import broker_measures
from deid_fhir import deid_fhir_measures

Measures = list[dict[str, Any]]
GROUPS = (
    "read", "import", "search", "disk", "create", "audit", "memory", "growth", "postgres", "broker", "workers",
    "limits", "backup", "consent", "guarded", "invisible", "relationship", "oauth", "identity",
    "deid_table", "deid_fhir", "deid_text", "deid_audit",
)  # fmt: skip


class Plan:
    """How much is done: all of it, or a tenth for a first look."""

    def __init__(self, *, quick: bool, crowd: int = 0) -> None:
        self.rounds = 3 if quick else 7
        self.seconds = 0.7 if quick else 1.5
        self.imports = 1 if quick else 3
        self.events = 200_000 if quick else 1_000_000
        self.keys = 100_000 if quick else 1_000_000
        self.crowd = crowd or (5_000 if quick else 50_000)
        self.bundles = 10 if quick else None
        self.quick = quick

    def groups(self, bench: Bench, corpus: Corpus, wanted: list[str]) -> dict[str, Callable[[], Measures]]:
        """What to run for each group."""
        rounds, seconds, sizes = self.rounds, self.seconds, [self.crowd // 100, self.crowd // 10, self.crowd]
        stored = [name for name in wanted if name in {"search", "disk", "create"}]
        return {
            "read": lambda: read_measures(bench, corpus, rounds=rounds, seconds=seconds),
            "import": lambda: import_measures(bench, corpus, self.imports),
            "storage": lambda: storage_measures(bench, corpus, stored, rounds),
            "audit": lambda: audit_measures(bench, self.events),
            "memory": lambda: memory_measures(bench, corpus, self.crowd),
            "growth": lambda: growth_measures(bench, corpus, sizes, rounds=rounds, seconds=seconds),
            "workers": lambda: workers_measures(bench, corpus, rounds, seconds),
            "limits": lambda: limit_measures(bench, corpus, rounds=rounds, seconds=seconds),
            "broker": lambda: broker_measures(rounds),
            "postgres": lambda: postgres_measures(bench, corpus, rounds, seconds, self.imports),
            "backup": lambda: backup_measures(bench, corpus, rounds=rounds, keys=self.keys, seconds=4 * seconds),
            "consent": lambda: consent_measures(rounds),
            "relationship": lambda: relationship_measures(rounds),
            "guarded": lambda: guarded_measures(bench, corpus, rounds=rounds, seconds=seconds),
            "invisible": lambda: invisible_measures(500 if self.quick else 5_000),
            "oauth": lambda: oauth_measures(bench, rounds),
            "identity": lambda: [
                *identity_measures(rounds),
                *sign_in_measures(bench, corpus),
                *distinguish_measures(bench, quick=self.quick),
            ],
            "deid_audit": lambda: deid_audit_measures(rounds),
            "deid_fhir": lambda: deid_fhir_measures(quick=self.quick),
            "deid_table": lambda: deid_table_measures(rounds),
            "deid_text": lambda: deid_text_measures(quick=self.quick),
        }


def main() -> None:
    """Run what is wanted, print the document."""
    given = _arguments()
    wanted = given.only.split(",")
    plan = Plan(quick=given.quick, crowd=given.crowd)
    corpus = load_corpus(given.data, plan.bundles)
    began = time.time()
    measures: Measures = []
    with tempfile.TemporaryDirectory(prefix="medlock-bench-") as folder, open_bench(Path(folder)) as bench:
        for name, act in plan.groups(bench, corpus, wanted).items():
            if name in wanted or (name == "storage" and {"search", "disk", "create"} & set(wanted)):
                _say(f"{name} …")
                measures += act()
    document = {
        "medlock": _revision(),
        "data": corpus.name,
        "quick": given.quick,
        "seconds": round(time.time() - began),
        "machine": facts(),
        "measures": measures,
    }
    print(json.dumps(document, indent=1))
    for each in measures:
        _say(f"{'ok  ' if each['met'] else 'LOW '} {each['name']:16} {each['value']:>12} {each['unit']}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(GROUPS), help=f"some of {', '.join(GROUPS)}, with commas")
    parser.add_argument("--quick", action="store_true", help="fewer rounds on less data: a first look, not a result")
    parser.add_argument("--crowd", type=int, default=0, help="patients of memory and growth, 50,000 unless told")
    parser.add_argument("--data", type=Path, help="a directory of FHIR transaction Bundles")
    given = parser.parse_args()
    unknown = set(given.only.split(",")) - set(GROUPS)
    if unknown:
        parser.error(f"--only knows {', '.join(GROUPS)}")
    return given


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _revision() -> str:
    """The commit that is measured, where it is known."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return found.stdout.strip()


if __name__ == "__main__":
    main()
