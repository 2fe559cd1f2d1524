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
from medlock.errors import Unprocessable

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


def nested(depth):
    """An Extension in an Extension, and so on."""
    extension = {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "valueString": "x"}
    for _ in range(depth):
        extension = {"url": extension["url"], "extension": [extension]}
    return {"resourceType": "Patient", "extension": [extension]}


@pytest.mark.parametrize(
    "wrong",
    [{}, {"resourceType": "Person2"}, {"resourceType": ["Patient"]}, nested(900)],
    ids=["none", "unknown", "list", "deep"],
)
def test_what_cannot_be_read_is_refused(wrong):
    """No type, an unknown type, or one nested beyond reason: a sentence, not a fault, and nothing of it comes back."""
    with pytest.raises(Unprocessable):
        ENGINES["safe-harbor"].apply(wrong, TODAY)
    with pytest.raises(Unprocessable):
        from_rules(read_rules(b'{"fhirPathRules": []}'), KEY).apply(wrong, TODAY)


ODD = [
    {"resourceType": "Patient", "name": "Zq00000xw"},
    {"resourceType": "Patient", "name": ["Zq00000xw", None, 7]},
    {"resourceType": "Patient", "gender": ["Zq00000xw"]},
    {"resourceType": "Patient", "gender": {"Zq00000xw": "Zq00000xw"}},
    {"resourceType": "Patient", "birthDate": {"a": "Zq00000xw"}, "_birthDate": "Zq00000xw"},
    {"resourceType": "Patient", "active": "Zq00000xw", "multipleBirthInteger": "Zq00000xw"},
    {"resourceType": "Patient", "maritalStatus": {"coding": {"system": "http://loinc.org", "code": ["Zq00000xw"]}}},
    {"resourceType": "Patient", "contained": [{"resourceType": "Zq00000xw", "id": "Zq00000xw"}, "Zq00000xw"]},
    {"resourceType": "Patient", "meta": {"security": "Zq00000xw", "profile": [["Zq00000xw"]]}},
    {"resourceType": "Patient", "managingOrganization": {"reference": ["Zq00000xw"], "type": "Zq00000xw"}},
    {"resourceType": "Patient", "photo": [{"contentType": ["Zq00000xw"], "data": {"a": "Zq00000xw"}}]},
    {"resourceType": "Bundle", "entry": {"resource": {"resourceType": "Patient", "id": ["Zq00000xw"]}}},
    {"resourceType": "Bundle", "entry": [["Zq00000xw"], {"resource": ["Zq00000xw"], "fullUrl": ["Zq00000xw"]}]},
    {
        "resourceType": "Observation",
        "valueQuantity": {"value": "Zq00000xw", "unit": ["Zq00000xw"], "code": "Zq00000xw"},
    },
    {"resourceType": "Patient", "address": [{"state": ["Zq00000xw"], "postalCode": 7, "city": {"a": "Zq00000xw"}}]},
]


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_odd_shapes_pass_nothing(odd, preset):
    """Objects for texts, lists for objects, texts for numbers: nothing of them survives, and nothing breaks."""
    assert survivors(ENGINES[preset].apply(odd, TODAY)) == set()
