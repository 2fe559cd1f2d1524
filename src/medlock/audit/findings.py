"""What verification says: which row, what happened to it, in a sentence for the operator. No patient data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happened to a row, or to the rows from its key on."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    ROLLED_BACK = "rolled-back"
    UNREADABLE = "unreadable"


KEYSTORE = "keystore"
"""The table of a finding about the keystore's own file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written. `table` is a Table or KEYSTORE, `key` the row's (a slot there)."""

    table: str
    key: int
    kind: Kind
    sentence: str
