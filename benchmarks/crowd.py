"""Many patients: data directories with 500, 5,000 and 50,000 of them, made once and kept among temporary files.

Patients are clones of the corpus's (or plain ones where it has none) with names, birth dates, identifiers and
telephones of their own, and three Observations each. The directory is named by a digest of the program's source,
so another version makes its own; older ones are removed.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from corpus import Corpus
from machine import SERVER_CORE, pinned
from servers import passphrase
from world import draft_of, fill, open_store

import medlock

_SYLLABLES = ("an", "bel", "cor", "dan", "el", "fi", "gar", "hol", "is", "jo", "kar", "lin", "mar", "nor", "os", "per")
SYSTEM = "http://hospital.example/id"


@contextmanager
def crowds(corpus: Corpus, sizes: Sequence[int]) -> Iterator[list[Path]]:
    """Data directories with so many patients each, under the passphrase that they were made with."""
    parent = Path(tempfile.gettempdir()) / f"medlock-bench-{_digest(corpus.name)}"
    for other in parent.parent.glob("medlock-bench-????????????????"):
        if other != parent:
            shutil.rmtree(other)
    parent.mkdir(exist_ok=True)
    with passphrase(parent):
        yield [_directory(parent, corpus, size) for size in sizes]


def _directory(parent: Path, corpus: Corpus, patients: int) -> Path:
    data_dir, done = parent / str(patients), parent / f"{patients}.done"
    if not done.exists():
        shutil.rmtree(data_dir, ignore_errors=True)
        with pinned(SERVER_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_make(data_dir, corpus, patients))
        done.touch()
    return data_dir


def patient_id(number: int) -> str:
    """The id of one patient of the crowd."""
    return f"crowd-{number:06d}"


async def _make(data_dir: Path, corpus: Corpus, patients: int) -> None:
    templates = _templates(corpus)
    async with open_store(data_dir) as records:
        await fill(records, (draft_of(each) for each in _crowd(templates, patients)), batch=2_000)


def _templates(corpus: Corpus) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Patients and Observations to clone."""
    found = list(corpus.each())
    observations = [each for each in found if each["resourceType"] == "Observation"]
    return [each for each in found if each["resourceType"] == "Patient"], observations[:1_000]


def _crowd(templates: tuple[list[dict[str, Any]], list[dict[str, Any]]], patients: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(7)
    for number in range(patients):
        patient = copy.deepcopy(templates[0][number % len(templates[0])])
        patient["id"] = patient_id(number)
        patient["name"] = [{"use": "official", "family": _name(rng, 3), "given": [_name(rng, 2), _name(rng, 2)]}]
        patient["birthDate"] = f"{rng.randrange(1930, 2020)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
        patient["identifier"] = [{"system": SYSTEM, "value": f"{number:08d}"}]
        patient["telecom"] = [{"system": "phone", "value": f"555-{rng.randrange(10**7):07d}", "use": "home"}]
        patient.pop("generalPractitioner", None)
        yield patient
        for at in range(3):
            yield _observation(rng.choice(templates[1]), number, at)


def _observation(template: dict[str, Any], number: int, at: int) -> dict[str, Any]:
    kept = {name: value for name, value in template.items() if name not in {"encounter", "performer"}}
    return kept | {
        "id": f"{patient_id(number)}-{at}",
        "subject": {"reference": f"Patient/{patient_id(number)}"},
    }


def _name(rng: random.Random, syllables: int) -> str:
    return "".join(rng.choice(_SYLLABLES) for _ in range(syllables)).capitalize()


def _digest(name: str) -> str:
    """Changes with every line of the program, this file's and the corpus."""
    digest = hashlib.sha256(name.encode())
    for path in [*sorted(Path(medlock.__file__).parent.rglob("*.*")), Path(__file__)]:
        if path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
