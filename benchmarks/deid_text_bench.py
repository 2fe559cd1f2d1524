"""Text de-identification: what is found, what survives, how fast.

A group of `make bench`, and alone:

    python benchmarks/deid_text_bench.py [--quick] [--data DIR]

Nothing is measured on what it was trained on: English is trained anew without the held-out queries (40 % of ASQ-PHI's
development half, chosen by a hash) and scored on these, Spanish on MEDDOCAN's train part and scored on dev. The
shipped models have seen all of it, so they are used for speed and for the sweep only. Times are process CPU time, the
best of several rounds, one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from deid_text_scores import score  # noqa: E402 - beside this file
from machine import peak_mb  # noqa: E402 - as above
from text_corpora import DATA, Document, asq, meddocan  # noqa: E402 - scripts are no package
from text_notes import notes  # noqa: E402 - as above
from text_train import english, train  # noqa: E402 - as above
from verdict import measure  # noqa: E402 - beside this file

from deid_text.survivors import harm, survivors  # noqa: E402 - the tests' own generator
from medlock.deid.text import redactor  # noqa: E402 - after the path
from medlock.deid.text.models import Model, load_model  # noqa: E402 - as above
from medlock.deid.text.policy import SAFE_HARBOR  # noqa: E402 - as above
from medlock.deid.text.redactor import Redactor  # noqa: E402 - as above
from medlock.errors import SetupError  # noqa: E402 - as above

NOTE = 3_000  # characters, as in the study
Measures = list[dict[str, Any]]
# Labels of MEDDOCAN that name no identifier of Safe Harbor.
BEYOND = frozenset(
    "SEXO_SUJETO_ASISTENCIA EDAD_SUJETO_ASISTENCIA PAIS FAMILIARES_SUJETO_ASISTENCIA PROFESION "
    "OTROS_SUJETO_ASISTENCIA".split()
)


def deid_text_measures(data: Path = DATA, *, quick: bool = False) -> Measures:
    """Every measure that the data at hand allow."""
    measures: Measures = []
    if (data / "deid").is_dir():
        measures += _english(data)
        measures += _spanish(data)
    measures += _sweep(data, 5_000 if quick else 100_000)
    if (data / "synthea").is_dir():
        measures += _speed(data)
    return measures


def _detectors() -> dict[str, Any]:
    """The optional models that are installed."""
    found = {}
    for model in Model:
        try:
            found[model.value] = load_model(model)
        except SetupError:
            continue
    return found


def _trained(language: str, documents: list[Document]) -> None:
    """From here on the tagger of this language is one that saw these documents only."""
    tagger = train(language, documents)
    before = redactor.shipped
    redactor.shipped = lambda asked: tagger if asked == language else before(asked)  # type: ignore[assignment]


def _english(data: Path) -> Measures:
    queries = list(asq(data))
    held = [query for query in queries if query.held_out()]
    _trained("en", list(english([query for query in queries if not query.held_out()], data)))
    modes = {"rules": Redactor("en", tagger=False), "default": Redactor("en")}
    modes |= {f"default+{name}": Redactor("en", detectors=(each,)) for name, each in _detectors().items()}
    raw = {name: score(mode.find, held).summary() for name, mode in modes.items()}
    raw["notes"] = score(modes["default"].find, [note for note in notes(data) if note.held_out()]).summary()
    own = raw["default"]
    return [
        measure("deid_text_verbatim", own["verbatim"], **raw),
        measure("deid_text_strict", own["strict"]),
        measure("deid_text_over", own["over_redaction"]),
    ]


def _spanish(data: Path) -> Measures:
    _trained("es", list(meddocan("train", data)))
    held = list(meddocan("dev", data))
    raw = {
        name: score(Redactor("es", tagger=tagger).find, held).summary()
        for name, tagger in (("rules", False), ("default", True))
    }
    narrow = [replace(each, gold=tuple(item for item in each.gold if item.label not in BEYOND)) for each in held]
    raw["safe-harbor"] = {"strict": score(Redactor("es", SAFE_HARBOR).find, narrow).summary()["strict"]}
    own = raw["default"]
    return [measure("deid_text_es", own["strict"], **raw), measure("deid_text_es_direct", own["direct_strict"])]


def _sweep(data: Path, count: int) -> Measures:
    texts = [note.text for note in notes(data, each=1)] if (data / "synthea").is_dir() else []
    left = survivors(count, seed=11)
    return [measure("deid_text_known", len(left), variants=count, harmless_words_lost=harm(texts))]


def _speed(data: Path) -> Measures:
    """Each mode in a process of its own, so that memory is that mode's."""
    out = {mode: _in_process(mode, data) for mode in ("rules", "default", *_detectors())}
    slowest = min(
        value["characters_per_second"]
        for name, value in out.items()
        if name not in {"rules", "default"} or len(out) == 2
    )
    memory = max(value["megabytes"] for value in out.values())
    return [
        measure("deid_text_speed", out["rules"]["characters_per_second"], **out),
        measure("deid_text_speed_models", slowest),
        measure("deid_text_memory", memory),
    ]


def _in_process(mode: str, data: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--mode", mode, "--data", str(data)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def _long_notes(data: Path) -> Iterator[str]:
    listed = [note.text for note in notes(data, each=4)]
    for at in range(0, 120, 4):
        yield "\n\n".join(listed[at : at + 6])[:NOTE]


def _timed(mode: str, data: Path) -> dict[str, float]:
    detectors = () if mode in {"rules", "default"} else (load_model(Model(mode)),)
    engine = Redactor("en", tagger=mode != "rules", detectors=detectors)
    texts = list(_long_notes(data))
    engine.find(texts[0])
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for text in texts:
            engine.find(text)
        best = min(best, time.process_time() - began)
    return {"characters_per_second": round(sum(map(len, texts)) / best), "megabytes": round(peak_mb())}


def main() -> None:
    """Print the measures, or (in a process started for it) the speed of one mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--mode", default="")
    given = parser.parse_args()
    if given.mode:
        print(json.dumps(_timed(given.mode, given.data)))
        return
    print(json.dumps(deid_text_measures(given.data, quick=given.quick), indent=1))


if __name__ == "__main__":
    main()
