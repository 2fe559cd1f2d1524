"""Dates in running text, English and Spanish: found and read (date_shift writes them back moved).

A find keeps where its day, month and year stand, so that a shift changes these and nothing around them: "Monday,
March 5th, 2021" moved by three days is "Thursday, March 8th, 2021". Reads ISO 8601, US and European numbers, long
forms of both languages, ranges, spelled ordinals, partial dates (month and year, day and month), holidays. A year
alone is a find of its own sort, because 45 CFR 164.514(b)(2)(i)(C) lets years stand and MEDDOCAN's guideline does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from medlock.deid.text.date_forms import (
    BEFORE_NUMBERED,
    CERTAIN_FROM,
    COMPACT,
    FORMS,
    LONG,
    LOOSE,
    LOOSE_HINT,
    MONTH_HINT,
    NUMBER_HINT,
    NUMBERED,
    REACH,
    RELATIVE,
    YEAR_ALONE,
)
from medlock.deid.text.date_words import number
from medlock.deid.text.lexicon import fold


@dataclass(frozen=True, slots=True)
class Piece:
    """Where one part of a date stands (character offsets into the text)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DateMatch:
    """A date in a text. `year`, `month`, `day` are None where the text leaves them out or they cannot be told."""

    start: int
    end: int
    form: str
    confidence: float
    year: int | None = None
    month: int | None = None
    day: int | None = None
    pieces: tuple[tuple[str, Piece], ...] = ()


def read_dates(text: str, *, day_first: bool = False, years: bool = False) -> list[DateMatch]:
    """Every date of the text in order, without overlaps; the longest reading of a place wins.

    `day_first` decides numbers that can be read both ways (03/04/2020); `years` asks for years alone, too.
    """
    found = list(_certain(text, day_first=day_first))
    found += _loose(text, day_first=day_first)
    if years:
        found += [
            DateMatch(m.start(), m.end(), "year", 0.6, year=int(m[0]), pieces=(("year", Piece(m.start(), m.end())),))
            for m in YEAR_ALONE.finditer(text)
        ]
    return _longest(found)


def relative_dates(text: str) -> Iterator[DateMatch]:
    """Times told from today ("last week"): they date an event for whoever knows when the text was written."""
    return (DateMatch(match.start(), match.end(), "relative", 0.5) for match in RELATIVE.finditer(text))


def _longest(found: list[DateMatch]) -> list[DateMatch]:
    """Of finds that overlap the surest, of equals the longest; in order."""
    kept: list[DateMatch] = []
    for each in sorted(found, key=lambda match: (match.start, match.start - match.end)):
        if kept and each.start < kept[-1].end:
            if _rank(each) <= _rank(kept[-1]):
                continue
            kept.pop()
        kept.append(each)
    return kept


def _rank(match: DateMatch) -> tuple[bool, int]:
    return match.confidence >= CERTAIN_FROM, match.end - match.start


def _certain(text: str, *, day_first: bool) -> Iterator[DateMatch]:
    for hint, forms in ((NUMBER_HINT, FORMS), (MONTH_HINT, LONG)):
        for low, high in _windows(text, hint):
            for name, pattern, sure in forms:
                for match in pattern.finditer(text, low, high):
                    yield from _read(match, name, sure, day_first=day_first)


def _windows(text: str, hint: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Stretches around the places where a hint stands, so that the long patterns look at little else."""
    low = high = -1
    for match in hint.finditer(text):
        if match.start() - REACH > high:
            if high >= 0:
                yield low, high
            low = _boundary(text, max(0, match.start() - REACH))
        high = min(len(text), match.end() + REACH)
    if high >= 0:
        yield low, high


def _boundary(text: str, at: int) -> int:
    """Back to where no word or number is cut."""
    while at > 0 and not text[at - 1].isspace():
        at -= 1
    return at


def _loose(text: str, *, day_first: bool) -> Iterator[DateMatch]:
    for match in NUMBERED.finditer(text):
        if BEFORE_NUMBERED.search(text, max(0, match.start() - 24), match.start()):
            yield from _read(match, "numbers", 0.7, day_first=day_first)
    for match in COMPACT.finditer(text):
        yield from _read(match, "compact", 0.75, day_first=day_first)
    for low, high in _windows(text, LOOSE_HINT):
        for match in LOOSE.finditer(text, low, high):
            yield from _loose_read(match)


def _loose_read(match: re.Match[str]) -> Iterator[DateMatch]:
    month = match["month"]
    if month is None:
        yield DateMatch(match.start(), match.end(), "day", 0.6)
    elif month[0].isupper() or fold(month) not in {"may", "march", "mar", "set", "dic"}:
        for each in _read(match, "month", 0.6, day_first=False):
            yield replace(each, start=match.start("near")) if match["near"] else each


def _read(match: re.Match[str], form: str, sure: float, *, day_first: bool) -> Iterator[DateMatch]:
    """The match as a date, when its numbers can be one. It begins with its first part, not with an article."""
    groups = {
        name: value for name, value in match.groupdict().items() if value is not None and name not in {"mark", "near"}
    }
    values, order = _values(groups, day_first=day_first)
    if values is None:
        return
    pieces = tuple((order.get(name, name), Piece(*match.span(name))) for name in groups)
    if form == "long" and "year" not in groups and groups["month"] in {"may", "mar", "march"}:
        return  # "may 5 mg", "march 3 steps": verbs
    begin = min(piece.start for _, piece in pieces)
    yield DateMatch(begin, match.end(), form, sure, values.get("year"), values.get("month"), values.get("day"), pieces)


def _values(groups: dict[str, str], *, day_first: bool) -> tuple[dict[str, int] | None, dict[str, str]]:
    """Year, month and day as numbers, and which of two numbers is which; None when they make no date."""
    order: dict[str, str] = {}
    if "one" in groups:
        first, second = int(groups["one"]), int(groups["two"])
        swap = (day_first and second <= 12) or first > 12
        order = {"one": "day", "two": "month"} if swap else {"one": "month", "two": "day"}
    named = {order.get(name, name): value for name, value in groups.items()}
    values: dict[str, int] = {name: number(name, named[name]) for name in ("year", "month", "day") if name in named}
    good = 1 <= values.get("month", 1) <= 12 and 1 <= values.get("day", 1) <= 31
    return (values if good else None), order
