"""Hierarchies made from values nest, and refuse what they cannot read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.deid.tabular.builders import SMALL_ZIP_AREAS, dates, icd10, numbers, zips
from medlock.errors import BadRequest


def lines(hierarchy):
    """Lines by value."""
    return {line[0]: line[1:] for line in hierarchy.lines}


def test_ages():
    """Intervals of 5 and 20 years, everybody of 90 and more together."""
    found = lines(numbers("age", ["7", "89", "90", "103"], [5, 10, 30], top=90))
    assert found["7"] == ("5-9", "0-9", "0-29", "*")
    assert found["89"] == ("85-89", "80-89", "60-89", "*")
    assert found["90"] == found["103"] == ("90+", "90+", "90+", "*")


def test_dates():
    """Month, quarter, year, decade."""
    assert lines(dates("birth", ["1987-11-02"]))["1987-11-02"] == ("1987-11", "1987-Q4", "1987", "1980s", "*")


def test_zips():
    """Digits vanish from the right; areas of few people are one from three digits up."""
    found = lines(zips("zip", ["12345", "03601", "87888"]))
    assert found["12345"] == ("1234*", "123**", "12***", "1****", "*")
    assert found["03601"] == ("0360*", "000**", "000**", "000**", "*")
    assert found["87888"][1] == "000**"
    assert len(SMALL_ZIP_AREAS) == 17


def test_icd10():
    """Five, four, three, two characters, the letter."""
    found = lines(icd10("dx", ["E11.65", "E11", "S72.001A"]))
    assert found["E11.65"] == ("E11.65", "E11.6", "E11", "E1", "E", "*")
    assert found["E11"] == ("E11", "E11", "E11", "E1", "E", "*")
    assert found["S72.001A"] == ("S72.00", "S72.0", "S72", "S7", "S", "*")


@given(
    st.sets(st.integers(-300, 300).map(str), min_size=1),
    st.sampled_from([[], [3], [2, 6], [5, 10, 50]]),
    st.sampled_from([None, 30, 90]),
)
def test_number_hierarchies_nest(values, widths, top):
    """Any whole numbers: a hierarchy that is accepted, each value inside its interval."""
    found = numbers("n", values, widths, top)
    assert found.height == len(widths) + 1
    for value, *labels in found.lines:
        for label in labels[:-1]:
            if label.endswith("+"):
                assert int(value) >= top
            else:
                low, high = (int(part) for part in label.rsplit("-", 1)) if label.count("-") == 1 else (None, None)
                assert low is None or low <= int(value) <= high


@given(st.sets(st.dates().map(str), min_size=1))
def test_date_hierarchies_nest(values):
    """Any dates."""
    assert dates("d", values).height == 5


@given(st.sets(st.integers(0, 99_999).map("{:05}".format), min_size=1))
def test_zip_hierarchies_nest(values):
    """Any ZIP codes; no small area is told apart from three digits up."""
    found = zips("z", values)
    assert all(line[2] == "000**" for line in found.lines if line[0][:3] in SMALL_ZIP_AREAS)


REFUSED = [
    (numbers, ["1.5"], ([5],), "Column x has a value that is not a whole number"),
    (numbers, ["1"], ([5, 8],), "Interval widths of x"),
    (numbers, ["1"], ([5], 92), "Interval widths of x"),
    (numbers, ["1"], ([0],), "Interval widths of x"),
    (dates, ["31.5.2024"], (), "Column x has a value that is not a date"),
    (zips, ["123"], (), "Column x has a value that is not a ZIP code"),
    (icd10, ["diabetes"], (), "Column x has a value that is not an ICD-10 code"),
]


@pytest.mark.parametrize(("build", "values", "more", "says"), REFUSED)
def test_refused(build, values, more, says):
    """The sentence names the column and what is wrong, not the value."""
    with pytest.raises(BadRequest, match=says) as caught:
        build("x", values, *more)
    assert "diabetes" not in str(caught.value)
