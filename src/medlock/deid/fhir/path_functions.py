"""Functions and operators of the FHIRPath that rules may use (FHIRPath N1 §5, §6).

A function takes the focus, the scope and its arguments unevaluated, and returns nodes. What has no answer returns
the empty collection, as FHIRPath wants it; nothing here raises on what a resource holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from medlock.deid.fhir.compare import equal, equivalent, order
from medlock.deid.fhir.nodes import Node, Nodes, children, descendants, plain_kind


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression is evaluated against."""

    this: Nodes
    resource: Node
    index: int = 0


Expression = Callable[[Scope], Nodes]
Function = Callable[[Nodes, Scope, Sequence[Expression]], Nodes]

_SYSTEM: Final = {"String": "string", "Boolean": "boolean", "Integer": "integer", "Decimal": "decimal", "Date": "date"}


def _said(truth: bool | None) -> Nodes:
    return [] if truth is None else [Node(truth, "boolean")]


def truth_of(nodes: Nodes) -> bool | None:
    """Three-valued: nothing is None, a single value that is no boolean counts as true."""
    if not nodes:
        return None
    value = nodes[0].value
    return value if isinstance(value, bool) else True


def typed(verb: str, left: Expression, kind: str) -> Expression:
    """`is` answers, `as` and ofType() select."""
    wanted = _SYSTEM.get(kind, kind)
    if verb == "is":
        return lambda scope: [Node(_is(node, wanted), "boolean") for node in left(scope)[:1]]
    return lambda scope: [node for node in left(scope) if _is(node, wanted)]


def _is(node: Node, kind: str) -> bool:
    return kind in {node.kind, plain_kind(node.kind)}


def _each(nodes: Nodes, scope: Scope, body: Expression) -> list[tuple[Node, Nodes]]:
    return [(node, body(replace(scope, this=[node], index=i))) for i, node in enumerate(nodes)]


