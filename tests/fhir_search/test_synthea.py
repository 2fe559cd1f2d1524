"""Real records: extraction and compartments against the oracle's own reading of them."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from fhir_search import oracle, readings
from fhir_search.definitions import definitions, select
from medlock.fhir.compartment import patients_of
from medlock.fhir.extract import extract
from medlock.fhir.searchparams import parameters
from medlock.fhir.values import Values

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "synthea"
PER_TYPE = 25

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared records are not on this machine")


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Up to PER_TYPE resources of each type."""
    chosen, seen = [], Counter()
    for path in sorted(FOLDER.glob("*.json.gz"))[:12]:
        for entry in orjson.loads(gzip.decompress(path.read_bytes()))["entry"]:
            kind = entry["resource"]["resourceType"]
            seen[kind] += 1
            if seen[kind] <= PER_TYPE:
                chosen.append(entry["resource"])
    return chosen


def found_by_oracle(resource: dict[str, Any], code: str) -> set[Any]:
    """What the oracle reads under one parameter, as comparable values."""
    definition = definitions().parameter(resource["resourceType"], code)
    assert definition is not None
    nodes = select(resource, definition["expression"])
    reader = {
        "token": readings.tokens,
        "reference": lambda node: readings.targets(node, ""),
        "date": lambda node: [readings.milliseconds(span) for span in readings.spans(node)],
        "string": readings.texts,
        "quantity": readings.quantities,
        "number": readings.numbers,
        "uri": readings.uris,
    }[definition["type"]]
    return {value for node in nodes for value in reader(node)}


def found_by_us(values: Values, code: str) -> set[Any]:
    """What medlock extracts under one parameter, as comparable values."""
    found: set[Any] = {row[1:] for row in (*values.tokens, *values.dates, *values.quantities) if row[0] == code}
    singles = (*values.references, *values.strings, *values.numbers, *values.uris)
    return found | {value for name, value in singles if name == code}


def test_extraction(records: list[dict[str, Any]]) -> None:
    """For every parameter of every record, both read the same values."""
    assert len(records) > 200
    for resource in records:
        values = extract(resource)
        for code, known in parameters(resource["resourceType"]).items():
            if known.paths and code not in {"_id", "_lastUpdated"}:
                assert found_by_us(values, code) == found_by_oracle(resource, code), code


def test_compartments(records: list[dict[str, Any]]) -> None:
    """For every record, both name the same patients."""
    for resource in records:
        assert set(patients_of(resource)) == oracle.patients_of(resource)
