"""Narratives and attachments: cleaned in their own format, or dropped."""

from __future__ import annotations

from medlock.deid.fhir.run import Json, Parts, Run, redacted


def cleaned_narrative(_value: Json, run: Run, _parts: Parts) -> Json | None:
    """A Narrative."""
    redacted(run)
    return None


def cleaned_attachment(_value: Json, run: Run, _parts: Parts) -> Json | None:
    """An Attachment."""
    redacted(run)
    return None
