"""Train the zstd dictionary that bodies are compressed with: src/medlock/store/data/bodies-1.zdict.

    .venv/bin/python scripts/train_dictionary.py           train, compare with the shipped file, show ratios
    .venv/bin/python scripts/train_dictionary.py --write   the same, and write the file

Training is deterministic for one corpus and one version of libzstd; both are recorded below with the result. A
shipped dictionary must never change, because rows sealed with it need it to the byte: an improvement is a new
number, and the old file stays. The corpus may change later (the clinic grows); the record then says which commit's
corpus the file was trained on.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard
from dictionary_corpus import TODAY, clinic_resources, stored
from dictionary_shapes import shape_resources

from medlock.fhir.clinic import clinic
from medlock.fhir.clinic.chance import Chance

TARGET = Path(__file__).parents[1] / "src/medlock/store/data/bodies-1.zdict"
SHARED = Path(__file__).parents[2] / "shared/data"
SIZE = 64 * 1024
SEGMENT, DMER = 1024, 8  # 64 to 4096, 6 and 8 and 32 to 112 KiB were tried: all within 3 % in padded size
ID = 32_769  # of the range that RFC 8878 leaves to private use, 32768 to 2^31 - 1
STEP = 512
LIBZSTD = (1, 5, 7)
SHA256 = "48f0823277911d4bf60fe4f01205eca5d174abf3f8a5f894106e53cefd84c60f"
CORPUS_SHA256 = "0d8c4994615e57f6d4931e57005ef9e5bd78513f0a724460bacbf880527d36f7"
_SEEDS = range(1000, 1040)
_PATIENTS_EACH = 4
_ROUNDS = 90


# How often a type is heard, 1 if not named: the commonest are thinned out, Patient (read most) and the large ones
# repeated. Chosen by padded size over all types.
_CLINIC_WEIGHTS = {
    "Observation": 0.1,
    "Encounter": 0.3,
    "Immunization": 0.2,
    "DocumentReference": 0.5,
    "Medication": 0.1,
    "Location": 0.2,
    "Organization": 0.3,
    "Practitioner": 0.3,
    "PractitionerRole": 0.3,
    "Patient": 8.0,
}
_SHAPE_WEIGHTS = {"Patient": 6.0, "ExplanationOfBenefit": 5.0, "Claim": 2.0}


def corpus() -> list[bytes]:
    """The training samples, in a fixed order: the clinic of many seeds, then the shapes of many rounds."""
    chance = Chance("dictionary", 1)
    charts = (resource for seed in _SEEDS for resource in clinic_resources(seed, _PATIENTS_EACH))
    samples = list(_weighted(charts, _CLINIC_WEIGHTS, chance))
    return samples + list(_weighted(shape_resources(chance, _ROUNDS), _SHAPE_WEIGHTS, chance))


def _weighted(resources: Iterable[dict[str, Any]], weights: dict[str, float], chance: Chance) -> Iterator[bytes]:
    for resource in resources:
        weight = weights.get(resource["resourceType"], 1.0)
        times = int(weight) + chance.happens(weight % 1)
        yield from [stored(resource, chance)] * times


def train(samples: list[bytes], size: int = SIZE, segment: int = SEGMENT) -> bytes:
    """A dictionary of at most `size` bytes."""
    return zstandard.train_dictionary(size, [*samples], k=segment, d=DMER, dict_id=ID, level=3).as_bytes()


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 of the parts one after the other."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


def held_out() -> dict[str, list[bytes]]:
    """What ratios are measured on: a clinic of another seed and, where present, data from other senders."""
    chance = Chance("held out")
    bundles = clinic(77_777, 60, today=TODAY)
    found = {"clinic": [stored(entry["resource"], chance) for bundle in bundles for entry in bundle["entry"]]}
    for name in ("synthea", "synthea-uscore"):
        foreign = [stored(resource, chance) for resource in _foreign(SHARED / name, chance)]
        found |= {name: foreign} if foreign else {}
    return found


def _foreign(folder: Path, chance: Chance) -> Iterator[dict[str, Any]]:
    """Resources of other senders' bundles as the server stores them: references resolved to Type/id."""
    for path in sorted(folder.glob("*.json.gz")):
        entries = json.loads(gzip.decompress(path.read_bytes()))["entry"]
        names = {
            entry.get("fullUrl"): f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in entries
        }
        for entry in entries:
            if chance.happens(0.5):
                yield _resolved(entry["resource"], names)


def _resolved(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _resolved(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def measure(samples: list[bytes], dictionary: bytes | None, level: int = 3) -> dict[str, float]:
    """Mean sizes in bytes and times in microseconds for one set of samples."""
    data = None
    if dictionary is not None:
        data = zstandard.ZstdCompressionDict(dictionary)
        data.precompute_compress(level=level)
    compressor = zstandard.ZstdCompressor(level=level, dict_data=data, write_dict_id=False, write_checksum=False)
    expand = zstandard.ZstdDecompressor(dict_data=data).decompress
    began = time.perf_counter()
    packed = [compressor.compress(sample) for sample in samples]
    middle = time.perf_counter()
    for each in packed:
        expand(each)
    done = time.perf_counter()
    count = len(samples)
    raw, small = sum(map(len, samples)), sum(map(len, packed))
    padded = sum(-(-len(each) // STEP) * STEP for each in packed)
    return {
        "raw": raw / count,
        "packed": small / count,
        "ratio": raw / small,
        "padded": padded / count,
        "padded share": padded / raw,
        "compress us": (middle - began) / count * 1e6,
        "expand us": (done - middle) / count * 1e6,
    }


def main() -> int:
    """Train, compare, report; exit 1 when the shipped file is another one and --write was not given."""
    parser = argparse.ArgumentParser(description="Train the dictionary of sealed bodies.")
    parser.add_argument("--write", action="store_true", help="replace the shipped file")
    arguments = parser.parse_args()
    samples = corpus()
    dictionary = train(samples)
    print(f"corpus      {len(samples)} samples, sha256 {digest(samples)}")
    print(f"dictionary  {len(dictionary)} bytes, sha256 {digest([dictionary])}, libzstd {zstandard.ZSTD_VERSION}")
    for name, samples in held_out().items():
        for title, chosen in (("without", None), ("with", dictionary)):
            shown = "  ".join(f"{key} {value:.2f}" for key, value in measure(samples, chosen).items())
            print(f"{name:15} {title:8} {shown}")
    if arguments.write:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_bytes(dictionary)
    same = TARGET.exists() and TARGET.read_bytes() == dictionary
    print("The shipped file is this one." if same else "The shipped file is another one.")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
