"""FHIRPath Patch (R4 §3.1.4): a Parameters resource whose operations add, insert, delete, replace and move elements.

All operations apply or nothing is returned; the tree that is given is not changed. An operation names one element: one
that names none or several is refused, but for a delete, which may find nothing to do. What was emptied goes away with
its holder, for FHIR has no empty objects or arrays. Whether the result is valid is decided by `fhir.validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from medlock.errors import BadRequest
from medlock.fhir.fhirpath_nodes import type_of
from medlock.fhir.jsonpatch import OPERATIONS_MAX, Misfit, misfit
from medlock.fhir.jsontree import copied
from medlock.fhir.patchpaths import Budget, Spot, parent_and_name, spots
from medlock.fhir.structures import Element, structure

_NAMES: Final = frozenset({"type", "path", "name", "value", "index", "source", "destination"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `kind` and `value` are the type and value of a `value[x]`, or "" and parts of an unnamed type."""

    type: str
    path: str
    name: str = ""
    kind: str = ""
    value: Any = None
    index: int = -1
    source: int = -1
    destination: int = -1


def apply_fhirpath_patch(tree: Any, patch: Any) -> Any:
    """The tree after the patch, a Parameters tree. Raises BadRequest or Unprocessable naming the operation."""
    root, budget = copied(tree), Budget()
    for number, operation in enumerate(read_operations(patch)):
        try:
            _ACTS[operation.type][0](_Work(root, budget), operation)
        except Misfit as fault:
            raise misfit(number, fault) from None
    return root


def read_operations(patch: Any) -> list[Operation]:
    """The operations of a valid Parameters resource. Raises BadRequest for one that is not whole."""
    given = patch.get("parameter", []) if isinstance(patch, dict) else None
    if given is None or patch.get("resourceType") != "Parameters" or len(given) > OPERATIONS_MAX:
        raise BadRequest(f"A FHIRPath Patch is a Parameters resource with at most {OPERATIONS_MAX} operations.")
    return [_operation(each, number) for number, each in enumerate(given, 1)]


def _operation(given: Mapping[str, Any], number: int) -> Operation:
    parts = {part["name"]: part for part in given.get("part", ())}
    whole = given.get("name") == "operation" and len(parts) == len(given.get("part", ())) and parts.keys() <= _NAMES
    kind = _plain(parts, "type", str)
    if not whole or kind not in _ACTS or not parts.keys() >= _ACTS[kind][1]:
        raise BadRequest(f"Operation {number} of the patch is not one, or lacks what its type needs.")
    of_value, value = _value(parts["value"]) if "value" in parts else ("", None)
    numbers = (_plain(parts, name, int, -1) for name in ("index", "source", "destination"))
    name = _plain(parts, "name", str, "")
    return Operation(kind, _plain(parts, "path", str, ""), name, of_value, value, *numbers)


def _plain(parts: Mapping[str, Any], name: str, of: type, default: Any = None) -> Any:
    """The primitive value of a part."""
    if name not in parts:
        return default
    found = [value for key, value in parts[name].items() if key.startswith("value")]
    negative = len(found) == 1 and isinstance(found[0], int) and found[0] < 0
    if len(found) != 1 or type(found[0]) is not of or negative:
        raise BadRequest("A part of an operation of the patch has a value of another kind than it needs.")
    return found[0]


def _value(part: Mapping[str, Any]) -> tuple[str, Any]:
    """The value to write: of a named type, or the parts of an unnamed one, or a resource."""
    if "part" in part:
        return "", list(part["part"])
    if "resource" in part:
        return "Resource", part["resource"]
    found = [(key, value) for key, value in part.items() if key.startswith("value")]
    if len(found) != 1:
        raise BadRequest("The value of an operation of the patch must be one value, without extensions of its own.")
    key, value = found[0]
    return key.removeprefix("value"), value


class _Work(NamedTuple):
    """The resource that is changed, and how much may still be looked at."""

    root: Any
    budget: Budget


def _only(work: _Work, path: str) -> Spot:
    found = spots(work.root, path, work.budget)
    if len(found) != 1:
        raise Misfit("names no element, or more than one.")
    return found[0]


def _element(spot: Spot, name: str, kind: str) -> tuple[str, Element]:
    """The JSON member for a value of this type under a name. Raises Misfit when there is no such element."""
    if not isinstance(spot.value, dict):
        raise Misfit("names an element that can have no children.")
    for member, element, of in spot.elements(name):
        if not element.is_choice or _suffix(of) == kind:
            return member, element
    raise Misfit("names an element that the type does not have, or not with a value of that type.")


def _suffix(kind: str) -> str:
    return kind[:1].upper() + kind[1:]


def _made(member: str, element: Element, operation: Operation) -> Any:
    """The JSON of the value, for that place."""
    if operation.kind:
        return copied(operation.value)
    return _object(dict(element.members())[member], operation.value)


