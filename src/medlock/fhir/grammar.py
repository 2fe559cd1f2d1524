"""Reads a FHIR search into its canonical form: the only maker of SearchQuery (R4 §3.1.1).

Strict, whatever the caller prefers: a parameter, modifier or value that is not understood is refused, since an
ignored condition returns more than was asked for, and in this server more means other people's records. What R4 knows
and this server does not evaluate (_filter, _text, phonetic) is refused as not supported, with the reason. Every refusal
names the parameter, none shows its value.

Chains and `_has` are read in `fhir.links`, values in `fhir.compound`, several types at once in `fhir.across`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from medlock.errors import BadRequest
from medlock.fhir.coded import offered
from medlock.fhir.compound import TooMany, read_condition
from medlock.fhir.directives import DIRECTIVES, Directives, read_directives, refusal
from medlock.fhir.form import pairs
from medlock.fhir.links import SEARCHES_MAX, is_link, read_link, searches
from medlock.fhir.operands import Field, Frame, Malformed
from medlock.fhir.query import COMPARTMENT, Condition, Kind, Linked, ReferenceValue, SearchQuery
from medlock.fhir.searchparams import PATIENT_PARAMS, REASONS, RESOURCE_TYPES, Parameter, parameter

CONDITIONS_MAX: Final = 64
TEXT_MAX: Final = 30_000  # the link to the next page carries the whole question, in the head of a request

MODIFIERS: Final = {
    Kind.TOKEN: frozenset({"not"}),
    Kind.STRING: frozenset({"exact", "contains"}),
    Kind.REFERENCE: frozenset({"identifier"}),
}
_NONE: Final[frozenset[str]] = frozenset()
_BY_BODY: Final = frozenset({"text", "of-type"})
_VIEW: Final = "AuditEvent"
_UNRESERVED: Final = "-._~:/,$"  # legible in a query string and allowed there (RFC 3986 §3.4)

Pairs = Sequence[tuple[str, str]]


def parse_search(
    resource_type: str, params: Pairs, *, now_ms: int, max_count: int, base_url: str = "", patient: str = ""
) -> SearchQuery:
    """The query that these decoded parameters ask on one type; with `patient`, in the compartment of that patient.

    `now_ms` is the time that `ap` measures from; `_count` is cut to `max_count`; with `base_url`, values that begin
    with that address of ours are local references. Raises BadRequest with one Problem, naming the parameter.
    """
    if resource_type not in RESOURCE_TYPES:
        raise BadRequest("This is not a resource type of FHIR R4.")
    shaping, selecting = parted(params)
    chosen = selection(resource_type, selecting, Frame(now_ms, base_url), patient)
    return shaped(chosen, read_directives(frozenset({resource_type}), shaping, max_count), params)


def parted(params: Pairs) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The parameters that shape a result, and those that select. Raises BadRequest when there are too many."""
    shaping = [pair for pair in params if pair[0].partition(":")[0] in DIRECTIVES]
    selecting = [pair for pair in params if pair[0].partition(":")[0] not in DIRECTIVES]
    if len(selecting) > CONDITIONS_MAX:
        raise BadRequest(f"A search has at most {CONDITIONS_MAX} conditions.")
    return shaping, selecting


def selection(resource_type: str, selecting: Pairs, frame: Frame, patient: str = "") -> SearchQuery:
    """What the selecting parameters ask on one type. Raises BadRequest."""
    conditions: list[Condition] = []
    links: list[Linked] = []

    def leaf(type_: str, param: str, value: str) -> Condition:
        return _condition(type_, param, value, frame)

    for name, text in selecting:
        if is_link(name):
            links.append(read_link(resource_type, name, text, leaf))
        else:
            conditions.append(_condition(resource_type, name, text, frame))
    if sum(map(searches, links)) > SEARCHES_MAX:
        raise refusal(selecting[0][0], f"and others ask more than {SEARCHES_MAX} searches together.", "too-costly")
    if patient:
        conditions.append(_in_compartment(resource_type, patient))
    return SearchQuery(resource_type, tuple(conditions), tuple(links))


