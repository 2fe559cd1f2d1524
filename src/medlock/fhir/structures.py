"""What R4 says about each type: its elements, their cardinalities, types and codes, its invariants.

The tables are distilled from the official package hl7.fhir.r4.core 4.0.1 (CC0-1.0) by
`scripts/distill_structures.py` and ship beside this module, 39 kB compressed. They are decompressed once per
process; a structure is decoded when it is first asked for, so a process pays for the types that it meets.

A structure is a type (`HumanName`), a resource (`Patient`) or an element with children of its own
(`Patient.contact`), under that name. `Element` and `Structure` are frozen; the functions are cached and pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Final

import msgspec
import zstandard

DATA: Final = "data/r4-structures.json.zst"
SUMMARY, MODIFIER, BARE, CHOICE = 1, 2, 4, 8


class Element(msgspec.Struct, array_like=True, frozen=True):
    """One element of a structure, as the distiller writes it.

    name     without [x]
    min      0 or 1
    max      1, or 0 for no limit
    types    type names, or the name of a structure made by the element's own children
    flags    SUMMARY | MODIFIER | BARE (JSON has no `_name` beside it) | CHOICE (value[x])
    codes    name of the code list of its required binding, "" when it has none that ships
    targets  resource types that a Reference here may point to; empty means any
    rules    (key, FHIRPath) of invariants that belong to this element and not to its type
    """

    name: str
    min: int
    max: int
    types: tuple[str, ...]
    flags: int = 0
    codes: str = ""
    targets: tuple[str, ...] = ()
    rules: tuple[tuple[str, str], ...] = ()

    @property
    def is_choice(self) -> bool:
        """True for value[x]: JSON names the type, as in valueQuantity."""
        return bool(self.flags & CHOICE)

    @property
    def is_list(self) -> bool:
        """True when JSON writes an array, whatever the number of items (R4 §2.6.2)."""
        return self.max != 1

    @property
    def in_summary(self) -> bool:
        """True when `_summary=true` keeps it."""
        return bool(self.flags & SUMMARY)

    @property
    def is_modifier(self) -> bool:
        """True when it can change the meaning of the rest (R4 §2.1.0.5)."""
        return bool(self.flags & MODIFIER)

    def members(self) -> tuple[tuple[str, str], ...]:
        """(JSON member, type) of each form that this element can take."""
        if not self.is_choice:
            return ((self.name, self.types[0]),)
        return tuple((self.name + _suffix(kind), kind) for kind in self.types)

    def json_names(self) -> frozenset[str]:
        """Every JSON member that belongs to this element, the `_name` forms of primitives included."""
        plain = [key for key, _ in self.members()]
        beside = [f"_{key}" for key, kind in self.members() if is_primitive(kind) and not self.flags & BARE]
        return frozenset(plain + beside)


@dataclass(frozen=True)
class Structure:
    """A type, resource or inner element with everything that it inherits, bases first."""

    name: str
    elements: tuple[Element, ...]
    rules: tuple[tuple[str, str], ...]
    is_resource: bool

    @cached_property
    def steps(self) -> dict[str, tuple[tuple[str, str, str], ...]]:
        """FHIRPath child name → (JSON member, the same with _ before it, type) of the forms it can take."""
        return {each.name: tuple((key, f"_{key}", kind) for key, kind in each.members()) for each in self.elements}

    @cached_property
    def owner(self) -> dict[str, tuple[Element, str]]:
        """JSON member, `_name` included → the element that it belongs to and its type there."""
        pairs = [(key, element, kind) for element in self.elements for key, kind in element.members()]
        beside = [(f"_{key}", element, kind) for key, element, kind in pairs if f"_{key}" in element.json_names()]
        return {key: (element, kind) for key, element, kind in pairs + beside}

    @cached_property
    def objects(self) -> dict[str, tuple[str, str]]:
        """JSON member → (FHIRPath name, type) of the object in it; beside a primitive stands an Element."""
        owner = self.owner.items()
        return {key: (element.name, "Element" if key[0] == "_" else kind) for key, (element, kind) in owner}


class _Row(msgspec.Struct, frozen=True):
    base: str
    elements: tuple[Element, ...]
    rules: tuple[tuple[str, str], ...]


class _Tables(msgspec.Struct, frozen=True):
    fhir: str
    resources: frozenset[str]
    structures: dict[str, msgspec.Raw]
    codes: dict[str, tuple[tuple[str, str], ...]]


@cache
def _tables() -> _Tables:
    packed = resources.files(__package__).joinpath(DATA).read_bytes()
    return msgspec.json.decode(zstandard.decompress(packed), type=_Tables)


def resource_types() -> frozenset[str]:
    """The names of the 146 concrete resource types of R4."""
    return _tables().resources


@cache
def structure(name: str) -> Structure | None:
    """The structure called `name`; None when R4 has none (a primitive type, a name from elsewhere)."""
    packed = _tables().structures.get(name)
    if packed is None:
        return None
    row = msgspec.json.decode(packed, type=_Row)
    base = structure(row.base) if row.base else None
    inherited, rules = (base.elements, base.rules) if base else ((), ())
    return Structure(name, inherited + row.elements, rules + row.rules, _is_resource(name, base))


def _is_resource(name: str, base: Structure | None) -> bool:
    return name == "Resource" or (base is not None and base.is_resource)


@cache
def json_names(name: str, element: str) -> frozenset[str]:
    """The JSON members that an element of structure `name` can take; none for names that R4 does not have."""
    found = structure(name)
    elements = found.elements if found else ()
    return frozenset().union(*(each.json_names() for each in elements if each.name == element))


@cache
def codes(name: str) -> tuple[tuple[str, str], ...]:
    """(system, code) pairs of the required code list `name`; empty when it does not ship."""
    return _tables().codes.get(name, ())


@cache
def is_primitive(kind: str) -> bool:
    """True for a FHIR primitive type; they begin with a small letter and all others do not (R4 §2.24.0)."""
    return kind[:1].islower() and "." not in kind


def _suffix(kind: str) -> str:
    """How a type is written in valueQuantity: SimpleQuantity, a profile, counts as Quantity."""
    kind = kind.removeprefix("Simple")
    return kind[0].upper() + kind[1:]