def _object(kind: str, parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """An object of an unnamed type, from parts named as its elements."""
    made: dict[str, Any] = {}
    for part in parts:
        of_value, value = _value(part)
        member, element = _element(Spot(None, "", -1, kind, made), part["name"], of_value)
        below = dict(element.members())[member]
        filled = copied(value) if of_value else _object(below, value)
        if element.is_list:
            made.setdefault(member, []).append(filled)
        else:
            made[member] = filled
    return made


def _add(work: _Work, operation: Operation) -> None:
    spot = _only(work, operation.path)
    member, element = _element(spot, operation.name, operation.kind)
    made = _made(member, element, operation)
    if element.is_list:
        spot.value.setdefault(member, []).append(made)
        _companion(spot.value, member, lambda beside: beside.append(None))
        return
    if not element.json_names().isdisjoint(spot.value):
        raise Misfit("adds an element that is there already: replace it.")
    spot.value[member] = made


def _listed(work: _Work, operation: Operation) -> tuple[Spot, str, Element]:
    """The list that an insert or a move is about."""
    parent, name = parent_and_name(operation.path)
    spot = _only(work, parent)
    for member, element, _ in spot.elements(name) if isinstance(spot.value, dict) else ():
        if element.is_list:
            return spot, member, element
    raise Misfit("names an element that is no list.")


def _insert(work: _Work, operation: Operation) -> None:
    spot, member, element = _listed(work, operation)
    items = spot.value.get(member, [])
    if operation.index > len(items):
        raise Misfit("names an index that is not in the list.")
    items.insert(operation.index, _made(member, element, operation))
    spot.value[member] = items
    _companion(spot.value, member, lambda beside: beside.insert(operation.index, None))


def _move(work: _Work, operation: Operation) -> None:
    spot, member, _ = _listed(work, operation)
    items = spot.value.get(member, [])
    source, destination = operation.source, operation.destination
    if max(source, destination) >= len(items):
        raise Misfit("names an index that is not in the list.")
    items.insert(destination, items.pop(source))
    _companion(spot.value, member, lambda beside: beside.insert(destination, beside.pop(source)))


def _replace(work: _Work, operation: Operation) -> None:
    spot = _only(work, operation.path)
    if spot.above is None:
        raise Misfit("would replace the whole resource.")
    element = _definitions(spot.above)[spot.member]
    if spot.index >= 0:
        spot.above.value[spot.member][spot.index] = _made(spot.member, element, operation)
        _companion(spot.above.value, spot.member, lambda beside: beside.__setitem__(spot.index, None))
        return
    holder = spot.above.value
    holder.pop(spot.member, None)
    holder.pop(f"_{spot.member}", None)
    member, element = _element(spot.above, element.name, operation.kind)
    holder[member] = _made(member, element, operation)


def _definitions(spot: Spot) -> dict[str, Element]:
    """JSON member → definition, of the element at a place."""
    known = structure(type_of(spot.value, spot.kind))
    return {} if known is None else {member: element for member, (element, _) in known.owner.items()}


def _delete(work: _Work, operation: Operation) -> None:
    found = spots(work.root, operation.path, work.budget)
    if len(found) > 1 or any(spot.above is None for spot in found):
        raise Misfit("names more than one element, or the whole resource.")
    for spot in found:
        _erase(spot)


def _erase(spot: Spot) -> None:
    """Take an element away, and what is empty without it."""
    if spot.above is None:
        return
    holder = spot.above.value
    if spot.index >= 0:
        holder[spot.member].pop(spot.index)
        _companion(holder, spot.member, lambda beside: beside.pop(spot.index))
    if spot.index < 0 or not holder[spot.member]:
        holder.pop(spot.member, None)
        holder.pop(f"_{spot.member}", None)
    if not holder:
        _erase(spot.above)


def _companion(holder: dict[str, Any], member: str, change: Callable[[list[Any]], Any]) -> None:
    """Keep ids and extensions of primitives in step with their values (R4 §2.6.2.3)."""
    beside = holder.get(f"_{member}")
    if isinstance(beside, list):
        try:
            change(beside)
        except IndexError:
            raise Misfit("names a list whose ids and extensions are not as many as its values.") from None
        if not any(beside):
            del holder[f"_{member}"]


_Act = Callable[[_Work, Operation], None]
_ACTS: Final[Mapping[str, tuple[_Act, frozenset[str]]]] = MappingProxyType(
    {
        "add": (_add, frozenset({"path", "name", "value"})),
        "insert": (_insert, frozenset({"path", "index", "value"})),
        "delete": (_delete, frozenset({"path"})),
        "replace": (_replace, frozenset({"path", "value"})),
        "move": (_move, frozenset({"path", "source", "destination"})),
    }
)
