"""How alike two Patients are: more agreement is never less probable, and who differs by a letter is in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.fhir import likeness
from medlock.fhir.extract import extract
from medlock.fhir.likeness import TEXTS_MAX, alike, grade, probability

KNOWN = {
    "resourceType": "Patient",
    "name": [{"family": "Müller", "given": ["Anna"]}],
    "birthDate": "1980-02-03",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "+49 30 123"}],
    "identifier": [{"system": "urn:mrn", "value": "17"}],
    "address": [{"postalCode": "10115"}],
}


def score(sought, found, patients=1_000):
    """The probability, from resources."""
    return probability(extract({"resourceType": "Patient"} | sought), extract(found), patients)


@given(
    st.sets(st.sampled_from(sorted(KNOWN.keys() - {"resourceType"}))),
    st.sampled_from(sorted(KNOWN.keys() - {"resourceType"})),
)
def test_more_agreement_is_more_probable(names, one):
    """Whatever is known: a further field that agrees never makes it less likely."""
    less = {name: KNOWN[name] for name in names - {one}}
    assert score(less, KNOWN) <= score(less | {one: KNOWN[one]}, KNOWN)


@given(st.sampled_from(sorted(KNOWN.keys() - {"resourceType"})))
def test_disagreement_is_less_probable(one):
    """A field that differs is worse than one that is not known."""
    other = {
        "name": [{"family": "Okafor", "given": ["Ben"]}], "birthDate": "1955-05-05", "gender": "male",
        "telecom": [{"system": "phone", "value": "999"}], "identifier": [{"system": "urn:mrn", "value": "99"}],
        "address": [{"postalCode": "99999"}],
    }[one]  # fmt: skip
    rest = {name: KNOWN[name] for name in KNOWN.keys() - {one}}
    assert score(rest | {one: other}, KNOWN) < score(rest, KNOWN)


@pytest.mark.parametrize(
    ("sought", "expected"),
    [
        (KNOWN, "certain"),
        ({"identifier": KNOWN["identifier"]}, "certain"),
        ({name: KNOWN[name] for name in ("name", "birthDate", "gender")}, "certain"),
        ({"name": [{"family": "MULLER", "given": ["anna"]}], "birthDate": "1980-02-03"}, "certain"),
        ({"name": [{"family": "Muller", "given": ["Anne"]}], "birthDate": "1980-02-03"}, "probable"),
        ({"name": [{"family": "Miller", "given": ["Anna"]}], "birthDate": "1980-02-03"}, "probable"),
        ({"name": [{"family": "Miller"}], "birthDate": "1980-02-03"}, "possible"),
        ({"name": KNOWN["name"]}, ""),
        ({"identifier": [{"system": "urn:other", "value": "17"}]}, ""),
        ({"identifier": [{"value": "17"}]}, ""),
        ({"gender": "female"}, ""),
        ({}, ""),
    ],
)
def test_grades(sought, expected):
    """What is enough, what is a hint, and what says nothing."""
    assert grade(score(sought, KNOWN)) == expected


def test_a_larger_directory_is_less_sure():
    """The same agreement says less among more people."""
    known = {name: KNOWN[name] for name in ("name", "birthDate")}
    assert score(known, KNOWN, 10_000_000) < score(known, KNOWN, 1_000)


@given(st.text("abc", min_size=3, max_size=6), st.data())
def test_one_edit_is_alike(word, data):
    """A letter left out, put in or changed, or two swapped; anything to itself."""
    at = data.draw(st.integers(0, len(word) - 1))
    assert alike(word, word)
    assert alike(word, word[:at] + "x" + word[at:])
    assert alike(word, word[:at] + "x" + word[at + 1 :])
    if len(word) > 3:
        assert alike(word, word[:at] + word[at + 1 :])
        assert alike(word, word[:at] + word[at : at + 2][::-1] + word[at + 2 :])
    assert not alike(word, word + "xy")


def test_how_many_names_are_compared_is_bounded(monkeypatch):
    """Thousands of names on both sides are millions of pairs: the first of each count."""
    compared = []
    monkeypatch.setattr(likeness, "alike", lambda *both: compared.append(both))
    many = [
        extract({"resourceType": "Patient", "name": [{"given": [f"{who}{n:04}" for n in range(200)]}]}) for who in "ab"
    ]
    probability(*many, 1)
    assert len(compared) == TEXTS_MAX**2
