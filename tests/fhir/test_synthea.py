"""Real records: every resource of the shared Synthea files is read, valid, and survives the handling of its bytes."""

from __future__ import annotations

import gzip

import orjson
import pytest

from fhir.vectors import SYNTHEA
from medlock.fhir import bundle
from medlock.fhir.document import minify, summary, with_identity
from medlock.fhir.parse import parse_json
from medlock.fhir.references import literal_references, rewrite
from medlock.fhir.validate import validate

NOW = "2026-11-23T17:46:00.000Z"
FILES = sorted(each for folder in ("synthea", "synthea-uscore") for each in (SYNTHEA / folder).glob("*.json*"))


@pytest.mark.skipif(not FILES, reason="the shared data is not here")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name[:24])
def test_every_resource_of_a_file_is_accepted(file):
    """Envelope, resources and their identity are valid R4, and the text of numbers is kept."""
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    parts = bundle.entries(data, 20_000)
    assert parts
    for at, part in enumerate(parts):
        resource = parse_json(part.resource)
        assert validate(resource, path=f"Bundle.entry[{at}].resource") == []
        assert part.resource in minify(data) if at < 5 else True
        kept = with_identity(part.resource, resource["resourceType"], "x", 1, NOW)
        assert validate(orjson.loads(kept)) == []


@pytest.mark.skipif(not FILES, reason="the shared data is not here")
def test_rewriting_resolves_every_reference_of_a_transaction():
    """After rewriting by fullUrl no reference to an entry of the bundle is left, and nothing else has changed."""
    parts = bundle.entries(gzip.decompress(FILES[0].read_bytes()), 20_000)
    mapping = {part.full_url: f"Basic/{at}" for at, part in enumerate(parts)}
    back = {new: old for old, new in mapping.items()}
    for part in parts:
        written = rewrite(part.resource, mapping)
        assert not {reference for _, reference in literal_references(orjson.loads(written))} & mapping.keys()
        assert rewrite(written, back) == part.resource


@pytest.mark.skipif(not FILES, reason="the shared data is not here")
def test_summaries_of_real_resources_are_well_formed():
    """A summary keeps everything mandatory and well-formed; only invariants may miss what was dropped."""
    parts = bundle.entries(gzip.decompress(FILES[0].read_bytes()), 20_000)
    for part in parts:
        resource = orjson.loads(part.resource)
        for mode in ("true", "text", "data"):
            cut = orjson.loads(summary(part.resource, resource["resourceType"], mode))
            assert {problem.code for problem in validate(cut)} <= {"invariant"}
