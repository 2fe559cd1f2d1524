"""Presidio both ways: its recognisers as a detector of ours, and medlock as a recogniser of theirs.

Needs the extra `presidio`. Presidio's own models stay the caller's affair: an analyzer engine is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from medlock.deid.text.redactor import Redactor
from medlock.deid.text.spans import Kind, Span

# Presidio's entity for each of our kinds; what it has no word for keeps ours.
ENTITIES = {
    Kind.NAME: "PERSON",
    Kind.STREET: "LOCATION",
    Kind.PLACE: "LOCATION",
    Kind.ZIP: "LOCATION",
    Kind.COUNTRY: "LOCATION",
    Kind.HOSPITAL: "ORGANIZATION",
    Kind.DATE: "DATE_TIME",
    Kind.PHONE: "PHONE_NUMBER",
    Kind.EMAIL: "EMAIL_ADDRESS",
    Kind.SSN: "US_SSN",
    Kind.URL: "URL",
    Kind.IP: "IP_ADDRESS",
}
KINDS = {
    **{entity: kind for kind, entity in reversed(ENTITIES.items())},
    "US_DRIVER_LICENSE": Kind.LICENCE,
    "US_PASSPORT": Kind.LICENCE,
    "MEDICAL_LICENSE": Kind.LICENCE,
    "ES_NIF": Kind.LICENCE,
    "ES_NIE": Kind.LICENCE,
    "US_BANK_NUMBER": Kind.ACCOUNT,
    "CREDIT_CARD": Kind.ACCOUNT,
    "IBAN_CODE": Kind.ACCOUNT,
    "US_ITIN": Kind.ID,
    "CRYPTO": Kind.ID,
}
# Finds of Presidio that are no identifiers under HIPAA, or mostly false in clinical text (study B4).
PASSED_OVER = frozenset({"NRP", "AGE"})


def entity(kind: Kind) -> str:
    """What Presidio calls a kind."""
    return ENTITIES.get(kind, str(kind))


class PresidioDetector:
    """An analyzer engine as a detector: `Redactor(detectors=(PresidioDetector(AnalyzerEngine()),))`."""

    def __init__(self, engine: AnalyzerEngine, language: str = "en", least: float = 0.4) -> None:
        self._engine = engine
        self._language = language
        self._least = least

    @property
    def name(self) -> str:
        """In a span's source."""
        return "presidio"

    def find(self, text: str) -> Iterator[Span]:
        """What the engine finds, its score scaled so that no guess outranks a rule of ours."""
        for result in self._engine.analyze(text, language=self._language, score_threshold=self._least):
            if result.entity_type not in PASSED_OVER:
                kind = KINDS.get(result.entity_type, Kind.ID)
                yield Span(
                    result.start,
                    result.end,
                    kind,
                    0.7 * result.score,
                    "model:presidio",
                    text[result.start : result.end],
                )


class MedlockRecognizer(EntityRecognizer):
    """medlock as a recogniser: `registry.add_recognizer(MedlockRecognizer("en"))`."""

    def __init__(self, language: str = "en", redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor(language)
        entities = sorted({entity(kind) for kind in Kind})
        super().__init__(supported_entities=entities, name="medlock", supported_language=language)

    def load(self) -> None:
        """Nothing: the data comes with the package and is read at the first text."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """The spans of the kinds that are asked for; Presidio's artefacts are not needed."""
        del nlp_artifacts
        found = [(entity(span.kind), span) for span in self._redactor.find(text)]
        return [
            RecognizerResult(name, span.start, span.end, span.confidence)
            for name, span in found
            if not entities or name in entities
        ]