def _in_compartment(resource_type: str, patient: str) -> Condition:
    if resource_type not in PATIENT_PARAMS:
        raise BadRequest(f"{resource_type} is in no patient's compartment.")
    return Condition(COMPARTMENT, Kind.REFERENCE, (ReferenceValue("Patient", patient),))


def parse_criteria(resource_type: str, text: str, *, now_ms: int, base_url: str = "") -> SearchQuery:
    """The query of a conditional reference or If-None-Exist: `text` is what follows `Type?`, percent-encoded.

    Raises BadRequest, also when it names no condition, which would mean every resource, or shapes a result.
    """
    given = pairs(text.encode())
    for name, _ in given:
        if name.partition(":")[0] in DIRECTIVES:
            raise refusal(name, "has no place in a condition.")
    if not given:
        raise BadRequest("A conditional reference or create names at least one search parameter.")
    return parse_search(resource_type, given, now_ms=now_ms, max_count=0, base_url=base_url)


def shaped(chosen: SearchQuery, shape: Directives, params: Pairs) -> SearchQuery:
    """The whole query: what is selected, how the result is shaped, and its text."""
    text = canonical_text(params)
    if len(text) > TEXT_MAX:
        raise BadRequest(f"A search is at most {TEXT_MAX} characters long, percent-encoded: ask in parts.")
    return msgspec.structs.replace(
        chosen,
        includes=shape.includes,
        revincludes=shape.revincludes,
        sort=shape.sort,
        count=shape.count,
        total=shape.total,
        summary=shape.summary,
        elements=shape.elements,
        text=text,
    )


def canonical_text(params: Pairs) -> str:
    """The parameters as one query string, sorted: the same question always has the same text."""
    return "&".join(f"{quote(name, safe=_UNRESERVED)}={quote(text, safe=_UNRESERVED)}" for name, text in sorted(params))


def _condition(resource_type: str, name: str, text: str, frame: Frame) -> Condition:
    field = _field(resource_type, name)
    if field.modifier == "missing":
        return Condition(field.parameter.name, field.kind, modifier="missing", missing=_truth(name, text))
    try:
        return read_condition(field, text, frame)
    except TooMany as error:
        raise refusal(name, str(error), "too-costly") from None
    except Malformed as error:
        raise refusal(name, str(error), "value") from None


def _field(resource_type: str, name: str) -> Field:
    """The parameter and modifier that a name asks for. Raises BadRequest for what is unknown or unsupported."""
    base, colon, modifier = name.partition(":")
    if base in REASONS:
        raise refusal(name, f"is not supported by this server: {REASONS[base]}", "not-supported")
    known = parameter(resource_type, base)
    if known is None:
        raise refusal(name, f"is not known for {resource_type}.")
    if known.kind is None:
        raise refusal(name, f"is not supported by this server: {known.refusal}", "not-supported")
    if not colon:
        return Field(known, known.kind)
    if modifier in _modifiers(resource_type, known, known.kind):
        return Field(known, known.kind, modifier)
    if "Reference" in known.datatypes and modifier in (known.targets or RESOURCE_TYPES):
        return Field(known, known.kind, only=modifier)  # subject:Patient=1 is subject=Patient/1
    raise refusal(name, "has a modifier that this server does not support for it.", "not-supported")


def _modifiers(resource_type: str, known: Parameter, kind: Kind) -> frozenset[str]:
    # Canonical addresses carry no identifier, so :identifier needs an element of type Reference (R4 §3.1.1.4.12).
    own = MODIFIERS.get(kind, _NONE) if kind is not Kind.REFERENCE or "Reference" in known.datatypes else _NONE
    found = own | offered(known) | ({"missing"} if kind is not Kind.COMPOSITE else _NONE)
    return found - _BY_BODY if resource_type == _VIEW else found  # the log's view has values only


def _truth(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise refusal(name, "is true or false.", "value")
    return text == "true"
