"""No string reaches the output without a rule, whatever the resource type and whatever the preset."""

import base64
import json
import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_fhir.anything import DAY, TYPES, Maker
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.microsoft import from_rules
from medlock.deid.fhir.presets import PRESETS
from medlock.deid.fhir.rules import read_rules

TODAY = date(2026, 6, 1)
KEY = bytes(range(32))
ENGINES = {name: Deidentifier(profile, KEY) for name, profile in PRESETS.items()}
KEPT = {"limited": {f"Address.{part}" for part in ("city", "district", "state", "postalCode", "country")}}


def survivors(out):
    """Every marker in the output, in base64 as well."""
    text = json.dumps(out)
    for packed in re.findall(r'"([A-Za-z0-9+/]{8,}=*)"', text):
        if len(packed) % 4 == 0:
            text += base64.b64decode(packed).decode("latin-1")
    return set(re.findall(r"Zq\d{5}xw", text))


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("kind", TYPES)
def test_every_type(kind, preset):
    """For each type a resource full of markers: only what the preset names as kept survives, no full date in a year."""
    maker = Maker(kind)
    out = ENGINES[preset].apply(maker.resource(kind), TODAY)
    assert {maker.markers[text] for text in survivors(out)} <= KEPT.get(preset, set())
    assert out["resourceType"] == kind
    if preset != "limited":
        assert DAY not in json.dumps(out)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(TYPES), preset=st.sampled_from(sorted(PRESETS)))
def test_any_resource(seed, kind, preset):
    """The same for random resources, also inside a Bundle."""
    maker = Maker(seed)
    inner = maker.resource(kind)
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"urn:uuid:{maker.marker('fullUrl')}", "resource": inner}],
    }
    for resource in (inner, bundle):
        out = ENGINES[preset].apply(resource, TODAY)
        assert {maker.markers[text] for text in survivors(out)} <= KEPT.get(preset, set())


def test_the_markers_are_there():
    """The test can fail: a rule file that keeps all lets the markers through, and --strict stops them."""
    maker = Maker(7)
    patient = maker.resource("Patient")
    rules = read_rules(b'{"fhirPathRules": []}')
    kept, strict = (from_rules(rules, KEY, strict=strict).apply(patient, TODAY) for strict in (False, True))
    assert len(survivors(kept)) > 50
    assert survivors(strict) == set()
