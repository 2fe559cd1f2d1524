"""Dates as people write them in notes: found, moved like all dates of the record, and written the same way again.

ISO dates and times, `3/14/2019`, `14.3.2019`, `March 14, 2019`, `14 Mar 2019`, `March 2019`. A date that cannot be
(31 February) or that the record's rule removes becomes `[DATE]`; where only years may stay, the year stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

GONE: Final = "[DATE]"
_MONTHS: Final = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
                  "november", "december")  # fmt: skip
_NAMED: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_ISO: Final = r"(?P<iso>\d{4}-\d\d-\d\d)(?P<time>[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
_SLASHED: Final = r"(?P<one>\d{1,2})(?P<sign>[/.-])(?P<two>\d{1,2})(?P=sign)(?P<year>(?:18|19|20)\d\d|\d\d)"
_AMERICAN: Final = rf"(?P<m1>{_NAMED})\s+(?P<d1>\d{{1,2}})(?P<th>st|nd|rd|th)?(?P<c1>,?\s+)(?P<y1>(?:18|19|20)\d\d)"
_EUROPEAN: Final = rf"(?P<d2>\d{{1,2}})(?P<dot>\.?\s+|-)(?P<m2>{_NAMED})(?P<c2>,?\s+|-)(?P<y2>(?:18|19|20)\d\d)"
_MONTH: Final = rf"(?P<m3>{_NAMED})(?P<c3>,?\s+)(?P<y3>(?:18|19|20)\d\d)"
_PLAIN_MONTH: Final = r"(?P<month>(?:19|20)\d\d-(?:0[1-9]|1[0-2]))(?![-\d])"
_ANY: Final = re.compile(
    rf"(?<![\w.-])(?:{_ISO}|{_AMERICAN}|{_EUROPEAN}|{_MONTH}|{_SLASHED}|{_PLAIN_MONTH})(?![\w-]|\.\d)",
    re.IGNORECASE | re.ASCII,
)
_HINT: Final = re.compile(r"\d\d")
Rule = Callable[[str], str | None]


def redated(text: str, rule: Rule) -> str:
    """The text with every date as `rule` says of its ISO form; a year alone when that is the answer."""
    if not _HINT.search(text):
        return text
    return _ANY.sub(lambda match: _written(match, rule), text)


def _written(match: re.Match[str], rule: Rule) -> str:
    groups = match.groupdict()
    if groups["iso"]:
        new = _asked(groups["iso"], rule)
        return new + (groups["time"] or "") if len(new) == 10 else new
    if groups["month"]:
        return _asked(groups["month"], rule)
    if groups["m1"]:
        return _named(groups, rule, "1")
    if groups["m2"]:
        return _named(groups, rule, "2")
    if groups["m3"]:
        return _month(groups, rule)
    return _slashed(groups, rule)


def _asked(iso: str, rule: Rule) -> str:
    """What becomes of a date; one that cannot be is gone."""
    try:
        date.fromisoformat(iso if len(iso) == 10 else f"{iso}-01")
    except ValueError:
        return GONE
    return rule(iso) or GONE


def _number(name: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, 1) if month.startswith(name.lower().rstrip(".")[:3]))


def _like(name: str, number: int) -> str:
    """A month written as long and in the case of another."""
    full = _MONTHS[number - 1]
    word = full if len(name.rstrip(".")) > 4 or name.lower() in {"june", "july"} else full[:3]
    return word.upper() if name.isupper() else word.capitalize() if name[0].isupper() else word


def _named(groups: dict[str, str], rule: Rule, form: str) -> str:
    day, month, year = groups[f"d{form}"], groups[f"m{form}"], groups[f"y{form}"]
    new = _asked(f"{year}-{_number(month):02}-{int(day):02}", rule)
    if len(new) != 10:
        return new
    number, shown = int(new[8:]), _like(month, int(new[5:7]))
    if form == "1":
        return f"{shown} {number}{_ordinal(number) if groups['th'] else ''}{groups['c1']}{new[:4]}"
    return f"{number}{groups['dot']}{shown}{groups['c2']}{new[:4]}"


def _ordinal(number: int) -> str:
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number not in {11, 12, 13} else 0, "th")


def _month(groups: dict[str, str], rule: Rule) -> str:
    new = _asked(f"{groups['y3']}-{_number(groups['m3']):02}", rule)
    return new if len(new) != 7 else f"{_like(groups['m3'], int(new[5:7]))}{groups['c3']}{new[:4]}"


def _slashed(groups: dict[str, str], rule: Rule) -> str:
    """Month first with slashes, as in the United States, unless it can only be the day; day first with dots."""
    first, second, sign = int(groups["one"]), int(groups["two"]), groups["sign"]
    day_first = sign == "." or first > 12
    month, day = (second, first) if day_first else (first, second)
    year = groups["year"] if len(groups["year"]) == 4 else f"20{groups['year']}"
    new = _asked(f"{year}-{month:02}-{day:02}", rule)
    if len(new) != 10:
        return new
    parts = (int(new[8:]), int(new[5:7])) if day_first else (int(new[5:7]), int(new[8:]))
    written = groups["one"], groups["two"]
    # With two digits each it cannot be told; then dots are padded, as in German, and slashes are not, as in American.
    padded = any(part[0] == "0" for part in written) or (sign == "." and all(len(part) == 2 for part in written))
    shown = [f"{part:02}" if padded else str(part) for part in parts]
    return sign.join([*shown, new[:4] if len(groups["year"]) == 4 else new[2:4]])
