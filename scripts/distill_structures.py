"""Distils the R4 StructureDefinitions and required code lists into src/medlock/fhir/data/r4-structures.json.zst.

    python scripts/distill_structures.py            write the file
    python scripts/distill_structures.py --check    exit 1 when the shipped file is not what this makes

Kept: element names, cardinalities, types, reference targets, summary and modifier flags, error invariants as
FHIRPath, and the codes of required bindings. Left out: all prose, narrative and mappings, and every code list
that HL7 does not own or that carries another owner's notice (DICOM, LOINC, SNOMED CT, UCUM, ISO, SPDX);
`fhir.primitives` has patterns of its own for six of those. `fhir.structures` describes the rows field by field.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import zstandard
from r4_package import read_resources

TARGET = Path(__file__).resolve().parent.parent / "src/medlock/fhir/data/r4-structures.json.zst"
SUMMARY, MODIFIER, BARE, CHOICE = 1, 2, 4, 8
OURS = ("http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/")
NOT_OURS = {"http://hl7.org/fhir/spdx-license"}
PATTERNS = {"mimetypes", "currencies", "units-of-time", "audit-event-action", "audit-event-outcome", "network-type"}
BUILT_IN = {"ele-1", "ext-1"}  # repeated on every element; the validator has them from their own type

Json = dict[str, Any]


def is_wanted(definition: Json) -> bool:
    """True for types and resources of the base specification, and for SimpleQuantity, the one profile they use."""
    own = definition["kind"] in {"resource", "complex-type"} and definition.get("derivation") != "constraint"
    return own or definition["id"] == "SimpleQuantity"


def fhir_type(element: Json, kind: Json) -> str:
    """The name of one type of an element.

    A profile on the type (only SimpleQuantity occurs) names a structure of its own. A FHIRPath system type
    carries the FHIR type in an extension; for Resource.id the package says string where R4 §2.27.3 says id.
    """
    if "profile" in kind:
        return str(kind["profile"][0].rpartition("/")[2])
    if element["path"] == "Resource.id":
        return "id"
    marks = (extension.get("valueUrl", "") for extension in kind.get("extension", ()))
    return next((mark for mark in marks if mark), str(kind["code"]))


def types_of(element: Json, nested: set[str]) -> list[str]:
    """Type names, or the key of the structure that the element's own children make."""
    if "contentReference" in element:
        return [element["contentReference"].removeprefix("#")]
    if element["path"] in nested:
        return [element["path"]]
    return [fhir_type(element, kind) for kind in element["type"]]


def targets_of(element: Json) -> list[str]:
    """The resource types that a Reference here may point to; none means any."""
    references = [kind for kind in element.get("type", ()) if kind["code"] == "Reference"]
    names = {url.rpartition("/")[2] for kind in references for url in kind.get("targetProfile", ())}
    return [] if "Resource" in names else sorted(names)


def flags_of(element: Json) -> int:
    """SUMMARY | MODIFIER | BARE (JSON has no `_name` beside it) | CHOICE (value[x])."""
    xhtml = any(kind["code"] == "xhtml" for kind in element.get("type", ()))
    bare = "representation" in element or element["path"] == "Resource.id" or xhtml
    choice = element["path"].endswith("[x]")
    summary, modifier = bool(element.get("isSummary")), bool(element.get("isModifier"))
    return SUMMARY * summary | MODIFIER * modifier | BARE * bare | CHOICE * choice


def rules_of(element: Json) -> list[list[str]]:
    """[key, FHIRPath] of the element's error invariants."""
    rules = [rule for rule in element.get("constraint", ()) if rule["severity"] == "error"]
    return [[rule["key"], rule["expression"]] for rule in rules if rule["key"] not in BUILT_IN]


def flatten(concepts: Iterable[Json]) -> Iterator[Json]:
    """Concepts of a code system with their children, in document order."""
    for concept in concepts:
        yield concept
        yield from flatten(concept.get("concept", ()))


