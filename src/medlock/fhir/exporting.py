"""Reads the kick-off of a bulk export: Bulk Data Access 2.0 $export, and HL7 DARTS' operations on what is held here.

One form for all: `_outputFormat`, `_since`, `_type`, `_typeFilter`, and for $de-identify the `policy` that DARTS asks
for. What is unknown, or known and not offered (`patient`, `includeAssociatedData`, `_elements`, a key of the caller's
own), is refused by name. `_type` and `_typeFilter` may be repeated, as a posted Parameters resource has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from medlock.errors import BadRequest
from medlock.fhir.directives import refusal
from medlock.fhir.form import Pairs
from medlock.fhir.grammar import canonical_text, parse_criteria
from medlock.fhir.history import instant, only
from medlock.fhir.options import ExportOptions
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import EXPORTS, Interaction
from medlock.fhir.searchparams import RESOURCE_TYPES

FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
SAFE_HARBOR: Final = "safe-harbor"
PSEUDONYMISED: Final = "gdpr"
POLICIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "HHS_SAFE_HARBOR_DETERMINISTIC_METHOD": SAFE_HARBOR,  # DARTS Policy Identifiers
        SAFE_HARBOR: SAFE_HARBOR,
        "limited": "limited",
        PSEUDONYMISED: PSEUDONYMISED,
    }
)
_MANY: Final = frozenset({"_type", "_typeFilter"})
_KNOWN: Final = frozenset({"_outputFormat", "_since", *_MANY})
_BETWEEN: Final = re.compile(r",(?=[A-Z][A-Za-z]*\?)")  # a comma inside a search belongs to its value
_FILTERS_MAX: Final = 16


def read_export(interaction: Interaction, given: Pairs, now_ms: int, base_url: str) -> ExportOptions:
    """What a kick-off asks for. Raises BadRequest naming the parameter that is wrong."""
    deidentify = interaction is Interaction.DEIDENTIFY
    single = tuple(pair for pair in given if pair[0] not in _MANY)
    once = only(single, _KNOWN | {"policy"} if deidentify else _KNOWN, f"${interaction}")
    if once.get("_outputFormat", "ndjson").replace(" ", "+") not in FORMATS:  # an unescaped + reads as a blank
        raise refusal("_outputFormat", "is application/fhir+ndjson, application/ndjson or ndjson.", "not-supported")
    types = _types(given)
    return ExportOptions(
        types,
        instant("_since", once["_since"]) if "_since" in once else None,
        filters=_filters(given, types, now_ms, base_url),
        preset=_preset(interaction, once.get("policy")),
        text=canonical_text(given),
    )


def is_export(interaction: Interaction) -> bool:
    """Whether it is one of the operations whose output is files."""
    return interaction in EXPORTS


def _types(given: Pairs) -> frozenset[str]:
    """The types of every `_type`."""
    named = [name for key, value in given if key == "_type" for name in value.split(",")]
    if not RESOURCE_TYPES.issuperset(named):
        raise refusal("_type", "takes resource types of R4, separated by commas.", "value")
    return frozenset(named)


def _filters(given: Pairs, types: frozenset[str], now_ms: int, base_url: str) -> tuple[SearchQuery, ...]:
    """The searches of every `_typeFilter`: conditions on a resource itself, none on others."""
    texts = [text for key, value in given if key == "_typeFilter" for text in _BETWEEN.split(value)]
    if len(texts) > _FILTERS_MAX:
        raise refusal("_typeFilter", f"takes at most {_FILTERS_MAX} searches.", "too-costly")
    return tuple(_filter(text, types, now_ms, base_url) for text in texts)


def _filter(text: str, types: frozenset[str], now_ms: int, base_url: str) -> SearchQuery:
    name, mark, conditions = text.partition("?")
    if not mark or name not in RESOURCE_TYPES or (types and name not in types):
        raise refusal("_typeFilter", "is written Type?conditions, of a type that _type names.", "value")
    query = parse_criteria(name, conditions, now_ms=now_ms, base_url=base_url)
    if query.links:
        raise refusal("_typeFilter", "takes no chains and no _has here.", "not-supported")
    return query


def _preset(interaction: Interaction, policy: str | None) -> str:
    """The preset that an operation stands for; "" where the server's own is meant."""
    if interaction is Interaction.PSEUDONYMIZE:
        return PSEUDONYMISED
    if interaction is Interaction.ANONYMIZE:
        return SAFE_HARBOR
    if interaction is Interaction.EXPORT:
        return ""
    if policy is None:
        raise refusal("policy", "is needed: which method of de-identification?", "required")
    if policy not in POLICIES:
        raise BadRequest(f"policy is one of {', '.join(POLICIES)}; no expert determination stands behind this server.")
    return POLICIES[policy]
