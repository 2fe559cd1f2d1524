"""The invariants of R4, compiled from their official FHIRPath into checks on parsed JSON.

`rules_for` gives the rules of a structure, `element_rules` those of a single element. A rule that would be
true of an empty element, and reads only children that are all absent, is not run at all; that leaves one or
two rules for an ordinary resource, most of them also written by hand (`fhir.native_rules`). Six are not
compiled: ele-1, ext-1 and dom-3 stand in `fhir.shapes`, ref-1 in `fhir.reference_rules`, txt-1 and txt-2 in
`fhir.narrative`. A result that is not plainly true breaks the rule, as in HL7's own validator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from medlock.fhir.fhirpath import Compiled, compile_expression
from medlock.fhir.fhirpath_nodes import Nodes, Scope, truth_of
from medlock.fhir.native_rules import NATIVE
from medlock.fhir.structures import Structure

Holds = Callable[[Any, dict[str, Any]], bool]

ELSEWHERE: Final = frozenset({"dom-3", "ref-1", "txt-1", "txt-2"})
_TEXT_MAX: Final = 240


@dataclass(frozen=True, slots=True)
class Rule:
    """One invariant.

    `holds(value, resource)` tells whether an element, inside that resource, fulfils it. `reads` are the element's
    JSON members that it looks at; with `optional` it need not run when they are all absent.
    """

    key: str
    expression: str
    holds: Holds
    reads: frozenset[str] = frozenset()
    optional: bool = False

    @property
    def sentence(self) -> str:
        """The rule by its key and its official expression."""
        text = self.expression if len(self.expression) <= _TEXT_MAX else self.expression[:_TEXT_MAX] + "…"
        return f"rule {self.key} of FHIR R4 does not hold: {text}"


def rules_for(shape: Structure) -> tuple[Rule, ...]:
    """The rules of a type, resource or inner element, inherited ones included."""
    return tuple(_structure_rule(key, text, shape) for key, text in shape.rules if key not in ELSEWHERE)


def element_rules(rules: Iterable[tuple[str, str]], kind: str) -> tuple[Rule, ...]:
    """The rules that R4 puts on one element (Organization.telecom: org-3) and not on its type."""
    wanted = [(key, text) for key, text in rules if key not in ELSEWHERE]
    return tuple(Rule(key, text, _holds(key, compile_expression(text), kind)) for key, text in wanted)


def _structure_rule(key: str, text: str, shape: Structure) -> Rule:
    compiled = compile_expression(text)
    holds = _holds(key, compiled, shape.name)
    members = [each.json_names() for each in shape.elements if each.name in compiled.reads]
    optional = not compiled.reads_more and holds({}, {})
    return Rule(key, text, holds, frozenset().union(*members), optional)


def _holds(key: str, compiled: Compiled, kind: str) -> Holds:
    native = NATIVE.get(key)
    if native is not None:
        return lambda value, _resource: native(value)
    return official(compiled, kind)


def official(compiled: Compiled, kind: str) -> Holds:
    """The rule as its FHIRPath says it, for elements of type `kind`."""

    def holds(value: Any, resource: dict[str, Any]) -> bool:
        this: Nodes = [(value, kind)]
        return truth_of(compiled.run(Scope(this, this, (resource, "Resource")))) is True

    return holds
