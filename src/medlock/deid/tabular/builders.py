"""Hierarchies made from the values themselves: numbers, dates, ZIP codes, ICD-10 codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise

from medlock.deid.tabular.hierarchy import SUPPRESSED, Hierarchy
from medlock.errors import BadRequest

# Three-digit ZIP areas of 20,000 people or fewer in the census of 2000: HHS guidance on 45 CFR 164.514(b)
SMALL_ZIP_AREAS = frozenset(
    f"{area:03}" for area in (36, 59, 63, 102, 203, 556, 692, 790, 821, 823, 830, 831, 878, 879, 884, 890, 893)
)
SMALL_ZIP_LABEL = "000"
_ICD10 = re.compile(r"[A-Z][0-9][0-9A-Z](\.?[0-9A-Z]{1,4})?")


def numbers(name: str, values: Iterable[str], widths: Sequence[int], top: int | None = None) -> Hierarchy:
    """Whole numbers in intervals of growing widths, each a multiple of the one before, counted from zero.

    Numbers from `top` on are one group from the first level, as HIPAA wants ages of 90 and more. Raises BadRequest for
    a value that is no whole number, and for widths that do not nest.
    """
    for narrow, wide in pairwise(widths):
        if wide % narrow or wide <= narrow:
            msg = f"Interval widths of {name} must each be a multiple of the one before; {wide} is none of {narrow}."
            raise BadRequest(msg)
    if any(width < 1 for width in widths) or (top is not None and widths and top % widths[0]):
        msg = f"Interval widths of {name} must be 1 or more, and divide the number that the last group starts with."
        raise BadRequest(msg)
    return Hierarchy(name, tuple(_number_line(name, value, widths, top) for value in sorted(set(values), key=_whole)))


def _number_line(name: str, value: str, widths: Sequence[int], top: int | None) -> tuple[str, ...]:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        msg = f"Column {name} has a value that is not a whole number; give it a hierarchy file instead."
        raise BadRequest(msg)
    number = int(value)
    labels = [_interval(number, width, top) for width in widths]
    return (value, *labels, SUPPRESSED)


def _interval(number: int, width: int, top: int | None) -> str:
    if top is not None and number >= top:
        return f"{top}+"
    low = number // width * width
    high = low + width - 1 if top is None else min(low + width, top) - 1
    return f"{low}-{high}"


def dates(name: str, values: Iterable[str]) -> Hierarchy:
    """ISO dates (ISO 8601, YYYY-MM-DD) by month, quarter, year and decade.

    Raises BadRequest for a value that is no date.
    """
    return Hierarchy(name, tuple(_date_line(name, value) for value in sorted(set(values))))


def _date_line(name: str, value: str) -> tuple[str, ...]:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        msg = f"Column {name} has a value that is not a date such as 2024-05-31; give it a hierarchy file instead."
        raise BadRequest(msg) from None
    quarter = f"{day.year}-Q{(day.month + 2) // 3}"
    return (value, f"{day.year}-{day.month:02}", quarter, f"{day.year}", f"{day.year // 10}0s", SUPPRESSED)


def zips(name: str, values: Iterable[str]) -> Hierarchy:
    """United States ZIP codes of five digits, the last digits hidden one by one.

    Areas of few people share the label 000 from three digits up (45 CFR 164.514(b)(2)(i)(B)). Raises BadRequest for a
    value of another form.
    """
    return Hierarchy(name, tuple(_zip_line(name, value) for value in sorted(set(values))))


def _zip_line(name: str, value: str) -> tuple[str, ...]:
    if not re.fullmatch(r"[0-9]{5}(-[0-9]{4})?", value):
        msg = f"Column {name} has a value that is not a ZIP code of five digits; give it a hierarchy file instead."
        raise BadRequest(msg)
    if value[:3] in {*SMALL_ZIP_AREAS, SMALL_ZIP_LABEL}:
        return (value, value[:4] + "*", *[SMALL_ZIP_LABEL + "**"] * 3, SUPPRESSED)
    return (value, *(value[:shown] + "*" * (5 - shown) for shown in (4, 3, 2, 1)), SUPPRESSED)


def icd10(name: str, values: Iterable[str]) -> Hierarchy:
    """ICD-10 codes (also ICD-10-CM) by prefix: five, four, three characters (the category), two, the letter.

    Raises BadRequest for a value of another form.
    """
    return Hierarchy(name, tuple(_icd10_line(name, value) for value in sorted(set(values))))


def _icd10_line(name: str, value: str) -> tuple[str, ...]:
    if not _ICD10.fullmatch(value):
        msg = f"Column {name} has a value that is not an ICD-10 code such as E11.65; give it a hierarchy file instead."
        raise BadRequest(msg)
    code = value.replace(".", "")
    prefixes = [code[:shown] for shown in (5, 4, 3, 2, 1)]
    return (value, *(f"{prefix[:3]}.{prefix[3:]}" if len(prefix) > 3 else prefix for prefix in prefixes), SUPPRESSED)


def _whole(value: str) -> int:
    return int(value) if re.fullmatch(r"-?[0-9]{1,18}", value) else 0
