"""Which codes make a resource sensitive: value sets that ship as data, each with its source (data/sensitive.json).

A code stands there whole, or with a star for all codes that begin so. It is a floor, not a ceiling: who writes a
resource may label it as more than its codes say, never as less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Final

import msgspec

DATA: Final = "data/sensitive.json"
_CODES: Final = ("icd", "snomed", "loinc", "rxnorm", "atc")


class ValueSet(msgspec.Struct, frozen=True, kw_only=True):
    """Codes that mean one kind of sensitive matter, and the labels of it (v3-ActCode).

    `part2`: records of its treatment may fall under 42 CFR Part 2.
    """

    name: str
    labels: tuple[str, ...]
    source: str
    part2: bool = False
    icd: tuple[str, ...] = ()
    snomed: tuple[str, ...] = ()
    loinc: tuple[str, ...] = ()
    rxnorm: tuple[str, ...] = ()
    atc: tuple[str, ...] = ()

    def codes(self, family: str) -> tuple[str, ...]:
        """Its codes of one family of systems."""
        found: tuple[str, ...] = getattr(self, family)
        return found


class Rules(msgspec.Struct, frozen=True):
    """All value sets, and the addresses that a family of code systems goes by."""

    edition: str
    systems: Mapping[str, tuple[str, ...]]
    sets: tuple[ValueSet, ...]


class Looked(msgspec.Struct, frozen=True):
    """The rules turned round, for look-ups: whole codes, and beginnings by their length."""

    whole: Mapping[tuple[str, str], frozenset[str]]
    begin: Mapping[str, tuple[int, Mapping[str, frozenset[str]]]]


@cache
def shipped() -> Rules:
    """The rules of this release."""
    return msgspec.json.decode(resources.files(__package__).joinpath(DATA).read_bytes(), type=Rules)


def sensitivities(codings: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The sensitivity labels (v3-ActCode) that these codings, (system, code), call for."""
    looked = _looked()
    found: set[str] = set()
    for system, code in codings:
        found |= looked.whole.get((system, code), _NONE)
        longest, beginnings = looked.begin.get(system, _NO_BEGINNING)
        for end in range(2, min(longest, len(code)) + 1):
            found |= beginnings.get(code[:end], _NONE)
    return frozenset(found)


@cache
def part2() -> frozenset[str]:
    """The labels of matters whose treatment 42 CFR Part 2 protects."""
    return frozenset(label for each in shipped().sets if each.part2 for label in each.labels)


_NONE: Final[frozenset[str]] = frozenset()
_NO_BEGINNING: Final[tuple[int, Mapping[str, frozenset[str]]]] = (0, {})


@cache
def _looked() -> Looked:
    whole: dict[tuple[str, str], frozenset[str]] = {}
    begin: dict[str, dict[str, frozenset[str]]] = {}
    for each, system, code in _pairs():
        if code.endswith("*"):
            of_system = begin.setdefault(system, {})
            of_system[code[:-1]] = of_system.get(code[:-1], _NONE) | set(each.labels)
        else:
            whole[system, code] = whole.get((system, code), _NONE) | set(each.labels)
    return Looked(whole, {system: (max(map(len, found)), found) for system, found in begin.items()})


def _pairs() -> Iterable[tuple[ValueSet, str, str]]:
    rules = shipped()
    for each in rules.sets:
        for family in _CODES:
            for system in rules.systems[family]:
                for code in each.codes(family):
                    yield each, system, code
