"""What was asked, in canonical form: the first stage of the spine (bytes → Question).

A Question is made once, at the edge, by `fhir.request` from method, address, headers and body. Everything
after it reads these fields and nothing else of the request.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from medlock.fhir.query import SearchQuery


class Interaction(StrEnum):
    """The FHIR interactions that this server offers (R4 §3.1.0.1, codes of system restful-interaction)."""

    READ = "read"
    VREAD = "vread"
    HISTORY = "history-instance"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SEARCH = "search-type"
    BATCH = "batch"
    TRANSACTION = "transaction"
    EVERYTHING = "everything"  # operation Patient/[id]/$everything

    __hash__ = str.__hash__  # an Enum's own is a function in Python, and every request looks several tables up


class Preconditions(msgspec.Struct, frozen=True):
    """The conditional headers, as given: weak ETags are reduced to the version id inside them."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_none_exist: SearchQuery | None = None


class Question(msgspec.Struct, frozen=True):
    """One request. `query` holds every search parameter, result parameters included."""

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
