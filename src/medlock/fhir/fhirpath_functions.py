"""The FHIRPath functions and operators that R4's invariants use (FHIRPath N1 §5 and §6).

A function gets the collection that it is applied to, the scope, and its arguments unevaluated; those in
`PER_ITEM` evaluate their argument once for each item, with `$this` set to it. Two things depart from FHIRPath
because R4's invariants are written for them: an order that cannot be told from partial dates or different
units counts as fulfilled, and `not()` of nothing is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from medlock.fhir import fhirpath_nodes as model
from medlock.fhir.fhirpath_nodes import FALSE, TRUE, Nodes, Scope, answer, truth_of

Expression = Callable[[Scope], Nodes]
Function = Callable[[Nodes, Scope, Sequence[Expression]], Nodes]
Operator = Callable[[Nodes, Nodes], Nodes]


def _items(focus: Nodes, scope: Scope) -> list[Scope]:
    return [scope.at([node]) for node in focus]


def _where(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    inner = _items(focus, scope)
    return [item.this[0] for item in inner if truth_of(args[0](item)) is True]


def _select(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return [node for item in _items(focus, scope) for node in args[0](item)]


def _all(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return answer(all(truth_of(args[0](item)) is True for item in _items(focus, scope)))


def _exists(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return answer(bool(_where(focus, scope, args) if args else focus))


def _iif(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    inner = scope.at(focus)
    chosen = args[1:2] if truth_of(args[0](inner)) is True else args[2:3]
    return chosen[0](inner) if chosen else []


def _not(focus: Nodes, _scope: Scope, _args: Sequence[Expression]) -> Nodes:
    return answer(truth_of(focus) is not True)  # of nothing: true, as bdl-8 needs it of an entry without fullUrl


def _has_value(focus: Nodes, _scope: Scope, _args: Sequence[Expression]) -> Nodes:
    return answer(len(focus) == 1 and isinstance(focus[0][0], str | int | float))


def _is_distinct(focus: Nodes, _scope: Scope, _args: Sequence[Expression]) -> Nodes:
    return answer(len({repr(value) for value, _ in focus}) == len(focus))


def _resolve(focus: Nodes, _scope: Scope, _args: Sequence[Expression]) -> Nodes:
    """A literal reference tells the type of its target; nothing is fetched."""
    references = [value.get("reference") for value, _ in focus if isinstance(value, dict)]
    named = [text.split("/")[0] for text in references if isinstance(text, str) and "/" in text and ":" not in text]
    return [({"resourceType": name}, name) for name in named]


def _text(nodes: Nodes) -> str | None:
    """The one string in a collection; None when it is not exactly one string."""
    return nodes[0][0] if len(nodes) == 1 and isinstance(nodes[0][0], str) else None


def _on_text(test: Callable[[str, str], Any]) -> Function:
    """A function of two strings: its result as a node, nothing when either is missing."""

    def function(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
        text, other = _text(focus), _text(args[0](scope))
        return [] if text is None or other is None else [(test(text, other), "")]

    return function


def _replace_matches(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    text, pattern, new = _text(focus), _text(args[0](scope)), _text(args[1](scope))
    if text is None or pattern is None or new is None:
        return []
    return [(re.sub(pattern, new, text), "string")]


def _to_integer(focus: Nodes, _scope: Scope, _args: Sequence[Expression]) -> Nodes:
    text = _text(focus)
    return [(int(text), "integer")] if text is not None and re.fullmatch(r"[+-]?[0-9]{1,10}", text) else []


def _to_string(focus: Nodes, _scope: Scope, _args: Sequence[Expression]) -> Nodes:
    return [(str(value), "string") for value, _ in focus[:1]]


def _of_type(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    name = _text(args[0](scope)) or ""
    return [node for node in focus if model.is_type(node, name)]


def _is(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return answer(bool(_of_type(focus, scope, args))) if focus else []


def _combine(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return focus + args[0](scope)


def _intersect(focus: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    other = [value for value, _ in args[0](scope)]
    return [node for node in focus if node[0] in other]


PER_ITEM: Final = {"where", "select", "all", "exists", "iif", "trace"}
TYPE_ARGUMENT: Final = {"is", "as", "ofType"}

FUNCTIONS: Final[dict[str, Function]] = {
    "all": _all,
    "as": _of_type,
    "children": lambda focus, _scope, _args: model.children(focus),
    "combine": _combine,
    "contains": _on_text(lambda text, part: part in text),
    "count": lambda focus, _scope, _args: [(len(focus), "integer")],
    "descendants": lambda focus, _scope, _args: model.descendants(focus),
    "empty": lambda focus, _scope, _args: FALSE if focus else TRUE,
    "exists": _exists,
    "first": lambda focus, _scope, _args: focus[:1],
    "hasValue": _has_value,
    "iif": _iif,
    "intersect": _intersect,
    "is": _is,
    "isDistinct": _is_distinct,
    "matches": _on_text(lambda text, pattern: re.fullmatch(pattern, text) is not None),
    "not": _not,
    "ofType": _of_type,
    "replaceMatches": _replace_matches,
    "resolve": _resolve,
    "select": _select,
    "startsWith": _on_text(str.startswith),
    "tail": lambda focus, _scope, _args: focus[1:],
    "toInteger": _to_integer,
    "toString": _to_string,
    "trace": lambda focus, _scope, _args: focus,
    "where": _where,
}


def _equal(left: Nodes, right: Nodes) -> Nodes:
    if not left or not right:
        return []
    return answer([value for value, _ in left] == [value for value, _ in right])


def _unequal(left: Nodes, right: Nodes) -> Nodes:
    return [(not value, "boolean") for value, _ in _equal(left, right)]


def _ordered(accepts: Callable[[int], bool]) -> Operator:
    def operator(left: Nodes, right: Nodes) -> Nodes:
        if len(left) != 1 or len(right) != 1:
            return []
        order = model.compare(left[0][0], right[0][0])
        return answer(order is None or accepts(order))

    return operator


def _member(left: Nodes, right: Nodes) -> Nodes:
    return answer(left[0][0] in [value for value, _ in right]) if len(left) == 1 else []


def _union(left: Nodes, right: Nodes) -> Nodes:
    seen: Nodes = []
    for node in left + right:
        if node[0] not in [value for value, _ in seen]:
            seen.append(node)
    return seen


def _plus(left: Nodes, right: Nodes) -> Nodes:
    if len(left) != 1 or len(right) != 1:
        return []
    a, b = left[0][0], right[0][0]
    return [(a + b, left[0][1])] if type(a) is type(b) and isinstance(a, str | int) else []


def _concatenate(left: Nodes, right: Nodes) -> Nodes:
    return [("".join(str(value) for value, _ in left[:1] + right[:1]), "string")]


def _and(left: Nodes, right: Nodes) -> Nodes:
    truths = (truth_of(left), truth_of(right))
    if False in truths:
        return FALSE
    return [] if None in truths else TRUE


def _or(left: Nodes, right: Nodes) -> Nodes:
    truths = (truth_of(left), truth_of(right))
    if True in truths:
        return TRUE
    return [] if None in truths else FALSE


def _xor(left: Nodes, right: Nodes) -> Nodes:
    a, b = truth_of(left), truth_of(right)
    return [] if a is None or b is None else answer(a is not b)


def _implies(left: Nodes, right: Nodes) -> Nodes:
    given = truth_of(left)
    if given is False:
        return TRUE
    return right if given is True else _or([], right)


OPERATORS: Final[dict[str, tuple[int, Operator]]] = {
    # operator: (binding strength, what it does); FHIRPath N1 §6.8 gives the order
    "implies": (1, _implies),
    "or": (2, _or),
    "xor": (2, _xor),
    "and": (3, _and),
    "in": (4, _member),
    "contains": (4, lambda left, right: _member(right, left)),
    "=": (5, _equal),
    "!=": (5, _unequal),
    "<": (6, _ordered(lambda order: order < 0)),
    "<=": (6, _ordered(lambda order: order <= 0)),
    ">": (6, _ordered(lambda order: order > 0)),
    ">=": (6, _ordered(lambda order: order >= 0)),
    "|": (7, _union),
    "+": (9, _plus),
    "&": (9, _concatenate),
}
SETTLED_BY: Final = {"or": (True, TRUE), "and": (False, FALSE), "implies": (False, TRUE)}
TYPE_OPERATORS: Final = {"is": 8, "as": 8}
