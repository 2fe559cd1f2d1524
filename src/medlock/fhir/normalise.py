"""Folds text for string search (R4 §3.1.1.4.8): case, accents, punctuation and spacing do not matter.

Apostrophes and full stops vanish (O'Brien is OBrien, St. Mary's is St Marys); any other punctuation separates
words as a space does (Smith-Jones is Smith Jones). `fold` is idempotent, and what it returns for ASCII text is what
the general rule returns: the fast path is a shortcut, not a second rule.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_VANISH: Final = frozenset("'.\u2018\u2019\u02bc\u02bb`\u00b4")
_ASCII: Final = {
    code: (None if chr(code) in _VANISH else chr(code).lower() if chr(code).isalnum() else " ") for code in range(128)
}


def fold(text: str) -> str:
    """The text in lower case, without accents and punctuation, words parted by single spaces."""
    if text.isascii():
        return " ".join(text.translate(_ASCII).split())
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join("".join(_kept(mark) for mark in decomposed).split())


def _kept(mark: str) -> str:
    if mark in _VANISH or unicodedata.combining(mark):
        return ""
    # Letters, digits, and vowel signs that are no diacritics (category M, class 0, as in Devanagari).
    return mark if unicodedata.category(mark)[0] in "LNM" else " "
