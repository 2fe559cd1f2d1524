"""The records that everything is measured on: Synthea's when they are there, else medlock's own synthetic clinic."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from medlock.fhir.clinic import clinic

SYNTHEA = Path(__file__).resolve().parents[2] / "shared" / "data" / "synthea"
_CLINIC_PATIENTS = 40
_TODAY = date(2026, 1, 1)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Transaction Bundles, one for a patient or household, and how many resources they hold.

    `posted` as they come, `put` with every resource under its own id, so that several servers hold the same ids.
    """

    name: str
    posted: list[bytes]
    put: list[bytes]
    resources: int

    def each(self) -> Iterator[dict[str, Any]]:
        """Every resource once, parsed, with literal references."""
        seen: set[str] = set()
        for bundle in self.put:
            for entry in json.loads(bundle)["entry"]:
                if entry["request"]["url"] not in seen:
                    seen.add(entry["request"]["url"])
                    yield entry["resource"]


def load_corpus(directory: Path | None, limit: int | None = None) -> Corpus:
    """The corpus in a directory of Bundles; `limit` takes the first so many."""
    place = directory or SYNTHEA
    files = sorted(place.glob("*.json*")) if place.is_dir() else []
    if not files:
        bundles = list(clinic(1, _CLINIC_PATIENTS, today=_TODAY))
        return _corpus("medlock.fhir.clinic", [_dumped(bundle) for bundle in bundles], bundles)
    raw = [_read(path) for path in files[:limit]]
    return _corpus(f"{place.name}: {len(raw)} bundles", raw, [json.loads(data) for data in raw])


def _corpus(name: str, posted: list[bytes], bundles: list[dict[str, Any]]) -> Corpus:
    resources = sum(len(bundle["entry"]) for bundle in bundles)
    return Corpus(name, posted, [_put(bundle) for bundle in bundles], resources)


def _read(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _put(bundle: dict[str, Any]) -> bytes:
    """The same Bundle with every resource put under its own id, and every urn:uuid made a literal reference."""
    names: dict[str, str] = {}
    for entry in bundle["entry"]:
        resource = entry["resource"]
        name = f"{resource['resourceType']}/{resource['id']}"
        names[entry["fullUrl"]] = name
        entry["request"] = {"method": "PUT", "url": name}
    text = _dumped(bundle)
    for full_url, name in names.items():
        if full_url.startswith("urn:"):
            text = text.replace(b'"reference":"%b"' % full_url.encode(), b'"reference":"%b"' % name.encode())
    return text


def _dumped(bundle: dict[str, Any]) -> bytes:
    return json.dumps(bundle, separators=(",", ":"), ensure_ascii=False).encode()
