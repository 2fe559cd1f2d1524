"""The cleaner that reads: the whole text engine, with the record's own identifiers, pseudonyms and dates.

What the record knows goes in every spelling, and its stand-in is the one that the resources get. What no resource
holds (a neighbour, a hospital elsewhere) is found by rules, dictionaries, the tagger and further models handed in, and
becomes a tag. Dates are as the record's rule says, years alone included; ages over 89 become 90+.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from medlock.deid.fhir.note_dates import redated_words
from medlock.deid.fhir.sought import Sought
from medlock.deid.fhir.text import Edit, Known, TextTask
from medlock.deid.text.policy import SAFE_HARBOR
from medlock.deid.text.redactor import Redactor, tag
from medlock.deid.text.spans import Kind, Span

_KEPT_MAX: Final = 64
# A number that can be a year: four digits that no unit or mark follows ("2000 mg" is a dose).
_YEAR: Final = re.compile(
    r"(?<![\w.,/#$€-])(?:18[5-9]|19\d|20[0-4])\d(?![\w/%:°-]|[.,]\d|\s?(?:mg|mcg|µg|ug|g|kg|ml|l|dl|cc|iu|ui|units?|"
    r"unidades|u|k?cal|calor[ií]as|calories|steps|pasos|feet|ft|meters|metros|m|mm|cm|hours|horas|mmol|meq|bpm|ms|"
    r"cells|copies|x)(?![^\W_]))",
    re.IGNORECASE,
)
_TITLE: Final = re.compile(r"(?:Dra?|Mrs?|Ms|Miss|Sra?|Prof)\b\.?")  # what is left of "Dr. Weber" when "Weber" is known
_YEAR_SURE: Final = 0.6


class NoteCleaner:
    """A `TextCleaner` with the text engine. What it makes ready for a record is kept while that record is worked on."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor("auto", SAFE_HARBOR)
        self._terms = replace(self._redactor, tagger=False, detectors=())
        self._bases: dict[int, tuple[tuple[Known, ...], Sought]] = {}
        self._tasks: dict[int, tuple[TextTask, _Record]] = {}

    def clean(self, text: str, task: TextTask) -> str:
        """The text without what identifies; dates as the task says."""
        plain = unicodedata.normalize("NFC", text)
        return _made(plain, self._edits(plain, task, self._redactor))

    def edits(self, text: str, task: TextTask) -> list[Edit]:
        """The changes that `clean` makes to a text composed as NFC."""
        return self._edits(text, task, self._redactor)

    def term(self, text: str, task: TextTask) -> str:
        """The display of a code. The tagger knows sentences and takes "VDRL" for a hospital: it is not asked."""
        plain = unicodedata.normalize("NFC", text)
        return _made(plain, self._edits(plain, task, self._terms))

    def _edits(self, text: str, task: TextTask, redactor: Redactor) -> list[Edit]:
        record = self._record(task)
        day_first = redactor.language_in(text) == "es"
        found = redactor.find(text, record)
        return [Edit(span.start, span.end, record.instead(span, day_first=day_first)) for span in found]

    def _record(self, task: TextTask) -> _Record:
        made = self._tasks.get(id(task))
        if made is None or made[0] is not task:
            if len(self._tasks) >= _KEPT_MAX:
                self._tasks.clear()
            base = self._base(task.base)
            shared = set(task.base)
            rest = Sought((each for each in task.known if each not in shared), "known")
            made = self._tasks[id(task)] = task, _Record((rest, base), task)
        return made[1]

    def _base(self, known: tuple[Known, ...]) -> Sought:
        made = self._bases.get(id(known))
        if made is None or made[0] is not known:
            if len(self._bases) >= _KEPT_MAX:
                self._bases.clear()
            made = self._bases[id(known)] = known, Sought(known, "base")
        return made[1]


def _made(text: str, edits: list[Edit]) -> str:
    out, at = [], 0
    for edit in edits:
        out += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*out, text[at:]])


@dataclass(frozen=True)
class _Record:
    """What is sought for one record, and what stands in its place."""

    sought: tuple[Sought, Sought]
    task: TextTask

    def find(self, text: str) -> list[Span]:
        """What the record knows, and numbers that can be years: they are dates of this record as well."""
        found = [span for sought in self.sought for span in sought.find(text)]
        years = [Span(m.start(), m.end(), Kind.DATE, _YEAR_SURE, "rule:date-year", m[0]) for m in _YEAR.finditer(text)]
        return found + years

    def instead(self, span: Span, *, day_first: bool) -> str:
        """What stands in place of a find."""
        for sought in self.sought:
            known = sought.stand_in(span)
            if known is not None:
                return known
        if span.kind is Kind.DATE:
            if _YEAR.fullmatch(span.text):
                return self.task.date(span.text) or tag(span)
            return redated_words(span.text, self.task.date, day_first=day_first)
        if span.kind is Kind.AGE and re.search(r"\d", span.text):
            return re.sub(r"\d+", "90+", span.text, count=1)
        return span.text if _TITLE.fullmatch(span.text) else tag(span)
