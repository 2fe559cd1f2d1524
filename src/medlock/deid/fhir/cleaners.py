"""Which cleaner reads the prose of a run, and what it was measured to find."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from medlock.deid.fhir.exact import ExactCleaner
from medlock.deid.fhir.notes import NoteCleaner
from medlock.deid.fhir.text import TextCleaner
from medlock.deid.text.models import Model, load_model
from medlock.deid.text.policy import SAFE_HARBOR
from medlock.deid.text.redactor import Redactor
from medlock.errors import BadRequest


class Prose(StrEnum):
    """What becomes of notes, narratives, attachments and displays."""

    DROP = "drop"
    CLEAN = "clean"  # by the text engine and all that the record knows
    KNOWN = "known"  # only of what the record knows, spelled right


# On ASQ-PHI's held-out queries and MEDDOCAN's dev part, of which no record is at hand (docs/deid/fhir.md). Spanish: of
# the kinds that Safe Harbor names (benchmarks/deid_text_bench.py, deid_text_es), for sex and the like stay.
_READ: Final = (
    "What the record knows in every spelling, and what the text engine finds ({}). Measured without optional models on "
    "held-out texts of which no record is known: {} % of identifiers wholly removed in English, {} % in Spanish."
)
_ENGINE: Final = (99.4, 98.2)
_KNOWN_ALONE: Final = (
    "The record's own identifiers alone, without typos; a name that no resource holds stays. Measured on held-out "
    "texts of which no record is known: {} % of identifiers removed in English, {} % in Spanish."
)
_FORMS_ONLY: Final = (30.1, 15.4)


def cleaner_of(prose: Prose, models: Sequence[Model]) -> TextCleaner | None:
    """The cleaner; None drops prose. Raises BadRequest, and SetupError when a model is not installed."""
    if models and prose is not Prose.CLEAN:
        raise BadRequest("Models read prose that is cleaned; add --text clean.")
    if prose is Prose.CLEAN:
        return NoteCleaner(Redactor("auto", SAFE_HARBOR, detectors=tuple(load_model(model) for model in models)))
    return ExactCleaner() if prose is Prose.KNOWN else None


def said_of(prose: Prose, models: Sequence[Model]) -> str:
    """One sentence or two for people: what ran, and the recall that was measured for it."""
    if prose is Prose.CLEAN:
        asked = ", ".join(["rules, dictionaries, medlock's own model", *models])
        return _READ.format(asked, *_ENGINE)
    return _KNOWN_ALONE.format(*_FORMS_ONLY) if prose is Prose.KNOWN else "Prose was dropped."
