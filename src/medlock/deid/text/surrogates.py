"""Replacements that read like the real thing: other names, dates moved in step, numbers of the same form.

Keyed: with one key the same value gets the same surrogate in every text, without the key nothing leads back
(HMAC-SHA256, `crypto.prf`). Names keep their gender as far as the lists know it, and the number of their parts; dates
keep their format and all their distances, because all move by the same number of days; numbers keep their form.
"""

from __future__ import annotations

import random
from functools import cache

from medlock.crypto.prf import Prf
from medlock.deid.text.date_shift import shift_words
from medlock.deid.text.lexicon import Mark, entries, fold, marks
from medlock.deid.text.spans import Kind, Span

DAYS_MAX = 364  # a shift stays within a year, and is never none
_HOSPITALS = ("Hospital", "Clinic", "Medical Center", "Health Center")
_FIXED = {
    Kind.AGE: "90+",
    Kind.URL: "https://www.example.org",
    Kind.IP: "192.0.2.1",  # RFC 5737
    Kind.PHOTO: "image.jpg",
}
_KEPT = frozenset("dr dra mr mrs ms miss prof sr sra don de del la las los van von der".split())
_DIGITS, _UPPER, _LOWER = "0123456789", "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnopqrstuvwxyz"


@cache
def _listed(mark: int, without: int = 0) -> tuple[str, ...]:
    """Single words with all of a mark's bits and none of the others."""
    usual = Mark.USUAL_FIRST | Mark.USUAL_LAST | Mark.CITY
    words = [word for word in entries(mark & -mark) if marks(word) & mark == mark and not marks(word) & without]
    return tuple(word for word in words if word.isalpha() and len(word) > 2 and marks(word) & usual)


class Surrogates:
    """A `replace` for `Redactor.apply`. The key has 32 bytes or more; `day_first` reads 03/04 as 3 April."""

    def __init__(self, key: bytes, *, day_first: bool = False, days: int | None = None) -> None:
        self._prf = Prf(key)
        self._day_first = day_first
        self._days = days if days is not None else -1 - self._prf.label(b"days") % DAYS_MAX

    def __call__(self, span: Span) -> str:
        """What stands in place of the span."""
        if span.kind is Kind.DATE:
            return self._date(span.text)
        if span.kind is Kind.NAME:
            return " ".join(self._name(word) for word in span.text.split())
        return _FIXED.get(span.kind) or self._made(span)

    def _made(self, span: Span) -> str:
        rng = random.Random(self._prf.digest(f"{span.kind}/{fold(span.text)}".encode()))  # noqa: S311 - seeded by the PRF
        last = rng.choice(_listed(Mark.USUAL_LAST)).title()
        made = {
            Kind.PLACE: rng.choice(_listed(Mark.CITY)).title(),
            Kind.COUNTRY: rng.choice(_listed(Mark.CITY)).title(),
            Kind.HOSPITAL: f"{last} {rng.choice(_HOSPITALS)}",
            Kind.STREET: f"{rng.randrange(1, 999)} {last} Street",
            Kind.EMAIL: f"{rng.choice(_listed(Mark.USUAL_FIRST))}{rng.randrange(100)}@example.org",
        }
        if span.kind in made:
            return made[span.kind]
        if not any(each.isdigit() for each in span.text):
            return f"[{span.kind}]"  # sex, profession, relative: no surrogate says less than the kind
        return "".join(_exchanged(rng, each) for each in span.text)

    def _date(self, words: str) -> str:
        """Moved; a date that names no month ("last Friday") gives only its kind."""
        return shift_words(words, self._days, day_first=self._day_first) or f"[{Kind.DATE}]"

    def _name(self, word: str) -> str:
        """Word by word, so that "Anna Weber", "Weber" and "A. Weber" stay one person."""
        letters = "".join(each for each in word if each.isalpha())
        if not letters or fold(letters) in _KEPT:
            return word
        rng = random.Random(self._prf.digest(f"name/{fold(letters)}".encode()))  # noqa: S311 - seeded by the PRF
        if len(letters) == 1:
            return word.replace(letters, rng.choice(_UPPER))
        known = marks(letters)
        pool = Mark.USUAL_FIRST | (known & Mark.FEMALE or known & Mark.MALE) if known & Mark.FIRST else Mark.USUAL_LAST
        chosen = rng.choice([each for each in _listed(pool) if each != fold(letters)])
        written = chosen.upper() if letters.isupper() else chosen.title()
        return word.replace(letters, written) if letters in word else written


def _exchanged(rng: random.Random, each: str) -> str:
    for pool in (_DIGITS, _UPPER, _LOWER):
        if each in pool:
            return rng.choice(pool)
    return each
