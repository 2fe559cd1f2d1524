"""Writes src/medlock/fhir/data/r4-search.json.zst: R4's search parameters, ready to be evaluated.

For each resource type: every search parameter of the official package with its type, expression, possible
targets and the JSON paths of its values (see search_paths.py), the parts of composites (search_composites.py), the
value sets that its codes are bound to, and the parameters that put a resource into a Patient's compartment. Left out:
experimental definitions (examples and parameters on extensions) and definitions without an expression other than those
of Resource, which the server knows by name to refuse them. Added: the four parameters that US Core 7.0.0 searches by
and R4 does not have (us_core_parameters.json, facts of that guide).

Run by `make definitions`; a test compares what is shipped with what this makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import zstandard
from r4_package import read_resources
from search_composites import Composer, implied
from search_paths import Spot, Structures, Unresolvable, resolve, terms

ADDED = Path(__file__).parent / "us_core_parameters.json"
TARGET = Path(__file__).parent.parent / "src" / "medlock" / "fhir" / "data" / "r4-search.json.zst"

DEFINITIONS = "http://hl7.org/fhir/SearchParameter/"

Definition = dict[str, Any]

# Data types that a parameter of each type can search (R4 §3.1.1.9, cross-map). A choice element may offer others
# (Procedure.performed as string, under `date`): they have no value of this kind and are left out.
SEARCHABLE = {
    "token": {
        *("Coding", "CodeableConcept", "Identifier", "ContactPoint"),
        *("code", "id", "boolean", "uri", "string"),
    },
    "reference": {"Reference", "canonical", "uri", "Resource"},
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "string": {"string", "markdown", "HumanName", "Address", "family"},
    "quantity": {"Quantity", "Age", "Duration", "Money", "Range", "SampledData"},
    "number": {"integer", "decimal", "Range"},
    "uri": {"uri", "url", "canonical"},
}


def table(definitions: Iterable[Definition]) -> dict[str, Any]:
    """The whole content of the file, from every definition in the package."""
    by_kind: dict[str, list[Definition]] = {}
    for definition in definitions:
        by_kind.setdefault(definition["resourceType"], []).append(definition)
    structures = Structures(by_kind["StructureDefinition"])
    systems = _code_systems(by_kind["ValueSet"])
    types: dict[str, dict[str, Any]] = {name: {} for name in _resource_types(by_kind["StructureDefinition"])}
    for definition in [*by_kind["SearchParameter"], *orjson.loads(ADDED.read_bytes())["parameters"]]:
        for base in _bases(definition):
            types[base][definition["code"]] = _parameter(structures, systems, base, definition)
    _add_composites(structures, systems, types, by_kind["SearchParameter"])
    return {"compartment": _compartment(by_kind["CompartmentDefinition"]), "types": types}


def _resource_types(definitions: Iterable[Definition]) -> list[str]:
    concrete = [d["type"] for d in definitions if d["kind"] == "resource" and d.get("derivation") == "specialization"]
    return sorted({*concrete, "Resource"} - {"DomainResource"})


def _bases(definition: Definition) -> list[str]:
    if definition["experimental"] or not {"base", "type"} <= definition.keys():
        return []
    return ["Resource" if base == "DomainResource" else base for base in definition["base"]]


def _add_composites(
    structures: Structures,
    systems: dict[str, list[str]],
    types: dict[str, dict[str, Any]],
    definitions: list[Definition],
) -> None:
    """Give composites their parts."""
    by_url = {definition["url"]: definition for definition in definitions}

    def part(definition: Definition, spots: list[Spot]) -> dict[str, Any]:
        wanted = SEARCHABLE[definition["type"]]
        found = [spot for spot in spots if spot.type in wanted]
        if not found:
            raise Unresolvable(f"a part of type {definition['type']} selects nothing that it can search")
        return _row(definition, systems, found)

    composer = Composer(structures, by_url, part)
    for definition in definitions:
        for base in _bases(definition) if definition["type"] == "composite" else ():
            row = composer.row(base, definition)
            if row:
                row["implied"] = implied(row, types[base])
            types[base][definition["code"]]["composite"] = row


def _parameter(
    structures: Structures, systems: dict[str, list[str]], base: str, definition: Definition
) -> dict[str, Any]:
    own = [term for term in terms(definition.get("expression", "")) if _belongs(term, base)]
    spots = [spot for term in own for spot in _spots(structures, base, definition, term)]
    row = {"id": definition["id"], "type": definition["type"], "expression": " | ".join(own)}
    if not definition["url"].startswith(DEFINITIONS):
        row["url"] = definition["url"]
    return row | _row(definition, systems, spots)


def _row(definition: Definition, systems: dict[str, list[str]], spots: list[Spot]) -> dict[str, Any]:
    """Where the values lie and what they may be."""
    return {
        "targets": _targets(definition, spots),
        "systems": _systems(systems, spots),
        "bound": sorted({spot.binding.split("|")[0] for spot in spots if spot.binding}),
        "paths": [["/".join(spot.path), "truth" if spot.truth else spot.type, spot.only] for spot in spots],
    }


def _belongs(term: str, base: str) -> bool:
    # A term that does not begin with a type name is relative to the resource (InsurancePlan.name is so written).
    root = term.lstrip("(").split(".")[0]
    return root in {base, "Resource"} or root[:1].islower()


def _spots(structures: Structures, base: str, definition: Definition, term: str) -> Iterator[Spot]:
    wanted = SEARCHABLE.get(definition["type"], set())
    found = [spot for spot in resolve(structures, base, term) if spot.type in wanted or spot.truth]
    if wanted and not found:
        raise Unresolvable(f"{base}.{definition['code']} selects nothing that a {definition['type']} can search")
    for spot in found:
        # Bundle.entry[0].resource is the target itself; only a resource of the parameter's type counts.
        yield Spot(spot.path, spot.type, only=definition["target"][0]) if spot.type == "Resource" else spot


def _targets(definition: Definition, spots: list[Spot]) -> list[str]:
    if definition["type"] != "reference":
        return []
    if any(spot.type != "Resource" and not spot.targets for spot in spots):
        return []
    return sorted({target for spot in spots for target in (spot.targets or (spot.only,))})


def _systems(systems: dict[str, list[str]], spots: list[Spot]) -> list[str]:
    """The implicit code systems of a parameter over `code` elements alone (R4 §3.1.1.4.10)."""
    if not spots or any(spot.type != "code" for spot in spots):
        return []
    return sorted({system for spot in spots for system in systems.get(spot.binding.split("|")[0], [])})


def _code_systems(value_sets: Iterable[Definition]) -> dict[str, list[str]]:
    return {
        item["url"]: [part["system"] for part in item.get("compose", {}).get("include", []) if "system" in part]
        for item in value_sets
    }


def _compartment(definitions: Iterable[Definition]) -> dict[str, list[str]]:
    patient = next(item for item in definitions if item["id"] == "patient")
    return {entry["code"]: entry["param"] for entry in patient["resource"] if entry.get("param")}


def render(content: dict[str, Any]) -> bytes:
    """The content as JSON with one spelling only, so that equal content has equal bytes."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def main() -> None:
    """Distil and write."""
    data = render(table(read_resources()))
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
    print(f"{TARGET.name}: {len(data)} B of JSON in {TARGET.stat().st_size} B")


if __name__ == "__main__":
    main()
