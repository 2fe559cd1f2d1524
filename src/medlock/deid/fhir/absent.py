"""What R4 requires and de-identification removes: stated as masked, so that the rest stays a valid resource.

The data-absent-reason extension (FHIR R4 §2.5.1) stands in place of the value. An inner element is built with its own
required parts. Types whose JSON has no room for an extension (`Extension.url`, ids, xhtml) are never stated so.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from medlock.fhir.structures import BARE, Element, is_primitive, structure

REASON: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

# Not required by their cardinality, but by an invariant (org-1, app-3).
ASKED_FOR: Final = {"Organization": frozenset({"name"}), "Appointment": frozenset({"start", "end"})}


def can_be_absent(element: Element, kind: str) -> bool:
    """True where an extension may stand for the value."""
    return not element.flags & BARE and kind not in {"xhtml", "Resource"}


@cache
def absent(kind: str) -> dict[str, Any]:
    """An element of this type that says it is masked; shared between places, so nobody may change it."""
    stated: dict[str, Any] = {"extension": [{"url": REASON, "valueCode": "masked"}]}
    shape = structure(kind) if not is_primitive(kind) else None
    for element in shape.elements if shape else ():
        key, inner = element.members()[0]
        if element.min and can_be_absent(element, inner):
            part = absent(inner)
            stated[f"_{key}" if is_primitive(inner) else key] = [part] if element.is_list else part
    return stated
