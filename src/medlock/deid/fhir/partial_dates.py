"""Dates cut and moved the way Microsoft's tool does it: the year alone, or whole days with the time of day zeroed.

Ages over 89 (45 CFR 164.514(b)(2)(i)(C)): a date so long ago that it tells such an age is removed whole. What cannot
be read as a date is removed as well.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

AGE_MAX: Final = 89
SHIFT_RANGE: Final = 50  # days either way
_SEED: Final = 131
_FORM: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?)?)?", re.ASCII)
_TIME: Final = re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?", re.ASCII)
_DIGIT: Final = re.compile(r"\d", re.ASCII)


def tells_old_age(year: int, month: int, day: int, today: date) -> bool:
    """True when somebody born then is over 89 today."""
    before = (today.month, today.day) < (month, day)
    return today.year - year - before > AGE_MAX


def year_of(text: str, today: date) -> str | None:
    """The year of a date, dateTime or instant; None when it tells an age over 89 or is no date."""
    found = _FORM.match(text)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
    return None if tells_old_age(year, month, day, today) else found[1]


def shift_days(prefix: str, key: str) -> int:
    """The offset of Microsoft's tool, from -50 to 50 days; no secret stands behind it but `key`."""
    offset = 0
    for byte in (prefix + key).encode():
        offset = (offset * _SEED + byte) % (2 * SHIFT_RANGE + 1)
    return offset - SHIFT_RANGE


def shifted(text: str, days: int, today: date) -> str | None:
    """A date with its day moved by `days`, its time of day zeroed; None when only its year may stay, or nothing."""
    found = _FORM.match(text)
    if found is None or found[3] is None:
        return None
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if tells_old_age(year, month, day, today):
        return None
    try:
        moved = date(year, month, day) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    time = _TIME.sub(lambda match: _DIGIT.sub("0", match[0]), found[4], count=1) if found[4] else ""
    return moved.isoformat() + time
