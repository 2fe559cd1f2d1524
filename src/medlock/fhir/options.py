"""What a history or an operation was asked for, in canonical form: the parameters of everything that is no search.

One frozen struct for each; `text` is the canonical query string, for links, paging and the audit log. Instants are
milliseconds since 1970-01-01Z. Nothing here parses.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

Interval = tuple[int, int]


class HistoryOptions(msgspec.Struct, frozen=True, tag="history"):
    """Parameters of a history (R4 §3.1.0.8.1). `at` is the interval [low, high) that `_at` names."""

    count: int | None = None
    since: int | None = None
    at: Interval | None = None
    text: str = ""


class PatchKind(StrEnum):
    """The forms of a patch that this server reads (R4 §3.1.0.6)."""

    JSON = "json-patch"
    FHIRPATH = "fhirpath-patch"


class PatchOptions(msgspec.Struct, frozen=True, tag="patch"):
    """Which form the body of a patch has."""

    kind: PatchKind
    text: str = ""


Options = HistoryOptions | PatchOptions
