"""Every search parameter of FHIR R4, as the official package defines it (scripts/distill_search.py).

The shipped table names, for each resource type, the parameters with the JSON paths of their values. A parameter
that this server does not evaluate is known all the same, with the reason, so that a request which names it is
refused with that reason. Extraction, compartments and the grammar read this table and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

import orjson
import zstandard

from medlock.fhir.paths import Path, parse_path
from medlock.fhir.query import Kind

DEFINITIONS: Final = "http://hl7.org/fhir/SearchParameter/"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter on one resource type.

    kind        how it is evaluated; None when this server does not evaluate it, and then `refusal` says why
    type        the parameter's type as FHIR spells it, composite and special included
    targets     resource types that a reference under it can name; empty: any type
    systems     implicit code systems of `code` elements (R4 §3.1.1.4.10): system|code means the bare code
    datatypes   data types of the elements it searches
    url         canonical address of the definition, for the CapabilityStatement
    """

    name: str
    kind: Kind | None
    type: str
    expression: str
    url: str
    targets: tuple[str, ...] = ()
    systems: frozenset[str] = frozenset()
    datatypes: frozenset[str] = frozenset()
    paths: tuple[Path, ...] = ()
    refusal: str = ""

    @property
    def ignores_case(self) -> bool:
        """Tokens over plain strings compare without case (R4 §3.1.1.4.10); every other token compares exactly."""
        return self.kind is Kind.TOKEN and self.datatypes == {"string"}


def _read_table() -> dict[str, Any]:
    packed = resources.files("medlock.fhir").joinpath("data/r4-search.json.zst").read_bytes()
    table: dict[str, Any] = orjson.loads(zstandard.ZstdDecompressor().decompress(packed))
    return table


_TABLE: Final = _read_table()

RESOURCE_TYPES: Final[frozenset[str]] = frozenset(_TABLE["types"]) - {"Resource"}

PATIENT_PARAMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {kind: tuple(names) for kind, names in _TABLE["compartment"].items()}
)


@cache
def parameters(resource_type: str) -> Mapping[str, Parameter]:
    """All parameters of a resource type by name, those common to every type included. Unknown type: empty."""
    if resource_type not in RESOURCE_TYPES:
        return MappingProxyType({})
    rows = _TABLE["types"]["Resource"] | _TABLE["types"][resource_type]
    return MappingProxyType({name: _parameter(name, row) for name, row in rows.items()})


def parameter(resource_type: str, name: str) -> Parameter | None:
    """One parameter of a resource type, or None when R4 has no such parameter there."""
    return parameters(resource_type).get(name)


def _parameter(name: str, row: dict[str, Any]) -> Parameter:
    paths = tuple(parse_path(*written) for written in row["paths"])
    refusal = _refusal(name, row)
    return Parameter(
        name=name,
        kind=None if refusal else Kind(row["type"]),
        type=row["type"],
        expression=row["expression"],
        url=DEFINITIONS + row["id"],
        targets=tuple(row["targets"]),
        systems=frozenset(row["systems"]),
        datatypes=frozenset(path.datatype for path in paths),
        paths=() if refusal else paths,
        refusal=refusal,
    )


def _refusal(name: str, row: dict[str, Any]) -> str:
    if row["type"] in {"composite", "special"}:
        return f"Parameters of type {row['type']} are not supported by this server."
    if name == "phonetic":
        return "Phonetic matching is not supported by this server."
    if not row["paths"]:
        return "Text search is not supported by this server."
    return ""
