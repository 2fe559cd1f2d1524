"""The sweep over numbers, phones and e-mails: compared by their letters and digits alone, within one slip.

Whatever marks and gaps are written between ("(555) 123-4567", "555.123.4567", "MRN-00 12 34") fall away on both
sides. A number of six or more characters is also found with one of them wrong, missing, doubled or exchanged; one of
four or five only exactly, because too much else has that form; shorter ones are left to the rules.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, takewhile

from medlock.deid.text.known import Known
from medlock.deid.text.lexicon import fold
from medlock.deid.text.spans import Kind, Span
from medlock.deid.text.typos import Typos, within_one

EXACT_MIN, TYPO_MIN = 4, 6
_LOCAL = 7  # a phone is known without its area code
# Characters that may stand between the parts of one number; up to three in a row.
_RUN = re.compile(r"[^\W_](?:[^\W_]|[-–./()#+_ \u00a0\u2009](?=[-–./()#+_ \u00a0\u2009]{0,2}[^\W_]))*")
_ADDRESS = re.compile(
    r"(?<![\w.+%'-])[\w.+%'-]++\s?(?:@|\(at\)|\[at\]|\{at\}|\sat\s)\s?[\w-]+(?:\s?(?:\.|\(dot\)|\[dot\]|\{dot\}|\sdot\s)\s?[\w-]+)+",
    re.IGNORECASE,
)
_AT = re.compile(r"\s?(?:\(at\)|\[at\]|\{at\}|\sat\s|@)\s?", re.IGNORECASE)
_DOT = re.compile(r"\s?(?:\(dot\)|\[dot\]|\{dot\}|\sdot\s|\.)\s?", re.IGNORECASE)


def bare(text: str) -> str:
    """Letters and digits only, folded."""
    return "".join(each for each in fold(text) if each.isalnum())


class Codes:
    """The record's numbers, phones and e-mails."""

    def __init__(self, known: Known) -> None:
        self._sources: dict[str, tuple[Kind, str]] = {}
        for at, value in enumerate(known.numbers):
            self._learn(bare(value), Kind.ID, f"known:numbers[{at}]")
        for at, value in enumerate(known.phones):
            self._phone("".join(each for each in value if each.isdigit()), f"known:phones[{at}]")
        self._mail = {fold(value): f"known:emails[{at}]" for at, value in enumerate(known.emails)}
        self._near = lru_cache(maxsize=1 << 14)(Typos(code for code in self._sources if len(code) >= TYPO_MIN).near)
        self._lengths = {len(code) for code in self._sources}
        self._begun: dict[str, list[str]] = defaultdict(list)
        for code in self._sources:
            if len(code) >= TYPO_MIN:
                self._begun[code[:TYPO_MIN]].append(code)

    def _learn(self, code: str, kind: Kind, source: str) -> None:
        if len(code) >= EXACT_MIN:
            self._sources.setdefault(code, (kind, source))

    def _phone(self, digits: str, source: str) -> None:
        """The whole number, the national one, and the local one."""
        for size in (len(digits), 10, 9, _LOCAL):
            if size <= len(digits):
                self._learn(digits[-size:], Kind.PHONE, source)

    def find(self, text: str) -> Iterator[Span]:
        """Every place where one of them stands."""
        if self._sources:
            for run in _RUN.finditer(text):
                if any(each.isdigit() for each in run[0]) or bare(run[0]) in self._sources:
                    yield from self._in_run(run[0], run.start())
        if self._mail:
            yield from self._mails(text)

    def _in_run(self, run: str, offset: int) -> Iterator[Span]:
        """Stretches of the run that begin and end at a border between groups and are a known number."""
        places = [at for at, each in enumerate(run) if each.isalnum()]
        letters = "".join(fold(run[at])[:1] for at in places)
        borders = [at for at in range(len(places)) if at == 0 or self._border(run, places, at)]
        longest = max(self._lengths) + 1
        ends = [*borders[1:], len(places)]
        for number, begin in enumerate(borders):
            for end in takewhile(lambda end, begin=begin: end - begin <= longest, islice(ends, number, None)):  # type: ignore[misc]
                found = self._known(letters[begin:end])
                if found:
                    start, stop = offset + places[begin], offset + places[end - 1] + 1
                    yield Span(start, stop, found[0], 1.0, found[1], run[start - offset : stop - offset])
        yield from self._inside(letters, places, run, offset)

    @staticmethod
    def _border(run: str, places: list[int], at: int) -> bool:
        """Whether a group begins there: after a mark or gap, or where letters and digits change."""
        here, before = places[at], places[at - 1]
        return here != before + 1 or run[here].isdigit() != run[before].isdigit()

    def _known(self, code: str) -> tuple[Kind, str] | None:
        if not min(self._lengths) - 1 <= len(code) <= max(self._lengths) + 1:
            return None
        if code in self._sources:
            return self._sources[code]
        near = self._near(code) if len(code) >= TYPO_MIN - 1 and any(each.isdigit() for each in code) else ()
        return next((self._sources[each] for each in sorted(near)), None)

    def _inside(self, letters: str, places: list[int], run: str, offset: int) -> Iterator[Span]:
        """A known number of six or more within a longer one, whatever surrounds it."""
        for at in range(len(letters) - TYPO_MIN + 1):
            for code in self._begun.get(letters[at : at + TYPO_MIN], ()):
                if letters.startswith(code, at):
                    kind, source = self._sources[code]
                    start, stop = offset + places[at], offset + places[at + len(code) - 1] + 1
                    yield Span(start, stop, kind, 1.0, source, run[start - offset : stop - offset])

    def _mails(self, text: str) -> Iterator[Span]:
        for match in _ADDRESS.finditer(text):
            written = _DOT.sub(
                ".", _AT.sub("@", fold(match[0]).replace(" ", "") if "@" in match[0] else fold(match[0]))
            )
            for mail, source in self._mail.items():
                if within_one(written.strip("."), mail) or mail in written:
                    yield Span(match.start(), match.end(), Kind.EMAIL, 1.0, source, match[0])
        lowered = text.lower()
        for mail, source in self._mail.items():
            local = mail.partition("@")[0]
            if local not in lowered:
                continue
            pattern = re.compile(rf"(?<![^\W_]){re.escape(local)}(?![^\W_])", re.IGNORECASE)
            for match in pattern.finditer(text) if len(local) > EXACT_MIN else ():
                yield Span(match.start(), match.end(), Kind.EMAIL, 1.0, source, match[0])
