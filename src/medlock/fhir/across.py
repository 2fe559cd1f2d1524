"""Searches over several types: the whole system with `_type`, and one patient's compartment (R4 §3.1.1.1, §3.1.1.2).

Each type is asked by itself, in its own words: a parameter that one of them does not have is refused, for it would be
ignored there. A search over the system names its types, at most 32; only within one patient's compartment may it leave
them out, and then it is about every type that the compartment has, as far as the caller may see it.

Left out: AuditEvent, a view of the log that has no order in common with records, and the two messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from medlock.errors import BadRequest
from medlock.fhir.directives import read_directives, refusal
from medlock.fhir.grammar import Pairs, parted, selection, shaped
from medlock.fhir.links import searches
from medlock.fhir.operands import Frame
from medlock.fhir.query import SearchQuery
from medlock.fhir.searchparams import PATIENT_PARAMS, RESOURCE_TYPES

TYPES_MAX: Final = 32
SEARCHES_MAX: Final = 80  # that chains ask, over all types: one chain in a whole compartment
_NOT_RECORDS: Final = frozenset({"AuditEvent", "OperationOutcome", "Parameters"})
COMPARTMENT_TYPES: Final = tuple(sorted(frozenset(PATIENT_PARAMS) - _NOT_RECORDS))


def parse_system(params: Pairs, *, now_ms: int, max_count: int, base_url: str = "", patient: str = "") -> SearchQuery:
    """The query over several types; with `patient`, in that patient's compartment. Raises BadRequest."""
    named = _types([text for name, text in params if name == "_type"])
    if not named and not patient:
        raise BadRequest("A search over several types names them: _type=Observation,Condition.")
    types = named or COMPARTMENT_TYPES
    shaping, selecting = parted([pair for pair in params if pair[0] != "_type"])
    frame = Frame(now_ms, base_url)
    parts = tuple(selection(each, selecting, frame, patient) for each in types)
    if sum(searches(link) for part in parts for link in part.links) > SEARCHES_MAX:
        raise refusal("_type", f"and chains ask more than {SEARCHES_MAX} searches together.", "too-costly")
    chosen = SearchQuery("", parts=parts, every=not named)
    return shaped(chosen, read_directives(frozenset(types), shaping, max_count), params)


def _types(given: Sequence[str]) -> tuple[str, ...]:
    """The types that `_type` names, each once."""
    if len(given) > 1:
        raise refusal("_type", "may be given only once.")
    listed = tuple(dict.fromkeys(given[0].split(","))) if given else ()
    if len(listed) > TYPES_MAX:
        raise refusal("_type", f"names more than {TYPES_MAX} types.", "too-costly")
    if not RESOURCE_TYPES.issuperset(listed):
        raise refusal("_type", "takes names of resource types, separated by commas.", "value")
    if not _NOT_RECORDS.isdisjoint(listed):
        raise refusal("_type", "takes types that are stored; AuditEvent is asked for by itself.", "not-supported")
    return listed
