"""Eponyms and drug names against eager models: a guess that is made of clinical words alone is no identifier.

Presidio issues #786, #1173, #1352 and #1491 tell what happens without one: diseases, drugs and scores blacked out. A
guess falls when each of its words is a drug, an eponym or an ICD-10 word, unless a word is a usual name as well
("Wilson", "Johns") and nothing clinical follows. Rules have their own guards and do not pass through here.
"""

from __future__ import annotations

import re

from medlock.deid.text.lexicon import EPONYMOUS, MEDICAL, Mark, fold, marks
from medlock.deid.text.names import eponymous
from medlock.deid.text.numbers import has_unit
from medlock.deid.text.spans import Kind, Span

_WORD = re.compile(r"[^\W\d_]+")
_LITTLE = frozenset("of the and for in at s de la el del y".split())
_NAMELIKE = Mark.USUAL_FIRST | Mark.USUAL_LAST | Mark.CITY
_PLACE_CUE = re.compile(r"\b(?:at|in|from|to|near|our|the|of|en|de|del|por)\s(?:the\s)?$", re.IGNORECASE)
_TIME = re.compile(r"\d|day\b|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_CODES = frozenset({Kind.ID, Kind.MRN, Kind.PLAN, Kind.ACCOUNT, Kind.SSN, Kind.LICENCE, Kind.ZIP, Kind.PHONE})
_WORDED = frozenset({Kind.NAME, Kind.PLACE, Kind.HOSPITAL, Kind.STREET, Kind.ID})


def clinical(text: str, span: Span) -> bool:
    """Whether a model's guess is clinical language and should be dropped."""
    found = text[span.start : span.end]
    if not any(each.isalpha() for each in found) and has_unit(text, span.end):
        return True
    if span.kind is Kind.DATE:
        return (found.isdigit() and len(found) < 5 and not _YEAR.fullmatch(found)) or not _TIME.search(found)
    if span.kind is Kind.STREET and not any(len(word) > 2 for word in _WORD.findall(found)):
        return True
    if span.kind in (_CODES | _WORDED) - {Kind.STREET} and any(each.isdigit() for each in found) and len(found) < 8:
        return sum(each.isdigit() for each in found) < 3
    return span.kind in _WORDED and (eponymous(text, span.start, span.end) or _all_plain(text, span))


def _all_plain(text: str, span: Span) -> bool:
    """Whether all words are plain, and nothing says that a place is meant after all."""
    found = text[span.start : span.end]
    words = [word for word in _WORD.findall(found) if fold(word) not in _LITTLE]
    cued = span.kind is not Kind.NAME and _PLACE_CUE.search(text, max(0, span.start - 12), span.start)
    loud = _line(text, span.start).isupper()
    return (not cued or found.islower()) and all(_plain(word, loud=loud) for word in words)


def _line(text: str, at: int) -> str:
    return text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]


def _plain(word: str, *, loud: bool) -> bool:
    """Whether a word is clinical or ordinary, or an abbreviation of a few capitals, and no likely name."""
    known = marks(word)
    if known & _NAMELIKE and not known & EPONYMOUS:
        return False
    if known & Mark.FIRST and not known & (MEDICAL | Mark.FREQUENT):
        return False
    return bool(known & (MEDICAL | Mark.ENGLISH)) or (word.isupper() and len(word) < 6 and not loud)
