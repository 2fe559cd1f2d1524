"""FHIR de-identification: megabytes of JSON a second on one core, read, changed and written again; what is left.

    python benchmarks/deid_fhir.py [--quick] [--data DIR]

Process CPU time, least of several rounds. Data: the Synthea bundles of `../shared/data` when they are there, else the
synthetic clinic. The leak count comes from the scanner of the tests, which shares no code with the engine.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import time
from collections.abc import Callable
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
from verdict import measure

from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.exact import ExactCleaner
from medlock.deid.fhir.microsoft import from_rules
from medlock.deid.fhir.notes import NoteCleaner
from medlock.deid.fhir.presets import GDPR, LIMITED, SAFE_HARBOR
from medlock.deid.fhir.rules import read_rules
from medlock.fhir.clinic import clinic

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared/data"
TODAY = date(2026, 6, 1)
KEY = bytes(range(32))
Measures = list[dict[str, Any]]
Act = Callable[[dict[str, Any]], dict[str, Any]]


def deid_fhir_measures(data: Path = DATA, *, quick: bool = False) -> Measures:
    """Speed of the presets and of Microsoft's sample rules, and identifiers that Safe Harbor leaves."""
    rounds = 2 if quick else 5
    plain, noted = _bundles(data / "synthea"), _bundles(data / "synthea-uscore")
    limited, gdpr = Deidentifier(LIMITED, KEY), Deidentifier(GDPR, KEY)
    safe, cleaning = Deidentifier(SAFE_HARBOR, KEY), Deidentifier(SAFE_HARBOR, KEY, NoteCleaner())
    exact = Deidentifier(SAFE_HARBOR, KEY, ExactCleaner())
    shown = _speed(plain, lambda tree: safe.apply(tree, TODAY), rounds)
    speeds = {
        "as_the_command_runs_it": _speed(plain, lambda tree: safe.apply(tree, TODAY), rounds, collector=False),
        "limited": _speed(plain, lambda tree: limited.apply(tree, TODAY), rounds),
        "gdpr": _speed(plain, lambda tree: gdpr.apply(tree, TODAY), rounds),
        "safe_harbor_with_notes_cleaned": _speed(noted, lambda tree: cleaning.apply(tree, TODAY), min(rounds, 2)),
        "safe_harbor_with_known_identifiers_cleaned": _speed(noted, lambda tree: exact.apply(tree, TODAY), rounds),
    }
    rules = data / "deid/ms-fhir/configuration-sample.json"
    if rules.exists():
        engine = from_rules(read_rules(rules.read_bytes()), KEY)
        speeds["microsoft_sample_193_rules"] = _speed(plain, lambda tree: engine.apply(tree, TODAY), rounds)
    return [
        measure("deid_fhir_speed", shown, **speeds),
        measure("deid_fhir_leaks", _leaks(safe, plain[: 4 if quick else None]), bundles=len(plain)),
        measure("deid_fhir_note_leaks", _leaks(cleaning, noted[: 4 if quick else None]), bundles=len(noted)),
    ]


def _bundles(folder: Path) -> list[bytes]:
    found = [gzip.decompress(path.read_bytes()) for path in sorted(folder.glob("*.json.gz"))]
    return found or [orjson.dumps(bundle) for bundle in clinic(11, 60, today=TODAY)]


def _speed(bundles: list[bytes], act: Act, rounds: int, *, collector: bool = True) -> float:
    """Megabytes of input a CPU second, parsing and writing included; `collector` is Python's own for cycles."""
    best = float("inf")
    if not collector:
        gc.disable()
    for _ in range(rounds):
        began = time.process_time()
        for data in bundles:
            orjson.dumps(act(orjson.loads(data)))
        best = min(best, time.process_time() - began)
    gc.enable()
    return round(sum(map(len, bundles)) / best / 1e6, 1)


def _scanner() -> ModuleType:
    """The scanner of the tests, which are no package of the product."""
    spec = spec_from_file_location("scanner", ROOT / "tests/deid_fhir/scanner.py")
    if spec is None or spec.loader is None:
        raise SystemExit("the scanner of the tests is not there")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _leaks(engine: Deidentifier, bundles: list[bytes]) -> int:
    scanner = _scanner()
    records = [orjson.loads(data) for data in bundles]
    return sum(len(scanner.leaks(engine.apply(record, TODAY), scanner.secrets(record))) for record in records)


def main() -> None:
    """Print the measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    given = parser.parse_args()
    print(json.dumps(deid_fhir_measures(given.data, quick=given.quick), indent=1))


if __name__ == "__main__":
    main()
