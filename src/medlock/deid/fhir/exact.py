"""A cleaner that knows what to look for: the identifiers that the record itself holds, in any case, order and accents.

It finds every known name word by word (so "DOE, john" and "Jón Dóe" fall for "John Doe"), telephone and other numbers
however they are punctuated, addresses across line breaks; it moves dates, and replaces what has the form of an e-mail
address, web or IP address, telephone or social security number, and ages over 89. It has no model of language: a name
that the record does not hold stays. The text engine of `medlock.deid.text` takes its place where that is not enough.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from medlock.deid.fhir.text import Known, KnownKind, TextTask
from medlock.deid.fhir.written_dates import redated

TOKEN: Final = re.compile(r"[^\W_]+")
_GAP_MAX: Final = 3
_FORMS: Final = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[EMAIL]"),
    (re.compile(r"\b(?:https?|ftp)://[^\s<>\"']+|\bwww\.[^\s<>\"']+", re.IGNORECASE), "[URL]"),
    (re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), "[SSN]"),
    (re.compile(r"(?<![\w.-])(?:\+?1[-. ]?)?(?:\(\d{3}\)[-. ]?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])"), "[PHONE]"),
    (re.compile(r"(?<![\w.])\+\d{1,3}(?:[ .()/-]{1,2}\d{1,4}){2,5}(?!\w)"), "[PHONE]"),
    (re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"), "[IP]"),
)
_AGE: Final = re.compile(r"(?<![\w.])(9\d|1[0-4]\d)(?=[ -]?(?:years?|yrs?|y/?o)\b)", re.IGNORECASE)
TITLES: Final = frozenset({"dr", "mr", "mrs", "ms", "the", "of", "and", "de", "la", "von", "van", "st", "md"})


@lru_cache(maxsize=4_096)
def _bare(letter: str) -> str:
    """A letter without accent and case, as one letter, so that places in the text stay where they are."""
    plain = unicodedata.normalize("NFKD", letter)
    kept = "".join(mark for mark in plain if not unicodedata.combining(mark)).casefold()
    return _ALONE.get(letter.casefold(), kept if len(kept) == 1 else letter.casefold()[:1])


_ALONE: Final = {
    "ß": "s",
    "ø": "o",
    "đ": "d",
    "ł": "l",
    "æ": "a",
    "œ": "o",
    "þ": "t",
    "ð": "d",
    "\u0131": "i",
    "\u2019": "'",
}


def folded(text: str) -> str:
    """Text as identifiers are compared: without case and accents, of the same length."""
    if text.isascii():
        return text.lower()
    return "".join(map(_bare, text))


Found = tuple[int, int, Known]  # start, end, which


class ExactCleaner:
    """The cleaner. What it compiles for a record is kept while that record is worked on."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[TextTask, Finder]] = {}

    def clean(self, text: str, task: TextTask) -> str:
        """The text without known identifiers; dates as the task says."""
        made = self._made.get(id(task))
        if made is None or made[0] is not task:
            if len(self._made) > 64:
                self._made.clear()
            made = self._made[id(task)] = task, Finder(task.known)
        plain = unicodedata.normalize("NFC", text)
        found = _joined(plain, made[1].find(plain))
        found = redated(found, task.date)
        for form, tag in _FORMS:
            found = form.sub(tag, found)
        return _AGE.sub("90+", found)


class Finder:
    """Everything known of one record: words by look-up, all longer ones by what they begin with.

    A longer identifier is compared without anything between its letters and digits, so its punctuation and line
    breaks do not matter; it must begin and end where words do.
    """

    def __init__(self, known: tuple[Known, ...]) -> None:
        self._words: dict[str, Known] = {}
        self._longer: dict[str, list[tuple[str, Known]]] = {}
        for each in sorted(known, key=lambda one: -len(one.value)):
            self._learn(each)

    def _learn(self, known: Known) -> None:
        tokens = TOKEN.findall(folded(unicodedata.normalize("NFC", known.value)))
        squeezed = "".join(tokens)
        if known.kind is KnownKind.NAME:
            for token in tokens if len(tokens) == 1 else [token for token in tokens if len(token) > 2]:
                self._learn_word(token, known)
        if len(tokens) > 1 or known.kind is not KnownKind.NAME:
            least = 4 if known.kind in {KnownKind.PHONE, KnownKind.NUMBER} else 3
            if len(squeezed) >= least:
                self._longer.setdefault(squeezed[:3], []).append((squeezed, known))

    def _learn_word(self, word: str, known: Known) -> None:
        if len(word) >= 2 and word not in TITLES:
            self._words.setdefault(word, known)
            bare = word.rstrip("0123456789")  # Synthea numbers its names
            if len(bare) >= 3:
                self._words.setdefault(bare, known)

    def find(self, text: str) -> list[Found]:
        """Where known identifiers stand in a text composed as NFC; finds may overlap."""
        plain = folded(text)
        tokens = [match.span() for match in TOKEN.finditer(plain)]
        squeezed = "".join([plain[start:end] for start, end in tokens])
        spans: list[Found] = []
        at = 0
        for index, (start, end) in enumerate(tokens):
            for value, known in self._longer.get(squeezed[at : at + 3], ()):
                last = _end_of(tokens, index, len(value)) if squeezed.startswith(value, at) else 0
                if last:
                    spans.append((start, last, known))
            word = self._words.get(plain[start:end])
            if word is not None:
                spans.append((start, end, word))
            at += end - start
        return spans


def _end_of(tokens: list[tuple[int, int]], index: int, length: int) -> int:
    """Where `length` letters from a token on end; 0 when inside a word, or across more than three other signs."""
    start, end = tokens[index]
    while length > end - start:
        length -= end - start
        index += 1
        if index == len(tokens) or tokens[index][0] - end > _GAP_MAX:
            return 0
        start, end = tokens[index]
    return end if length == end - start else 0


def _joined(text: str, spans: list[Found]) -> str:
    if not spans:
        return text
    out: list[str] = []
    at = 0
    for start, end, known in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start < at:
            continue
        out += [text[at:start], cased(known.stand_in, text[start:end])]
        at = end
    return "".join([*out, text[at:]])


def cased(stand_in: str, original: str) -> str:
    """A stand-in in the case of what it stands for; tags stay as they are."""
    if stand_in[:1] == "[":
        return stand_in
    return stand_in.upper() if original.isupper() and len(original) > 1 else stand_in
