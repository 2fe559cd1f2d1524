"""Dates in running text, English and Spanish: found, read, and written back shifted in the format they came in.

A find keeps where its day, month and year stand, so that a shift changes these and nothing around them: "Monday,
March 5th, 2021" moved by three days is "Thursday, March 8th, 2021". Reads ISO 8601, US and European numbers, long
forms of both languages, ranges, spelled ordinals, partial dates (month and year, day and month), holidays. A year
alone is a find of its own sort, because 45 CFR 164.514(b)(2)(i)(C) lets years stand and MEDDOCAN's guideline does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

from medlock.deid.text.lexicon import fold

ENGLISH = "january february march april may june july august september october november december".split()
SPANISH = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()
_SHORT = {"sept": 9, "set": 9, "setiembre": 9, "agto": 8}
_DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday".split(),
    "lunes martes miércoles jueves viernes sábado domingo".split(),
)
_UNITS = "first second third fourth fifth sixth seventh eighth ninth".split()
_TEENS = [
    *"tenth eleventh twelfth".split(),
    *(f"{teen}teenth" for teen in "thir four fif six seven eigh nine".split()),
    "twentieth",
]
_ORDINALS = [*_UNITS, *_TEENS, *(f"twenty-{unit}" for unit in _UNITS), "thirtieth", "thirty-first"]
_CARDINALES = (
    "uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
    "dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete "
    "veintiocho veintinueve treinta"
).split()


@cache
def _months() -> dict[str, int]:
    """Every spelling of a month that is read, folded, without a dot."""
    known = {name: number for names in (ENGLISH, SPANISH) for number, name in enumerate(names, 1)}
    return known | {name[:3]: number for name, number in known.items()} | _SHORT


@cache
def _spelled() -> dict[str, int]:
    """Spelled days, folded."""
    known = {fold(name): number for names in (_ORDINALS, _CARDINALES) for number, name in enumerate(names, 1)}
    return known | {name.replace("-", " "): number for name, number in known.items()} | {"primero": 1}


def _any(words: list[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_MONTH = (
    r"(?P<month>(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|ene|abr|ago|set|dic)\.?(?![^\W\d_])|(?:"
    + _any(ENGLISH + SPANISH + ["setiembre"])
    + r")\b)"
)
_DAY_WORD = _any([*_ORDINALS, *(each.replace("-", " ") for each in _ORDINALS), *_CARDINALES, "primero"])
_DAY = rf"(?P<day>\d{{1,2}}(?:st|nd|rd|th|º|°|ª)?\b|(?:{_DAY_WORD})\b)"
_THROUGH = r"(?:\s?(?:-|–|—|to|al?|and|y)\s?(?P<until>\d{1,2}(?:st|nd|rd|th)?)\b)?"
_YEAR = r"(?P<year>(?:1[89]|20)\d\d|['’´]\d\d)(?![\w%])"
_WEEKDAY = rf"(?:(?P<weekday>(?:{_any([*_DAYS[0], *_DAYS[1]])})\b|(?:mon|tues?|wed|thurs?|thu|fri|sat|sun)\b\.?),?\s+)?"
_TIME = r"(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"

# The form's name, its pattern, and how sure a match is that it is a date. Long forms come before their parts.
_FORMS: tuple[tuple[str, re.Pattern[str], float], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE), sure)
    for name, pattern, sure in (
        ("iso", rf"(?<![\w.-])(?P<year>(?:1[89]|20)\d\d)-(?P<month>0\d|1[0-2])-(?P<day>[0-3]\d){_TIME}(?![\w-])", 0.99),
        (
            "year-first",
            r"(?<![\w/.-])(?P<year>(?:1[89]|20)\d\d)[/.](?P<month>\d{1,2})[/.](?P<day>\d{1,2})(?![\w/])",
            0.97,
        ),
        (
            "numbers",
            (
                r"(?<![\w/.-])(?P<one>\d{1,2})\s?(?P<mark>[/.-])\s?(?P<two>\d{1,2})\s?(?P=mark)\s?"
                r"(?P<year>(?:1[89]|20)\d\d|\d\d)(?![\w/-]|\.\d)"
            ),
            0.97,
        ),
        ("numbers", r"(?<![\w/.-])(?P<one>\d{1,2}) (?P<two>\d{1,2}) (?P<year>(?:19|20)\d\d)(?![\w/-]|\.\d)", 0.7),
        (
            "number-name",
            (
                r"(?<![\w/.-])(?P<day>\d{1,2})(?P<mark>[/.-])(?P<month>[^\W\d_]{3,10})(?P=mark)(?P<year>(?:1[89]|"
                r"20)?\d\d)(?![\w/-])"
            ),
            0.97,
        ),
        ("month-year", r"(?<![\w/.-])(?P<month>0?[1-9]|1[0-2])[/-](?P<year>(?:19|20)\d\d)(?![\w/-])", 0.9),
        ("month-year", r"(?<![\w/.-])(?P<year>(?:19|20)\d\d)[/-](?P<month>0[1-9]|1[0-2])(?![\w/-])", 0.8),
    )
)
_LONG: tuple[tuple[str, re.Pattern[str], float], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE), sure)
    for name, pattern, sure in (
        (
            "long",
            (
                rf"{_WEEKDAY}\b{_MONTH}\s*(?:the\s+)?{_DAY}{_THROUGH}(?:(?:,\s?|\s?,|\s+(?:of\s+|in\s+)?|-|/|"
                rf"(?=['’])){_YEAR})?"
            ),
            0.98,
        ),
        (
            "long",
            (
                rf"{_WEEKDAY}(?:(?:the|el|d[ií]a|del)\s+)*(?<![\w/.-]){_DAY}{_THROUGH}\s*(?:of\s+|de\s+|-|/)?\b{_MONTH}"
                rf"(?:(?:,\s?|\s+(?:del?(?:\s+año)?\s+|of\s+)?|-|/|\s?(?=['’])){_YEAR})?"
            ),
            0.98,
        ),
        ("month-year", rf"\b{_MONTH}(?:\s+|\s?,\s?|\s+(?:del?(?:\s+año)?|of)\s+|-|/|\s?(?=['’])){_YEAR}", 0.95),
        ("month-year", rf"\b{_MONTH}[-/](?P<year>\d\d)(?![\w/-])", 0.85),
        ("month", rf"\b{_MONTH}(?=\s?(?:y|a|e|and|to|or|-|–)\s?(?:{_any(ENGLISH + SPANISH)})\b)", 0.85),
    )
)
_OF_NUMBERS = frozenset({"iso", "year-first", "numbers", "number-name", "month-year", "compact"})
_LONG_SURE = 0.85  # forms that are dates whatever surrounds them
_REACH = 40  # characters before and after a hint; the longest date is shorter
_HINTS = (
    r"[Jj](?:an|AN|u[nl]|U[NL])|[Ff](?:eb|EB)|[Mm](?:a[ry]|A[RY])|[Aa](?:pr|PR|ug|UG|br|BR|go|GO)|[Ss](?:e[pt]|"
    r"E[PT])|[OoNn](?:ct|CT|ov|OV)|[Dd](?:ec|EC|ic|IC)|[Ee](?:ne|NE)"
)
_MONTH_HINT = re.compile(rf"(?<![^\W\d_])(?:{_HINTS})")
_NUMBER_HINT = re.compile(r"\d ?[/.-] ?(?:\d|[A-Za-z]{3})|\d \d?\d (?:19|20)\d\d")
_NUMBERED = re.compile(r"(?<![\w/.-])(?P<one>\d{1,2})(?P<mark>[/-])(?P<two>\d{1,2})(?![\w/%-]|\.\d)")
_BEFORE_NUMBERED = re.compile(
    r"(?:\b(?:on|since|dated|until|till|through|dob|seen|admitted|discharged|visit|d[ií]a|fecha|desde|hasta|el|"
    r"date)\b[:\s(]*"
    r"(?:of |de )?)$",
    re.IGNORECASE,
)
_COMPACT = re.compile(
    r"(?<![\w.-])(?P<year>(?:19|20)\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|"
    r"3[01])(?:\d{4}(?:\d\d)?)?(?![\w-])"
)
_LOOSE = re.compile(
    rf"\b(?:last|this|next|past|on|since|every|pasado|este|el|desde(?: el)?)\s+(?:(?:{_any(_DAYS[0])})\b(?! [A-Z])|"
    rf"(?:{_any(_DAYS[1])})\b)"
    rf"|\b(?:{_any(_DAYS[0])})\b"
    rf"|(?:\b(?:in|since|(?P<near>last|this|next|past)|until|early|late|mid|of|by|en|desde|hasta|pasado|mes de|"
    rf"de)[\s-]+){_MONTH}(?!\s*\d)"
    r"|\b(?:christmas|thanksgiving|easter|halloween|new year['’]s|navidad|nochebuena|nochevieja|semana santa)"
    r"(?:\s+(?:day|eve|sunday))?\b(?:[\s,]+(?:of |de )?(?:19|20)\d\d\b)?",
    re.IGNORECASE,
)
_LOOSE_HINT = re.compile(
    rf"(?<![^\W\d_])(?:{_HINTS})|(?i:[a-z]day\b|christmas|thanksg|easter|hallow|new year|navidad|noche[bv]|semana s|"
    rf"lunes|martes|rcoles|jueves|viernes"
    r"|s[áa]bado|domingo)"
)
_RELATIVE = re.compile(
    r"\b(?:(?:last|this past|next)\s(?:week|month|year|spring|summer|fall|autumn|winter|weekend|night)|yesterday|"
    r"(?:two|three|few|\d+)\s(?:days|weeks|months)\sago)\b",
    re.IGNORECASE,
)
_YEAR_ALONE = re.compile(r"(?<![\w.,/-])(?:19[2-9]\d|20[0-4]\d)(?![\w/%-]|[.,]\d)")


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
            for m in _YEAR_ALONE.finditer(text)
        ]
    return _longest(found)


def relative_dates(text: str) -> Iterator[DateMatch]:
    """Times told from today ("last week"): they date an event for whoever knows when the text was written."""
    return (DateMatch(match.start(), match.end(), "relative", 0.5) for match in _RELATIVE.finditer(text))


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
    return match.confidence >= _LONG_SURE, match.end - match.start


def _certain(text: str, *, day_first: bool) -> Iterator[DateMatch]:
    for hint, forms in ((_NUMBER_HINT, _FORMS), (_MONTH_HINT, _LONG)):
        for low, high in _windows(text, hint):
            for name, pattern, sure in forms:
                for match in pattern.finditer(text, low, high):
                    yield from _read(match, name, sure, day_first=day_first)


def _windows(text: str, hint: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Stretches around the places where a hint stands, so that the long patterns look at little else."""
    low = high = -1
    for match in hint.finditer(text):
        if match.start() - _REACH > high:
            if high >= 0:
                yield low, high
            low = _boundary(text, max(0, match.start() - _REACH))
        high = min(len(text), match.end() + _REACH)
    if high >= 0:
        yield low, high


