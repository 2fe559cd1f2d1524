"""The forms in which dates are written, as patterns with a group for each part: ISO, US, European, long, partial.

A form has a name, a pattern, and how sure a match is that it is a date. Hints are cheap patterns that tell where the
long ones are worth trying.
"""

from __future__ import annotations

import re

from medlock.deid.text.date_words import CARDINALES, ENGLISH, ORDINALS, SPANISH, WEEKDAYS, either

_MONTH = (
    r"(?P<month>(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|ene|abr|ago|set|dic)\.?(?![^\W\d_])|(?:"
    + either(ENGLISH + SPANISH + ["setiembre"])
    + r")\b)"
)
_DAY_WORD = either([*ORDINALS, *(each.replace("-", " ") for each in ORDINALS), *CARDINALES, "primero"])
_DAY = rf"(?P<day>\d{{1,2}}(?:st|nd|rd|th|º|°|ª)?\b|(?:{_DAY_WORD})\b)"
_THROUGH = r"(?:\s?(?:-|–|—|to|al?|and|y)\s?(?P<until>\d{1,2}(?:st|nd|rd|th)?)\b)?"
_YEAR = r"(?P<year>(?:1[89]|20)\d\d|['’´]\d\d)(?![\w%])"
_WEEKDAY = (
    rf"(?:(?P<weekday>(?:{either([*WEEKDAYS[0], *WEEKDAYS[1]])})\b|"
    r"(?:mon|tues?|wed|thurs?|thu|fri|sat|sun)\b\.?),?\s+)?"
)
_TIME = r"(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"

# The form's name, its pattern, and how sure a match is that it is a date. Long forms come before their parts.
FORMS: tuple[tuple[str, re.Pattern[str], float], ...] = tuple(
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
LONG: tuple[tuple[str, re.Pattern[str], float], ...] = tuple(
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
        ("month", rf"\b{_MONTH}(?=\s?(?:y|a|e|and|to|or|-|–)\s?(?:{either(ENGLISH + SPANISH)})\b)", 0.85),
    )
)
OF_NUMBERS = frozenset({"iso", "year-first", "numbers", "number-name", "month-year", "compact"})
CERTAIN_FROM = 0.85  # forms that are dates whatever surrounds them
REACH = 40  # characters before and after a hint; the longest date is shorter
_HINTS = (
    r"[Jj](?:an|AN|u[nl]|U[NL])|[Ff](?:eb|EB)|[Mm](?:a[ry]|A[RY])|[Aa](?:pr|PR|ug|UG|br|BR|go|GO)|[Ss](?:e[pt]|"
    r"E[PT])|[OoNn](?:ct|CT|ov|OV)|[Dd](?:ec|EC|ic|IC)|[Ee](?:ne|NE)"
)
MONTH_HINT = re.compile(rf"(?<![^\W\d_])(?:{_HINTS})")
NUMBER_HINT = re.compile(r"\d ?[/.-] ?(?:\d|[A-Za-z]{3})|\d \d?\d (?:19|20)\d\d")
NUMBERED = re.compile(r"(?<![\w/.-])(?P<one>\d{1,2})(?P<mark>[/-])(?P<two>\d{1,2})(?![\w/%-]|\.\d)")
BEFORE_NUMBERED = re.compile(
    r"(?:\b(?:on|since|dated|until|till|through|dob|seen|admitted|discharged|visit|d[ií]a|fecha|desde|hasta|el|"
    r"date)\b[:\s(]*"
    r"(?:of |de )?)$",
    re.IGNORECASE,
)
COMPACT = re.compile(
    r"(?<![\w.-])(?P<year>(?:19|20)\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|"
    r"3[01])(?:\d{4}(?:\d\d)?)?(?![\w-])"
)
LOOSE = re.compile(
    r"\b(?:last|this|next|past|on|since|every|pasado|este|el|desde(?: el)?)\s+"
    rf"(?:(?:{either(WEEKDAYS[0])})\b(?! [A-Z])|"
    rf"(?:{either(WEEKDAYS[1])})\b)"
    rf"|\b(?:{either(WEEKDAYS[0])})\b"
    rf"|(?:\b(?:in|since|(?P<near>last|this|next|past)|until|early|late|mid|of|by|en|desde|hasta|pasado|mes de|"
    rf"de)[\s-]+){_MONTH}(?!\s*\d)"
    r"|\b(?:christmas|thanksgiving|easter|halloween|new year['’]s|navidad|nochebuena|nochevieja|semana santa)"
    r"(?:\s+(?:day|eve|sunday))?\b(?:[\s,]+(?:of |de )?(?:19|20)\d\d\b)?",
    re.IGNORECASE,
)
LOOSE_HINT = re.compile(
    rf"(?<![^\W\d_])(?:{_HINTS})|(?i:[a-z]day\b|christmas|thanksg|easter|hallow|new year|navidad|noche[bv]|semana s|"
    rf"lunes|martes|rcoles|jueves|viernes"
    r"|s[áa]bado|domingo)"
)
RELATIVE = re.compile(
    r"\b(?:(?:last|this past|next)\s(?:week|month|year|spring|summer|fall|autumn|winter|weekend|night)|yesterday|"
    r"(?:two|three|few|\d+)\s(?:days|weeks|months)\sago)\b",
    re.IGNORECASE,
)
YEAR_ALONE = re.compile(r"(?<![\w.,/-])(?:19[2-9]\d|20[0-4]\d)(?![\w/%-]|[.,]\d)")
