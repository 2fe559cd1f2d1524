"""Surrogates: same key same value, same form, nothing of the original left."""

import re
from datetime import date

import pytest

from medlock.deid.text import Kind, Redactor, Span
from medlock.deid.text.lexicon import Mark, marks
from medlock.deid.text.surrogates import Surrogates

KEY, OTHER = b"k" * 32, b"o" * 32
TEXT = (
    "Mary Alcott, DOB 3/14/1950, was seen by Dr. John Weber at St. Luke's Hospital from March 5th, 2021 to March 9th, 2021 "
    "(MRN: AB-12345). ALCOTT lives at 12 Elm Street, Boston, MA 02139. Call (555) 123-4567 or m.alcott@x.com. Age 93 years old."
)


def span(kind, text):
    """A span of its own."""
    return Span(0, len(text), kind, 1.0, "test", text)


def test_one_key_one_person():
    """The same value gets the same surrogate in every case and place; another key gives another."""
    make, again, other = Surrogates(KEY), Surrogates(KEY), Surrogates(OTHER)
    assert make(span(Kind.NAME, "Mary Alcott")) == again(span(Kind.NAME, "Mary Alcott"))
    assert make(span(Kind.NAME, "ALCOTT")).lower() == make(span(Kind.NAME, "Mary Alcott")).split()[1].lower()
    names = ["Mary Alcott", "John Weber", "Ana Ruiz", "Wei Chen"]
    assert [make(span(Kind.NAME, name)) for name in names] != [other(span(Kind.NAME, name)) for name in names]


def test_gender_and_titles_stay():
    """Mary becomes a woman's name, John a man's; a title stays."""
    make = Surrogates(KEY)
    assert marks(make(span(Kind.NAME, "Mary"))) & Mark.FEMALE
    assert marks(make(span(Kind.NAME, "John"))) & Mark.MALE
    assert make(span(Kind.NAME, "Dr. Weber")).startswith("Dr. ")


def test_dates_move_in_step():
    """Distances between dates stay, formats stay, and the shift is never none."""
    make = Surrogates(KEY)
    first, second = (make(span(Kind.DATE, text)) for text in ("2021-03-05", "2021-03-09"))
    assert (date.fromisoformat(second) - date.fromisoformat(first)).days == 4
    assert first != "2021-03-05"
    assert re.fullmatch(r"[A-Z][a-z]+ \d+(st|nd|rd|th), \d{4}", make(span(Kind.DATE, "March 5th, 2021")))
    assert make(span(Kind.DATE, "last Friday")) == "[DATE]"


@pytest.mark.parametrize("number", ["AB-12345", "(555) 123-4567", "123-45-6789", "#UCLA-1x"])
def test_numbers_keep_their_form(number):
    """Letters stay letters, digits digits, marks where they were."""
    made = Surrogates(KEY)(span(Kind.MRN, number))
    form = [("d" if each.isdigit() else "X" if each.isupper() else "x" if each.islower() else each) for each in number]
    assert [
        ("d" if each.isdigit() else "X" if each.isupper() else "x" if each.islower() else each) for each in made
    ] == form
    assert made != number


def test_nothing_of_the_original_is_left():
    """A whole text with surrogates holds none of the identifiers, and reads as text."""
    done = Redactor("en").apply(TEXT, replace=Surrogates(KEY)).text
    for word in (
        "Mary",
        "Alcott",
        "Weber",
        "Luke",
        "AB-12345",
        "Elm",
        "02139",
        "123-4567",
        "m.alcott",
        "3/14/1950",
        "93 years",
    ):
        assert word.lower() not in done.lower()
    assert "[" not in done


def test_a_short_key_is_refused():
    """A key that could be guessed is no key."""
    with pytest.raises(ValueError, match="32 bytes"):
        Surrogates(b"short")
