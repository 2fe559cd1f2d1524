"""The FHIRPaths of a FHIRPath Patch (R4 §3.1.4): where in a tree an element stands, so that it can be changed there.

`Patient.name[0].given`, `Patient.identifier.where(system = 'urn:mrn').value`, `first()` and `last()`: the part of
FHIRPath that a patch needs to name a place. A caller's expression is never evaluated by the engine that is built for
the standard's own; whatever is not one of these steps is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from medlock.errors import BadRequest
from medlock.fhir.fhirpath_nodes import type_of
from medlock.fhir.jsonpatch import Misfit
from medlock.fhir.jsontree import same
from medlock.fhir.structures import Element, structure

STEPS_MAX: Final = 64
LOOKED_MAX: Final = 200_000
_LITERAL = r"'(?:[^'\\]|\\['\\/])*'|true|false|-?\d{1,15}(?:\.\d{1,15})?"
_STEP = re.compile(
    r"(?P<name>[A-Za-z_]\w{0,63})|\[(?P<index>\d{1,6})\]|\.(?P<end>first|last)\(\)"
    rf"|\.where\(\s*(?P<path>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)\s*=\s*(?P<literal>{_LITERAL})\s*\)|\.",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an element stands: under `member` of the object at `above`, in a list at `index`, else -1."""

    above: Spot | None
    member: str
    index: int
    kind: str
    root: Any = None

    @property
    def value(self) -> Any:
        """What stands there now; None for a primitive that has extensions only."""
        if self.above is None:
            return self.root
        held = self.above.value.get(self.member)
        return held if self.index < 0 else held[self.index]

    def elements(self, name: str) -> Iterator[tuple[str, Element, str]]:
        """The JSON members of a child by its FHIRPath name, each with its definition and type."""
        known = structure(type_of(self.value, self.kind))
        for member, _, kind in known.steps.get(name, ()) if known else ():
            yield member, known.owner[member][0], kind  # type: ignore[union-attr] # there are steps: it is known


@dataclass(slots=True)
class Budget:
    """How many places the paths of one patch may still look at: a thousand paths through long lists are millions."""

    left: int = LOOKED_MAX

    def spend(self, looked: int) -> None:
        """Count places looked at. Raises Misfit when it is too many."""
        self.left -= looked
        if self.left < 0:
            raise Misfit("makes the patch look at too much: name places by index, or send it in parts.")


def spots(root: Any, path: str, budget: Budget) -> list[Spot]:
    """Every place in the resource that a path names. Raises BadRequest for what is not such a path, or Misfit."""
    steps = [match for match in _steps(path) if match[0] != "."]
    top = Spot(None, "", -1, "Resource", root)
    if not steps or steps[0]["name"] != root.get("resourceType"):
        raise _unreadable()
    found = [top]
    for step in steps[1:]:
        found = _taken(found, step, budget)
        budget.spend(len(found))
    return found


def parent_and_name(path: str) -> tuple[str, str]:
    """A path that names a list by its element, as what holds the list and the element's name. Raises BadRequest."""
    parent, _, name = path.rpartition(".")
    if not parent or not re.fullmatch(r"[A-Za-z_]\w{0,63}", name, re.ASCII):
        raise BadRequest("The path of an insert or a move ends in the name of a list, without an index.")
    return parent, name


def _steps(path: str) -> Iterator[re.Match[str]]:
    position, count = 0, 0
    while position < len(path):
        match = _STEP.match(path, position)
        count += 1
        if match is None or count > 2 * STEPS_MAX or (match[0] == "." and match.end() == len(path)):
            raise _unreadable()
        yield match
        position = match.end()


def _taken(found: list[Spot], step: re.Match[str], budget: Budget) -> list[Spot]:
    """The places one step further."""
    if step["name"]:
        return [child for spot in found for child in children(spot, step["name"])]
    if step["index"]:
        return found[int(step["index"]) :][:1]
    if step["end"]:
        return found[:1] if step["end"] == "first" else found[-1:]
    wanted, names = _literal(step["literal"]), step["path"].split(".")
    budget.spend(4 * len(found))
    return [spot for spot in found if any(same(each, wanted) for each in _below(spot, names, budget))]


def children(spot: Spot, name: str) -> list[Spot]:
    """The places of the children of one name."""
    if not isinstance(spot.value, dict):
        return []
    found = []
    for member, _, kind in spot.elements(name):
        held = spot.value.get(member)
        if isinstance(held, list):
            found += [Spot(spot, member, at, kind) for at in range(len(held))]
        elif held is not None or f"_{member}" in spot.value:
            found.append(Spot(spot, member, -1, kind))
    return found


def _below(spot: Spot, names: list[str], budget: Budget) -> list[Any]:
    found = [spot]
    for name in names:
        found = [child for each in found for child in children(each, name)]
        budget.spend(len(found))
        if not found:
            break
    return [each.value for each in found]


def _literal(text: str) -> Any:
    if text[0] == "'":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text in {"true", "false"}:
        return text == "true"
    return Decimal(text) if "." in text else int(text)


def _unreadable() -> BadRequest:
    return BadRequest(
        "A path in the patch is not one that this server follows: write Type.element[0].element, where(a = 'b'), "
        "first() or last()."
    )
