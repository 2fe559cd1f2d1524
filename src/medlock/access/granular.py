"""The query of a granular scope: which resources of a type it speaks of (SMART App Launch 2.2, "Finer-grained…").

`category=http://…|laboratory&status=final` is read by the grammar of searches, and held to less than a search may ask:
only parameters of the type itself, without modifiers. So each query is decided by one resource alone, whenever it is
asked, and nothing outside the resource can change what it means. Everything else is refused: what could not be
enforced whole must not stand in a token. Parameters are and-ed, values with commas between them or-ed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from medlock.errors import BadRequest
from medlock.fhir.directives import DIRECTIVES
from medlock.fhir.form import pairs
from medlock.fhir.grammar import parse_search
from medlock.fhir.query import (
    CompositeValue,
    Condition,
    DateValue,
    NumberValue,
    Prefix,
    QuantityValue,
    ReferenceValue,
    TokenValue,
    Value,
)

QUERY_MAX: Final = 2_000
_ANY_TYPE: Final = "Basic"
"""Stands for every type in a scope on `*`: what is asked then is a parameter that all types have."""
_COMMON: Final = frozenset({"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"})


class Unenforceable(ValueError):
    """The query is not one that this server enforces whole; str() completes "Scope n …" and repeats nothing of it."""


def read_query(resource_type: str, text: str) -> tuple[Condition, ...]:
    """The conditions of a query on one type, or with "*" on all. Raises Unenforceable."""
    if not text or len(text) > QUERY_MAX:
        raise Unenforceable(f"has an empty query, or one of more than {QUERY_MAX} characters.")
    if "+" in text:
        raise Unenforceable("has a plus sign in its query: write %2B for the sign, %20 for a blank.")
    try:
        asked = pairs(text.encode())
        _check_names([name for name, _ in asked], common=resource_type == "*")
        query = parse_search(_ANY_TYPE if resource_type == "*" else resource_type, asked, now_ms=0, max_count=0)
    except (BadRequest, UnicodeEncodeError):
        raise Unenforceable("has a query with a parameter, modifier or value that is not known.") from None
    if query.links or not query.conditions or any(_moves(value) for each in query.conditions for value in each.values):
        raise Unenforceable("has a query that depends on more than the resource itself.")
    return query.conditions


def _check_names(names: Sequence[str], *, common: bool) -> None:
    """Raise Unenforceable for a modifier, for what shapes a result, and on `*` for what not all types have."""
    for name in names:
        if ":" in name or "." in name or name in DIRECTIVES:
            raise Unenforceable("has a query with a modifier, a chain, or a parameter that selects nothing.")
        if common and name not in _COMMON:
            raise Unenforceable("speaks of all types, but its query of what not all have.")


def _moves(value: Value) -> bool:
    """Whether what a value means depends on when it is asked: `ap` of a date measures from now."""
    if isinstance(value, CompositeValue):
        return any(map(_moves, value.parts))
    return isinstance(value, DateValue) and value.prefix is Prefix.AP


def implies(narrower: Sequence[Condition], wider: Sequence[Condition]) -> bool:
    """Whether every resource that meets the one query surely meets the other. No is the answer when in doubt."""
    return all(any(_within(given, asked) for given in narrower) for asked in wider)


def _within(narrower: Condition, wider: Condition) -> bool:
    """Whether a condition surely holds where another one does: the parameter, and each value one of the other's."""
    same = (narrower.param, narrower.kind, narrower.modifier) == (wider.param, wider.kind, wider.modifier)
    return same and all(any(_fits(wide, value) for wide in wider.values) for value in narrower.values)


def _fits(wide: Value, value: Value) -> bool:
    if wide == value:
        return not isinstance(value, NumberValue | QuantityValue) or _written_alike(wide, value)
    if isinstance(wide, TokenValue) and isinstance(value, TokenValue):
        return wide.system in {None, value.system} and wide.code in {None, value.code}
    if isinstance(wide, ReferenceValue) and isinstance(value, ReferenceValue):
        return not (wide.type or wide.url or value.url) and wide.id == value.id
    return False


def _written_alike(wide: Value, value: Value) -> bool:
    """5.4 and 5.40 are equal as numbers but cover different ranges (R4 §3.1.1.4.4); their ranges are compared too."""
    return repr(wide) == repr(value)
