"""Dates as intervals of time (R4 §3.1.1.4.7): [low, high) in milliseconds since 1970-01-01T00:00:00Z.

A date is the whole of the day, month or year that it names; a dateTime is its minute, second or part of a second;
an instant is a point, one millisecond wide here. Dates without a zone are taken as UTC.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from medlock.fhir.values import MAX_MS, MIN_MS

Interval = tuple[int, int]

DAY_MS: Final = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_MILLISECOND = timedelta(milliseconds=1)
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_TIME = rf"(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d{{1,9}})?)?{_ZONE}?"
_FORM = re.compile(rf"\d{{4}}(?:-\d\d(?:-\d\d(?:T{_TIME})?)?)?", re.ASCII)


def parse(text: str) -> Interval:
    """The interval of a date in a query, at any precision from year to parts of a second. Raises ValueError."""
    if not _FORM.fullmatch(text):
        raise ValueError("not a FHIR date")
    return interval(text)


def interval(text: str) -> Interval:
    """The interval of a date, dateTime or instant that validation has accepted. Raises ValueError when it is none."""
    if len(text) > 10:
        return _moment(text)
    if len(text) == 10:
        start = (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * DAY_MS
        return start, start + DAY_MS
    year, month = int(text[:4]), int(text[5:7] or 1)
    days = monthrange(year, month)[1] if len(text) > 4 else 365 + isleap(year)
    start = (date(year, month, 1).toordinal() - _EPOCH_DAY) * DAY_MS
    return start, start + days * DAY_MS


def _moment(text: str) -> Interval:
    leap = 1000 if text[16:19] == ":60" else 0  # R4 §2.24.0.1 allows :60; it is the first second of the next minute
    moment = datetime.fromisoformat(text.replace(":60", ":59", 1) if leap else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    start = (moment - _EPOCH) // _MILLISECOND + leap
    return start, start + _width(text)


def _width(text: str) -> int:
    if text[16:17] != ":":
        return 60_000
    if text[19:20] != ".":
        return 1000
    digits = len(text[20:]) - len(text[20:].lstrip("0123456789"))
    return (1000, 100, 10, 1)[min(digits, 3)]


def instant(text: str) -> Interval:
    """An instant: "a fixed point in time", of whatever precision it is written."""
    start = interval(text)[0]
    return start, start + 1


def period(element: dict[str, Any]) -> Interval | None:
    """A Period; a missing end is open. None when it names neither."""
    start, end = element.get("start"), element.get("end")
    if start is None and end is None:
        return None
    return interval(start)[0] if start else MIN_MS, interval(end)[1] if end else MAX_MS


def timing(element: dict[str, Any]) -> Interval | None:
    """The outer limits of a Timing: its events and the Period that bounds it. None when it names no date."""
    limits = [interval(event) for event in element.get("event", ()) if event is not None]
    bounds = period(element.get("repeat", {}).get("boundsPeriod", {}))
    if bounds is not None:
        limits.append(bounds)
    if not limits:
        return None
    return min(low for low, _ in limits), max(high for _, high in limits)
