"""R4 as the tests read it: the official package itself, and a plain FHIRPath walker. Shares nothing with medlock.

`select` evaluates a SearchParameter's expression on a resource, element by element, with the types that the
StructureDefinitions give. Slow and direct on purpose: it is the other opinion on what a parameter selects.
"""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "scripts"


@dataclass(frozen=True)
class Node:
    """A value in a resource, the type of its element (a data type or an element path), and that element's path."""

    value: Any
    type: str
    path: str


@dataclass(frozen=True)
class Definitions:
    """The parts of the package that search needs."""

    parameters: dict[tuple[str, str], dict[str, Any]]
    elements: dict[str, dict[str, Any]]
    value_sets: dict[str, dict[str, Any]]
    compartment: dict[str, list[str]]
    by_url: dict[str, dict[str, Any]]

    def parameter(self, resource_type: str, code: str) -> dict[str, Any] | None:
        """The definition of a parameter on a type, or on every type."""
        return self.parameters.get((resource_type, code)) or self.parameters.get(("Resource", code))

    def codes(self, resource_type: str) -> list[str]:
        """The names of all parameters of a type."""
        return _codes(resource_type)


@cache
def _codes(resource_type: str) -> list[str]:
    return sorted(code for base, code in definitions().parameters if base in {resource_type, "Resource"})


@cache
def package() -> Any:
    """scripts/r4_package.py as a module."""
    return script("r4_package")


def script(name: str) -> Any:
    """A module of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def definitions() -> Definitions:
    """Everything, read once."""
    resources = list(
        package().read_resources("SearchParameter", "StructureDefinition", "ValueSet", "CompartmentDefinition")
    )
    of = {kind: [r for r in resources if r["resourceType"] == kind] for kind in {r["resourceType"] for r in resources}}
    added = json.loads((SCRIPTS / "us_core_parameters.json").read_text())["parameters"]
    searches = [s for s in [*of["SearchParameter"], *added] if not s["experimental"] and "expression" in s]
    structures = [s for s in of["StructureDefinition"] if s.get("derivation") != "constraint"]
    patient = next(c for c in of["CompartmentDefinition"] if c["id"] == "patient")
    return Definitions(
        parameters={(base, s["code"]): s for s in searches for base in s["base"]},
        elements={e["path"]: e for s in structures for e in s["snapshot"]["element"]},
        value_sets={v["url"]: v for v in of["ValueSet"]},
        compartment={r["code"]: r.get("param", []) for r in patient["resource"]},
        by_url={s["url"]: s for s in searches},
    )


def select(resource: dict[str, Any], expression: str) -> list[Node]:
    """Every node of the resource that the expression selects."""
    return [node for term in expression.split("|") for node in _term(resource, term.strip())]


def select_below(resource: dict[str, Any], node: Node, expression: str) -> list[Node]:
    """Every node that an expression of a composite's part selects below a place."""
    if expression.startswith("%resource."):
        return select(resource, expression.removeprefix("%resource."))
    terms = expression.replace("DateTime", "dateTime").split("|")
    return [found for term in terms for found in _steps([node], term.strip())]


def _term(resource: dict[str, Any], term: str) -> list[Node]:
    if " and " in term:  # X.exists() and X != false
        left = _term(resource, term.partition(" and ")[0].removesuffix(".exists()"))
        return [Node(bool(left) and left[0].value is not False, "boolean", "")]
    if term.startswith("("):
        inner, _, rest = term[1:].partition(")")
        path, _, kind = inner.partition(" as ")
        return _steps([n for n in _term(resource, path) if n.type == kind], rest.removeprefix("."))
    root, _, rest = term.partition(".")
    here = Node(resource, resource["resourceType"], resource["resourceType"])
    if root in {"Resource", resource["resourceType"]}:
        return _steps([here], rest)
    return _steps([here], term) if root[0].islower() else []


def _steps(nodes: list[Node], path: str) -> list[Node]:
    for step in re.findall(r"\w+(?:\((?:[^()]|\(\))*\)|\[0\])?", path):
        name, _, argument = step.partition("(")
        nodes = _step(nodes, name, argument.removesuffix(")"))
    return nodes


def _step(nodes: list[Node], name: str, argument: str) -> list[Node]:
    if name == "where" and argument.startswith("resolve() is "):
        return [n for n in nodes if points_to(n.value) == argument.removeprefix("resolve() is ")]
    if name == "where":
        key, _, wanted = argument.partition("=")
        return [n for n in nodes if n.value.get(key) == wanted.strip("'")]
    if name == "as":
        return [n for n in nodes if n.type == argument]
    found = [child for node in nodes for child in children(node, name.removesuffix("[0]"))]
    return found[:1] if name.endswith("[0]") else found


def children(node: Node, name: str) -> list[Node]:
    """The values of one element under a node."""
    if not isinstance(node.value, dict):
        return []
    elements = definitions().elements
    path, choice = f"{node.type}.{name}", f"{node.type}.{name}[x]"
    if path in elements:
        return [Node(v, type_of(elements[path], 0), path) for v in _listed(node.value.get(name))]
    offered = elements[choice]["type"] if choice in elements else []
    keys = {name + kind["code"][0].upper() + kind["code"][1:]: at for at, kind in enumerate(offered)}
    return [
        Node(v, type_of(elements[choice], at), choice) for key, at in keys.items() for v in _listed(node.value.get(key))
    ]


def type_of(element: dict[str, Any], at: int) -> str:
    """The type of an element's `at`-th choice: a type's name, or the path whose children it has."""
    if "contentReference" in element:
        return str(element["contentReference"][1:])
    if "type" not in element:
        return str(element["path"])
    code = str(element["type"][at]["code"])
    if code in {"BackboneElement", "Element"}:
        return str(element["path"])
    return "string" if code.startswith("http://hl7.org/fhirpath/") else code


def _listed(value: Any) -> list[Any]:
    return [v for v in (value if isinstance(value, list) else [value]) if v is not None]


def points_to(reference: Any) -> str:
    """The type of a reference's target, as far as the reference itself tells."""
    if not isinstance(reference, dict):
        return ""
    rest = re.fullmatch(
        r"(?:[a-z]+://\S+/)?([A-Z][A-Za-z]+)/[A-Za-z0-9.\-]{1,64}(?:/_history/[A-Za-z0-9.\-]{1,64})?",
        reference.get("reference", ""),
    )
    if rest and rest[1] in definitions().elements:
        return rest[1]
    return str(reference.get("type", "")).split("/")[-1]
