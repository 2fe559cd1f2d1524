"""Rule files of Microsoft's tool: its functional vectors, and the sample configuration it ships."""

import json
from datetime import date
from pathlib import Path

import pytest

from deid_fhir.ms_rules import CONFIGS
from medlock.deid.fhir.microsoft import from_rules
from medlock.deid.fhir.rules import read_rules
from medlock.errors import BadRequest

GIVEN = Path(__file__).parents[2].parent / "shared/data/deid/ms-fhir"
VECTORS = {
    "basic": "common",
    "no-partial": "no-partial",
    "null-date": "common",
    "special-content": "common",
    "generalize": "generalize",
    "substitute-complex": "complex",
    "substitute-conflict-rules": "conflict",
    "substitute-multiple": "multiple",
    "substitute-multiple-2": "multiple-2",
    "substitute-primitive": "primitive",
    "redact-all": "redact-all",
}
KEY = bytes(range(32))


def load(name):
    """A vector, which may begin with a byte order mark."""
    return json.loads((GIVEN / "vectors" / name).read_text("utf-8-sig"))


def engine(config):
    return from_rules(read_rules(json.dumps(config).encode()), KEY)


@pytest.mark.skipif(not GIVEN.exists(), reason="shared data are not here")
@pytest.mark.parametrize("case", VECTORS)
def test_vector(case):
    """The output of each functional vector is the one that Microsoft's tool is expected to give."""
    source = "basic" if case == "redact-all" else case
    out = engine(CONFIGS[VECTORS[case]]).apply(load(f"patient-{source}.json"), date(2024, 6, 1))
    assert out == load(f"patient-{case}-target.json")


@pytest.mark.skipif(not GIVEN.exists(), reason="shared data are not here")
def test_an_empty_resource_stays_what_it_is():
    """Nothing to redact but the mark itself: the mark is there once."""
    empty = load("patient-empty.json")
    assert engine(CONFIGS["redact-all"]).apply(empty, date(2024, 6, 1)) == empty


@pytest.mark.skipif(not GIVEN.exists(), reason="shared data are not here")
def test_sample_configuration_loads_unchanged():
    """All 193 rules of the sample load, and every one is decided by the structures alone."""
    rules = read_rules((GIVEN / "configuration-sample.json").read_bytes()).rules
    assert len(rules) == 193
    assert [rule.path for rule in rules if rule.steps is None] == []


def run(resource, *rules, **parameters):
    config = {
        "fhirPathRules": [
            dict(zip(("path", "method"), rule, strict=False)) | (rule[2] if len(rule) > 2 else {}) for rule in rules
        ],
        "parameters": parameters,
    }
    return engine(config).apply(resource, date(2024, 6, 1))


def codes(resource):
    return [label["code"] for label in resource.get("meta", {}).get("security", [])]


def test_the_first_rule_decides():
    """Of two rules for one node the first wins, also when the second names a node around it."""
    patient = {"resourceType": "Patient", "name": [{"family": "Doe", "given": ["Jo"]}]}
    out = run(patient, ("Patient.name.family", "keep"), ("Patient.name", "redact"))
    assert out["name"] == [{"family": "Doe"}]
    assert run(patient, ("Patient.name", "keep"), ("Patient.name.family", "redact"))["name"] == patient["name"]


def test_marks_of_entries_reach_the_bundle():
    """A Bundle bears the marks of what is in it; a contained resource bears none, its container does."""
    inner = {
        "resourceType": "Patient",
        "id": "p",
        "contained": [{"resourceType": "Organization", "id": "o", "name": "X"}],
    }
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": inner}]}
    out = run(bundle, ("Organization.name", "redact"))
    patient = out["entry"][0]["resource"]
    assert codes(out) == codes(patient) == ["REDACTED"]
    assert patient["contained"] == [{"resourceType": "Organization", "id": "o"}]


