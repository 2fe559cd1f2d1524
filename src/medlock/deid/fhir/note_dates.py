"""Dates that the text engine found in a note, as the record's rule for dates says, in their own spelling.

The rule is asked about the ISO form of what was read. What it answers is written in the words' own format, read once
more, and let through only when that reading is the answer: a date in a note is then exactly as far from the dates in
the resources as it was. What cannot be read, moved or written so becomes a tag; a day without a year stays when it
comes out the same in leap years and others.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from medlock.deid.text.date_shift import shift_words
from medlock.deid.text.dates import DateMatch, read_dates

GONE: Final = "[DATE]"
Rule = Callable[[str], str | None]
_PROBES: Final = ("2000-07-01", "2001-07-01")  # a leap year and another


def redated_words(words: str, rule: Rule, *, day_first: bool) -> str:
    """The words of a date as `rule` says of its ISO form; a year alone when that is the answer."""
    if rule(_PROBES[0]) == _PROBES[0] and rule(_PROBES[1]) == _PROBES[1]:
        return words
    day_first = day_first or _dotted(words)
    read = _read(words, day_first=day_first)
    if read is None:
        return GONE
    return _dated(words, read, rule, day_first=day_first) if read.year else _yearless(words, rule, day_first=day_first)


def _dotted(words: str) -> bool:
    """Whether numbers with dots between them: those are written day first in English, too."""
    parts = words.strip().split(".")
    return len(parts) == 3 and all(part.strip().isdigit() for part in parts)


def _read(words: str, *, day_first: bool) -> DateMatch | None:
    found = read_dates(words, day_first=day_first, years=True)
    return found[0] if len(found) == 1 else None


def _iso(read: DateMatch) -> str:
    parts = [f"{read.year:04}", *(f"{part:02}" for part in (read.month, read.day) if part)]
    return "-".join(parts)


def _dated(words: str, read: DateMatch, rule: Rule, *, day_first: bool) -> str:
    iso = _iso(read)
    try:
        before = date.fromisoformat((iso + "-15" if len(iso) == 7 else iso + "-07-01")[:10])
    except ValueError:
        return GONE
    new, day = rule(iso), rule(before.isoformat())
    if new is None or day is None:
        return GONE
    if len(new) == 4:  # only the year may stay, or nothing more was said
        return words if new == words else new
    moved = shift_words(words, (date.fromisoformat(day) - before).days, day_first=day_first)
    return moved if moved is not None and _says(moved, new, day_first=day_first) else GONE


def _says(words: str, iso: str, *, day_first: bool) -> bool:
    """Whether words read as a date, and a range of days in them does not run over the end of a month."""
    read = _read(words, day_first=day_first)
    if read is None or read.year is None or _iso(read) != iso:
        return False
    until = [words[piece.start : piece.end] for name, piece in read.pieces if name == "until"]
    return not until or int("".join(filter(str.isdigit, until[0]))) > (read.day or 31)


def _yearless(words: str, rule: Rule, *, day_first: bool) -> str:
    moved = set()
    for probe in _PROBES:
        new = rule(probe)
        if new is None or len(new) != len(probe):
            return GONE
        days = (date.fromisoformat(new) - date.fromisoformat(probe)).days
        moved.add(shift_words(words, days, day_first=day_first, year=int(probe[:4])))
    return moved.pop() or GONE if len(moved) == 1 else GONE
