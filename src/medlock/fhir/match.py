"""Does a resource meet the conditions of a search? The last word on every row that an index proposes.

Conditions are and-ed, the values of one condition or-ed, and of a parameter that a resource has several values for,
one that fits is enough (R4 §3.1.1.4.17); `:not` alone asks that none fits. All comparisons are R4 §3.1.1.4: intervals
for dates, implied precision for numbers, whole equality for tokens, references and uris, folded text for strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from medlock.fhir.inside import asks_inside, holds_inside
from medlock.fhir.normalise import fold
from medlock.fhir.query import (
    COMPARTMENT,
    Condition,
    DateValue,
    Kind,
    NumberValue,
    PlainValue,
    Prefix,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)
from medlock.fhir.searchparams import PATIENT_PARAMS, Parameter, parameter
from medlock.fhir.targets import split_local
from medlock.fhir.values import Values

Rows = Sequence[tuple[Any, ...]]  # columns of Values without the parameter's name
Test = Callable[..., bool]  # (what a condition wants, *one row)


def matches(
    conditions: Sequence[Condition],
    resource_type: str,
    values: Values,
    *,
    id: str,  # noqa: A002 - FHIR's word, and callers name it
    updated_ms: int,
    resource: dict[str, Any] | None = None,
) -> bool:
    """Whether a resource of this type, id, time of last update and search values meets every condition.

    A condition on a parameter that the type does not have is met by nothing. Conditions that look inside the resource
    (`fhir.inside`) need the resource; without it they are met by nothing.
    """
    own: dict[str, Rows] = {"_id": [("", id)], "_lastUpdated": [(updated_ms, updated_ms + 1)]}
    if any(condition.param == COMPARTMENT for condition in conditions):
        own[COMPARTMENT] = _compartment_rows(resource_type, values, id)
    return all(
        _holds_inside(condition, resource_type, resource)
        if asks_inside(condition)
        else _holds(condition, resource_type, values, own.get(condition.param))
        for condition in conditions
    )


def _compartment_rows(resource_type: str, values: Values, logical_id: str) -> Rows:
    """The patients in whose compartment a resource is, as references; a Patient is in its own."""
    params = PATIENT_PARAMS.get(resource_type, ())
    rows = [(target,) for param, target in values.references if param in params]
    return [*rows, (f"Patient/{logical_id}",)] if resource_type == "Patient" else rows


def _holds_inside(condition: Condition, resource_type: str, resource: dict[str, Any] | None) -> bool:
    known = parameter(resource_type, condition.param)
    if known is None or known.kind is not condition.kind or resource is None:
        return False
    return holds_inside(condition, known, resource, _fits)


def _fits(part: Parameter, wanted: PlainValue, values: Values) -> bool:
    """Whether one of the values meets a plain condition, as a part of a composite does."""
    if part.kind is None:
        return False
    test = _TESTS[part.kind, ""]
    return any(test(wanted, *row[1:]) for row in _COLUMNS[part.kind](values))


def _holds(condition: Condition, resource_type: str, values: Values, own: Rows | None) -> bool:
    known = parameter(resource_type, condition.param)
    if condition.param != COMPARTMENT and (known is None or known.kind is not condition.kind):
        return False
    rows = own if own is not None else list(_rows(condition, values))
    if condition.modifier == "missing":
        return condition.missing is not bool(rows)
    test = _TESTS[condition.kind, condition.modifier]
    found = any(test(wanted, *row) for row in rows for wanted in condition.values)
    return found is not (condition.modifier == "not")


def _rows(condition: Condition, values: Values) -> Iterator[tuple[Any, ...]]:
    """What the resource says under the condition's parameter."""
    columns: tuple[Iterable[tuple[Any, ...]], ...] = (_COLUMNS[condition.kind](values),)
    if condition.modifier == "identifier":
        columns = (values.identifiers,)
    elif condition.modifier == "missing" and condition.kind is Kind.REFERENCE:
        columns = (values.references, values.identifiers)
    return (row[1:] for column in columns for row in column if row[0] == condition.param)


def token_fits(wanted: TokenValue, system: str, code: str) -> bool:
    """`code`, `system|code`, `|code` (no system) and `system|` (any code) of R4 §3.1.1.4.10, case-sensitive."""
    return wanted.system in {None, system} and wanted.code in {None, code}


def reference_fits(wanted: ReferenceValue, target: str) -> bool:
    """An absolute address fits itself; an id fits a local reference, of any type unless one is wanted."""
    if wanted.url:
        return target == wanted.url
    if wanted.type:
        return target == f"{wanted.type}/{wanted.id}"
    local = split_local(target)
    return local is not None and local[1] == wanted.id