def test_date_shift_inside_a_bundle_follows_the_bundles_id():
    """The offset comes from the id of the outermost resource: two entries move together."""
    entries = [{"resource": {"resourceType": "Patient", "id": i, "birthDate": "2001-01-01"}} for i in ("a", "b")]
    bundle = {"resourceType": "Bundle", "id": "x", "entry": entries}
    out = run(bundle, ("nodesByType('date')", "dateShift"), dateShiftKey="k")
    assert len({entry["resource"]["birthDate"] for entry in out["entry"]}) == 1
    alone = [run(entry["resource"], ("nodesByType('date')", "dateShift"), dateShiftKey="k") for entry in entries]
    assert alone[0]["birthDate"] != alone[1]["birthDate"]


def test_fixed_offset():
    """A fixed offset moves every date by that many days; times are zeroed, zones stay."""
    patient = {"resourceType": "Patient", "birthDate": "2001-01-01", "deceasedDateTime": "2020-02-28T10:20:30.5+02:00"}
    rules = (("nodesByType('date')", "dateShift"), ("nodesByType('dateTime')", "dateShift"))
    out = run(patient, *rules, dateShiftFixedOffsetInDays=7)
    assert (out["birthDate"], out["deceasedDateTime"]) == ("2001-01-08", "2020-03-06T00:00:00.0+02:00")


def test_ages():
    """Partial ages: up to 89 they stay, above they go; without the parameter all go."""
    history = {
        "resourceType": "FamilyMemberHistory",
        "condition": [{"onsetAge": {"value": v, "unit": "a"}} for v in (89, 90)],
    }
    rule = ("nodesByType('Age')", "redact")
    assert run(history, rule, enablePartialAgesForRedact=True)["condition"] == [{"onsetAge": {"value": 89}}]
    assert "condition" not in run(history, rule)


def test_perturb_is_bounded_and_repeats():
    """Noise stays within half the span, the rest of the quantity is untouched, twice the same gives the same."""
    seen = {"resourceType": "Observation", "id": "o", "valueQuantity": {"value": 100, "unit": "kg"}}
    rule = ("Observation.value", "perturb", {"span": 10, "roundTo": 1})
    first, again = run(seen, rule), run(seen, rule)
    assert first == again
    assert abs(first["valueQuantity"]["value"] - 100) <= 5
    assert first["valueQuantity"]["unit"] == "kg"
    assert codes(first) == ["PERTURBED"]


def test_hash_keeps_the_form_of_a_reference():
    """Only the id in a reference is hashed, so it still points to the resource whose id was hashed."""
    rules = (("Resource.id", "cryptoHash"), ("nodesByType('Reference').reference", "cryptoHash"))
    hashed = run({"resourceType": "Patient", "id": "p1"}, *rules, cryptoHashKey="k")["id"]
    for text in ("Patient/p1", "https://x.org/fhir/Patient/p1"):
        out = run({"resourceType": "Observation", "subject": {"reference": text}}, *rules, cryptoHashKey="k")
        assert out["subject"]["reference"] == text.replace("p1", hashed)


def test_encrypt_hides_and_marks():
    """The text is gone, twice the same text gives two ciphertexts, and the resource says MASKED."""
    patient = {"resourceType": "Patient", "name": [{"family": "Doe"}, {"family": "Doe"}]}
    out = run(patient, ("Patient.name.family", "encrypt"), encryptKey="0123456789abcdef")
    sealed = {name["family"] for name in out["name"]}
    assert len(sealed) == 2
    assert not any("Doe" in each for each in sealed)
    assert codes(out) == ["MASKED"]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("Patient.contact.where(gender='male')", {"female"}),
        ("Patient.contact.where(name.family.startsWith('D')).first()", {"female"}),
        ("Patient.contact.where(gender in ('male' | 'other'))", {"female"}),
        ("Patient.contact.where(period.start < @2010-01-01)", {"female"}),
        ("Patient.contact[0]", {"female"}),
        ("Patient.contact.where(name.exists().not())", {"male", "female"}),
        ("nodesByType('BackboneElement').where(gender != 'male')", {"male"}),
        ("Patient.contact.select(iif(gender = 'female', $this, {}))", {"male"}),
    ],
)
def test_conditions(path, kept):
    """A rule with a condition reaches what FHIRPath says it reaches, and only that."""
    contacts = [
        {"gender": "male", "name": {"family": "Doe"}, "period": {"start": "2001-02"}},
        {"gender": "female", "name": {"family": "Roe"}, "period": {"start": "2011"}},
    ]
    out = run({"resourceType": "Patient", "contact": contacts}, (path, "redact"))
    assert {contact["gender"] for contact in out.get("contact", [])} == kept


