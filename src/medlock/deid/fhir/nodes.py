"""Nodes of a resource as FHIRPath sees them, each knowing where it stands.

`medlock.fhir.fhirpath_nodes` evaluates invariants and may forget where a value came from; a de-identification rule
selects places that are then changed, so a `Node` here remembers its owner, the JSON member and the index in it.
Navigation follows the official structures: `value` finds valueQuantity and knows that it is a Quantity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from medlock.fhir.structures import is_primitive, resource_types, structure

Spot = tuple[int, str, int]  # id of the owner, JSON member, place in a list (-1 for what does not repeat)


class Node(NamedTuple):
    """A value with its FHIR type and element name; literals have no owner."""

    value: Any
    kind: str
    name: str = ""
    owner: Any = None
    member: str = ""
    at: int = -1

    @property
    def spot(self) -> Spot:
        """Where it stands; owners live as long as the resource that is being read."""
        return id(self.owner), self.member, self.at


Nodes = list[Node]

_PROFILED: Final = {"SimpleQuantity": "Quantity"}


def plain_kind(kind: str) -> str:
    """The type by which rules know it: SimpleQuantity is a Quantity, an inner element a BackboneElement."""
    return "BackboneElement" if "." in kind else _PROFILED.get(kind, kind)


def resource_kind(value: Any) -> str:
    """The type that a resource names itself; "" when it names none of R4."""
    kind = value.get("resourceType") if type(value) is dict else None
    return kind if type(kind) is str and kind in resource_types() else ""


def root_of(resource: dict[str, Any]) -> Node:
    """A whole resource as a node."""
    return Node(resource, resource_kind(resource))


def is_resource(node: Node) -> bool:
    """True for a resource, also inside another."""
    return node.kind in resource_types()


def children(node: Node) -> Iterator[Node]:
    """Every child, in the order of the structure; under a primitive its id and extensions."""
    value, kind = node.value, node.kind
    if is_primitive(kind):
        value, kind = _beside(node), "Element"
    shape = structure(kind) if type(value) is dict else None
    if shape is None:
        return
    for name, steps in shape.steps.items():
        for member, beside, inner in steps:
            yield from _at(value, name, member, beside, inner)


def _beside(node: Node) -> Any:
    """The `_name` object of a primitive."""
    found = node.owner.get(f"_{node.member}") if type(node.owner) is dict else None
    if type(found) is list:
        return found[node.at] if 0 <= node.at < len(found) else None
    return found


def _at(owner: dict[str, Any], name: str, member: str, beside: str, kind: str) -> Iterator[Node]:
    value = owner.get(member)
    if value is None and beside not in owner:
        return
    items = list(enumerate(value)) if type(value) is list else [(-1, value)]
    for index, item in items:
        inner = (resource_kind(item) or kind) if kind == "Resource" else kind
        yield Node(item, inner, name, owner, member, index)


def descendants(node: Node) -> Iterator[Node]:
    """Children and theirs; resources inside are named, but not entered: they are read by themselves."""
    for child in children(node):
        yield child
        if not is_resource(child):
            yield from descendants(child)
