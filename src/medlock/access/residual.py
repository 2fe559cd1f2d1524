"""Residual rules: what is left of a decision once the question is known, to be asked of each resource by itself.

A granular scope, a consent: neither can be decided before the resource is known. What is left of them is a rule about
one resource, built from five kinds of node and nothing else, so that two readers can answer it. `holds` asks the
resource itself, and its word is final. `records.columns` asks the columns of an index, which answer surely yes, surely
no, or not at all, so that what may not be seen is absent before anything is counted, sorted, paged or followed.

    Met       all of these search conditions hold (type, code, date, author, id, label `_security`, … as in a search)
    AllOf     every rule holds; of none: always
    AnyOf     one of the rules holds; of none: never
    Unless    the rule does not hold
    Asked     a function of the resource says so; columns know nothing of it

A rule that cannot be evaluated raises, and nothing is shown: it is never taken for one that holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import msgspec

from medlock.fhir.extract import extract
from medlock.fhir.inside import asks_inside
from medlock.fhir.match import matches
from medlock.fhir.parse import parse_json
from medlock.fhir.query import Condition
from medlock.fhir.values import Values


class Described(Protocol):
    """What is known of one version of a resource beside its JSON; `store.bodies.Meta` is one."""

    @property
    def type(self) -> str:
        """Resource type."""

    @property
    def id(self) -> str:
        """Logical id."""

    @property
    def updated(self) -> int:
        """When this version was made, ms since 1970Z."""

    @property
    def patients(self) -> tuple[str, ...]:
        """Ids of the patients in whose compartment it is, the owner first; empty when shared."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Security labels as system|code."""

    @property
    def deleted(self) -> bool:
        """Whether it is a tombstone, which has no JSON."""


class Seen:
    """One version of a resource as rules look at it: parsed, and taken apart, when a rule first asks.

    `mark` names its very bytes, 0 when nothing does: what a rule said of them once is remembered under it.
    """

    def __init__(
        self,
        meta: Described,
        body: bytes,
        resource: dict[str, Any] | None = None,
        values: Values | None = None,
        mark: int = 0,
    ) -> None:
        self.meta = meta
        self.mark = mark
        self._body = body
        if resource is not None:
            self.resource = resource
        if values is not None:
            self.values = values

    @cached_property
    def resource(self) -> dict[str, Any]:
        """The resource's JSON."""
        return parse_json(self._body)

    @cached_property
    def values(self) -> Values:
        """Its search values."""
        return extract(self.resource)


class Met(msgspec.Struct, frozen=True):
    """All of these conditions hold."""

    conditions: tuple[Condition, ...]


class AllOf(msgspec.Struct, frozen=True):
    """Every one holds."""

    rules: tuple[Rule, ...]


class AnyOf(msgspec.Struct, frozen=True):
    """One at least holds."""

    rules: tuple[Rule, ...]


class Unless(msgspec.Struct, frozen=True):
    """It does not hold."""

    rule: Rule


class Asked(msgspec.Struct, frozen=True):
    """A pure function of the resource."""

    test: Callable[[Seen], bool]


Rule: TypeAlias = Met | AllOf | AnyOf | Unless | Asked
Residuals: TypeAlias = Mapping[str, Rule]
"""Resource type → the rule that each of its resources must meet; a type that is not named has none."""


_SETTLED: dict[tuple[int, int], tuple[Rule, bool]] = {}
SETTLED_MAX = 16_384


def settled(rule: Rule, seen: Seen) -> bool:
    """`holds`, remembered: a page is asked about twice, and the same pages again and again.

    The answer follows from the rule and the bytes alone. The rule is kept with it, so that its place in memory is not
    taken by another.
    """
    if not seen.mark:
        return holds(rule, seen)
    at = seen.mark, id(rule)
    known = _SETTLED.get(at)
    if known is not None and known[0] is rule:
        return known[1]
    answer = holds(rule, seen)
    if len(_SETTLED) >= SETTLED_MAX:
        _SETTLED.clear()
    _SETTLED[at] = rule, answer
    return answer


def holds(rule: Rule, seen: Seen) -> bool:
    """Whether a resource meets a rule. The last word, on every path."""
    if isinstance(rule, Met):
        return _met(rule, seen)
    if isinstance(rule, AllOf):
        return all(holds(each, seen) for each in rule.rules)
    if isinstance(rule, AnyOf):
        return any(holds(each, seen) for each in rule.rules)
    if isinstance(rule, Unless):
        return not holds(rule.rule, seen)
    return rule.test(seen)


def _met(rule: Met, seen: Seen) -> bool:
    meta = seen.meta
    resource = seen.resource if any(map(asks_inside, rule.conditions)) else None
    return matches(rule.conditions, meta.type, seen.values, id=meta.id, updated_ms=meta.updated, resource=resource)
