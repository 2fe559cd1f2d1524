"""Validation of resources against the base specification FHIR R4 4.0.1.

`validate` returns every problem with its FHIRPath, never raises for what a caller sent, and never repeats a
value. docs/validation.md says what is checked and what is not; profiles named in meta.profile are not.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from medlock.errors import Problem
from medlock.fhir.report import Full, Report, is_name, top
from medlock.fhir.shapes import check_resource, shape


def validate(resource: dict[str, Any], *, path: str | None = None) -> list[Problem]:
    """The problems of a resource, at most 100; empty when it is valid.

    `path` stands before every path in place of the resource's type, for a resource that is part of something
    larger: `Bundle.entry[3].resource`.
    """
    return examine(resource, path=path).problems


def examine(resource: dict[str, Any], *, path: str | None = None) -> Report:
    """The same, with the literal references that were met: all of them when there are no problems."""
    report = Report(resource)
    with suppress(Full):
        check_resource(resource, top(_root(resource) if path is None else path), report)
    return report


def validate_element(value: Any, name: str, path: str) -> list[Problem]:
    """The problems of one element of structure `name` (`Bundle.entry.request`) that stands at `path`."""
    report = Report({})
    try:
        shape(name).check(value, top(path), report)
    except Full:
        return report.problems
    return report.problems


def _root(resource: dict[str, Any]) -> str:
    named = resource.get("resourceType")
    return named if isinstance(named, str) and is_name(named) else ""
