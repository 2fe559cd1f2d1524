"""Dates are found in every usual form, and come back moved by exactly so many days in the form they had."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid_text.variants import MESES, MONTHS
from medlock.deid.text.date_shift import shift, shift_words
from medlock.deid.text.dates import read_dates

FORMS = {
    "iso": lambda day: day.isoformat(),
    "us": lambda day: f"{day.month}/{day.day}/{day.year}",
    "us padded": lambda day: f"{day.month:02d}/{day.day:02d}/{day.year}",
    "slashes": lambda day: f"{day.year}/{day.month}/{day.day}",
    "long": lambda day: f"{MONTHS[day.month - 1]} {day.day}, {day.year}",
    "long british": lambda day: f"{day.day} {MONTHS[day.month - 1]} {day.year}",
    "upper": lambda day: f"{day.day:02d}-{MONTHS[day.month - 1][:3].upper()}-{day.year}",
    "spanish": lambda day: f"{day.day} de {MESES[day.month - 1]} de {day.year}",
    "weekday": lambda day: f"{day:%A}, {MONTHS[day.month - 1]} {day.day}, {day.year}",
}
DAYS = st.dates(date(1901, 1, 1), date(2098, 12, 31))


@pytest.mark.parametrize("form", sorted(FORMS))
@given(day=DAYS, days=st.integers(-364, 364))
def test_a_shift_is_exact_and_keeps_the_form(form, day, days):
    """What is written for a day, moved, is what is written for the day that many days later."""
    written = FORMS[form]
    text = f"Seen on {written(day)}."
    (match,) = read_dates(text)
    assert (match.year, match.month, match.day) == (day.year, day.month, day.day)
    moved = shift(match, text, days)
    assert moved in {written(day + timedelta(days=days)), *either_width(written(day), day + timedelta(days=days))}


def either_width(text, day):
    """Where the text shows no width (10/11/2020) two digits are kept."""
    numbers = text.replace("-", "/").split("/")
    if len(numbers) == 3 and all(len(number) != 1 and not number.startswith("0") for number in numbers):
        yield f"{day.month:02d}/{day.day:02d}/{day.year}"
        yield f"{day.year}/{day.month:02d}/{day.day:02d}"


@given(day=DAYS, days=st.integers(1, 364))
def test_intervals_survive(day, days):
    """Two dates of one text keep their distance whatever the shift."""
    text = f"From {day.isoformat()} to {(day + timedelta(days=days)).isoformat()}"
    first, second = (date.fromisoformat(shift(match, text, -200)) for match in read_dates(text))
    assert (second - first).days == days


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("admitted Jan 9th '23 with", "Jan 9th '23"),
        ("on March 3-5, 2023", "March 3-5, 2023"),
        ("the third of March, 1999", "third of March, 1999"),
        ("since last Friday", "last Friday"),
        ("visto el 5 de mayo", "5 de mayo"),
        ("in Noviembre de 2000", "Noviembre de 2000"),
        ("retirado en febrero-07", "febrero-07"),
        ("seen on 3/14 and well", "3/14"),
        ("on Christmas 2019", "Christmas 2019"),
        ("20240131", "20240131"),
        ("at 2021-09-30T12:00:00Z", "2021-09-30T12:00:00Z"),
        ("15.03.2019", "15.03.2019"),
    ],
)
def test_forms_that_are_read(text, found):
    """Partial, spelled, loose and machine-made dates are found with their exact extent."""
    assert [text[match.start : match.end] for match in read_dates(text)] == [found]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "BP 120/80",
            "strength 5/5",
            "ratio 3/4",
            "she may 5 mg take",
            "version 1.2.3.4",
            "34-year-old",
            "2023 guidelines",
        ),
        *("45/13/2020", "00/00/0000", "T10:30", "1/2 tablet", "HLA-B27", "page 12-14"),
    ],
)
def test_what_is_no_date(text):
    """Pressures, fractions, versions, ages and impossible days are left alone."""
    assert read_dates(text) == []


def test_either_order():
    """03/04 is 4 March to an American and 3 April to a Spaniard; 25/12 is Christmas to both."""
    assert [(m.month, m.day) for m in read_dates("03/04/2020")] == [(3, 4)]
    assert [(m.month, m.day) for m in read_dates("03/04/2020", day_first=True)] == [(4, 3)]
    assert [(m.month, m.day) for m in read_dates("25/12/2020")] == [(12, 25)]


def test_partial_dates_move_as_what_they_name():
    """A month moves as its middle, a range with both ends; what names no day comes back as nothing."""
    assert shift_words("March 2021", 31) == "April 2021"
    assert shift_words("March 3-5, 2023", 30) == "April 2-4, 2023"
    assert shift_words("Sept. 30, 2022", 1) == "Oct. 1, 2022"
    assert shift_words("last Friday", 3) is None
    assert shift_words("nothing", 3) is None


def test_years_alone_only_when_asked():
    """HIPAA lets years stand; the wider policy asks for them."""
    assert read_dates("diagnosed in 2015") == []
    assert [m.year for m in read_dates("diagnosed in 2015", years=True)] == [2015]
