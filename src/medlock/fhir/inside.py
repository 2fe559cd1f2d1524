"""Conditions that only the resource itself can answer: its search values do not say what stands beside what.

A composite asks that its parts hold in the same place, `:text` for what is written beside a code, `:of-type` for an
identifier with a type, `near` for a position. Each walks the resource along the paths of the shipped table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from medlock.fhir.extract import visit_of
from medlock.fhir.near import is_near
from medlock.fhir.normalise import fold
from medlock.fhir.paths import Visit, elements_at
from medlock.fhir.query import CompositeValue, Condition, Kind, NearValue, OfTypeValue, PlainValue, StringValue
from medlock.fhir.searchparams import Parameter, parameter
from medlock.fhir.values import Values

Json = dict[str, Any]
Fits = Callable[[Parameter, PlainValue, Values], bool]  # whether values meet a plain condition on a parameter

_KINDS: Final = frozenset({Kind.COMPOSITE, Kind.SPECIAL})
_MODIFIERS: Final = frozenset({"text", "of-type"})


def asks_inside(condition: Condition) -> bool:
    """Whether the resource is needed to decide a condition."""
    return condition.kind in _KINDS or condition.modifier in _MODIFIERS


def holds_inside(condition: Condition, known: Parameter, resource: Json, fits: Fits) -> bool:
    """Whether a resource meets one of the values of such a condition on a parameter of its type."""
    if condition.modifier == "missing":
        return condition.missing is ("position" not in resource)  # near is the only parameter that comes here
    return any(_meets(condition, known, value, resource, fits) for value in condition.values)


def _meets(condition: Condition, known: Parameter, value: object, resource: Json, fits: Fits) -> bool:
    if isinstance(value, CompositeValue):
        return _meets_together(resource["resourceType"], known.name, value, resource, fits)
    if isinstance(value, NearValue):
        return is_near(value, resource)
    if isinstance(value, OfTypeValue):
        return any(_is_of_type(value, each) for each, _ in _elements(known, resource, "Identifier"))
    if isinstance(value, StringValue) and condition.modifier == "text":
        wanted = fold(value.text)
        return any(fold(text).startswith(wanted) for text in _texts(known, resource))
    return False


def _meets_together(type_: str, name: str, value: CompositeValue, resource: Json, fits: Fits) -> bool:
    """Whether in one of the places every part holds."""
    known = parameter(type_, name)
    joined = known.composite if known is not None else None
    if joined is None:
        return False
    visits = _visits(type_, name)
    for root in joined.roots:
        for place in elements_at(resource, root):
            starts = (resource if whole else place for whole in joined.whole)
            asked = zip(joined.parts, value.parts, starts, visits, strict=True)
            if all(fits(part, wanted, _said(start, visit)) for part, wanted, start, visit in asked):
                return True
    return False


@cache
def _visits(type_: str, name: str) -> tuple[Visit, ...]:
    """How each part of a composite is read, below its place."""
    known = parameter(type_, name)
    joined = known.composite if known is not None else None
    return tuple(visit_of([part]) for part in joined.parts) if joined is not None else ()


def _said(start: Json, visit: Visit) -> Values:
    out = Values()
    take, known = visit
    take(start, out, known)
    return out


def _elements(known: Parameter, resource: Json, *datatypes: str) -> Iterator[tuple[Json, str]]:
    """The elements of these data types that a parameter looks at."""
    for path in known.paths:
        if path.datatype in datatypes:
            yield from ((each, path.datatype) for each in elements_at(resource, path.steps))


def _is_of_type(wanted: OfTypeValue, identifier: Json) -> bool:
    """R4 §3.1.1.4.10: both the type, as a code with its system, and the value are those wanted."""
    codings = identifier.get("type", {}).get("coding", ())
    typed = any((each.get("system"), each.get("code")) == (wanted.system, wanted.code) for each in codings)
    return typed and identifier.get("value") == wanted.value


def _texts(known: Parameter, resource: Json) -> Iterator[str]:
    """CodeableConcept.text, Coding.display and Identifier.type.text (R4 §3.1.1.4.10, :text)."""
    for element, datatype in _elements(known, resource, "CodeableConcept", "Coding", "Identifier"):
        concept = element.get("type", {}) if datatype == "Identifier" else element
        shown = [concept] if datatype == "Coding" else concept.get("coding", ())
        if "text" in concept:
            yield concept["text"]
        if datatype != "Identifier":
            yield from (each["display"] for each in shown if "display" in each)
