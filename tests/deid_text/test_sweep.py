"""The known-identifier sweep: nothing that the record knows survives, the answer names it, the rest stays."""

import pytest

from deid_text.survivors import survivors
from medlock.deid.text import Kind, Known, Redactor, Sweep

KNOWN = Known(
    names=("Adolph Daryl Smith", "María José O'Brien-Núñez", "Mary Lee"),
    dates=("1957-03-12",),
    numbers=("S99931344", "7322ed57-a337"),
    addresses=("571 Koelpin Lane, Newburyport, MA 01950",),
    phones=("555-430-1166",),
    emails=("a.smith@example.com",),
    words=("Acme",),
)
GONE = [
    *(
        "Adolph Smith",
        "SMITH, ADOLPH",
        "smith adolph",
        "A. Smith",
        "Smith, A.D.",
        "A.D.S.",
        "adloph",
        "Smiht",
        "smith's",
        "Smith-Jones",
        "asmith",
    ),
    *(
        "adolphsmith",
        "Maria Jose",
        "MARÍA",
        "OBrien",
        "o'brien",
        "O’Brien",
        "Nunez",
        "Nuñes",
        "Mari\u0301a",
        "Smi\u00adth",
        "Smi\u200bth",
        "Acme",
    ),
    *(
        "03/12/1957",
        "12.3.57",
        "March 12th, 1957",
        "12 de marzo de 1957",
        "12-MAR-1957",
        "19570312",
        "12th of March",
        "March 1957",
    ),
    *("S99931344", "s 99931344", "S-999-31344", "S99931343", "S9993134", "7322ED57A337", "7322ed57 a337"),
    *("571 Koelpin Lane", "571 KOELPIN LN", "Koelpin", "Newburyport", "Newburyprt, MA 01950", "01950"),
    *("(555) 430-1166", "555.430.1166", "+1 555 430 1166", "5554301166", "430-1166", "555-430-1167"),
    *("A.SMITH@EXAMPLE.COM", "a.smith (at) example (dot) com", "a.smith@exmple.com", "a.smith"),
]


@pytest.mark.parametrize("spelling", GONE)
def test_spellings_go(spelling):
    """Each spelling is wholly covered, whatever stands around it."""
    for before, after in (("Note: ", " was seen."), ("(", ")"), ("", ""), ("x\n", "\ny")):
        text = f"{before}{spelling}{after}"
        covered = {at for span in Redactor("en", tagger=False).find(text, KNOWN) for at in range(span.start, span.end)}
        left = [
            text[at]
            for at in range(len(before), len(before) + len(spelling))
            if text[at].isalnum() and at not in covered
        ]
        assert left == []


def test_rendered_spellings_leave_no_survivor():
    """Of 5,000 spellings of the identifiers of 200 people none survives (benchmarks/deid_text_bench.py renders 100,000)."""
    assert survivors(5_000, seed=3) == []


def test_a_survivor_would_be_noticed():
    """The count above counts: without what the record knows, spellings do survive."""
    assert len(survivors(500, seed=3, sweep=False)) > 100


def test_the_answer_names_the_identifier_by_its_place():
    """A source is the field and index of the identifier, never its value."""
    spans = list(Sweep(KNOWN).find("Call Mary at (555) 430-1166 before 3/12/1957."))
    assert {(span.kind, span.source) for span in spans} >= {
        (Kind.NAME, "known:names[2]"),
        (Kind.PHONE, "known:phones[0]"),
        (Kind.DATE, "known:dates[0]"),
    }
    assert all(value not in span.source for span in spans for value in ("Mary", "555", "1957"))


def test_sparing_leaves_ordinary_words():
    """The word many is one letter from Mary: it goes by default, stays with `sparing`, and goes beside Lee all the same."""
    text = "There were many nodes."
    assert [span.text for span in Sweep(Known(names=("Mary Lee",))).find(text)] == ["many"]
    sparing = Sweep(Known(names=("Mary Lee",), sparing=True))
    assert list(sparing.find(text)) == []
    assert [span.text for span in sparing.find("for many lee today")] == ["many", "lee"]


@pytest.mark.parametrize(
    "text",
    [
        *("The left leg was seen by the team.", "Blood pressure 120/80, pulse 72.", "Give 500 mg every 12 hours."),
        *("MS was ruled out in the ED.", "The lane is narrow; north side.", "Platelets 430, sodium 116."),
    ],
)
def test_harmless_text_stays(text):
    """Short names one letter from ordinary words, clinical abbreviations and small numbers take nothing away."""
    known = Known(
        ("Mark Stone", "Ann Lee"),
        ("1957-03-12",),
        ("123456789",),
        ("571 North Lane, Lee, MA 01950",),
        ("555-430-1166",),
    )
    assert list(Sweep(known).find(text)) == []


def test_nothing_known_nothing_found():
    """An empty record takes nothing away, and neither do values too short to mean anything."""
    text = "Anything at all, 12 and A."
    assert list(Sweep(Known()).find(text)) == []
    assert list(Sweep(Known(numbers=("12",), names=("A",))).find(text)) == []