def _boundary(text: str, at: int) -> int:
    """Back to where no word or number is cut."""
    while at > 0 and not text[at - 1].isspace():
        at -= 1
    return at


def _loose(text: str, *, day_first: bool) -> Iterator[DateMatch]:
    for match in _NUMBERED.finditer(text):
        if _BEFORE_NUMBERED.search(text, max(0, match.start() - 24), match.start()):
            yield from _read(match, "numbers", 0.7, day_first=day_first)
    for match in _COMPACT.finditer(text):
        yield from _read(match, "compact", 0.75, day_first=day_first)
    for low, high in _windows(text, _LOOSE_HINT):
        for match in _LOOSE.finditer(text, low, high):
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
    values: dict[str, int] = {name: _number(name, named[name]) for name in ("year", "month", "day") if name in named}
    good = 1 <= values.get("month", 1) <= 12 and 1 <= values.get("day", 1) <= 31
    return (values if good else None), order


def _number(name: str, value: str) -> int:
    """0 for a word that is no number."""
    digits = re.sub(r"\D", "", value)
    if name == "year" and len(digits) == 2:
        # A two-digit year is the one nearest behind 2050 (POSIX pivots at 69; births reach further back in records).
        return int(digits) + (2000 if int(digits) < 50 else 1900)
    if digits:
        return int(digits)
    plain = fold(value).rstrip(".")
    return _months().get(plain, 0) if name == "month" else _spelled().get(plain, 0)


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
        later = timedelta(days=_number("day", old) - first.day) if name == "until" else timedelta()
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
    return match.form in _OF_NUMBERS and all(len(number) == 2 for number in numbers)


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
            old, ([*_CARDINALES, "treinta y uno"] if fold(old) in map(fold, _CARDINALES) else _ORDINALS)[day - 1]
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
    names = _DAYS[1] if plain in map(fold, _DAYS[1]) else _DAYS[0]
    name = names[weekday]
    return _cased(old, name if len(plain) > 5 or plain in map(fold, names) else name[:3])


def _cased(old: str, new: str) -> str:
    if old.isupper():
        return new.upper()
    return new.capitalize() if old[:1].isupper() else new
