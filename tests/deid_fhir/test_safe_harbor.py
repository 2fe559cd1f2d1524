"""Safe Harbor on whole records: an independent scanner finds none of the 18 identifier kinds."""

import base64
from datetime import date

import pytest

from deid_fhir.data import SYNTHEA, bundle
from deid_fhir.scanner import leaks, secrets
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.presets import SAFE_HARBOR

TODAY = date(2026, 6, 1)
ENGINE = Deidentifier(SAFE_HARBOR, bytes(range(32)))


@pytest.mark.skipif(not SYNTHEA, reason="shared data are not here")
@pytest.mark.parametrize("path", SYNTHEA, ids=lambda path: path.name[:12])
def test_nothing_is_left(path):
    """Of every Synthea record, no identifier of its own and nothing that looks like one reaches the output."""
    record = bundle(path)
    known = secrets(record)
    assert len(known) > 20
    assert leaks(ENGINE.apply(record, TODAY), known) == set()


@pytest.mark.skipif(not SYNTHEA, reason="shared data are not here")
def test_the_scanner_finds_what_is_there():
    """The scanner is no rubber stamp: the untouched record is full of findings, of nine kinds at least."""
    found = leaks(bundle(SYNTHEA[0]), secrets(bundle(SYNTHEA[0])))
    assert {kind for kind, _ in found} >= {1, 2, 3, 4, 7, 8, 11, 14, 18}


@pytest.mark.parametrize("kind", ["plain", "inside", "key", "base64"])
def test_the_scanner_finds_a_planted_secret(kind):
    """Wherever a known name is planted, the scanner sees it."""
    name = "Wrzesniewska"
    planted = {
        "plain": {"a": [name]},
        "inside": {"a": f"seen by Dr. {name.upper()}, again"},
        "key": {name: 1},
        "base64": {"data": base64.b64encode(f"Dear {name}, ...".encode()).decode()},
    }
    assert leaks(planted[kind], {(1, name)}) == {(1, name)}
