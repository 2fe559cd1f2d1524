"""What verification says: which row, what happened to it, in a sentence for the operator. No patient data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medlock.store.tables import Table


class Kind(StrEnum):
    """What happened to a row, or to the rows from its key on."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    ROLLED_BACK = "rolled-back"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written."""

    table: Table
    key: int
    kind: Kind
    sentence: str
