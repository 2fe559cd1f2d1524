"""Conditions that follow from others and that columns can decide: they narrow a search before any body is opened.

A composite is met only where each of its parts is met somewhere in the resource, and `:of-type` only where the value
is. What follows is added to what was asked: it never changes the answer, only how many bodies are opened for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from medlock.fhir.query import CompositeValue, Condition, Kind, OfTypeValue, SearchQuery, TokenValue
from medlock.fhir.searchparams import parameter


def narrowed(query: SearchQuery) -> SearchQuery:
    """The query with what follows from it."""
    found = tuple(each for condition in query.conditions for each in _implied(query.type, condition))
    return msgspec.structs.replace(query, conditions=(*found, *query.conditions)) if found else query


def _implied(type_: str, condition: Condition) -> Iterator[Condition]:
    if condition.modifier == "of-type":
        values = tuple(TokenValue(None, each.value) for each in condition.values if isinstance(each, OfTypeValue))
        yield Condition(condition.param, Kind.TOKEN, values)
    if condition.kind is not Kind.COMPOSITE:
        return
    known = parameter(type_, condition.param)
    joined = known.composite if known is not None else None
    if joined is None:
        return
    for at, (part, name) in enumerate(zip(joined.parts, joined.implied, strict=True)):
        if name and part.kind is not None and part.kind is not Kind.QUANTITY:  # quantities stand in no column
            wanted = tuple(each.parts[at] for each in condition.values if isinstance(each, CompositeValue))
            yield Condition(name, part.kind, wanted)
