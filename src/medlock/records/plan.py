"""How a search is answered from index columns: each condition becomes a mask over rows, or is left to the bodies.

Conditions on whole values (tokens, references, ids) name few rows at once: the search starts from the fewest. What is
compared by range or prefix narrows what is left. A plan never widens: what the columns cannot decide exactly
(quantities, `:exact`, `system|`, `:missing`) lets all rows of the type through and is decided by `fhir.match` on every
opened body.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from medlock.fhir.normalise import fold
from medlock.fhir.query import (
    COMPARTMENT,
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
from medlock.fhir.searchparams import PATIENT_PARAMS, parameter
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

Pick = Callable[[Segment], Rows | memoryview]
FEW = 64
PARTS_KEPT = 512


class Filter(Protocol):
    """A condition on columns that every match meets."""

    def mask(self, segment: Segment) -> Mask:
        """For every row of a segment, whether it may match."""

    def kept(self, segment: Segment, rows: list[int]) -> list[int]:
        """Those of a few rows that may match: looking at each costs less than a column does."""


class Plan(msgspec.Struct, frozen=True):
    """What must hold of a row of one type: `picks` name the rows, `filters` narrow them, `undecided` needs the body."""

    type: str
    picks: tuple[Pick, ...]
    filters: tuple[Filter, ...]
    undecided: tuple[Condition, ...]

    def rows(self, segment: Segment) -> Rows | list[int]:
        """The living rows of a segment that may match, ascending."""
        if not self.picks:
            return self._narrowed(segment, (segment.alive & segment.of_type(TYPE_NUMBERS[self.type])).nonzero()[0])
        lists = [pick(segment) for pick in self.picks]  # the type is part of every hash and id
        if len(lists) > 1:
            lists.sort(key=len)
        if len(lists[0]) <= FEW:
            return self._few(segment, lists[0].tolist(), lists[1:])
        return self._narrowed(segment, _in_all([np.asarray(each) for each in lists], segment))

    def _narrowed(self, segment: Segment, rows: Rows) -> Rows:
        for each in self.filters:
            if not len(rows):
                break
            rows = rows[each.mask(segment)[rows]]
        return rows

    def _few(self, segment: Segment, rows: list[int], others: Sequence[Rows | memoryview]) -> list[int]:
        for other in others:
            rows = _present(rows, other)
        if not segment.whole:
            alive = segment.alive
            rows = [row for row in rows if alive[row]]
        for each in self.filters:
            rows = each.kept(segment, rows)
        return rows


def _in_all(lists: Sequence[Rows], segment: Segment) -> Rows:
    """Living rows that stand in every list."""
    rows = lists[0]
    for other in lists[1:]:
        rows = rows[other.take(other.searchsorted(rows), mode="clip") == rows]
    return rows if segment.whole else rows[segment.alive[rows]]


def _present(rows: list[int], other: Rows | memoryview) -> list[int]:
    """Those of a few rows that stand in a list."""
    if not len(other):
        return []
    numbers = other if isinstance(other, memoryview) else other.data
    last = numbers[-1]
    return [row for row in rows if row <= last and numbers[bisect_left(numbers, row)] == row]


class Planner:
    """Makes plans. `rid_of` gives the row id of `Type/id`."""

    def __init__(self, indexer: Indexer, rid_of: Callable[[str], int]) -> None:
        self._hash = indexer.hash
        self._rid_of = rid_of
        self._known = lru_cache(PARTS_KEPT)(self._part)

    def plan(self, query: SearchQuery) -> Plan:
        """The plan of a query."""
        picks: list[Pick] = []
        filters: list[Filter] = []
        undecided: list[Condition] = []
        for condition in query.conditions:
            pick, found, exact = self._known(query.type, condition)
            if pick is not None:
                picks.append(pick)
            elif found is not None:
                filters.append(found)
            if not exact:
                undecided.append(condition)
        return Plan(query.type, tuple(picks), tuple(filters), tuple(undecided))

    def mask(self, type_: str, condition: Condition, segment: Segment) -> Mask | None:
        """Rows of a segment of which a condition may hold; None when its columns know nothing of it."""
        pick, found, _ = self._known(type_, condition)
        if pick is not None:
            mask: Mask = np.zeros(len(segment), np.bool_)
            mask[np.asarray(pick(segment), np.intp)] = True
            return mask
        return None if found is None else found.mask(segment)

    def decides(self, type_: str, condition: Condition) -> bool:
        """Whether columns decide a condition for good."""
        return self._known(type_, condition)[2]

    def _part(self, type_: str, condition: Condition) -> tuple[Pick | None, Filter | None, bool]:
        """What a condition names rows by, or narrows them by, and whether that decides it.

        It follows from the condition alone, whatever is stored, and the same are asked again and again: remembered.
        """
        pick = self._pick(type_, condition)
        if pick is None:
            found = _filter(condition)
            return None, found, found is not None and _exact(condition)
        if condition.modifier == "not":
            return None, NoneOf(pick), _exact(condition)
        return pick, None, _exact(condition)

    def _pick(self, type_: str, condition: Condition) -> Pick | None:
        """The rows that bear any of the values (`not` comes later); None when values are not compared whole."""
        if condition.modifier in _BY_BODY or condition.kind in _RANGED:
            return None
        if condition.param == COMPARTMENT:
            return self._compartment_pick(type_, condition)
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

    def _compartment_pick(self, type_: str, condition: Condition) -> Pick:
        """The rows that name the patient through any parameter of the compartment; a Patient is in its own."""
        owners = [value.id for value in condition.values if isinstance(value, ReferenceValue)]
        params = PATIENT_PARAMS.get(type_, ())
        hashes = [self._hash(whole_text(type_, param, f"Patient/{each}")) for param in params for each in owners]
        if type_ != "Patient":
            return _bearers(hashes)
        rids = [self._rid_of(f"Patient/{each}") for each in owners]
        return lambda segment: (segment.with_hashes(hashes) | segment.with_rids(rids)).nonzero()[0]


_RANGED = frozenset({Kind.DATE, Kind.STRING})
_BY_BODY = frozenset({"missing", "text", "of-type", "above", "below"})  # modifiers that no column answers


def _bearers(hashes: list[int]) -> Pick:
    if len(hashes) == 1:
        only = hashes[0]
        return lambda segment: segment.bearers(only)
    return lambda segment: segment.with_hashes(hashes).nonzero()[0]


class NoneOf(msgspec.Struct, frozen=True):
    """Rows that a pick does not name."""

    pick: Pick

    def mask(self, segment: Segment) -> Mask:
        """For every row."""
        mask: Mask = np.ones(len(segment), np.bool_)
        mask[np.asarray(self.pick(segment), np.intp)] = False
        return mask

    def kept(self, segment: Segment, rows: list[int]) -> list[int]:
        """Of a few."""
        named = set(_present(rows, self.pick(segment)))
        return [row for row in rows if row not in named]


def _filter(condition: Condition) -> Filter | None:
    """A mask that lets every match through, or None when the columns know nothing of this condition."""
    if condition.modifier == "missing" or condition.kind not in _RANGED:
        return None
    if condition.kind is Kind.STRING:
        return _texts(condition)
    values = tuple(value for value in condition.values if isinstance(value, DateValue))
    return Updated(values) if condition.param == "_lastUpdated" else Dates(parameter_number(condition.param), values)


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


class Texts(msgspec.Struct, frozen=True):
    """Rows with a text that begins with one of these, or has one in it."""

    param: int
    wanted: tuple[str, ...]
    inside: bool

    def mask(self, segment: Segment) -> Mask:
        """For every row."""
        pick = segment.with_part if self.inside else segment.with_prefix
        mask: Mask = np.zeros(len(segment), np.bool_)
        for text in self.wanted:
            mask |= pick(self.param, text)
        return mask

    def kept(self, segment: Segment, rows: list[int]) -> list[int]:
        """Of a few."""
        return _chosen(self.mask(segment), rows)


def _texts(condition: Condition) -> Texts:
    wanted = tuple(fold(value.text)[:TEXT_MAX] for value in condition.values if isinstance(value, StringValue))
    return Texts(parameter_number(condition.param), wanted, condition.modifier == "contains")


class Updated(msgspec.Struct, frozen=True):
    """Rows that were last changed at one of these times: an instant is an interval of a millisecond."""

    values: tuple[DateValue, ...]

    def mask(self, segment: Segment) -> Mask:
        """For every row."""
        return _any_date(self.values, segment.rows["updated"], segment.rows["updated"] + 1)

    def kept(self, segment: Segment, rows: list[int]) -> list[int]:
        """Of a few."""
        return _chosen(self.mask(segment), rows)


class Dates(msgspec.Struct, frozen=True):
    """Rows with a date of one parameter at one of these times."""

    param: int
    values: tuple[DateValue, ...]

    def mask(self, segment: Segment) -> Mask:
        """For every row."""
        known = segment.dates_of(self.param)
        mask: Mask = np.zeros(len(segment), np.bool_)
        mask[known.row[_any_date(self.values, known.low, known.high)]] = True
        return mask

    def kept(self, segment: Segment, rows: list[int]) -> list[int]:
        """Of a few."""
        known = segment.dates_of(self.param)
        (numbers, lows, highs), first = known.each, known.first
        meets, last = self._meets(), len(numbers)
        found: list[int] = []
        for row in rows:
            at = first[row]
            while at < last and numbers[at] == row:
                if meets(lows[at], highs[at]):
                    found.append(row)
                    break
                at += 1
        return found

    def _meets(self) -> Callable[[int, int], bool]:
        """Whether a date [low, high) is at one of the times; nearly always there is one."""
        each = [partial(_COMPARE[value.prefix], value) for value in self.values]
        return each[0] if len(each) == 1 else lambda low, high: any(meets(low, high) for meets in each)


def _chosen(mask: Mask, rows: list[int]) -> list[int]:
    return [row for row in rows if mask[row]]


def _any_date(values: Sequence[DateValue], low: NDArray[np.int64], high: NDArray[np.int64]) -> Mask:
    if len(values) == 1:
        return np.asarray(_COMPARE[values[0].prefix](values[0], low, high), np.bool_)
    mask: Mask = np.zeros(len(low), np.bool_)
    for value in values:
        mask |= _COMPARE[value.prefix](value, low, high)
    return mask


# R4 §3.1.1.4.5 on intervals [low, high), of one row or of columns: the rules of `fhir.match`. "ge" is inside or gt;
# since an interval that starts no earlier either ends inside or beyond, that is: starts no earlier, or ends beyond.
_COMPARE: dict[Prefix, Callable[[DateValue, Any, Any], Any]] = {
    Prefix.EQ: lambda value, low, high: (low >= value.low) & (high <= value.high),
    Prefix.NE: lambda value, low, high: (low < value.low) | (high > value.high),
    Prefix.GT: lambda value, _, high: high > value.high,
    Prefix.LT: lambda value, low, _: low < value.low,
    Prefix.GE: lambda value, low, high: (low >= value.low) | (high > value.high),
    Prefix.LE: lambda value, low, high: (high <= value.high) | (low < value.low),
    Prefix.SA: lambda value, low, _: low >= value.high,
    Prefix.EB: lambda value, _, high: high <= value.low,
    Prefix.AP: lambda value, low, high: (low < value.high) & (high > value.low),
}
