"""Scores of text de-identification, by the definitions of the study (deid.md B4), on the leak view: kinds are ignored.

An identifier counts as *strictly* found when every letter and digit of it is covered; a title before a name is left
out of that. *Verbatim* (T1, after slm-phi-deid-evaluation): found when the value as annotated, in small letters, no
longer occurs in the output. *Over-redaction*: the share of texts without identifiers that lost anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from text_corpora import Document

from medlock.deid.text.spans import Span

Find = Callable[[str], list[Span]]
_TITLE = re.compile(r"(?:Dr|Mr|Mrs|Ms|Prof)\.?\s+")
# MEDDOCAN's labels of names, ids and ways to reach a person.
DIRECT = frozenset(
    "NOMBRE_SUJETO_ASISTENCIA NOMBRE_PERSONAL_SANITARIO ID_SUJETO_ASISTENCIA ID_TITULACION_PERSONAL_SANITARIO "
    "ID_ASEGURAMIENTO "
    "ID_CONTACTO_ASISTENCIAL ID_EMPLEO_PERSONAL_SANITARIO CORREO_ELECTRONICO NUMERO_TELEFONO NUMERO_FAX".split()
)


@dataclass
class Scores:
    """Counts that grow document by document; shares are in percent."""

    total: Counter[str] = field(default_factory=Counter)
    strict: Counter[str] = field(default_factory=Counter)
    overlap: Counter[str] = field(default_factory=Counter)
    verbatim: int = 0
    values: int = 0
    harmless: int = 0
    touched: int = 0
    right: int = 0
    wrong: int = 0

    def add(self, document: Document, spans: list[Span]) -> None:
        """Count one document."""
        covered = bytearray(len(document.text))
        gold = bytearray(len(document.text))
        for span in spans:
            covered[span.start : span.end] = b"\1" * (span.end - span.start)
        for item in document.gold:
            gold[item.start : item.end] = b"\1" * (item.end - item.start)
            self._identifier(document.text, covered, item.start, item.end, item.label)
        for at, each in enumerate(document.text):
            if covered[at] and each.isalnum():
                self.right += gold[at]
                self.wrong += 1 - gold[at]
        if not document.gold:
            self.harmless += 1
            self.touched += bool(spans)
        self._verbatim(document, spans)

    def _identifier(self, text: str, covered: bytearray, start: int, end: int, label: str) -> None:
        title = _TITLE.match(text, start, end)
        seen = [covered[at] for at in range(title.end() if title else start, end) if text[at].isalnum()]
        self.total[label] += 1
        self.strict[label] += all(seen)
        self.overlap[label] += any(seen)

    def _verbatim(self, document: Document, spans: list[Span]) -> None:
        out, at = [], 0
        for span in spans:
            out += [document.text[at : span.start], f"[{span.kind}]"]
            at = span.end
        left = ("".join(out) + document.text[at:]).lower()
        self.values += len(document.values)
        self.verbatim += sum(value.lower() not in left for _, value in document.values)

    def share(self, counter: Counter[str], labels: Iterable[str] | None = None) -> float:
        """What of the identifiers with these labels (of all) a counter has."""
        wanted = set(labels or self.total) & set(self.total)
        return percent(sum(counter[label] for label in wanted), sum(self.total[label] for label in wanted))

    def summary(self) -> dict[str, float]:
        """The figures of the study's tables."""
        return {
            "identifiers": sum(self.total.values()),
            "verbatim": percent(self.verbatim, self.values),
            "strict": self.share(self.strict),
            "overlap": self.share(self.overlap),
            "direct_strict": self.share(self.strict, DIRECT),
            "direct_overlap": self.share(self.overlap, DIRECT),
            "over_redaction": percent(self.touched, self.harmless),
            "harmless": self.harmless,
            "character_precision": percent(self.right, self.right + self.wrong),
        }


def percent(part: int, whole: int) -> float:
    """A share in percent; 0 of nothing."""
    return round(100 * part / whole, 2) if whole else 0.0


def score(find: Find, documents: Iterable[Document]) -> Scores:
    """Run over the documents and count."""
    scores = Scores()
    for document in documents:
        scores.add(document, find(document.text))
    return scores