def _where(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return [node for node, found in _each(nodes, scope, args[0]) if truth_of(found)]


def _select(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return [inner for _, found in _each(nodes, scope, args[0]) for inner in found]


def _exists(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return _said(bool(_where(nodes, scope, args) if args else nodes))


def _all(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    return _said(all(truth_of(found) for _, found in _each(nodes, scope, args[0])))


def _iif(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    inner = replace(scope, this=nodes)
    if truth_of(args[0](inner)):
        return args[1](inner)
    return args[2](inner) if len(args) > 2 else []


def _not(nodes: Nodes, _scope: Scope, _args: Sequence[Expression]) -> Nodes:
    truth = truth_of(nodes)
    return _said(None if truth is None else not truth)


def _repeat(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    found: Nodes = []
    level = nodes
    while level:
        level = [node for node in _select(level, scope, args) if node not in found]
        found += level
    return found


def _distinct(nodes: Nodes) -> Nodes:
    kept: Nodes = []
    for node in nodes:
        if not any(equal(node.value, other.value) for other in kept):
            kept.append(node)
    return kept


def _by(pick: Callable[[Node], str]) -> Function:
    """For nodesByType and nodesByName: the nodes themselves and all below them."""

    def function(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
        wanted = {node.value for node in args[0](scope)}
        return [each for node in nodes for each in (node, *descendants(node)) if pick(each) in wanted]

    return function


def _plain(pick: Callable[[Nodes], Nodes]) -> Function:
    return lambda nodes, _scope, _args: pick(nodes)


def _numbered(pick: Callable[[Nodes, int], Nodes]) -> Function:
    def function(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
        found = args[0](scope)
        return pick(nodes, found[0].value) if found and isinstance(found[0].value, int) else []

    return function


def _texts(act: Callable[..., Any], kind: str) -> Function:
    """A function of one text and of arguments that are single values."""

    def function(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
        given = [arg(scope) for arg in args]
        if len(nodes) != 1 or not isinstance(nodes[0].value, str) or not all(given):
            return []
        try:
            found = act(nodes[0].value, *(each[0].value for each in given))
        except (ValueError, TypeError, re.error):
            return []
        return [] if found is None else [Node(found, kind)]

    return function


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + length]


def _to_string(nodes: Nodes) -> Nodes:
    return [Node(_written(node.value), "string") for node in nodes[:1] if not isinstance(node.value, dict)]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _to_number(cast: Callable[[str], float], kind: str) -> Function:
    def function(nodes: Nodes, _scope: Scope, _args: Sequence[Expression]) -> Nodes:
        try:
            return [Node(cast(_written(node.value)), kind) for node in nodes[:1]]
        except ValueError:
            return []

    return function


def _extension(nodes: Nodes, scope: Scope, args: Sequence[Expression]) -> Nodes:
    url = args[0](scope)
    every = [child for node in nodes for child in children(node) if child.name == "extension"]
    return [each for each in every if url and each.value.get("url") == url[0].value]


FUNCTIONS: Final[dict[str, Function]] = {
    "where": _where, "select": _select, "exists": _exists, "all": _all, "iif": _iif, "not": _not, "repeat": _repeat,
    "empty": _plain(lambda nodes: _said(not nodes)),
    "count": _plain(lambda nodes: [Node(len(nodes), "integer")]),
    "first": _plain(lambda nodes: nodes[:1]),
    "last": _plain(lambda nodes: nodes[-1:]),
    "tail": _plain(lambda nodes: nodes[1:]),
    "single": _plain(lambda nodes: nodes if len(nodes) == 1 else []),
    "skip": _numbered(lambda nodes, n: nodes[max(n, 0) :]),
    "take": _numbered(lambda nodes, n: nodes[: max(n, 0)]),
    "distinct": _plain(_distinct),
    "hasValue": _plain(lambda nodes: _said(len(nodes) == 1 and nodes[0].value is not None)),
    "children": _plain(lambda nodes: [child for node in nodes for child in children(node)]),
    "descendants": _plain(lambda nodes: [each for node in nodes for each in descendants(node)]),
    "nodesByType": _by(lambda node: plain_kind(node.kind)),
    "nodesByName": _by(lambda node: node.name),
    "extension": _extension,
    "startsWith": _texts(str.startswith, "boolean"), "endsWith": _texts(str.endswith, "boolean"),
    "contains": _texts(lambda text, part: part in text, "boolean"),
    "matches": _texts(lambda text, pattern: re.search(pattern, text) is not None, "boolean"),
    "replace": _texts(str.replace, "string"), "substring": _texts(_substring, "string"),
    "replaceMatches": _texts(lambda text, pattern, new: re.sub(pattern, new, text), "string"),
    "indexOf": _texts(str.find, "integer"), "length": _texts(len, "integer"),
    "upper": _texts(str.upper, "string"), "lower": _texts(str.lower, "string"), "trim": _texts(str.strip, "string"),
    "toString": _plain(_to_string), "toInteger": _to_number(int, "integer"),
    "toDecimal": _to_number(float, "decimal"),
}  # fmt: skip
TYPED: Final = {"ofType": "as", "as": "as", "is": "is"}


def _ordered(test: Callable[[int], bool]) -> Callable[[Nodes, Nodes], Nodes]:
    def operator(left: Nodes, right: Nodes) -> Nodes:
        found = order(left[0].value, right[0].value) if len(left) == len(right) == 1 else None
        return _said(None if found is None else test(found))

    return operator


def _same(test: Callable[[Any, Any], bool], *, negate: bool) -> Callable[[Nodes, Nodes], Nodes]:
    def operator(left: Nodes, right: Nodes) -> Nodes:
        if not left or not right:
            return []
        same = len(left) == len(right) and all(test(a.value, b.value) for a, b in zip(left, right, strict=True))
        return _said(same is not negate)

    return operator


def _member(item: Nodes, of: Nodes) -> Nodes:
    return _said(any(equal(item[0].value, each.value) for each in of)) if item else []


def _arithmetic(act: Callable[[Any, Any], Any]) -> Callable[[Nodes, Nodes], Nodes]:
    def operator(left: Nodes, right: Nodes) -> Nodes:
        if not left or not right:
            return []
        try:
            found = act(left[0].value, right[0].value)
        except (TypeError, ZeroDivisionError):
            return []
        return [Node(found, "string" if isinstance(found, str) else left[0].kind)]

    return operator


def _concatenated(left: Nodes, right: Nodes) -> Nodes:
    return [Node("".join(_written(node.value) for node in (*left[:1], *right[:1])), "string")]


BINARY: Final[dict[str, Callable[[Nodes, Nodes], Nodes]]] = {
    "=": _same(equal, negate=False), "!=": _same(equal, negate=True),
    "~": _same(equivalent, negate=False), "!~": _same(equivalent, negate=True),
    "<": _ordered(lambda n: n < 0), ">": _ordered(lambda n: n > 0),
    "<=": _ordered(lambda n: n <= 0), ">=": _ordered(lambda n: n >= 0),
    "in": _member, "contains": lambda left, right: _member(right, left),
    "|": lambda left, right: [*left, *(node for node in right if node not in left)],
    "&": _concatenated,
    "+": _arithmetic(lambda a, b: a + b), "-": _arithmetic(lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b), "/": _arithmetic(lambda a, b: a / b),
    "div": _arithmetic(lambda a, b: int(a / b)), "mod": _arithmetic(lambda a, b: a % b),
}  # fmt: skip


def _and(left: Nodes, right: Callable[[], Nodes]) -> Nodes:
    a = truth_of(left)
    if a is False:
        return _said(truth=False)
    b = truth_of(right())
    return _said(False if b is False else (True if a and b else None))


def _or(left: Nodes, right: Callable[[], Nodes]) -> Nodes:
    a = truth_of(left)
    if a:
        return _said(truth=True)
    b = truth_of(right())
    return _said(True if b else (False if a is False and b is False else None))


def _xor(left: Nodes, right: Callable[[], Nodes]) -> Nodes:
    a, b = truth_of(left), truth_of(right())
    return _said(None if a is None or b is None else a is not b)


def _implies(left: Nodes, right: Callable[[], Nodes]) -> Nodes:
    a = truth_of(left)
    return _said(truth=True) if a is False else _or(_said(None if a is None else not a), right)


LAZY: Final = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}
