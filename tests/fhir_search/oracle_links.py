"""Chains, _has, _list and compartments, naively: look at every resource of the world, one reference after another."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from fhir_search.definitions import definitions, select
from fhir_search.readings import targets

Resource = dict[str, Any]
Ask = Callable[[str, str, str], list[Resource]]  # (type, parameter, text) → the resources of the world that meet it


def is_link(name: str) -> bool:
    """Whether a parameter speaks of other resources."""
    return name == "_list" or name.startswith("_has:") or "." in name


def name_of(resource: Resource) -> str:
    """Type/id."""
    return f"{resource['resourceType']}/{resource['id']}"


def references(resource: Resource, code: str, base_url: str = "") -> set[str]:
    """What a resource points to through a parameter."""
    definition = definitions().parameter(resource["resourceType"], code)
    assert definition is not None, code
    return {t for node in select(resource, definition["expression"]) for t in targets(node, base_url)}


def linked(found: Sequence[Resource], resource_type: str, name: str, text: str, ask: Ask) -> list[Resource]:
    """Those of the resources that meet a chain, a _has or a _list."""
    if name == "_list":
        named = {t for listed in ask("List", "_id", text) for t in references(listed, "item")}
        return [r for r in found if name_of(r) in named]
    if name.startswith("_has:"):
        _, source, code, rest = name.split(":", 3)
        named = {t for other in ask(source, rest, text) for t in references(other, code)}
        return [r for r in found if name_of(r) in named]
    head, _, rest = name.partition(".")
    code, _, only = head.partition(":")
    following = re.split(r"[.:]", rest)[0]
    known = [only] if only else [k for k in _kinds(resource_type, code) if _has_parameter(k, following)]
    named = {name_of(r) for kind in known for r in ask(kind, rest, text)}
    return [r for r in found if references(r, code) & named]


def _kinds(resource_type: str, code: str) -> list[str]:
    """The types that a reference may lead to, by the element's definition."""
    definition = definitions().parameter(resource_type, code)
    assert definition is not None
    expression = next(t for t in definition["expression"].split("|") if t.strip().startswith(resource_type))
    one = re.search(r"resolve\(\) is (\w+)", expression)
    if one:
        return [one[1]]
    element = definitions().elements[expression.strip()]
    return [profile.rpartition("/")[2] for kind in element["type"] for profile in kind.get("targetProfile", [])]


def _has_parameter(kind: str, code: str) -> bool:
    return code == "_has" or definitions().parameter(kind, code) is not None


def within(resource: Resource, patient: str) -> bool:
    """Whether a resource is in the compartment of a patient of this server."""
    if name_of(resource) == f"Patient/{patient}":
        return True
    codes = definitions().compartment.get(resource["resourceType"], [])
    return any(f"Patient/{patient}" in references(resource, code) for code in codes)
