"""What a history or an operation was asked for, in canonical form: the parameters of everything that is no search.

One frozen struct for each; `text` is the canonical query string, for links, paging and the audit log. Instants are
milliseconds since 1970-01-01Z. Nothing here parses.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from medlock.fhir.query import SearchQuery

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


class EverythingOptions(msgspec.Struct, frozen=True, tag="everything"):
    """Parameters of Patient/$everything. `types` empty: all; `care` is the interval of `start` and `end`."""

    count: int | None = None
    since: int | None = None
    types: frozenset[str] = frozenset()
    care: Interval | None = None
    text: str = ""


class ValidateMode(StrEnum):
    """What a resource is validated for (R4 resource-validation-mode); "" is validity alone."""

    GENERAL = ""
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class ValidateOptions(msgspec.Struct, frozen=True, tag="validate"):
    """Parameters of $validate."""

    mode: ValidateMode = ValidateMode.GENERAL
    text: str = ""


class DocRefOptions(msgspec.Struct, frozen=True, tag="docref"):
    """Parameters of DocumentReference/$docref; `care` None: the most recent document of each type."""

    count: int | None = None
    care: Interval | None = None
    on_demand: bool = False
    text: str = ""


class LastNOptions(msgspec.Struct, frozen=True, tag="lastn"):
    """Parameters of Observation/$lastn: `most` of each code."""

    count: int | None = None
    most: int = 1
    text: str = ""


class MatchOptions(msgspec.Struct, frozen=True, tag="match"):
    """Parameters of Patient/$match."""

    count: int | None = None
    only_certain: bool = False
    text: str = ""


class ReasonsOptions(msgspec.Struct, frozen=True, tag="reasons"):
    """Parameters of Patient/[id]/$access-reasons: whose access, `Practitioner/x`; "" for the caller's own."""

    practitioner: str = ""
    text: str = ""


class BreakGlassOptions(msgspec.Struct, frozen=True, tag="break-glass"):
    """Parameters of Patient/$break-glass. The reason stands in no text: the log has it in a place of its own."""

    reason: str = ""
    text: str = ""


class CaseOptions(msgspec.Struct, frozen=True, tag="break-glass-case"):
    """Parameters of the operations on emergency accesses: which case, or those that stand so; what was found of it."""

    case: str = ""
    status: str = ""
    outcome: str = ""
    note: str = ""
    text: str = ""


class ExportPart(msgspec.Struct, frozen=True):
    """A piece of an export: of which file, and after which row of which index. `file` "" only counts."""

    file: str = ""
    slot: int = 0
    rid: int = 0


class ExportOptions(msgspec.Struct, frozen=True, tag="export"):
    """Parameters of a bulk export. `types` empty: all. Changed after `since`, and not after `until`.

    preset   how the output is de-identified; "" for not, or as the server does it for those who may have no other
    job      the export that this is a part of: what belongs to it alone ends with it
    """

    types: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None
    filters: tuple[SearchQuery, ...] = ()
    preset: str = ""
    job: str = ""
    part: ExportPart = ExportPart()
    text: str = ""


Options = (
    HistoryOptions
    | PatchOptions
    | EverythingOptions
    | ValidateOptions
    | DocRefOptions
    | LastNOptions
    | MatchOptions
    | ReasonsOptions
    | BreakGlassOptions
    | CaseOptions
    | ExportOptions
)
