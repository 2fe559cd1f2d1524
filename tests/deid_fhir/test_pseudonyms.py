"""Pseudonyms and dates: the vectors of docs/spec/pseudonyms.md, read by two implementations, and their properties."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid_fhir import naive
from medlock.deid.fhir.days import moved
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.people import Stand
from medlock.deid.fhir.presets import GDPR
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.errors import BadRequest

VECTORS = Path(__file__).parents[1] / "vectors/deid"
TODAY = date(2026, 6, 1)
KEY = bytes(range(32))
OURS = Pseudonyms(KEY)


def vectors(name):
    cases = json.loads((VECTORS / name).read_text())
    return [pytest.param(case, id=f"{index} {case['name']}") for index, case in enumerate(cases)]


@pytest.mark.parametrize("case", vectors("ids.json"))
def test_ids(case):
    """An id vector holds in both implementations, or in neither."""
    key = bytes.fromhex(case["key"])
    assert (Pseudonyms(key).id(case["id"]) == case["pseudonym"]) is case["valid"]
    assert (naive.pseudonym(key, case["id"]) == case["pseudonym"]) is case["valid"]


@pytest.mark.parametrize("case", vectors("days.json"))
def test_days(case):
    """A date vector holds in both implementations, or in neither; what is no date has no answer."""
    key = bytes.fromhex(case["key"])
    days = Pseudonyms(key).days(case["patient"], weeks=case["weeks"])
    assert days == naive.days(key, case["patient"], weeks=case["weeks"])
    assert (moved(case["date"], days) == case["moved"]) is case["valid"]
    if case["moved"] is not None:
        assert (naive.moved(case["date"], days) == case["moved"]) is case["valid"]


@pytest.mark.parametrize("case", vectors("like.json"))
def test_like(case):
    """A same-form vector holds in both implementations, or in neither."""
    key = bytes.fromhex(case["key"])
    assert (Pseudonyms(key).like(case["kind"], case["text"]) == case["like"]) is case["valid"]
    assert (naive.like(key, case["kind"], case["text"]) == case["like"]) is case["valid"]


def test_a_key_is_32_bytes():
    """Any other key is refused, and the key is not in what is printed."""
    with pytest.raises(BadRequest):
        Pseudonyms(b"short")
    assert "00" not in repr(OURS)
    assert KEY.hex() not in repr(Deidentifier(GDPR, KEY))


@given(text=st.text(st.sampled_from("0123456789ABCxyz-() +."), max_size=30))
def test_like_is_a_permutation_of_its_form(text):
    """What stands in has the same form, and the way back gives the same text."""
    stand_in = OURS.like("number", text)
    assert [(x.isdigit(), x.isupper(), x.islower()) for x in stand_in] == [
        (x.isdigit(), x.isupper(), x.islower()) for x in text
    ]
    assert OURS.unlike("number", stand_in) == text


def test_like_never_makes_two_one():
    """All three-digit numbers, each once."""
    assert len({OURS.like("number", f"{n:03}") for n in range(1000)}) == 1000


DATES = st.dates(date(1880, 1, 1), date(2026, 6, 1)).map(date.isoformat)
TIMES = st.sampled_from(["", "T00:00:00Z", "T23:59:59.999-11:00", "T12:30+02:00", "T08:15:30.123456+14:00"])


@given(day=DATES, time=TIMES, patient=st.text(min_size=1), weeks=st.booleans())
def test_the_way_back_is_bit_exact(day, time, patient, weeks):
    """With the key every full date comes back as it was written."""
    days = OURS.days(patient, weeks=weeks)
    assert -364 <= days < 0
    assert moved(moved(day + time, days), -days) == day + time
    assert not weeks or date.fromisoformat(moved(day, days)).weekday() == date.fromisoformat(day).weekday()


def record(patient, days):
    """A Patient, Encounters and Observations on the given days."""
    resources = [{"resourceType": "Patient", "id": patient, "birthDate": days[0]}]
    for index, day in enumerate(days[1:]):
        subject = {"subject": {"reference": f"Patient/{patient}"}}
        resources += [
            {
                "resourceType": "Encounter",
                "id": f"e{index}",
                "status": "finished",
                "class": {"code": "AMB"},
                "period": {"start": f"{day}T10:00:00Z", "end": f"{day}T11:00:00Z"},
            }
            | subject,
            {
                "resourceType": "Observation",
                "id": f"o{index}",
                "status": "final",
                "effectiveDateTime": day,
                "issued": f"{day}T10:30:00.000Z",
            }
            | subject,
        ]
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


def instants(bundle):
    """Every date of a Bundle, in order."""
    found = []

    def walk(tree):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
            if key in {"birthDate", "start", "end", "effectiveDateTime", "issued"}:
                found.append(datetime.fromisoformat(value).replace(tzinfo=None))
            walk(value)

    walk(bundle)
    return found


@given(days=st.lists(DATES, min_size=2, max_size=6), patient=st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True))
def test_intervals_are_exact_across_resources(days, patient):
    """All distances between all dates of a record are what they were, to the last digit."""
    before = record(patient, days)
    after = Deidentifier(GDPR, KEY).apply(before, TODAY)
    old, new = instants(before), instants(after)
    assert len(old) == len(new)
    shift = {b - a for a, b in zip(old, new, strict=True)}
    assert shift == {timedelta(days=OURS.days(patient))}


def test_two_patients_of_a_bundle_move_apart():
    """Each entry moves with the patient it names, however it is named; one resource alone as in the Bundle."""
    first, second = record("a", ["1990-01-01", "2020-01-01"]), record("b", ["1990-01-01", "2020-01-01"])
    both = {"resourceType": "Bundle", "type": "collection", "entry": first["entry"] + second["entry"]}
    engine = Deidentifier(GDPR, KEY)
    out = engine.apply(both, TODAY)["entry"]
    assert out[0]["resource"]["birthDate"] == moved("1990-01-01", OURS.days("a"))
    assert out[5]["resource"]["effectiveDateTime"] == moved("2020-01-01", OURS.days("b"))
    assert engine.apply(first["entry"][2]["resource"], TODAY) == out[2]["resource"]


def test_urn_references_find_their_patient():
    """In a transaction Bundle the patient is known by the entry's fullUrl, not by the resource's id."""
    bundle = record("a", ["1990-01-01", "2020-01-01"])
    bundle["entry"][0]["fullUrl"] = "urn:uuid:7e6f1c52-0a4c-4d57-9d8e-2f4a1a6c1f00"
    for entry in bundle["entry"][1:]:
        entry["resource"]["subject"]["reference"] = bundle["entry"][0]["fullUrl"]
    second = record("b", ["1991-01-01"])["entry"]
    out = Deidentifier(GDPR, KEY).apply(bundle | {"entry": bundle["entry"] + second}, TODAY)["entry"]
    assert out[2]["resource"]["effectiveDateTime"] == moved("2020-01-01", OURS.days("a"))
    assert out[1]["resource"]["subject"]["reference"] == out[0]["fullUrl"]


def test_external_offsets():
    """Days drawn elsewhere take the place of the key's."""
    out = Deidentifier(GDPR, KEY, offsets={"a": -10}).apply(record("a", ["1990-01-11"]), TODAY)
    assert out["entry"][0]["resource"]["birthDate"] == "1990-01-01"


