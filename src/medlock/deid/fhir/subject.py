"""Whose record is being de-identified: what one pass must know about the patient."""

from __future__ import annotations

from dataclasses import dataclass, field

from medlock.deid.fhir.cleaning import Cleaning


@dataclass(frozen=True, slots=True)
class Subject:
    """A patient. `days` is how far every date of this record is moved; `clean` makes its prose safe to show.

    Without `clean`, prose is dropped.
    """

    id: str = ""
    days: int = 0
    clean: Cleaning | None = None
    dates: dict[str, str | None] = field(default_factory=dict, compare=False)  # what became of the dates met so far
