"""How a search is answered from index columns: each condition becomes a mask over rows, or is left to the bodies.

A plan never widens: what the columns cannot decide exactly (quantities, `:exact`, `system|`, `:missing`) lets all rows
of the type through and is decided by `fhir.match` on every opened body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medlock.fhir.normalise import fold
from medlock.fhir.query import (
    Condition,
    DateValue,
    Kind,
    Prefix,
    ReferenceValue,
    SearchQuery,
    StringValue,
    TokenValue,
    UriValue,
)
from medlock.fhir.searchparams import parameter
from medlock.records.indexing import (
    TYPE_NUMBERS,
    Indexer,
    any_system_text,
    identifier_text,
    token_text,
    whole_text,
)
from medlock.store.entries import TEXT_MAX, parameter_number
from medlock.store.segment import Mask, Segment

Filter = Callable[[Segment], Mask]


@dataclass(frozen=True, slots=True)
class Plan:
    """Filters to be and-ed over the rows of one type, and the conditions that only a body can decide."""

    type: str
    filters: tuple[Filter, ...]
    undecided: tuple[Condition, ...]

    def rows(self, segment: Segment) -> NDArray[np.intp]:
        """The rows of a segment that may match."""
        mask = segment.alive & segment.of_type(TYPE_NUMBERS[self.type])
        for each in self.filters:
            mask &= each(segment)
        return mask.nonzero()[0]


class Planner:
    """Makes plans. `rid_of` gives the row id of `Type/id`."""

    def __init__(self, indexer: Indexer, rid_of: Callable[[str], int]) -> None:
        self._hash = indexer.hash
        self._rid_of = rid_of

    def plan(self, query: SearchQuery) -> Plan:
        """The plan of a query."""
        filters: list[Filter] = []
        undecided: list[Condition] = []
        for condition in query.conditions:
            found = self._filter(query.type, condition)
            if found is not None:
                filters.append(found)
            if found is None or not _exact(condition):
                undecided.append(condition)
        return Plan(query.type, tuple(filters), tuple(undecided))

    def _filter(self, type_: str, condition: Condition) -> Filter | None:
        """A mask that lets every match through, or None when the columns know nothing of this condition."""
        if condition.modifier == "missing":
            return None
        if condition.param == "_id":
            return self._ids(type_, condition)
        if condition.kind is Kind.DATE:
            return _dates(condition)
        if condition.kind is Kind.STRING:
            return _texts(condition)
        return self._whole(type_, condition)

    def _ids(self, type_: str, condition: Condition) -> Filter:
        rids = [self._rid_of(f"{type_}/{v.code}") for v in condition.values if isinstance(v, TokenValue) and v.code]
        if condition.modifier == "not":
            return lambda segment: ~segment.with_rids(rids)
        return lambda segment: segment.with_rids(rids)

    def _whole(self, type_: str, condition: Condition) -> Filter | None:
        """Tokens, references and uris: any of their hashes; None when a value has no hash."""
        texts: list[str] = []
        for value in condition.values:
            found = _value_texts(type_, condition, value)
            if not found:
                return None
            texts += found
        hashes = [self._hash(text) for text in texts]
        if condition.modifier == "not":
            return lambda segment: ~segment.with_hashes(hashes)
        return lambda segment: segment.with_hashes(hashes)


def _value_texts(type_: str, condition: Condition, value: object) -> list[str]:
    """The canonical texts that a matching resource has at least one of; empty when there are none."""
    param = condition.param
    if isinstance(value, TokenValue):
        return _token_texts(type_, condition, value)
    if isinstance(value, UriValue):
        return [whole_text(type_, param, value.uri)]
    if isinstance(value, ReferenceValue):
        if value.url:
            return [whole_text(type_, param, value.url)]
        return [whole_text(type_, param, f"{target}/{value.id}") for target in _targets(type_, param, value)]
    return []


def _token_texts(type_: str, condition: Condition, value: TokenValue) -> list[str]:
    if value.code is None:
        return []
    if condition.modifier == "identifier":
        return [] if value.system is None else [identifier_text(type_, condition.param, value.system, value.code)]
    if value.system is None:
        return [any_system_text(type_, condition.param, value.code)]
    return [token_text(type_, condition.param, value.system, value.code)]


def _targets(type_: str, param: str, value: ReferenceValue) -> tuple[str, ...]:
    """The types that a bare id may mean."""
    if value.type:
        return (value.type,)
    found = parameter(type_, param)
    return tuple(found.targets) if found is not None else ()


def _exact(condition: Condition) -> bool:
    """Whether the columns decide this condition for good."""
    if condition.kind is Kind.STRING:
        return condition.modifier == "" and all(
            isinstance(value, StringValue) and len(fold(value.text)) <= TEXT_MAX for value in condition.values
        )
    return condition.modifier != "missing"


def _texts(condition: Condition) -> Filter:
    param = parameter_number(condition.param)
    wanted = [fold(value.text)[:TEXT_MAX] for value in condition.values if isinstance(value, StringValue)]

    def filter_(segment: Segment) -> Mask:
        pick = segment.with_part if condition.modifier == "contains" else segment.with_prefix
        mask: Mask = np.zeros(len(segment), np.bool_)
        for text in wanted:
            mask |= pick(param, text)
        return mask

    return filter_


def _dates(condition: Condition) -> Filter:
    values = [value for value in condition.values if isinstance(value, DateValue)]
    if condition.param == "_lastUpdated":
        return lambda segment: _any_date(values, segment.rows["updated"], segment.rows["updated"] + 1)
    param = parameter_number(condition.param)

    def filter_(segment: Segment) -> Mask:
        known = segment.dates_of(param)
        return segment.with_dates(known[_any_date(values, known["low"], known["high"])])

    return filter_


def _any_date(values: list[DateValue], low: NDArray[Any], high: NDArray[Any]) -> Mask:
    mask: Mask = np.zeros(len(low), np.bool_)
    for value in values:
        mask |= _compare(value, low, high)
    return mask


def _compare(value: DateValue, low: NDArray[Any], high: NDArray[Any]) -> Mask:
    """R4 §3.1.1.4.5 on intervals [low, high): the same rules as `fhir.match`, on columns."""
    inside = (low >= value.low) & (high <= value.high)
    outcome: Mask = {
        Prefix.EQ: lambda: inside,
        Prefix.NE: lambda: ~inside,
        Prefix.GT: lambda: high > value.high,
        Prefix.LT: lambda: low < value.low,
        Prefix.GE: lambda: inside | (high > value.high),
        Prefix.LE: lambda: inside | (low < value.low),
        Prefix.SA: lambda: low >= value.high,
        Prefix.EB: lambda: high <= value.low,
        Prefix.AP: lambda: (low < value.high) & (high > value.low),
    }[value.prefix]()
    return outcome
