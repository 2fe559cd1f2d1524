"""What a Reference may say (R4 §2.3): form of the literal, type of the target, contained resources (ref-1).

Whether the target exists is not asked here; that takes a store. A reference by search (`Practitioner?…`) is
let through, because a transaction resolves it before anything is written.
"""

from __future__ import annotations

import re
from typing import Any, Final

from medlock.fhir.report import Place, Report
from medlock.fhir.structures import resource_types

_ID: Final = r"[A-Za-z0-9\-.]{1,64}"
_TARGET: Final = rf"([A-Z][A-Za-z]{{1,63}})/{_ID}(?:/_history/{_ID})?"
_relative = re.compile(_TARGET).fullmatch
_absolute = re.compile(rf"[a-z][a-z0-9+.-]*:[^\s]+?(?:/{_TARGET})?").fullmatch
_by_search = re.compile(r"([A-Z][A-Za-z]{1,63})\?\S+").fullmatch
_DEFINITIONS: Final = "http://hl7.org/fhir/StructureDefinition/"
_PARTS: Final = frozenset({"_reference", "identifier", "display", "_display", "extension"})


def check_reference(value: dict[str, Any], targets: frozenset[str], place: Place, report: Report) -> None:
    """Report what is wrong with one Reference. `targets`: the types it may point to, empty for any."""
    if "reference" not in value and _PARTS.isdisjoint(value):
        report.add("invariant", "a Reference needs a reference, an identifier or a display", place)
    text = value.get("reference")
    kind = _check_literal(text, targets, (place, "reference", -1), report) if type(text) is str else ""
    named = value.get("type")
    if type(named) is str:
        _check_type(named.removeprefix(_DEFINITIONS), kind, targets, (place, "type", -1), report)


def _check_literal(text: str, targets: frozenset[str], place: Place, report: Report) -> str:
    """Report a literal reference that is malformed or points to a wrong type; return the type it names, or ""."""
    report.references.append((place, text))
    match = _relative(text)
    if match is None and "?" in text:
        match = _by_search(text)
    if match is None:
        return _check_other(text, targets, place, report)
    kind = match[1]
    if kind in targets:
        return kind
    if kind not in resource_types():
        report.add("value", "a relative reference must begin with a resource type of FHIR R4", place)
    elif targets:
        report.add("value", _sentence(targets), place)
    return kind


def _check_other(text: str, targets: frozenset[str], place: Place, report: Report) -> str:
    """References that are not Type/id: contained ones and absolute ones."""
    if text[:4] == "urn:" and " " not in text and text.isprintable():
        return ""
    if text[:1] == "#":
        return _check_contained(text[1:], targets, place, report)
    match = _absolute(text)
    if match is None:
        report.add("value", "a reference must be Type/id, #id or an absolute URI", place)
        return ""
    kind = match[1] or ""
    if kind not in resource_types():  # an absolute reference need not follow the RESTful form
        return ""
    if targets and kind not in targets:
        report.add("value", _sentence(targets), place)
    return kind


def _check_contained(ident: str, targets: frozenset[str], place: Place, report: Report) -> str:
    """ref-1; `#` alone is the container (R4 §2.3.0.3)."""
    root = report.root
    root.referred.add(ident)
    kind = root.contained().get(ident) if ident else str(root.resource.get("resourceType"))
    if kind is None:
        report.add("invariant", "rule ref-1 of FHIR R4 does not hold: no contained resource has this id", place)
    elif targets and kind not in targets:
        report.add("value", _sentence(targets), place)
    return kind or ""


def _check_type(named: str, kind: str, targets: frozenset[str], place: Place, report: Report) -> None:
    """Reference.type: a resource type that fits the element and the literal beside it."""
    if named not in resource_types():
        report.add("code-invalid", "Reference.type must be a resource type of FHIR R4", place)
    elif targets and named not in targets:
        report.add("value", _sentence(targets), place)
    elif kind and named != kind:
        report.add("value", "Reference.type must be the type that the reference names", place)


def _sentence(targets: frozenset[str]) -> str:
    return f"the reference must point to one of: {', '.join(sorted(targets))}"