class Codes:
    """Collects the codes of the required bindings that it is shown."""

    def __init__(self) -> None:
        found = list(read_resources("ValueSet", "CodeSystem"))
        self.sets = {item["url"]: item for item in found if item["resourceType"] == "ValueSet"}
        self.systems = {item["url"]: item for item in found if item["resourceType"] == "CodeSystem"}
        self.kept: dict[str, list[list[str]]] = {}

    def name_for(self, element: Json) -> str:
        """The name under which the codes of the element's required binding are kept; "" when there are none."""
        binding = element.get("binding", {})
        if binding.get("strength") != "required":
            return ""
        url = binding["valueSet"].partition("|")[0]
        name = str(url.rpartition("/")[2])
        if name in PATTERNS:
            return name
        return self._keep(name, self.sets.get(url))

    def _keep(self, name: str, value_set: Json | None) -> str:
        if value_set is None or not self._is_free(value_set):
            return ""
        includes = value_set["compose"]["include"]
        self.kept[name] = [pair for include in includes for pair in self._pairs(include)]
        return name

    def _is_free(self, value_set: Json) -> bool:
        systems = [include.get("system", "") for include in value_set["compose"]["include"]]
        if not all(system.startswith(OURS) and system not in NOT_OURS for system in systems):
            return False
        notices = [item.get("copyright", "HL7 ") for item in (value_set, *(self.systems[name] for name in systems))]
        return all(notice.startswith("HL7 ") for notice in notices)

    def _pairs(self, include: Json) -> Iterator[list[str]]:
        if not include.keys() <= {"system", "concept", "version", "extension"}:
            raise ValueError("a required binding selects codes in a way that this script does not expand")
        concepts = include.get("concept") or flatten(self.systems[include["system"]]["concept"])
        return ([include["system"], concept["code"]] for concept in concepts)


class Distiller:
    """Turns definitions into rows; remembers the rules of heads so that derived types need not repeat them."""

    def __init__(self, definitions: list[Json]) -> None:
        self.definitions = definitions
        self.codes = Codes()
        heads = {item["id"]: item["snapshot"]["element"][0] for item in definitions}
        self.head_rules = {name: rules_of(head) for name, head in heads.items()}

    def tables(self) -> Json:
        """Everything that ships."""
        structures = {key: row for item in self.definitions for key, row in self._structures(item)}
        concrete = [x["id"] for x in self.definitions if x["kind"] == "resource" and not x["abstract"]]
        codes = dict(sorted(self.codes.kept.items()))
        return {"fhir": "4.0.1", "resources": concrete, "structures": structures, "codes": codes}

    def _structures(self, definition: Json) -> Iterator[tuple[str, Json]]:
        """A type, then every element in it that has children of its own, by path."""
        elements = definition["snapshot"]["element"]
        nested = {element["path"].rpartition(".")[0] for element in elements[1:]} - {elements[0]["path"]}
        for head in elements:
            if head is elements[0]:
                yield definition["id"], self._row(definition, head, nested)
            elif head["path"] in nested:
                yield head["path"], self._nested_row(definition, head, nested)

    def _row(self, definition: Json, head: Json, nested: set[str]) -> Json:
        base = definition.get("baseDefinition", "").rpartition("/")[2]
        inherited = self.head_rules.get(base, [])
        rules = [rule for rule in rules_of(head) if rule not in inherited]
        return {"base": base, "elements": self._elements(definition, head, nested), "rules": rules}

    def _nested_row(self, definition: Json, head: Json, nested: set[str]) -> Json:
        elements = self._elements(definition, head, nested)
        return {"base": head["type"][0]["code"], "elements": elements, "rules": rules_of(head)}

    def _elements(self, definition: Json, head: Json, nested: set[str]) -> list[list[Any]]:
        """The elements that stand directly under `head` and are not inherited."""
        if definition.get("derivation") == "constraint":
            return []
        children = (x for x in definition["snapshot"]["element"] if x["path"].rpartition(".")[0] == head["path"])
        return [self._element(child, nested) for child in children if child["base"]["path"] == child["path"]]

    def _element(self, element: Json, nested: set[str]) -> list[Any]:
        """[name, min, max (0: no limit), types, flags, codes, targets, rules], cut after the last that is not empty."""
        name = element["path"].rpartition(".")[2].removesuffix("[x]")
        most = 0 if element["max"] == "*" else int(element["max"])
        rules = [] if element["path"] in nested else rules_of(element)
        row = [name, element["min"], most, types_of(element, nested), flags_of(element)]
        row += [self.codes.name_for(element), targets_of(element), rules]
        while not row[-1]:
            row.pop()
        return row


def distil() -> bytes:
    """The tables as JSON, keys in the order of the sorted definitions."""
    definitions = [item for item in read_resources("StructureDefinition") if is_wanted(item)]
    return orjson.dumps(Distiller(definitions).tables())


def is_current(tables: bytes) -> bool:
    """True when the shipped file holds exactly these tables, whatever compressor wrote it."""
    return TARGET.exists() and zstandard.decompress(TARGET.read_bytes()) == tables


def main() -> int:
    """Write the file, or only compare with --check."""
    tables = distil()
    if "--check" in sys.argv[1:]:
        return 0 if is_current(tables) else 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(zstandard.ZstdCompressor(level=22).compress(tables))
    print(f"{TARGET.name}: {len(tables)} bytes of JSON in {TARGET.stat().st_size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
