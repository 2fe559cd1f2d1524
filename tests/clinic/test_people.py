"""The people: families that make sense, names of every kind, and nothing that could belong to somebody."""

from __future__ import annotations

import itertools
import re
from datetime import date, timedelta

import pytest

from medlock.fhir.clinic import heritages
from medlock.fhir.clinic.people import draw_household

_TODAY = date(2026, 11, 23)
_FICTION = re.compile(r"\+1-\d{3}-555-01\d\d|\+44 7700 900\d{3}")


@pytest.fixture(scope="module")
def households():
    """Three hundred households."""
    return [draw_household(2, number, 1, 99, _TODAY) for number in range(300)]


def test_a_mother_is_eighteen_to_forty_three_at_each_birth(households):
    """Every child has a mother of childbearing age in the house, and a father older than that."""
    births = [bond for house in households for bond in house.bonds if bond.role == "NMTH"]
    assert len(births) > 100
    for bond in births:
        assert 18 <= bond.adult.age(bond.ward.born) <= 43
        assert bond.adult.female
    fathers = [bond for house in households for bond in house.bonds if bond.role == "NFTH"]
    assert all(bond.adult.age(bond.ward.born) >= 18 for bond in fathers)


def test_brothers_and_sisters_are_twins_or_far_enough_apart(households):
    """Two births of one mother lie at least a year and a half apart unless they are one birth."""
    for house in households:
        for mother in house.people:
            days = sorted(child.born for child in house.children_of(mother))
            gaps = [later - earlier for earlier, later in itertools.pairwise(days)]
            assert all(gap == timedelta(0) or gap >= timedelta(days=540) for gap in gaps)


def test_the_household_shares_address_and_landline(by_reference):
    """People of one bundle live at one address; a child is reached on the landline of the house."""
    shared = 0
    for related in (one for one in by_reference.values() if one["resourceType"] == "RelatedPerson"):
        ward = by_reference[related["patient"]["reference"]]
        assert ward["address"][0]["text"] == related["address"][0]["text"]
        shared += 1
    assert shared > 50


def test_names_come_in_many_shapes(households):
    """Accents, hyphens, apostrophes, particles, very long and single names, and other scripts all occur."""
    names = [name for house in households for person in house.people for name in person.name.human_names()]
    text = "\n".join(name.get("text", "") for name in names)
    assert all(mark in text for mark in "áéñüß'-")
    assert any(ord(letter) > 0x370 for letter in text)
    assert max(len(name.get("family", "")) for name in names) >= 15
    assert any("family" not in name and "given" in name for name in names)
    assert {"official", "usual", "maiden"} <= {name["use"] for name in names}


def test_children_of_a_house_have_different_names(households):
    """No two people of one house share a first given name, as long as the stock lasts."""
    for house in households:
        stock = house.people[0].heritage
        first = [person.name.given[0] for person in house.people]
        if min(len(stock.women), len(stock.men)) >= len(first):
            assert len(set(first)) == len(first)


def test_telephones_and_mail_can_belong_to_nobody(resources):
    """Every telephone is of a range set aside for fiction, every address of mail and web ends in .example."""
    seen = 0
    for resource in resources:
        for point in [*resource.get("telecom", []), *_contacts(resource)]:
            wanted = _FICTION.fullmatch(point["value"]) or point["value"].endswith(".example")
            assert wanted, point
            seen += 1
    assert seen > 500


def test_social_security_numbers_were_never_issued(kind):
    """Numbers beginning with 9 are not social security numbers, and 999-10 to 999-49 are no tax numbers either."""
    values = [
        identifier["value"]
        for patient in kind("Patient")
        for identifier in patient["identifier"]
        if identifier["system"].endswith("us-ssn")
    ]
    assert len(values) > 100
    assert all(re.fullmatch(r"999-[1-4]\d-\d{4}", value) for value in values)


def test_record_numbers_are_unique(kind):
    """No two patients have the same record number."""
    numbers = [patient["identifier"][0]["value"] for patient in kind("Patient")]
    assert len(set(numbers)) == len(numbers)


def test_every_heritage_names_a_known_race_and_language():
    """The stock speaks only of races and languages that have a display."""
    for heritage in heritages.HERITAGES:
        assert heritage.race in heritages.RACES
        assert heritage.language in heritages.LANGUAGES
        assert set(heritage.native) <= {*heritage.women, *heritage.men, *heritage.families}


def _contacts(resource):
    return [point for contact in resource.get("contact", []) for point in contact.get("telecom", [])]
