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

from medlock.fhir.paths import Path, Step, parse_path, parse_steps
from medlock.fhir.query import Kind

DEFINITIONS: Final = "http://hl7.org/fhir/SearchParameter/"


REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "phonetic": "names are found by their beginning with `name`; no algorithm by sound is offered.",
        "_text": "an index of words would tell what sealed notes say.",
        "_content": "an index of words would tell what sealed notes say.",
        "_query": "no named queries are defined here.",
        "_filter": "write each condition as a parameter of its own: only so can each be checked.",
        "_contained": "contained resources are shown with their container, never by themselves.",
        "_containedType": "contained resources are shown with their container, never by themselves.",
        "_type": "it belongs to a search over several types, [base]?_type=…",
    }
)
"""What this server knows and refuses, and why."""


@dataclass(frozen=True, slots=True)
class Composite:
    """How a composite parameter is joined: its parts hold together in one of the places that the roots lead to.

    implied  for each part the plain parameter that every match meets as well, "" for none
    whole    for each part whether its paths begin at the resource instead of at such a place
    """

    roots: tuple[tuple[Step, ...], ...]
    parts: tuple[Parameter, ...]
    implied: tuple[str, ...]
    whole: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter on one resource type.

    kind        how it is evaluated; None when this server does not evaluate it, and then `refusal` says why
    type        the parameter's type as FHIR spells it, composite and special included
    targets     resource types that a reference under it can name; empty: any type
    systems     implicit code systems of `code` elements (R4 §3.1.1.4.10): system|code means the bare code
    datatypes   data types of the elements it searches
    bound       value sets that its codes are bound to
    composite   how its parts are joined, for a composite
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
    bound: tuple[str, ...] = ()
    composite: Composite | None = None

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
        expression=row.get("expression", ""),
        url=row.get("url") or DEFINITIONS + row.get("id", ""),
        targets=tuple(row["targets"]),
        systems=frozenset(row["systems"]),
        datatypes=frozenset(path.datatype for path in paths),
        paths=() if refusal else paths,
        refusal=refusal,
        bound=tuple(row["bound"]),
        composite=_composite(row["composite"]) if row.get("composite") else None,
    )


def _composite(row: dict[str, Any]) -> Composite:
    return Composite(
        roots=tuple(parse_steps(written) for written in row["roots"]),
        parts=tuple(_parameter(part["name"], part) for part in row["parts"]),
        implied=tuple(row["implied"]),
        whole=tuple(part["whole"] for part in row["parts"]),
    )


def _refusal(name: str, row: dict[str, Any]) -> str:
    if name in REASONS:
        return REASONS[name]
    if row["type"] == "composite" and not row.get("composite"):
        return "R4 defines its two parts the wrong way round."
    return ""