def test_conditions_on_lists_of_primitives():
    """One item of a list goes; what stands beside the others keeps its place."""
    name = {"given": ["Jo", "Al"], "_given": [None, {"extension": [{"url": "http://x", "valueString": "y"}]}]}
    out = run({"resourceType": "Patient", "name": [name]}, ("Patient.name.given.where($this = 'Jo')", "redact"))
    assert out["name"] == [{"given": ["Al"], "_given": [name["_given"][1]]}]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"path": "Patient.name"}, "Rule 1 lacks"),
        ({"path": "Patient.name", "method": "burn"}, "method that is not known"),
        ({"path": "Patient.name.where(", "method": "redact"}, "Rule 1"),
        ({"path": "Patient.name.magic()", "method": "redact"}, "magic"),
        ({"path": "Patiemt.name", "method": "redact"}, "Patiemt"),
        ({"path": "Patient.name", "method": "substitute"}, "replaceWith"),
        ({"path": "Observation.value", "method": "perturb"}, "span"),
        ({"path": "Observation.value", "method": "perturb", "span": -1}, "span"),
        ({"path": "Observation.value", "method": "perturb", "span": 1, "roundTo": 29}, "roundTo"),
        ({"path": "Observation.value", "method": "perturb", "span": 1, "rangeType": "wild"}, "rangeType"),
        ({"path": "Patient.gender", "method": "generalize"}, "cases"),
        ({"path": "Patient.gender", "method": "generalize", "cases": {"$this ==": "1"}}, "cases"),
        ({"path": "Patient.gender", "method": "generalize", "cases": {"true": "1"}, "otherValues": "x"}, "otherValues"),
    ],
)
def test_what_is_wrong_with_a_rule_is_named(rule, said):
    """A rule file with a fault is refused when it is read, in a sentence that says which rule."""
    with pytest.raises(BadRequest, match=said):
        read_rules(json.dumps({"fhirPathRules": [rule]}).encode())


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"{", "line 1"),
        (b"{}", "fhirPathRules"),
        (b'{"fhirPathRules": [], "fhirVersion": "STU3"}', "R4"),
        (b'{"fhirPathRules": [], "parameters": {"encryptKey": "short"}}', "40 bits"),
        (b'{"fhirPathRules": [], "parameters": {"dateShiftScope": "moon"}}', "dateShiftScope"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(file, said):
    """Faults outside the rules are named too; keys are not repeated."""
    with pytest.raises(BadRequest, match=said) as refused:
        read_rules(file)
    assert "short" not in str(refused.value)


def test_generalize_refuses_objects():
    """Generalizing an object is an error, or an empty resource where the file says skip."""
    patient = {"resourceType": "Patient", "name": [{"family": "Doe"}]}
    config = {"fhirPathRules": [{"path": "Patient.name", "method": "generalize", "cases": {"true": "'x'"}}]}
    with pytest.raises(BadRequest):
        engine(config).apply(patient, date(2024, 6, 1))
    assert engine(config | {"processingErrors": "skip"}).apply(patient, date(2024, 6, 1)) == {"resourceType": "Patient"}
