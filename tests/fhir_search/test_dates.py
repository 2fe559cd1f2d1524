"""Dates as intervals: every precision and zone, against the oracle's own arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_search import readings
from medlock.fhir import dates
from medlock.fhir.values import MAX_MS, MIN_MS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.sampled_from(["", "Z", "+00:00", "-05:00", "+05:30", "+14:00", "-13:59"])
MOMENTS = st.datetimes(min_value=datetime(1583, 1, 2), max_value=datetime(9998, 12, 30))  # noqa: DTZ001 - as written


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // readings.MS


@given(MOMENTS, ZONES, st.integers(0, 9))
def test_moments(moment: datetime, zone: str, digits: int) -> None:
    """Minutes, seconds and parts of a second cover exactly what they name, in any zone."""
    fraction = f".{moment.microsecond * 1000:09d}"[: digits + 1] if digits else ""
    for text in (f"{moment:%Y-%m-%dT%H:%M}{zone}", f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"):
        low, high = readings.span(text)
        assert dates.parse(text) == (milliseconds(low), milliseconds(high))


@given(MOMENTS)
def test_days_months_years(moment: datetime) -> None:
    """A day, a month and a year cover all of themselves and nothing else."""
    for text in (f"{moment.year:04d}", f"{moment.year:04d}-{moment:%m}", f"{moment.year:04d}-{moment:%m-%d}"):
        low, high = readings.span(text)
        assert dates.parse(text) == (milliseconds(low), milliseconds(high))


def test_ends_of_the_calendar() -> None:
    """The first and the last year that FHIR can write are years like others."""
    assert dates.parse("0001")[1] == dates.parse("0002")[0]
    assert dates.parse("9999")[1] - dates.parse("9999")[0] == 365 * dates.DAY_MS
    assert dates.parse("9999-12-31")[1] == dates.parse("9999-12")[1] == dates.parse("9999")[1]


def test_leap_second() -> None:
    """FHIR can write second 60; it is the first second of the next minute."""
    assert dates.parse("2016-12-31T23:59:60Z") == dates.parse("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    ["", "20", "2020-", "2020-1", "2020-02-30", "2020-00", "2020-02-29T", "2020-02-29T1:00", "2020-02-29T10:00:61Z",
     "2020-02-29T10:00:00.Z", "2020-02-29t10:00:00Z", "2020-02-29T10:00:00z", "2020-02-29T10:00:00+1:00", " 2020", "2020 ",
     "2020\n", "+2020", "-2020", "12020", "2020/02/29", "20200229", "2020-060"],
)  # fmt: skip
def test_refused(text: str) -> None:
    """What is not exactly FHIR's date format raises ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence will do, the grammar has its own
        dates.parse(text)


def test_instant_is_a_point() -> None:
    """An instant has no width of its own, however precisely it is written."""
    for text in ("2020-02-29T10:00:00Z", "2020-02-29T10:00:00.000Z"):
        low, high = dates.instant(text)
        assert high - low == 1


@pytest.mark.parametrize(
    ("element", "span"),
    [
        ({}, None),
        ({"start": "1970-01-01"}, (0, MAX_MS)),
        ({"end": "1970-01-01"}, (MIN_MS, dates.DAY_MS)),
        ({"start": "1970-01-01", "end": "1970-01-02"}, (0, 2 * dates.DAY_MS)),
    ],
)
def test_periods(element: dict[str, str], span: dates.Interval | None) -> None:
    """A missing end is open; the end belongs to the period."""
    assert dates.period(element) == span


@pytest.mark.parametrize(
    ("element", "span"),
    [
        ({}, None),
        ({"repeat": {"boundsDuration": {"value": 3}}}, None),
        ({"event": ["1970-01-03", "1970-01-01"]}, (0, 3 * dates.DAY_MS)),
        ({"event": [None, "1970-01-01"]}, (0, dates.DAY_MS)),
        ({"event": ["1970-01-01"], "repeat": {"boundsPeriod": {"end": "1970-01-05"}}}, (MIN_MS, 5 * dates.DAY_MS)),
    ],
)
def test_timings(element: dict[str, object], span: dates.Interval | None) -> None:
    """Only the outer limits of a schedule count."""
    assert dates.timing(element) == span
