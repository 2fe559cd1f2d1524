"""Dates moved by so many days and written back in the format they came in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from medlock.deid.text.date_forms import OF_NUMBERS
from medlock.deid.text.date_words import CARDINALES, ENGLISH, ORDINALS, SPANISH, WEEKDAYS, number
from medlock.deid.text.dates import DateMatch, read_dates
from medlock.deid.text.lexicon import fold


def shift(match: DateMatch, text: str, days: int, *, year: int = 2000) -> str | None:
    """The words of the match moved by so many days, in the same format; None when it has no month (nothing to move).

    `year` stands in for a year that the text leaves out, so that February has its length. A date without a day moves
    as the 15th of its month, a year alone as its 1st of July. Raises nothing: a 31 February is moved from the 28th.
    """
    if match.month is None and match.year is None:
        return None
    first = _civil(match, year)
    moved = first + timedelta(days=days)
    out, at = [], match.start
    style = _Style(_padded(match, text), match.form == "number-name")
    for name, piece in sorted(match.pieces, key=lambda each: each[1].start):
        old = text[piece.start : piece.end]
        later = timedelta(days=number("day", old) - first.day) if name == "until" else timedelta()
        out += [text[at : piece.start], _written(name, old, moved + later, style)]
        at = piece.end
    return "".join([*out, text[at : match.end]])


def shift_words(words: str, days: int, *, day_first: bool = False, year: int = 2000) -> str | None:
    """The words of a DATE span moved by so many days, in their own format; None when they name no day or month."""
    found = read_dates(words, day_first=day_first, years=True)
    moved = shift(found[0], words, days, year=year) if len(found) == 1 else None
    return None if moved is None else words[: found[0].start] + moved + words[found[0].end :]


def _civil(match: DateMatch, year: int) -> date:
    month = match.month or 7
    day = match.day or (15 if match.month else 1)
    for back in range(4):
        try:
            return date(match.year or year, month, day - back)
        except ValueError:
            continue
    return date(match.year or year, month, 28)


@dataclass(frozen=True, slots=True)
class _Style:
    """How the parts of a date are written: with leading zeros, with months in three letters."""

    padded: bool
    short: bool


def _padded(match: DateMatch, text: str) -> bool:
    """Whether days and months below ten have a zero: one shows it, or in a row of numbers all have two digits."""
    numbers = [text[piece.start : piece.end] for name, piece in match.pieces if name in {"day", "month"}]
    numbers = [number for number in numbers if number.isdigit()]
    if any(number.startswith("0") for number in numbers):
        return True
    return match.form in OF_NUMBERS and all(len(number) == 2 for number in numbers)


def _written(name: str, old: str, moved: date, style: _Style) -> str:
    """One part, as it was written before."""
    if name == "year":
        mark = "" if old[0].isdigit() else old[0]
        return mark + (f"{moved.year:04d}" if len(old) - len(mark) == 4 else f"{moved.year % 100:02d}")
    if name == "month":
        return _month_as(old, moved.month, style)
    if name == "weekday":
        return _weekday_as(old, moved.weekday())
    return _day_as(old, moved.day, style)


def _day_as(old: str, day: int, style: _Style) -> str:
    digits = re.match(r"\d+", old)
    if digits is None:
        return _cased(
            old, ([*CARDINALES, "treinta y uno"] if fold(old) in map(fold, CARDINALES) else ORDINALS)[day - 1]
        )
    number = f"{day:02d}" if style.padded else str(day)
    tail = old[digits.end() :]
    return number + (_suffix(day) if tail.lower() in {"st", "nd", "rd", "th"} else tail)


def _suffix(day: int) -> str:
    return "th" if day in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _month_as(old: str, month: int, style: _Style) -> str:
    if old.isdigit():
        return f"{month:02d}" if style.padded else str(month)
    plain, dot = fold(old).rstrip("."), "." if old.endswith(".") else ""
    spanish = plain in SPANISH or plain in {"ene", "abr", "ago", "set", "dic", "setiembre", "agto"}
    name = (SPANISH if spanish else ENGLISH)[month - 1]
    whole = len(plain) > 4 or (plain in {"may", "june", "july", "mayo"} and not style.short)
    return _cased(old, name if whole else name[:3]) + dot


def _weekday_as(old: str, weekday: int) -> str:
    plain = fold(old).rstrip(".")
    names = WEEKDAYS[1] if plain in map(fold, WEEKDAYS[1]) else WEEKDAYS[0]
    name = names[weekday]
    return _cased(old, name if len(plain) > 5 or plain in map(fold, names) else name[:3])


def _cased(old: str, new: str) -> str:
    if old.isupper():
        return new.upper()
    return new.capitalize() if old[:1].isupper() else new
