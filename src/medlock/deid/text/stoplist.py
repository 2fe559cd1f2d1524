"""Eponyms and drug names against eager models: a guess that is made of clinical words alone is no identifier.

Presidio issues #786, #1173, #1352 and #1491 tell what happens without one: diseases, drugs and scores blacked out. A
guess falls when each of its words is a drug, an eponym or an ICD-10 word, unless a word is a usual name as well
("Wilson", "Johns") and nothing clinical follows. Rules have their own guards and do not pass through here.
"""

from __future__ import annotations

import re

from medlock.deid.text.lexicon import MEDICAL, Mark, fold, marks
from medlock.deid.text.names import eponymous
from medlock.deid.text.spans import Kind, Span

_WORD = re.compile(r"[^\W\d_]+")
_LITTLE = frozenset("of the and for in at s de la el del y".split())
_NAMELIKE = Mark.USUAL_FIRST | Mark.USUAL_LAST | Mark.CITY


def clinical(text: str, span: Span) -> bool:
    """Whether a model's guess is clinical language and should be dropped."""
    if span.kind not in {Kind.NAME, Kind.PLACE, Kind.HOSPITAL, Kind.ID}:
        return False
    if span.kind is Kind.NAME and eponymous(text, span.start, span.end):
        return True
    words = [word for word in _WORD.findall(text[span.start : span.end]) if fold(word) not in _LITTLE]
    return bool(words) and all(_plain(word) for word in words)


def _plain(word: str) -> bool:
    known = marks(word)
    return bool(known & (MEDICAL | Mark.FREQUENT)) and not known & _NAMELIKE
