"""Dates of one record moved together: whole days, the same for every date, so every interval stays exact.

The day of the month changes, the time of day and the zone stay as written, and moving back by the same number of days
gives the same text again, bit for bit. A date that names no day cannot be moved by days: a month moves with its
fifteenth, a year with its first of July, which is the month or year that most of it falls into.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_FORM: Final = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


def is_date(text: str) -> bool:
    """True for the form of a date, dateTime or instant."""
    return _FORM.fullmatch(text) is not None


def moved(text: str, days: int) -> str | None:
    """The date `days` later, in the same precision; None when it is no date or leaves the calendar."""
    if _FORM.fullmatch(text) is None:
        return None
    try:
        if len(text) >= 10:
            return moved_day(text[:10], days) + text[10:]
        middle = text + "-15" if len(text) == 7 else text + "-07-01"
        return moved_day(middle, days)[: len(text)]
    except (ValueError, OverflowError):
        return None


def moved_day(day: str, days: int) -> str:
    """A full date `days` later. Raises ValueError or OverflowError."""
    return date.fromordinal(date.fromisoformat(day).toordinal() + days).isoformat()
