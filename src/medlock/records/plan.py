"""How a search is answered from index columns: each condition becomes a mask over rows, or is left to the bodies.

Conditions on whole values (tokens, references, ids) name few rows at once: the search starts from the fewest. What is
compared by range or prefix narrows what is left. A plan never widens: what the columns cannot decide exactly
(quantities, `:exact`, `system|`, `:missing`) lets all rows of the type through and is decided by `fhir.match` on every
opened body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
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
from medlock.store.segment import Mask, Rows, Segment

Pick = Callable[[Segment], Rows]
Filter = Callable[[Segment], Mask]


class Plan(msgspec.Struct, frozen=True):
    """What must hold of a row of one type: `picks` name the rows, `filters` are masks, `undecided` needs the body."""

    type: str
    picks: tuple[Pick, ...]
    filters: tuple[Filter, ...]
    undecided: tuple[Condition, ...]

    def rows(self, segment: Segment) -> Rows:
        """The rows of a segment that may match."""
        if self.picks:  # what picks name is of the type: the type is part of every hash and id
            rows = self._picked(segment)
            rows = rows[segment.alive[rows]]
        else:
            rows = (segment.alive & segment.of_type(TYPE_NUMBERS[self.type])).nonzero()[0]
        for each in self.filters:
            if not len(rows):
                break
            rows = rows[each(segment)[rows]]
        return rows

    def _picked(self, segment: Segment) -> Rows:
        """The rows that every pick names, beginning with the shortest list."""
        rows, *others = sorted((pick(segment) for pick in self.picks), key=len)
        for other in others:
            if not len(rows):
                break
            rows = rows[other.take(other.searchsorted(rows), mode="clip") == rows]
        return rows


class Planner:
    """Makes plans. `rid_of` gives the row id of `Type/id`."""

    def __init__(self, indexer: Indexer, rid_of: Callable[[str], int]) -> None:
        self._hash = indexer.hash
        self._rid_of = rid_of

    def plan(self, query: SearchQuery) -> Plan:
        """The plan of a query."""
        picks: list[Pick] = []
        filters: list[Filter] = []
        undecided: list[Condition] = []
        for condition in query.conditions:
            pick = self._pick(query.type, condition)
            found = None if pick is not None else _filter(condition)
            if pick is not None and condition.modifier == "not":
                filters.append(_none_of(pick))
            elif pick is not None:
                picks.append(pick)
            elif found is not None:
                filters.append(found)
            if (pick is None and found is None) or not _exact(condition):
                undecided.append(condition)
        return Plan(query.type, tuple(picks), tuple(filters), tuple(undecided))

    def _pick(self, type_: str, condition: Condition) -> Pick | None:
        """The rows that bear any of the values (`not` comes later); None when values are not compared whole."""
        if condition.modifier == "missing" or condition.kind in _RANGED:
            return None
        if condition.param == "_id":
            rids = [self._rid_of(f"{type_}/{v.code}") for v in condition.values if isinstance(v, TokenValue) and v.code]
            return lambda segment: segment.with_rids(rids).nonzero()[0]
        texts: list[str] = []
        for value in condition.values:
            found = _value_texts(type_, condition, value)
            if not found:
                return None
            texts += found
        return _bearers([self._hash(text) for text in texts])


_RANGED = frozenset({Kind.DATE, Kind.STRING})


def _bearers(hashes: list[int]) -> Pick:
    if len(hashes) == 1:
        only = hashes[0]
        return lambda segment: segment.bearers(only)
    return lambda segment: segment.with_hashes(hashes).nonzero()[0]


def _none_of(pick: Pick) -> Filter:
    """Rows that a pick does not name."""

    def filter_(segment: Segment) -> Mask:
        mask: Mask = np.ones(len(segment), np.bool_)
        mask[pick(segment)] = False
        return mask

    return filter_


def _filter(condition: Condition) -> Filter | None:
    """A mask that lets every match through, or None when the columns know nothing of this condition."""
    if condition.modifier == "missing" or condition.kind not in _RANGED:
        return None
    return _dates(condition) if condition.kind is Kind.DATE else _texts(condition)


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
        mask: Mask = np.zeros(len(segment), np.bool_)
        mask[known.row[_any_date(values, known.low, known.high)]] = True
        return mask

    return filter_


Column = NDArray[Any]


def _any_date(values: list[DateValue], low: Column, high: Column) -> Mask:
    mask: Mask = np.zeros(len(low), np.bool_)
    for value in values:
        mask |= _COMPARE[value.prefix](value, low, high)
    return mask


def _inside(value: DateValue, low: Column, high: Column) -> Mask:
    mask: Mask = (low >= value.low) & (high <= value.high)
    return mask


# R4 §3.1.1.4.5 on intervals [low, high): the same rules as `fhir.match`, on columns. "ge" is inside or gt; since an
# interval that starts no earlier either ends inside or beyond, that is: starts no earlier, or ends beyond.
_COMPARE: dict[Prefix, Callable[[DateValue, Column, Column], Mask]] = {
    Prefix.EQ: _inside,
    Prefix.NE: lambda value, low, high: ~_inside(value, low, high),
    Prefix.GT: lambda value, _, high: high > value.high,
    Prefix.LT: lambda value, low, _: low < value.low,
    Prefix.GE: lambda value, low, high: (low >= value.low) | (high > value.high),
    Prefix.LE: lambda value, low, high: (high <= value.high) | (low < value.low),
    Prefix.SA: lambda value, low, _: low >= value.high,
    Prefix.EB: lambda value, _, high: high <= value.low,
    Prefix.AP: lambda value, low, high: (low < value.high) & (high > value.low),
}
