"""Reads tests/vectors/fhir: whole resources, or changes to a base resource, with the problems expected."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parents[1] / "vectors/fhir"
SYNTHEA = Path(__file__).parents[3] / "shared/data"


def load(name: str) -> Any:
    """The content of one vector file."""
    return orjson.loads((FOLDER / f"{name}.json").read_bytes())


BASES = load("bases")


def resource_of(case: dict[str, Any]) -> dict[str, Any]:
    """The resource of a case: given whole, or a base with members dropped and set."""
    resource = copy.deepcopy(case.get("resource") or BASES[case["base"]])
    for path in case.get("drop", ()):
        drop(resource, path)
    for path, value in case.get("set", {}).items():
        put(resource, path, copy.deepcopy(value))
    return resource


def mended(case: dict[str, Any]) -> dict[str, Any]:
    """The resource with what breaks the rule put right; null takes a member out."""
    resource = resource_of(case)
    for path, value in case["mend"].items():
        if value is None:
            drop(resource, path)
        else:
            put(resource, path, copy.deepcopy(value))
    return resource


def put(resource: Any, path: str, value: Any) -> None:
    """Set the member at `name.0.use`."""
    *above, last = path.split(".")
    node = descend(resource, above)
    if isinstance(node, list) and int(last) == len(node):
        node.append(value)
    else:
        node[key(node, last)] = value


def drop(resource: Any, path: str) -> None:
    """Take the member at `name.0.use` out."""
    *above, last = path.split(".")
    node = descend(resource, above)
    del node[key(node, last)]


def descend(node: Any, steps: list[str]) -> Any:
    """The node at the end of the steps."""
    for step in steps:
        node = node[key(node, step)]
    return node


def key(node: Any, step: str) -> Any:
    """An index in a list, a name in an object."""
    return int(step) if isinstance(node, list) else step


def found(problems: Any) -> list[list[str]]:
    """(code, path) of problems, sorted, to compare with what a case expects."""
    return sorted([problem.code, problem.path] for problem in problems)
