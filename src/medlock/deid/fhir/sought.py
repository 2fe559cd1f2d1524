"""What a record knows of its people, made ready to be found in its notes in every spelling, and what replaces it.

Three searches are united: the exact one (`exact`), the sweep of the text engine with its typos, initials and spelled
marks, and rows of words within one typo (`word_rows`). For the patient and family, the sweep spares no word; for
clinicians and others, of whom a register may hold thousands, an ordinary small word that is but a typo away from a
name stays unless another part of a name stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from medlock.deid.fhir.exact import TITLES, Finder, cased, folded
from medlock.deid.fhir.text import Known, KnownKind
from medlock.deid.fhir.word_rows import WordRows
from medlock.deid.text.known import Known as Spelled
from medlock.deid.text.spans import CERTAIN, Kind, Span
from medlock.deid.text.sweep import Sweep

_KINDS: Final = {
    KnownKind.NAME: Kind.NAME,
    KnownKind.PERSON: Kind.NAME,
    KnownKind.PLACE: Kind.PLACE,
    KnownKind.PHONE: Kind.PHONE,
    KnownKind.MAIL: Kind.EMAIL,
    KnownKind.NUMBER: Kind.ID,
    KnownKind.ADDRESS: Kind.STREET,
}
_NUMBERED: Final = re.compile(r"(?<=[^\W\d_])\d+(?![^\W_])")  # Synthea numbers its names
_TITLE: Final = re.compile(r"(?:Dra?|Mrs?|Ms|Sra?|Prof)\b\.?\s+")
_HOUSE: Final = re.compile(r"(?<![\w/.-])\d{1,5}[A-Za-z]?,?[ \t]$")
_SHORT_NUMBER: Final = re.compile(r"(?<![^\W_])\d{1,4}(?![^\W_])")


class Sought:
    """Some of what a record knows. `find` gives spans that name their identifier; `stand_in` what replaces one."""

    def __init__(self, known: Iterable[Known], mark: str) -> None:
        self._known = tuple(known)
        self._mark = mark
        self._exact = Finder(self._known)
        self._index = {id(each): at for at, each in enumerate(self._known)}
        self._rows = WordRows(each.value if _in_rows(each) else "" for each in self._known)
        self._sweeps = [_swept(self._known, own=own) for own in (True, False)]

    def find(self, text: str) -> Iterator[Span]:
        """Every place where one of them stands. Finds may overlap; all are certain."""
        for start, end, known in self._exact.find(text):
            yield self._span(text, start, end, self._index[id(known)])
        for start, end, at in self._rows.find(text):
            yield self._span(text, start, end, at)
        for sweep, places in self._sweeps:
            for span in sweep.find(text) if places else ():
                start, end = _widened(text, span)
                source = f"{self._mark}[{places[span.source]}]"
                yield replace(span, start=start, end=end, source=source, text=text[start:end])

    def _span(self, text: str, start: int, end: int, at: int) -> Span:
        kind = _KINDS[self._known[at].kind]
        return Span(start, end, kind, CERTAIN, f"{self._mark}[{at}]", text[start:end])

    def stand_in(self, span: Span) -> str | None:
        """What stands in place of a span, in its case; None for what others have found."""
        mark, _, at = span.source.rstrip("]").partition("[")
        if mark != self._mark:
            return None
        known = self._known[int(at)]
        if known.kind is KnownKind.PERSON and known.stand_in[:1] != "[":
            return _whole(known, span.text)
        return cased(known.stand_in, span.text)


def _in_rows(known: Known) -> bool:
    return known.kind in {KnownKind.PLACE, KnownKind.ADDRESS, KnownKind.PERSON}


def _widened(text: str, span: Span) -> tuple[int, int]:
    """A name with the number that Synthea writes behind it, without the title; a street with its house number."""
    start, end = span.start, span.end
    if span.kind is Kind.NAME:
        behind, title = _NUMBERED.match(text, end), _TITLE.match(text, start, end)
        return title.end() if title else start, behind.end() if behind else end
    house = _HOUSE.search(text, max(0, start - 8), start) if span.kind is Kind.STREET else None
    return (house.start() if house else start), end


def _whole(known: Known, words: str) -> str:
    """A whole stand-in as the name was written: initials ("J.S."), in one word ("jsmith"), or out."""
    parts = known.stand_in.split()
    letters = [each for each in words if each.isalpha()]
    if len(letters) <= 4 and (words.isupper() or "." in words):
        return "".join(part[0] + ("." if "." in words else "") for part in parts)
    if not re.search(r"[\s,]", words):
        return folded("".join(parts) if len(letters) > len(parts[-1]) + 1 else parts[0][0] + parts[-1])
    return cased(known.stand_in, words)


def _swept(known: tuple[Known, ...], *, own: bool) -> tuple[Sweep, dict[str, int]]:
    """A sweep for the patient and family, or for all others; and which of `known` is behind each of its sources.

    Single words of names come before whole names: the sweep tells the first that holds a word.
    """
    fields: dict[str, list[str]] = {name: [] for name in ("names", "numbers", "addresses", "phones", "emails")}
    places: dict[str, int] = {}
    for at, each in sorted(enumerate(known), key=lambda pair: pair[1].kind is KnownKind.PERSON):
        if each.own is not own:
            continue
        field, value = _field(each)
        if field:
            places[f"known:{field}[{len(fields[field])}]"] = at
            fields[field].append(value)
    return Sweep(Spelled(**{name: tuple(values) for name, values in fields.items()}, sparing=not own)), places


def _field(known: Known) -> tuple[str, str]:
    """Where the sweep wants it, and how; ("", "") for what the other searches find alone."""
    match known.kind:
        case KnownKind.NAME | KnownKind.PERSON:
            value = _NUMBERED.sub("", known.value)
            return ("", "") if folded(value) in TITLES else ("names", value)
        case KnownKind.NUMBER:
            return "numbers", known.value
        case KnownKind.PHONE:
            return "phones", known.value
        case KnownKind.MAIL:
            return ("emails", known.value) if "@" in known.value else ("", "")
        case KnownKind.ADDRESS:  # many house numbers together would meet too many readings ("120/80")
            return "addresses", known.value if known.own else _SHORT_NUMBER.sub(" ", known.value)
        case KnownKind.PLACE:
            return ("addresses", known.value) if len(known.value.split()) == 1 else ("", "")
