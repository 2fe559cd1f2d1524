"""Whose record is being de-identified: what one pass must know about the patient."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """A patient; `days` is how far every date of this record is moved."""

    id: str = ""
    days: int = 0
