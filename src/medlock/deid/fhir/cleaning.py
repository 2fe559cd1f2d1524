"""One record's way of cleaning: prose, dates and ids, as attachments and narratives need them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from unicodedata import is_normalized

from medlock.deid.fhir.text import Edit, ReadingCleaner, TextCleaner, TextTask

_REMEMBERED = 20_000


@dataclass(frozen=True)
class Cleaning:
    """`date` says what becomes of an ISO date (None: it must go), `id` gives the pseudonym of an id."""

    cleaner: TextCleaner
    task: TextTask
    id: Callable[[str], str]
    _done: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _terms: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def text(self, text: str) -> str:
        """Prose without what identifies. The same short text, a display say, is cleaned once."""
        found = self._done.get(text)
        if found is None:
            found = self.cleaner.clean(text, self.task)
            if len(text) < 200 and len(self._done) < _REMEMBERED:
                self._done[text] = found
        return found

    def term(self, text: str) -> str:
        """The display of a code that may stay; each is cleaned once."""
        found = self._terms.get(text)
        if found is None:
            read = self.cleaner
            found = read.term(text, self.task) if isinstance(read, ReadingCleaner) else self.text(text)
            if len(self._terms) < _REMEMBERED:
                self._terms[text] = found
        return found

    def edits(self, text: str) -> list[Edit] | None:
        """What `text` changes where; None when the cleaner cannot tell, or the text is not composed as NFC."""
        if isinstance(self.cleaner, ReadingCleaner) and is_normalized("NFC", text):
            return self.cleaner.edits(text, self.task)
        return None

    def date(self, iso: str) -> str | None:
        """What becomes of a date."""
        return self.task.date(iso)
