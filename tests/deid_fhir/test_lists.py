"""Closed lists and forms: codes, units, places, dates; what is on them and, more important, what is not."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.deid.fhir.codesystems import is_allowed, is_loinc, is_snomed
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.guard_types import RESTRICTED, zip_area
from medlock.deid.fhir.partial_dates import tells_old_age, year_of
from medlock.deid.fhir.presets import SAFE_HARBOR
from medlock.deid.fhir.ucum import is_unit
from medlock.deid.fhir.vocabulary import is_language, media_type

TODAY = date(2026, 6, 1)
ENGINE = Deidentifier(SAFE_HARBOR, bytes(range(32)))


@pytest.mark.parametrize(
    "unit",
    [
        "mg/dL",
        "mm[Hg]",
        "kg/m2",
        "10*3/uL",
        "%",
        "{score}",
        "[in_i]",
        "mmol/L",
        "U/L",
        "/min",
        "mL/min/{1.73_m2}",
        "ug/(kg.min)",
        "Cel",
        "[degF]",
        "a",
        "mmHg",
        "10*-6",
        "m/s2",
        "{beats}/min",
        "cm2",
        "[iU]/L",
    ],
)
def test_units(unit):
    """Units of UCUM and the spellings that records use."""
    assert is_unit(unit)


@pytest.mark.parametrize(
    "unit",
    [
        "",
        "Smith",
        "{John Smith}",
        "555-123-4567",
        "mg/dL John",
        "MRN0047",
        "12345678",
        "mg/{0047-11}",
        "((mg)",
        "www.x.org",
        "g" * 50,
        "mg\n",
        "[Smith]",
        "2001-02-03",
    ],
)
def test_what_is_no_unit(unit):
    """Names, numbers and dates in place of a unit."""
    assert not is_unit(unit)


@pytest.mark.parametrize(
    ("system", "code", "allowed"),
    [
        ("http://snomed.info/sct", "73211009", True),
        ("http://snomed.info/sct", "73211008", False),  # the check digit is wrong: a record number, say
        ("http://snomed.info/sct", "Smith", False),
        ("http://loinc.org", "8302-2", True),
        ("http://loinc.org", "8302-3", False),
        ("http://loinc.org", "LA6576-8", True),
        ("http://hl7.org/fhir/sid/icd-10-cm", "E11.9", True),
        ("http://hl7.org/fhir/sid/icd-10-cm", "MRN0047", False),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "849574", True),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "219-09-9999", False),
        ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB", True),
        ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "123456789", False),
        ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "John Smith", False),
        ("http://terminology.hl7.org/CodeSystem/John/Smith", "AMB", False),
        ("http://hl7.org/fhir/123456789", "AMB", False),
        ("urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.27000", "Z1234567", False),  # Epic: record numbers as codes
        ("https://hospital.example/codes", "A", False),
        ("urn:ietf:bcp:47", "en-US", True),
        ("urn:ietf:bcp:47", "Smith", False),
        ("urn:ietf:rfc:3986", "urn:uuid:7e6f1c52-0a4c-4d57-9d8e-2f4a1a6c1f00", False),
        ("http://hl7.org/fhir/sid/us-ssn", "219-09-9999", False),
        ("", "A", False),
    ],
)
def test_codes(system, code, allowed):
    """Systems on the list with codes of their form; everything else is dropped."""
    assert is_allowed(system, code) is allowed


@given(digits=st.from_regex(r"[1-9][0-9]{5,15}", fullmatch=True), at=st.integers(0, 15), add=st.integers(1, 9))
def test_a_changed_digit_is_no_snomed_code(digits, at, add):
    """Verhoeff finds every single wrong digit, so a number of ten is one in ten by chance and never by a slip."""
    if is_snomed(digits) and at < len(digits):
        wrong = str((int(digits[at]) + add) % 10)
        assert not is_snomed(digits[:at] + wrong + digits[at + 1 :])


@given(number=st.integers(1, 999_999))
def test_one_check_digit_per_loinc_number(number):
    """Of ten check digits exactly one fits."""
    assert sum(is_loinc(f"{number}-{digit}") for digit in range(10)) == 1


def test_the_seventeen_areas():
    """The 17 restricted ZIP3 areas of the 2000 census are those of HHS, and become 000."""
    listed = [
        "036",
        "059",
        "063",
        "102",
        "203",
        "556",
        "692",
        "790",
        "821",
        "823",
        "830",
        "831",
        "878",
        "879",
        "884",
        "890",
        "893",
    ]
    assert sorted(RESTRICTED) == listed
    assert {zip_area(f"{area}01", "US") for area in listed} == {"000"}


@pytest.mark.parametrize(
    ("code", "country", "area"),
    [
        ("02139", "US", "021"),
        ("02139-4307", None, "021"),
        ("021394307", "USA", "021"),
        ("021", "US", "021"),
        ("0213", "US", ""),
        ("SW1A 1AA", "GB", ""),
        ("10115", "DE", ""),
        ("O2139", "US", ""),
        (2139, "US", ""),
        (None, None, ""),
        ("\uff10\uff12\uff11\uff13\uff19", "US", ""),
    ],
)
def test_zip_areas(code, country, area):
    """Three digits of American codes; codes of other countries are finer than a state and go."""
    assert zip_area(code, country) == area


@given(born=st.dates(date(1900, 1, 1), TODAY))
def test_ages_over_89(born):
    """A year stays exactly when whoever was born that day is at most 89 today."""
    birthdays = TODAY.year - born.year - ((TODAY.month, TODAY.day) < (born.month, born.day))
    assert tells_old_age(born.year, born.month, born.day, TODAY) is (birthdays > 89)
    assert year_of(born.isoformat(), TODAY) == (None if birthdays > 89 else str(born.year))


@pytest.mark.parametrize("tag", ["en", "en-US", "de-CH", "zh-Hant-TW", "es"])
def test_languages(tag):
    """Tags of known languages and regions."""
    assert is_language(tag)


@pytest.mark.parametrize("tag", ["", "Smith", "en-Smith", "en-US-x-0047", "john", "en-us-x", "e", "en_US"])
def test_what_is_no_language(tag):
    """Anything else, private subtags included."""
    assert not is_language(tag)


def test_media_types():
    """Parameters go, case does not matter, unknown types are nothing."""
    assert media_type("Text/Plain; charset=utf-8; name=Smith.txt") == "text/plain"
    assert media_type("text/smith") == ""


@pytest.mark.parametrize(
    "value",
    [
        {"value": 93, "unit": "years"},
        {"value": 93, "code": "a", "system": "http://unitsofmeasure.org"},
        {"value": 1120, "code": "mo"},
        {"value": 34000, "code": "d"},
        {"value": 93},
    ],
)
def test_ages_become_ninety_or_more(value):
    """In years, months, days, or no unit at all: an Age over 89 is told as 90 or more."""
    from_age = ENGINE.apply({"resourceType": "Condition", "onsetAge": value}, TODAY)["onsetAge"]
    assert (from_age["value"], from_age["comparator"], from_age["code"]) == (90, ">=", "a")


@pytest.mark.parametrize(
    "value", [{"value": 89.9, "unit": "a"}, {"value": 1079, "code": "mo"}, {"value": 3, "unit": "d"}]
)
def test_younger_ages_stay(value):
    """Up to 89 an age is what it was."""
    assert ENGINE.apply({"resourceType": "Condition", "onsetAge": value}, TODAY)["onsetAge"] == value


@pytest.mark.parametrize(("value", "kept"), [({"value": 93, "unit": "kg"}, True), ({"value": 93, "unit": "a"}, False)])
def test_only_years_are_ages(value, kept):
    """A weight of 93 kg is no age."""
    out = ENGINE.apply({"resourceType": "Observation", "valueQuantity": value}, TODAY)["valueQuantity"]
    assert (out == value) is kept
