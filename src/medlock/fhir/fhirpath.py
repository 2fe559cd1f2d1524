"""Compiles the part of FHIRPath that R4's invariants are written in to Python closures (FHIRPath N1).

Only expressions from the official definitions are compiled, never a caller's. The parser is a precedence
climber whose productions return closures, so a rule is parsed once and then costs a few function calls.
While it parses it notes which children of the focus the expression can read; `fhir.invariants` uses that to
skip rules whose elements are all absent. Anything it does not know raises ValueError, when the rule is made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from medlock.fhir.fhirpath_functions import (
    FUNCTIONS,
    OPERATORS,
    PER_ITEM,
    SETTLED_BY,
    TYPE_ARGUMENT,
    TYPE_OPERATORS,
    Expression,
    Function,
    Operator,
)
from medlock.fhir.fhirpath_nodes import Nodes, Scope, child, truth_of

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<number>[0-9]+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[%$]\w+|!=|<=|>=|[()|.,=<>+&]))"
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_CONSTANTS: Final = {"%ucum": "http://unitsofmeasure.org"}
UCUM: Final = _CONSTANTS["%ucum"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression ready to run, the children of its focus that it names, and whether it may read others too."""

    run: Expression
    reads: frozenset[str]
    reads_more: bool


def compile_expression(text: str) -> Compiled:
    """The closure for one FHIRPath expression. Raises ValueError for what this subset does not have."""
    parser = _Parser(_tokens(text))
    run = parser.expression(0)
    if parser.position != len(parser.tokens):
        raise ValueError("the expression goes on after its end")
    return Compiled(run, frozenset(parser.reads), parser.reads_more)


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ValueError("a character that this FHIRPath subset does not know")
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


@dataclass(slots=True)
class _Parser:
    tokens: list[tuple[str, str]]
    position: int = 0
    depth: int = 0  # how many per-item arguments we are inside; names there are not children of the focus
    reads: set[str] = field(default_factory=set)
    reads_more: bool = False
    uses_this: int = 0  # how often `$this` was meant so far

    def peek(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def take(self, expected: str = "") -> tuple[str, str]:
        if self.position >= len(self.tokens) or expected not in {"", self.peek()}:
            raise ValueError("the expression does not follow the grammar")
        self.position += 1
        return self.tokens[self.position - 1]

    def expression(self, strength: int) -> Expression:
        """Everything that binds tighter than `strength`."""
        left = self.path()
        while True:
            sign = self.peek()
            binding = TYPE_OPERATORS.get(sign) or OPERATORS.get(sign, (0,))[0]
            if binding <= strength:
                return left
            self.take()
            left = self.operation(sign, left, binding)

    def operation(self, sign: str, left: Expression, binding: int) -> Expression:
        if sign in TYPE_OPERATORS:
            return _call(FUNCTIONS[sign], left, (_constant(self.take()[1], "string"),))
        right = self.expression(binding)
        return _lazy(sign, left, right) if sign in SETTLED_BY else _binary(OPERATORS[sign][1], left, right)

    def path(self) -> Expression:
        """A term and the steps after it."""
        fixed, before = self.peek() in {"%resource", "%context"}, self.uses_this
        left = self.term()
        while self.peek() == ".":
            self.take()
            name = self.take()[1]
            left = _call(*self.arguments(name, left, first=False)) if self.peek() == "(" else _step(left, name)
        return _remembered(left) if fixed and self.uses_this == before else left

    def term(self) -> Expression:
        kind, text = self.take()
        if kind == "string":
            return _constant(re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1]), "string")
        if kind == "number":
            return _constant(int(text), "integer")
        if kind == "name":
            return self.named(text)
        return self.special(text)

    def named(self, name: str) -> Expression:
        if name in {"true", "false"}:
            return _constant(name == "true", "boolean")
        self.uses_this += 1
        if self.peek() == "(":
            return _call(*self.arguments(name, _this, first=True))
        if self.depth == 0:
            self.reads.add(name)
            self.reads_more |= name[0].isupper()  # Appointment.status names the focus itself
        return _step(_this, name)

    def special(self, text: str) -> Expression:
        if text == "(":
            inner = self.expression(0)
            self.take(")")
            return inner
        if text in _CONSTANTS:
            return _constant(_CONSTANTS[text], "string")
        self.reads_more |= self.depth == 0
        self.uses_this += text == "$this"
        return {"$this": _this, "%context": _context, "%resource": _resource}[text]

    def arguments(
        self, name: str, focus: Expression, *, first: bool
    ) -> tuple[Function, Expression, Sequence[Expression]]:
        """A function with its focus and arguments; `first` when it is applied to `$this` itself."""
        if name not in FUNCTIONS:
            raise ValueError("a function that this FHIRPath subset does not know")
        self.take("(")
        self.reads_more |= first and self.depth == 0
        self.depth += name in PER_ITEM
        found = self.listed(name)
        self.depth -= name in PER_ITEM
        self.take(")")
        return FUNCTIONS[name], focus, found

    def listed(self, name: str) -> list[Expression]:
        if name in TYPE_ARGUMENT:
            return [_constant(self.take()[1], "string")]
        found: list[Expression] = []
        while self.peek() != ")":
            found.append(self.expression(0))
            if self.peek() == ",":
                self.take()
        return found


def _constant(value: str | int, kind: str) -> Expression:
    nodes: Nodes = [(value, kind)]
    return lambda _scope: nodes


def _this(scope: Scope) -> Nodes:
    return scope.this


def _context(scope: Scope) -> Nodes:
    return scope.context


def _resource(scope: Scope) -> Nodes:
    return [scope.resource]


def _remembered(expression: Expression) -> Expression:
    """An expression that does not depend on `$this`: evaluated once, or a long list would make it quadratic."""

    def run(scope: Scope) -> Nodes:
        if expression not in scope.known:
            scope.known[expression] = expression(scope)
        return scope.known[expression]

    return run


def _step(left: Expression, name: str) -> Expression:
    return lambda scope: child(left(scope), name)


def _call(function: Function, left: Expression, args: Sequence[Expression]) -> Expression:
    return lambda scope: function(left(scope), scope, args)


def _lazy(sign: str, left: Expression, right: Expression) -> Expression:
    """A logical operator whose left side alone may settle it."""
    settling, settled = SETTLED_BY[sign]
    operator = OPERATORS[sign][1]

    def run(scope: Scope) -> Nodes:
        first = left(scope)
        return settled if truth_of(first) is settling else operator(first, right(scope))

    return run


def _binary(operator: Operator, left: Expression, right: Expression) -> Expression:
    return lambda scope: operator(left(scope), right(scope))
