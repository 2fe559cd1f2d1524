"""The small parts: choices, readings of a body, growth curves, addresses of mail, doses in words, and counting."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.fhir.clinic import clinic, describe
from medlock.fhir.clinic.analytes import ANALYTES, PANELS
from medlock.fhir.clinic.body import Body, Shift
from medlock.fhir.clinic.chance import Chance
from medlock.fhir.clinic.drugs import FORMULARY
from medlock.fhir.clinic.growth import median
from medlock.fhir.clinic.names import Name
from medlock.fhir.clinic.people import Person, draw_household
from medlock.fhir.clinic.places import draw_mail
from medlock.fhir.clinic.terms import age_on, years_before

_TODAY = date(2026, 11, 23)
_keys = st.integers(0, 2**32)


def _somebody(seed: int) -> Person:
    return draw_household(seed, 0, 1, 9, _TODAY).people[0]


@given(_keys, st.integers(-50, 50), st.integers(0, 80))
def test_between_stays_between(seed, low, width):
    """Both ends are possible, nothing beyond them is."""
    drawn = [Chance(seed).between(low, low + width) for _ in range(3)]
    assert all(low <= value <= low + width for value in drawn)
    assert len(set(drawn)) == 1


@given(_keys, st.lists(st.integers(), unique=True, max_size=12), st.integers(0, 15))
def test_some_are_different_and_from_the_options(seed, options, count):
    """A sample never repeats an option and never has more than there are."""
    drawn = Chance(seed).some(options, count)
    assert len(drawn) == len(set(drawn)) == min(count, len(options))
    assert set(drawn) <= set(options)


@given(_keys)
def test_weights_of_nothing_are_never_drawn(seed):
    """An option of weight 0 does not come up."""
    assert Chance(seed).weighted((("never", 0), ("always", 3))) == "always"


def test_noise_has_the_spread_it_names():
    """Over many draws the mean is 0, the deviation as asked, and none lies beyond three of them."""
    chance = Chance("noise")
    drawn = [chance.wobble(2.0) for _ in range(20_000)]
    mean = sum(drawn) / len(drawn)
    deviation = (sum((value - mean) ** 2 for value in drawn) / len(drawn)) ** 0.5
    assert abs(mean) < 0.06
    assert deviation == pytest.approx(2.0, rel=0.03)
    assert max(map(abs, drawn)) <= 6.0


@given(_keys, st.sampled_from(sorted(ANALYTES)), st.integers(0, 3000))
def test_a_reading_is_the_same_all_day_and_rounded(seed, analyte, days):
    """Read twice on a day, an analyte gives one value, with no more decimals than its laboratory reports."""
    person = _somebody(seed)
    day = max(person.born, _TODAY - timedelta(days=days))
    body = Body(person, Chance(seed))
    value = body.read(analyte, day)
    assert value == body.read(analyte, day)
    assert value >= 0
    assert round(value, ANALYTES[analyte].digits) == value


@given(_keys, st.floats(0.1, 5))
def test_treatment_halves_a_shift_in_the_time_it_names(seed, halves):
    """A fading shift is half gone after `halves` years (here on a value without noise between days)."""
    person = _somebody(seed)
    body = Body(person, Chance(seed))
    start = _TODAY - timedelta(days=3650)
    body.shift(start, Shift("viral-load", 1_000_000, halves=halves))
    after = start + timedelta(days=round(halves * 365.25))
    assert body.read("viral-load", start) == pytest.approx(1_000_000, rel=0.001)
    assert body.read("viral-load", after) == pytest.approx(500_000, rel=0.02)


@given(st.sampled_from(["height", "weight", "head"]), st.sampled_from(["female", "male"]), st.floats(0, 17))
def test_children_grow(measure, sex, age):
    """No growth curve ever falls."""
    assert median(measure, sex, age) <= median(measure, sex, age + 1)


def test_panels_list_known_analytes():
    """Every member of a panel can be measured, and every drug's directions read as a sentence."""
    assert {member for panel in PANELS.values() for member in panel.members} <= set(ANALYTES)
    assert FORMULARY["depot"].directions == "1 injection once every 3 months"
    assert FORMULARY["albuterol"].directions == "2 puff 4 times a day, as needed"


@pytest.mark.parametrize(
    ("given_name", "family", "mail"),
    [
        ("Łucja", "Żółtek", "lucja.zoltek7@"),
        ("María José", "de la Peña", "mariajose.delapena7@"),
        ("芳", "", "patient7@"),
    ],
)
def test_mail_names_are_ascii(given_name, family, mail):
    """Accents fall away, spaces too, and a name without any Latin letter still gets an address."""
    assert draw_mail(Chance(1), given_name, family, 7).startswith(mail)


def test_a_person_with_one_name_has_no_family_name():
    """FHIR wants no empty family: the element is left out."""
    assert Name("", ("Sumarsono",), "").human_names() == [
        {"use": "official", "text": "Sumarsono", "given": ["Sumarsono"]}
    ]


@given(st.dates(date(1930, 1, 1), date(2026, 1, 1)), st.integers(0, 90))
def test_years_before_is_that_age(day, years):
    """Somebody born on the same day `years` before has that age in completed years, leap days included."""
    assert age_on(day, years_before(day, years)) == years


def test_the_tally_counts_what_is_there():
    """`describe` agrees with a naive count and prints one sentence."""
    bundles = list(clinic(4, 25, today=_TODAY))
    resources = [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
    tally = describe(iter(bundles))
    assert tally.resources == len(resources)
    assert tally.patients == 25
    assert tally.households == len(bundles) - 1
    assert tally.restricted == sum("security" in resource["meta"] for resource in resources)
    first = min(one["period"]["start"][:4] for one in resources if one["resourceType"] == "Encounter")
    assert tally.from_year == first
    assert tally.sentence().startswith("25 patients in ")


def test_the_tally_of_nothing():
    """No bundles, no numbers."""
    assert describe([]).resources == 0
