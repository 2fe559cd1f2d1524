"""Deadlines in working days, Monday to Friday in UTC: what was begun on a day is due at the end of a later one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_SATURDAY: Final = 5


def due(begun_ms: int, days: int) -> int:
    """The end of the so-manieth working day after that of `begun_ms`, in ms."""
    day = datetime.fromtimestamp(begun_ms // 1_000, UTC).replace(hour=0, minute=0, second=0)
    left = days
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < _SATURDAY
    return int((day + timedelta(days=1)).timestamp()) * 1_000
