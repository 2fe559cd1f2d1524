"""Collects the problems that validation finds, each with its FHIRPath.

A place is a linked tuple (place above, name, index), made only when validation steps into an object; the
FHIRPath text is written only when there is a problem. A name that a caller invented appears in a path only
when it looks like an element name, because anything else might be patient data.
"""

from __future__ import annotations

import re
from typing import Any, Final, Optional

from medlock.errors import Problem

PROBLEMS_MAX: Final = 100
Place = tuple[Optional["Place"], str, int]
is_name = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}").fullmatch


class Full(Exception):
    """Raised at the hundredth problem, to end a validation that has said enough."""


def top(path: str) -> Place:
    """The place that everything else lies under."""
    return (None, path, -1)


def path_of(place: Place) -> str:
    """`Patient.contact[0].name` for a place."""
    above, name, index = place
    step = f"{name}[{index}]" if index >= 0 else name
    before = "" if above is None else path_of(above)
    return f"{before}.{step}" if before else step


def shown_name(place: Place, name: str) -> Place:
    """The place of a member whose name a caller chose: its own when that is fit to be shown, else its object's."""
    return (place, name, -1) if is_name(name) else place


class Root:
    """A resource in which `#id` is looked up.

    `referred` collects the ids that references of that form name.
    """

    __slots__ = ("_contained", "referred", "resource")

    def __init__(self, resource: dict[str, Any]) -> None:
        self.resource = resource
        self.referred: set[str] = set()
        self._contained: dict[str, str] | None = None

    def contained(self) -> dict[str, str]:
        """The ids of contained resources and their types; read once, since references to them may be many."""
        if self._contained is None:
            items = self.resource.get("contained")
            named = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
            self._contained = {str(item.get("id")): str(item.get("resourceType")) for item in named}
        return self._contained


class Report:
    """The problems of one validation.

    `root` is the resource in which `#id` is looked up, `resource` the one that invariants call %resource; they
    differ only inside a contained resource. `references` are the literal references met on the way, with the place
    of each: whoever must follow them need not walk the resource again.
    """

    __slots__ = ("problems", "references", "resource", "root")

    def __init__(self, resource: dict[str, Any]) -> None:
        self.problems: list[Problem] = []
        self.references: list[tuple[Place, str]] = []
        self.root = Root(resource)
        self.resource = resource

    def add(self, code: str, text: str, place: Place) -> None:
        """Record one problem. Raises Full when there are enough."""
        self.problems.append(Problem(code, text, path_of(place)))
        if len(self.problems) >= PROBLEMS_MAX:
            raise Full

    def unknown(self, name: str, kind: str, place: Place) -> None:
        """Record a member that R4 does not define for this type."""
        self.add("structure", f"{kind} has no such element in FHIR R4", shown_name(place, name))
