"""FHIRPath, as rule files use it, compiled to closures over nodes (FHIRPath N1).

A precedence climber whose productions return closures. What it does not know raises BadRequest when the rule is
read, never while patient data pass. Two functions come from Microsoft's tool: `nodesByType('X')` and
`nodesByName('x')`, all nodes below of that type or name, resources inside left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from medlock.deid.fhir.nodes import Node, Nodes, children
from medlock.deid.fhir.path_functions import BINARY, FUNCTIONS, LAZY, TYPED, Expression, Scope, typed
from medlock.errors import BadRequest

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<date>@[0-9T:.Z+-]+)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*|`[^`]+`)|(?P<sign>[%$]\w+|!=|!~|<=|>=|[()\[\]|.,=~<>+\-*/&{}]))"
)
_BINDING: Final = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "!=": 5, "~": 5, "!~": 5,
    "<": 6, ">": 6, "<=": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9,
    "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


def compile_path(text: str) -> Callable[[Scope], Nodes]:
    """The closure for one expression. Raises BadRequest for what is not FHIRPath or not in this subset."""
    parser = _Parser(_tokens(text))
    run = parser.expression(0)
    if parser.position != len(parser.tokens):
        raise BadRequest(f"The FHIRPath {text!r} goes on after its end.")
    return run


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BadRequest(f"The FHIRPath {text!r} has a character at {position} that cannot stand there.")
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


@dataclass(slots=True)
class _Parser:
    tokens: list[tuple[str, str]]
    position: int = 0

    def peek(self) -> str:
        kind, text = self.tokens[self.position] if self.position < len(self.tokens) else ("", "")
        return "" if kind == "string" else text

    def take(self, expected: str = "") -> tuple[str, str]:
        if self.position >= len(self.tokens) or expected not in {"", self.peek()}:
            raise BadRequest(f"A FHIRPath breaks off or lacks {expected or 'a term'!r}.")
        self.position += 1
        return self.tokens[self.position - 1]

    def expression(self, strength: int) -> Expression:
        left = self.steps()
        while _BINDING.get(self.peek(), 0) > strength:
            sign = self.take()[1]
            left = self.operation(sign, left)
        return left

    def operation(self, sign: str, left: Expression) -> Expression:
        if sign in {"is", "as"}:
            return typed(sign, left, self.type_name())
        right = self.expression(_BINDING[sign])
        if sign in LAZY:
            return _lazy(LAZY[sign], left, right)
        return _binary(BINARY[sign], left, right)

    def type_name(self) -> str:
        name = self.take()[1].strip("`")
        if self.peek() == ".":  # FHIR.Patient, System.String
            self.take()
            name = self.take()[1].strip("`")
        return name

    def steps(self) -> Expression:
        left = self.term()
        while self.peek() in {".", "["}:
            left = self.index(left) if self.take()[1] == "[" else self.step(left)
        return left

    def index(self, left: Expression) -> Expression:
        inner = self.expression(0)
        self.take("]")
        return lambda scope: _nth(left(scope), inner(scope))

    def step(self, left: Expression) -> Expression:
        name = self.take()[1].strip("`")
        return self.call(name, left) if self.peek() == "(" else (lambda scope: _child(left(scope), name))

    def call(self, name: str, left: Expression) -> Expression:
        if name not in FUNCTIONS and name not in TYPED:
            raise BadRequest(f"The function {name}() is not part of the FHIRPath that rules may use.")
        self.take("(")
        if name in TYPED:
            kind = self.type_name()
            self.take(")")
            return typed(TYPED[name], left, kind)
        arguments: list[Expression] = []
        while self.peek() != ")":
            arguments.append(self.expression(0))
            if self.peek() == ",":
                self.take()
        self.take(")")
        function = FUNCTIONS[name]
        return lambda scope: function(left(scope), scope, arguments)

    def term(self) -> Expression:
        kind, text = self.take()
        if kind == "name":
            return self.named(text.strip("`"))
        if kind == "sign":
            return self.special(text)
        return _constant(_literal(kind, text))

    def named(self, name: str) -> Expression:
        if name in {"true", "false"}:
            return _constant([Node(name == "true", "boolean")])
        if self.peek() == "(":
            return self.call(name, _this)
        return lambda scope: _first(scope.this, name)

    def special(self, text: str) -> Expression:
        if text == "(":
            inner = self.expression(0)
            self.take(")")
            return inner
        if text == "{":
            self.take("}")
            return _constant([])
        if text == "-":
            return _binary(BINARY["-"], _constant([Node(0, "integer")]), self.steps())
        known: dict[str, Expression] = {"$this": _this, "%resource": _resource, "%context": _resource, "$index": _index}
        if text not in known:
            raise BadRequest(f"A FHIRPath has {text!r} where a term must stand.")
        return known[text]


def _literal(kind: str, text: str) -> Nodes:
    if kind == "string":
        return [Node(re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1]), "string")]
    if kind == "date":
        return [Node(text[1:].removesuffix("T"), "dateTime" if "T" in text else "date")]
    return [Node(float(text), "decimal") if "." in text else Node(int(text), "integer")]


def _constant(nodes: Nodes) -> Expression:
    return lambda _scope: nodes


def _this(scope: Scope) -> Nodes:
    return scope.this


def _resource(scope: Scope) -> Nodes:
    return [scope.resource]


def _index(scope: Scope) -> Nodes:
    return [Node(scope.index, "integer")]


def _child(nodes: Nodes, name: str) -> Nodes:
    return [child for node in nodes for child in children(node) if child.name == name]


def _first(nodes: Nodes, name: str) -> Nodes:
    """The first step of a path: a child, or the node itself where its own type is named (Patient.name)."""
    return [node for node in nodes if node.kind == name] or _child(nodes, name)


def _nth(nodes: Nodes, index: Nodes) -> Nodes:
    at = index[0].value if index and isinstance(index[0].value, int) else -1
    return nodes[at : at + 1] if at >= 0 else []


def _lazy(operator: Callable[[Nodes, Callable[[], Nodes]], Nodes], left: Expression, right: Expression) -> Expression:
    return lambda scope: operator(left(scope), lambda: right(scope))


def _binary(operator: Callable[[Nodes, Nodes], Nodes], left: Expression, right: Expression) -> Expression:
    return lambda scope: operator(left(scope), right(scope))
