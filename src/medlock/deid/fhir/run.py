"""What one pass over a resource carries along: whose record it is, what was done, what the conditions selected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from medlock.deid.fhir.labels import Mark
from medlock.deid.fhir.subject import Subject
from medlock.fhir.structures import Element

Json = dict[str, Any]
Selected = dict[tuple[str, int], tuple[int, int]]  # (member, index) → (depth of the rule's resource, rule)


@dataclass(slots=True)
class Run:
    """The state of one pass. `marks` gathers what was done in the resource at hand."""

    today: date
    subject: Subject
    marks: int = 0
    depth: int = 0
    selected: dict[int, Selected] = field(default_factory=dict)  # id of the owner → what conditions selected in it
    root_ids: tuple[str, str, int] = ("", "", 0)  # id of the outermost resource before and after, rank of its rule
    kinds: tuple[str, ...] = ()  # the resources around, outermost first
    unruled: int = 0  # strings that no rule spoke of and that were kept
    resource: Json = field(default_factory=dict)  # the resource at hand, as it was
    whose: Callable[[Json], Subject] | None = None  # whose record a resource inside a Bundle belongs to


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: element and type names of the structure, known when a rule is compiled."""

    kind: str
    name: str
    owner: str
    element: Element | None = None


Leaf = Callable[[Any, Run], Any]
Parts = Callable[[Json, Run], Json | None]
NodeChange = Callable[[Json, Run, Parts], Json | None]  # the object, and how its parts are treated one by one


class Treatment(Protocol):
    """What a rule does: to a primitive value, or to a node as a whole. None in an answer removes it."""

    def leaf(self, place: Place) -> Leaf:
        """What happens to a primitive value there."""

    def node(self, place: Place) -> NodeChange | None:
        """What happens to an object there; None when its parts are treated one by one."""


def redacted(run: Run) -> Any:
    """Remember that something was removed; the answer is None, which removes it."""
    run.marks |= Mark.REDACTED
