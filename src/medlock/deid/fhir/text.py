"""What cleans text, and what it is told about the patient.

The engine that reads prose is handed in as a `TextCleaner`; without one, text is dropped. It is given the identifiers
that the patient's own record holds, each with what may stand in its place, and how this record's dates are moved, so
that a date in a note stays as far from the dates in the resources as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable


class KnownKind(StrEnum):
    """What a known identifier is."""

    NAME = "name"
    PERSON = "person"
    PLACE = "place"
    PHONE = "phone"
    MAIL = "mail"
    NUMBER = "number"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Known:
    """One identifier of a record, and what stands in its place.

    A NAME is one word of a name, a PERSON a whole name, all others are whole. `own`: of the patient or family.
    """

    kind: KnownKind
    value: str
    stand_in: str
    own: bool = False


@dataclass(frozen=True)
class TextTask:
    """What a cleaner is told: what must not survive, and what a date becomes (None: it must go).

    `base` is the part of `known` that is the same for everything of a patient, as the same tuple each time, so that
    what a cleaner compiles from it can be kept.
    """

    known: tuple[Known, ...]
    date: Callable[[str], str | None]
    base: tuple[Known, ...] = ()


class TextCleaner(Protocol):
    """Removes what identifies from prose."""

    def clean(self, text: str, task: TextTask) -> str:
        """The text without any of `task.known`, its dates as `task.date` says."""


class Edit(NamedTuple):
    """Characters start to end (end not included) become `text`."""

    start: int
    end: int
    text: str


@runtime_checkable
class ReadingCleaner(TextCleaner, Protocol):
    """A cleaner that can say where it changes what, and that reads the terms of code systems as such."""

    def edits(self, text: str, task: TextTask) -> list[Edit]:
        """The changes that `clean` would make to a text composed as NFC, in order, without overlaps."""

    def term(self, text: str, task: TextTask) -> str:
        """The display of a code of a known system, without what identifies."""