def test_projects_have_nothing_in_common():
    """Under two keys no string of one release of a record, codes and years aside, is in the other."""
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:x", "value": "MRN-0012345"}],
        "telecom": [{"system": "phone", "value": "555-123-4567"}],
    }
    one, two = (Deidentifier(GDPR, key).apply(patient, TODAY) for key in (KEY, bytes(32)))
    assert one["id"] != two["id"]
    assert one["identifier"][0]["value"] != two["identifier"][0]["value"]
    assert one["identifier"][0]["system"] != two["identifier"][0]["system"]
    assert one["telecom"][0]["value"] != two["telecom"][0]["value"]


@pytest.mark.parametrize("gender", ["female", "male"])
def test_names_keep_their_gender_and_form(gender):
    """The same name always gets the same stand-in, of its gender; initials and capitals stay."""
    stand = Stand(OURS)
    made = stand.name(
        {"family": "DOE", "given": ["Robin", "Q."], "prefix": ["Dr."], "text": "Dr. Robin Q. DOE"}, gender
    )
    again = stand.name({"family": "DOE", "given": ["Robin"]}, gender)
    assert made["given"][0] == again["given"][0] != stand.given("Robin", "male" if gender == "female" else "female")
    assert made["family"].isupper()
    assert len(made["given"][1]) == 2
    assert made["given"][1].endswith(".")
    assert made["prefix"] == ["Dr."]
    assert "Robin" not in made["text"]


@given(name=st.sampled_from(["Abigail", "Ned", "Zora", "Fern", "abigail", "OTIS"]))
def test_nobody_stands_in_for_themselves(name):
    """Also when a real name is in the stock."""
    assert Stand(OURS).given(name, "").casefold() != name.casefold()


def test_references_keep_pointing():
    """Every way to write a reference to one id gives the same pseudonym, and its resource bears it."""
    own = OURS.id("abc")
    assert OURS.reference("Patient/abc") == f"Patient/{own}"
    assert OURS.reference("https://x.org/fhir/Patient/abc/_history/3") == f"Patient/{own}"
    assert OURS.reference("urn:uuid:abc") == f"urn:uuid:{own}"
    assert OURS.full_url("https://x.org/fhir/Patient/abc").endswith(f"/Patient/{own}")
    assert OURS.reference("#abc") == f"#{own}"
    searched = OURS.reference("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999945349")
    assert searched.startswith("Practitioner/")
    assert "9999945349" not in searched
