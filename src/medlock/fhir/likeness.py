"""How probable it is that two Patients are one person (Fellegi and Sunter, 1969), from what both say.

Each field that both name adds the logarithm of how much likelier its agreement is between records of one person than
between records of two; a disagreement takes away. The prior is one in as many as there are patients, and never
better than one in 65,536: a small directory is part of a large population. The weights are rounded from what record
linkage on names, dates and numbers usually measures; they are no fit to any population, so a probability here orders
candidates and says where to stop, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from math import log2
from typing import Final, NamedTuple

from medlock.fhir.normalise import fold
from medlock.fhir.values import Values

CERTAIN, PROBABLE, POSSIBLE = 0.99, 0.8, 0.2
POPULATION: Final = 65_536
TEXTS_MAX: Final = 32
GRADES: Final = (("certain", CERTAIN), ("probable", PROBABLE), ("possible", POSSIBLE))


class Weights(NamedTuple):
    """Bits for agreement, for near agreement, and for disagreement."""

    same: float
    near: float
    other: float


_IDENTIFIER: Final = Weights(24, 24, -4)
_FAMILY: Final = Weights(8, 3, -5)
_GIVEN: Final = Weights(5, 2, -4)
_BIRTH: Final = Weights(12, 4, -8)
_GENDER: Final = Weights(1, 1, -4)
_CONTACT: Final = Weights(15, 15, -0.5)
_PLACE: Final = Weights(5, 5, -1)


def probability(sought: Values, found: Values, patients: int) -> float:
    """That both are one person, among so many patients."""
    bits = sum(_evidence(sought, found)) - log2(max(patients, POPULATION))
    return 1 / (1 + 2 ** min(-bits, 1_000.0))


def grade(score: float) -> str:
    """The match-grade of a probability (R4 code system match-grade); "" below what is worth showing."""
    return next((name for name, least in GRADES if score >= least), "")


def _evidence(sought: Values, found: Values) -> Iterable[float]:
    yield _identifiers(sought, found)
    yield _texts(_folded(sought, "family"), _folded(found, "family"), _FAMILY)
    yield _texts(_folded(sought, "given"), _folded(found, "given"), _GIVEN)
    yield _births(sought, found)
    yield _sets(_codes(sought, ("gender",)), _codes(found, ("gender",)), _GENDER)
    yield _sets(_codes(sought, ("phone", "email")), _codes(found, ("phone", "email")), _CONTACT)
    yield _sets(_folded(sought, "address-postalcode"), _folded(found, "address-postalcode"), _PLACE)


def _identifiers(sought: Values, found: Values) -> float:
    """Numbers of one system compare; what only one of them has says nothing."""
    mine = {(system, code) for param, system, code in sought.tokens if param == "identifier" and system and code}
    theirs = {(system, code) for param, system, code in found.tokens if param == "identifier" and system and code}
    if mine & theirs:
        return _IDENTIFIER.same
    return _IDENTIFIER.other if {system for system, _ in mine} & {system for system, _ in theirs} else 0


def _births(sought: Values, found: Values) -> float:
    mine = {(low, high) for param, low, high in sought.dates if param == "birthdate"}
    theirs = {(low, high) for param, low, high in found.dates if param == "birthdate"}
    if not mine or not theirs:
        return 0
    if mine & theirs:
        return _BIRTH.same
    near = any(low < end and begin < high for low, high in mine for begin, end in theirs)  # a year and a day in it
    return _BIRTH.near if near else _BIRTH.other


def _texts(mine: set[str], theirs: set[str], weights: Weights) -> float:
    if mine & theirs or not mine or not theirs:
        return _sets(mine, theirs, weights)
    return weights.near if any(alike(one, other) for one in mine for other in theirs) else weights.other


def _sets(mine: set[str], theirs: set[str], weights: Weights) -> float:
    if not mine or not theirs:
        return 0
    return weights.same if mine & theirs else weights.other


def alike(one: str, other: str) -> bool:
    """Whether one edit turns the one into the other: a letter more, less, changed, or two in each other's place."""
    if abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < 3:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    left, right = one[start:], other[start:]
    swapped = left[:2][::-1] == right[:2] and left[2:] == right[2:]
    return swapped or left[1:] == right[1:] or left[1:] == right or left == right[1:]


def _folded(values: Values, param: str) -> set[str]:
    """The first of a patient's texts: each is compared with each of the other's."""
    found = (text for name, given in values.strings if name == param and (text := fold(given)))
    return set(islice(found, TEXTS_MAX))


def _codes(values: Values, params: tuple[str, ...]) -> set[str]:
    found = (code for param, _, code in values.tokens if param in params)
    return {"".join(letter for letter in code.casefold() if letter.isalnum() or letter == "@") for code in found}