def date_fits(wanted: DateValue, low: int, high: int) -> bool:
    """The range rules of R4 §3.1.1.4.5 on [low, high)."""
    return _DATE_RULES[wanted.prefix](wanted, low, high)


def number_fits(wanted: NumberValue, value: Decimal) -> bool:
    """Under eq and ne the written precision implies a range; the other prefixes take the number exactly."""
    return _NUMBER_RULES[wanted.prefix](wanted, value)


def quantity_fits(wanted: QuantityValue, value: Decimal, system: str, code: str, unit: str) -> bool:
    """With a system, the unit is its code; without, the code or the unit as shown (R4 §3.1.1.4.11)."""
    if wanted.system is not None and wanted.system != system:
        return False
    units = {code} if wanted.system is not None else {code, unit}
    return (wanted.code is None or wanted.code in units) and number_fits(wanted.number, value)


def _starts(wanted: StringValue, text: str) -> bool:
    return fold(text).startswith(fold(wanted.text))


def _contains(wanted: StringValue, text: str) -> bool:
    return fold(wanted.text) in fold(text)


def _equals(wanted: StringValue, text: str) -> bool:
    return text == wanted.text


def _same_uri(wanted: UriValue, uri: str) -> bool:
    return uri == wanted.uri


def _uri_below(wanted: UriValue, uri: str) -> bool:
    return uri.startswith(wanted.uri)


def _uri_above(wanted: UriValue, uri: str) -> bool:
    return "://" in uri and wanted.uri.startswith(uri)


def _inside(wanted: DateValue, low: int, high: int) -> bool:
    return wanted.low <= low and high <= wanted.high


_DATE_RULES: Final[Mapping[Prefix, Callable[[DateValue, int, int], bool]]] = {
    Prefix.EQ: _inside,
    Prefix.NE: lambda wanted, low, high: not _inside(wanted, low, high),
    Prefix.GT: lambda wanted, _, high: high > wanted.high,
    Prefix.LT: lambda wanted, low, _: low < wanted.low,
    Prefix.GE: lambda wanted, low, high: high > wanted.high or _inside(wanted, low, high),
    Prefix.LE: lambda wanted, low, high: low < wanted.low or _inside(wanted, low, high),
    Prefix.SA: lambda wanted, low, _: low >= wanted.high,
    Prefix.EB: lambda wanted, _, high: high <= wanted.low,
    Prefix.AP: lambda wanted, low, high: low < wanted.high and wanted.low < high,
}

_NUMBER_RULES: Final[Mapping[Prefix, Callable[[NumberValue, Decimal], bool]]] = {
    Prefix.EQ: lambda wanted, value: wanted.low <= value < wanted.high,
    Prefix.NE: lambda wanted, value: not wanted.low <= value < wanted.high,
    Prefix.GT: lambda wanted, value: value > wanted.value,
    Prefix.LT: lambda wanted, value: value < wanted.value,
    Prefix.GE: lambda wanted, value: value >= wanted.value,
    Prefix.LE: lambda wanted, value: value <= wanted.value,
    Prefix.SA: lambda wanted, value: value > wanted.value,
    Prefix.EB: lambda wanted, value: value < wanted.value,
    Prefix.AP: lambda wanted, value: wanted.low <= value <= wanted.high,
}

_COLUMNS: Final[Mapping[Kind, Callable[[Values], Iterable[tuple[Any, ...]]]]] = {
    Kind.TOKEN: lambda values: values.tokens,
    Kind.REFERENCE: lambda values: values.references,
    Kind.DATE: lambda values: values.dates,
    Kind.STRING: lambda values: values.strings,
    Kind.QUANTITY: lambda values: values.quantities,
    Kind.NUMBER: lambda values: values.numbers,
    Kind.URI: lambda values: values.uris,
}

_TESTS: Final[Mapping[tuple[Kind, str], Test]] = {
    (Kind.TOKEN, ""): token_fits,
    (Kind.TOKEN, "not"): token_fits,
    (Kind.REFERENCE, ""): reference_fits,
    (Kind.REFERENCE, "identifier"): token_fits,
    (Kind.DATE, ""): date_fits,
    (Kind.STRING, ""): _starts,
    (Kind.STRING, "exact"): _equals,
    (Kind.STRING, "contains"): _contains,
    (Kind.QUANTITY, ""): quantity_fits,
    (Kind.NUMBER, ""): number_fits,
    (Kind.URI, ""): _same_uri,
    (Kind.URI, "above"): _uri_above,
    (Kind.URI, "below"): _uri_below,
}
