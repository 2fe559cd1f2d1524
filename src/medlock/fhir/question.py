"""What was asked, in canonical form: the first stage of the spine (bytes → Question).

A Question is made once, at the edge, by `fhir.request` from method, address, headers and body. Everything
after it reads these fields and nothing else of the request.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from medlock.fhir.options import Options
from medlock.fhir.query import SearchQuery


class Interaction(StrEnum):
    """The FHIR interactions that this server offers (R4 §3.1.0.1, codes of system restful-interaction)."""

    READ = "read"
    VREAD = "vread"
    HISTORY = "history-instance"
    HISTORY_TYPE = "history-type"
    HISTORY_SYSTEM = "history-system"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    SEARCH = "search-type"
    SEARCH_SYSTEM = "search-system"  # several types: the system's, or those of one patient's compartment
    BATCH = "batch"
    TRANSACTION = "transaction"
    EVERYTHING = "everything"  # this and all that follow are operations, by their names
    VALIDATE = "validate"
    DOCREF = "docref"
    LASTN = "lastn"
    MATCH = "match"
    ACCESS_REASONS = "access-reasons"
    BREAK_GLASS = "break-glass"  # this and the three that follow: docs/break-glass.md
    BREAK_GLASS_END = "end-break-glass"
    BREAK_GLASS_CASES = "break-glass-cases"
    BREAK_GLASS_REVIEW = "review-break-glass"
    EXPORT = "export"  # this and the three that follow have files as output, fetched later
    DEIDENTIFY = "de-identify"
    ANONYMIZE = "anonymize"
    PSEUDONYMIZE = "pseudonymize"

    __hash__ = str.__hash__  # an Enum's own is a function in Python, and every request looks several tables up


EMERGENCIES = frozenset(
    {
        Interaction.BREAK_GLASS,
        Interaction.BREAK_GLASS_END,
        Interaction.BREAK_GLASS_CASES,
        Interaction.BREAK_GLASS_REVIEW,
    }
)
EXPORTS = frozenset({Interaction.EXPORT, Interaction.DEIDENTIFY, Interaction.ANONYMIZE, Interaction.PSEUDONYMIZE})


class Preconditions(msgspec.Struct, frozen=True):
    """The conditional headers, as given: weak ETags are reduced to the version id inside them.

    `modified_since` is the last millisecond that If-Modified-Since covers.
    """

    if_match: str | None = None
    if_none_match: str | None = None
    if_none_exist: SearchQuery | None = None
    modified_since: int | None = None


class Question(msgspec.Struct, frozen=True):
    """One request. `query` holds every search parameter, result parameters included.

    `options` are the parameters of a history, a patch or an operation. `criteria` say which resource an update, patch
    or delete without an id means. `raw`: a Binary is wanted as the content that it holds. In a search, `id` is that of
    the patient in whose compartment it is made. `page_size` is the most on a later page, 0 if nothing is said.
    """

    interaction: Interaction
    type: str = ""
    id: str = ""
    version: str = ""
    query: SearchQuery | None = None
    page: str = ""
    body: bytes = b""
    preconditions: Preconditions = Preconditions()
    prefer: str = "representation"  # Prefer: return=minimal | representation | OperationOutcome
    purpose: str = "TREAT"
    options: Options | None = None
    criteria: SearchQuery | None = None
    raw: bool = False
    page_size: int = 0

    def unchanged(self, version: str, updated: int) -> bool:
        """Whether the caller has the version that a read would bring (RFC 9110 §13.1.2, §13.1.3).

        If-None-Match outranks If-Modified-Since.
        """
        asked = self.preconditions
        if self.interaction not in _CONDITIONAL_READS:
            return False
        if asked.if_none_match is not None:
            return asked.if_none_match in {"*", version}
        return asked.modified_since is not None and updated <= asked.modified_since


_CONDITIONAL_READS = frozenset({Interaction.READ, Interaction.VREAD})
