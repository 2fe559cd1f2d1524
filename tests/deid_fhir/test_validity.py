"""What comes out is still FHIR R4: it validates, references resolve, codes and numbers are what they were."""

import gc
from datetime import date

import pytest

from deid_fhir.data import SYNTHEA, bundle
from deid_fhir.scanner import secrets, stands_in, strings
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.exact import ExactCleaner
from medlock.deid.fhir.presets import GDPR, PRESETS
from medlock.deid.fhir.provenance import provenance, with_provenance
from medlock.fhir.clinic import clinic
from medlock.fhir.validate import validate

TODAY = date(2026, 6, 1)
KEY = bytes(range(32))
CLEANERS = {"dropped": None, "cleaned": ExactCleaner()}


def records():
    """Three households of the synthetic clinic, and a few Synthea records where they are."""
    return [*list(clinic(5, 8, today=TODAY))[:3], *[bundle(path) for path in SYNTHEA[:40:13]]]


RECORDS = records()


@pytest.mark.parametrize("prose", CLEANERS)
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_output_validates(preset, prose):
    """Every resource, Provenance included, is valid, whether prose was dropped or cleaned."""
    engine = Deidentifier(PRESETS[preset], KEY, CLEANERS[prose])
    for record in RECORDS:
        out = with_provenance(engine.apply(record, TODAY), PRESETS[preset], "2026-06-01T00:00:00Z")
        problems = [(each.path, each.text) for entry in out["entry"] for each in validate(entry["resource"])]
        assert problems == []


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_references_resolve_as_before(preset):
    """Whatever pointed to an entry of the Bundle still does, to the entry in the same place."""
    for record in RECORDS:
        out = Deidentifier(PRESETS[preset], KEY).apply(record, TODAY)
        before = {entry["fullUrl"]: at for at, entry in enumerate(record["entry"])}
        after = {entry["fullUrl"]: at for at, entry in enumerate(out["entry"])}
        assert len(after) == len(before)
        for old, new in zip(record["entry"], out["entry"], strict=True):
            subject = old["resource"].get("subject", {}).get("reference")
            if subject in before:
                assert after[new["resource"]["subject"]["reference"]] == before[subject]


def test_measurements_are_untouched():
    """Values, units and LOINC codes of Observations are what they were."""
    for record in RECORDS:
        out = Deidentifier(GDPR, KEY).apply(record, TODAY)
        for old, new in zip(record["entry"], out["entry"], strict=True):
            for key in ("value", "unit", "code"):
                assert old["resource"].get("valueQuantity", {}).get(key) == new["resource"].get(
                    "valueQuantity", {}
                ).get(key)


@pytest.mark.parametrize("prose", CLEANERS)
def test_pseudonymised_records_hold_no_original(prose):
    """Under the GDPR preset, invented people in place: of the original names, numbers, streets and dates nothing is left."""
    for record in RECORDS[3:]:  # the stand-ins are drawn from the stock that the synthetic clinic is made of
        out = Deidentifier(GDPR, KEY, CLEANERS[prose]).apply(record, TODAY)
        text = "\n".join(set(strings(out))).lower()
        kept = {entry["resource"].get("gender") for entry in record["entry"]}
        known = {secret for _, secret in secrets(record) if len(secret) > 4 and secret not in kept}
        stock = {
            word.lower()
            for entry in out["entry"]
            for name in entry["resource"].get("name", [])
            if isinstance(name, dict)
            for word in [name.get("family", ""), *name.get("given", [])]
        }
        left = [secret for secret in known if secret.lower() not in stock and stands_in(secret, text)]
        assert left == []


def test_provenance_says_what_was_done():
    """De-identified or pseudonymised, under which preset, and about which resources."""
    made = provenance(["Patient/a"], GDPR, "2026-06-01T00:00:00Z")
    assert validate(made) == []
    assert made["activity"]["coding"][0]["code"] == "pseudonymize"
    assert (
        provenance(["Patient/a"], PRESETS["safe-harbor"], "2026-06-01T00:00:00Z")["activity"]["coding"][0]["code"]
        == "deidentify"
    )
    assert with_provenance({"resourceType": "Bundle", "type": "collection"}, GDPR, "2026-06-01T00:00:00Z") == {
        "resourceType": "Bundle",
        "type": "collection",
    }


def test_nothing_stays_behind():
    """A pass leaves no cycle of references, so a run without the collector frees each record when it is done."""
    engine = Deidentifier(GDPR, KEY, ExactCleaner())
    engine.apply(RECORDS[0], TODAY)
    gc.collect()
    gc.disable()
    try:
        engine.apply(RECORDS[0], TODAY)
        assert gc.collect() == 0
    finally:
        gc.enable()
