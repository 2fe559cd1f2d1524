"""Resolves R4's composite search parameters (§3.1.1.4.14) into the paths of their parts.

A composite joins parts that must hold in the same place: `roots` are the places (the resource itself, or each
`Observation.component`), and each part has its own paths below such a place, or in the whole resource when its
expression begins with %resource. `implies` names the plain parameter that any match meets as well, so that an index
can narrow the search; it is named only when all paths of the part are paths of that parameter.

A definition whose parts select nothing that their types can search is left without parts, and the server refuses it:
DocumentReference's `relationship` has its two parts the wrong way round in R4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from search_paths import Spot, Structures, Unresolvable, resolve, terms

Definition = dict[str, Any]

_WHOLE = "%resource."
_CASE = {"as(DateTime)": "as(dateTime)"}  # so written in Observation's code-value-date


@dataclass(frozen=True)
class Composer:
    """Reads composites: `known` holds every definition by address, `part` makes the row of a plain parameter."""

    structures: Structures
    known: Mapping[str, Definition]
    part: Callable[[Definition, list[Spot]], dict[str, Any]]

    def row(self, base: str, definition: Definition) -> dict[str, Any]:
        """Roots and parts of one composite on one type; empty when the definition contradicts itself."""
        own = [term for term in terms(definition["expression"]) if term.split(".")[0] == base]
        roots = [spot for term in own for spot in resolve(self.structures, base, term)]
        try:
            parts = [self._part(base, roots, each) for each in definition["component"]]
        except Unresolvable:
            return {}
        return {"roots": ["/".join(root.path) for root in roots], "parts": parts}

    def _part(self, base: str, roots: list[Spot], component: dict[str, Any]) -> dict[str, Any]:
        known = self.known[component["definition"]]
        expression = component["expression"]
        for wrong, right in _CASE.items():
            expression = expression.replace(wrong, right)
        whole = expression.startswith(_WHOLE)
        starts = [base] if whole else list(dict.fromkeys(root.type for root in roots))
        wanted = terms(expression.removeprefix(_WHOLE))
        found = [spot for start in starts for term in wanted for spot in resolve(self.structures, start, term)]
        row = self.part(known, list(dict.fromkeys(found)))
        return row | {"name": known["code"], "type": known["type"], "whole": whole}


def implied(row: dict[str, Any], plain: Mapping[str, dict[str, Any]]) -> list[str]:
    """For each part the parameter of the same type that every match meets too, "" when none is sure to be."""
    return [_implied(row["roots"], part, plain.get(part["name"])) for part in row["parts"]]


def _implied(roots: list[str], part: dict[str, Any], known: dict[str, Any] | None) -> str:
    if known is None or known["type"] != part["type"]:
        return ""
    starts = [""] if part["whole"] else roots
    joined = [["/".join(filter(None, (root, path))), *rest] for root in starts for path, *rest in part["paths"]]
    return part["name"] if all(each in known["paths"] for each in joined) else ""
