"""The data model under `fhir.fhirpath`: a node is a JSON value with its FHIR type, a collection is a list of nodes.

Navigation follows the official structures, so `value` finds valueQuantity and knows that it is a Quantity.
A primitive that has only an extension (`_status` without `status`) is a node whose value is None: it exists
but has no value. Nothing here raises on malformed data; what cannot be read is simply not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from medlock.fhir import dates
from medlock.fhir.structures import structure

Node = tuple[Any, str]
Nodes = list[Node]

TRUE: Final[Nodes] = [(True, "boolean")]
FALSE: Final[Nodes] = [(False, "boolean")]
_FUZZ_MS: Final = 14 * 3_600_000  # a date without zone may begin this much earlier or later somewhere


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression is evaluated against: `$this`, `%context` and `%resource`.

    `known` keeps what was found out about the latter two while one rule is evaluated, whatever `$this` is.
    """

    this: Nodes
    context: Nodes
    resource: Node
    known: dict[Any, Nodes] = field(default_factory=dict)

    def at(self, this: Nodes) -> Scope:
        """The same scope with another `$this`."""
        return Scope(this, self.context, self.resource, self.known)


def answer(truth: bool) -> Nodes:
    """A collection that holds one boolean."""
    return TRUE if truth else FALSE


def truth_of(nodes: Nodes) -> bool | None:
    """FHIRPath's three-valued reading of a collection: empty is None, a single other value counts as true."""
    if len(nodes) != 1:
        return None
    value = nodes[0][0]
    return value if isinstance(value, bool) else True


def child(nodes: Nodes, name: str) -> Nodes:
    """The children called `name` of every node, in order."""
    found: Nodes = []
    for value, kind in nodes:
        for step in _steps(value, kind).get(name, ()):
            _collect(value, step, found)
        if kind == name:  # Appointment.status, said of an Appointment
            found.append((value, kind))
    return found


def children(nodes: Nodes) -> Nodes:
    """All children of every node."""
    found: Nodes = []
    for value, kind in nodes:
        for step in chain.from_iterable(_steps(value, kind).values()):
            _collect(value, step, found)
    return found


def descendants(nodes: Nodes) -> Nodes:
    """Children, their children, and so on; the nodes themselves are not among them."""
    found: Nodes = []
    level = children(nodes)
    while level:
        found += level
        level = children(level)
    return found


def type_of(value: Any, kind: str) -> str:
    """The node's type; where any resource may stand, the one that it names itself."""
    if kind == "Resource" and type(value) is dict:
        named = value.get("resourceType")
        return named if isinstance(named, str) else kind
    return kind


def _steps(value: Any, kind: str) -> Mapping[str, tuple[tuple[str, str, str], ...]]:
    shape = structure(type_of(value, kind)) if type(value) is dict else None
    return {} if shape is None else shape.steps


def _collect(owner: dict[str, Any], step: tuple[str, str, str], found: Nodes) -> None:
    key, beside, kind = step
    value = owner.get(key)
    if value is None:
        if beside in owner:
            found.append((None, kind))
    elif type(value) is list:
        found.extend([(item, kind) for item in value])
    else:
        found.append((value, kind))


def is_type(node: Node, name: str) -> bool:
    """`is`: FHIR types by their name, FHIRPath system types (Boolean) by the FHIR primitive they stand for."""
    kind = type_of(*node)
    return kind == name or (kind == name.lower() and kind in {"boolean", "string", "integer", "decimal"})


def compare(left: Any, right: Any) -> int | None:
    """-1, 0 or 1; None when the order cannot be told (other types, other units, overlapping partial dates)."""
    if isinstance(left, dict) and isinstance(right, dict):
        same_unit = all(left.get(key) == right.get(key) for key in ("system", "code", "unit"))
        return compare(left.get("value"), right.get("value")) if same_unit else None
    if isinstance(left, str) and isinstance(right, str):
        return _compare_dates(left, right)
    numeric = isinstance(left, int | float) and isinstance(right, int | float)
    return (left > right) - (left < right) if numeric else None


def _compare_dates(left: str, right: str) -> int | None:
    try:
        a, b = dates.parse(left), dates.parse(right)
    except ValueError:
        return None
    if a == b:
        return 0
    margin = _FUZZ_MS if ("T" in left) != ("T" in right) else 0
    if a[1] + margin <= b[0]:
        return -1
    return 1 if b[1] + margin <= a[0] else None
