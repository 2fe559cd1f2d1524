"""Words that are easy to guess for this person and place (SP 800-63B-4 §3.1.1.2, ASVS 5.0 6.1.2 and 6.2.11).

A password may hold such a word; it may not rest on it. What is left of it without them must be as long as the
shortest password that any profile takes. Words of fewer than four characters count for nothing: they are in every
second sentence. Case, accents and the usual disguises (0 for o, 1 for l or i, $ for s) do not matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

PRODUCT = "medlock"
WORD_MIN = 4
LEFT_MIN = 8
_DISGUISES = str.maketrans("01i3457@$!|", "olleastasll")


def context_words(texts: Iterable[str]) -> frozenset[str]:
    """The words in names, addresses, dates (YYYY-MM-DD, all usual orders) and record numbers, folded."""
    found = {PRODUCT}
    for text in texts:
        parts = [each for each in re.split(r"[\W_]+", text) if each]
        found |= {*parts, "".join(parts), *_dates(text)}
    return frozenset(word for word in map(_folded, found) if len(word) >= WORD_MIN)


def rests_on(password: str, words: Iterable[str]) -> bool:
    """Whether too little is left of a password without these words (from `context_words`)."""
    form = left = _folded(password)
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    return left != form and len(left) < LEFT_MIN


def _dates(text: str) -> set[str]:
    """A birth date as people write it into passwords."""
    form = re.fullmatch(r"([0-9]{2})([0-9]{2})-([0-9]{2})-([0-9]{2})", text)
    if form is None:
        return set()
    century, year, month, day = form.groups()
    full = century + year
    return {full + month + day, day + month + full, month + day + full, day + month + year, month + day + year, full}


def _folded(text: str) -> str:
    """Without case, accents and disguises."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each)).translate(_DISGUISES)
