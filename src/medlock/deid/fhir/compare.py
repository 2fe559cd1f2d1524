"""Comparison of FHIRPath values (FHIRPath N1 §6.1, §6.2): dates at the precision that both have, units that agree."""

from __future__ import annotations

import re
from typing import Any, Final, TypeGuard

_PARTS: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_UNITS: Final = ("system", "code", "unit")


def order(left: Any, right: Any) -> int | None:
    """-1, 0 or 1; None when it cannot be told."""
    if isinstance(left, dict) and isinstance(right, dict):
        same = all(left.get(key) == right.get(key) for key in _UNITS)
        return order(left.get("value"), right.get("value")) if same else None
    if _is_number(left) and _is_number(right):
        return (left > right) - (left < right)
    if isinstance(left, str) and isinstance(right, str):
        dates = _parts(left), _parts(right)
        if dates[0] and dates[1]:
            return _order_dates(dates[0], dates[1])
        return (left > right) - (left < right)
    return None


def equal(left: Any, right: Any) -> bool:
    """True when the two are the same value."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def equivalent(left: Any, right: Any) -> bool:
    """`~`: text without regard to case and white space, anything else as `=`."""
    if isinstance(left, str) and isinstance(right, str):
        return " ".join(left.split()).casefold() == " ".join(right.split()).casefold()
    return equal(left, right)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parts(text: str) -> list[float] | None:
    """Year, month, day, then minutes and seconds since midnight, in UTC when a zone is named."""
    found = _PARTS.fullmatch(text)
    if found is None:
        return None
    parts = [float(part) for part in found.groups()[:6] if part is not None]
    zone = found[7]
    if zone not in {None, "Z"} and len(parts) > 3:
        shift = (int(zone[1:3]) * 60 + int(zone[4:6])) * (1 if zone[0] == "+" else -1)
        parts[4:5] = [(parts[4] if len(parts) > 4 else 0.0) - shift]
    return parts


def _order_dates(left: list[float], right: list[float]) -> int | None:
    """Part by part; None where one stops and all before was equal."""
    for a, b in zip(_settled(left), _settled(right), strict=False):
        if a != b:
            return -1 if a < b else 1
    return 0 if len(left) == len(right) else None


def _settled(parts: list[float]) -> list[float]:
    """Hours and minutes as one number, for a zone moves them across midnight: such a day is told by its minutes."""
    if len(parts) < 4:
        return parts
    minutes = ((parts[2] * 24) + parts[3]) * 60 + (parts[4] if len(parts) > 4 else 0.0)
    day, rest = divmod(minutes, 1440)
    return [*parts[:2], day, rest, *parts[5:]]
