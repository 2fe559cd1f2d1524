"""SMART on FHIR resource scopes, parsed once into what each one allows (SMART App Launch 2.2, "Scopes").

`patient/Observation.rs`, `user/*.cruds`, and the first version's words: `.read` is `.rs`, `.write` is `.cud`,
`.*` is `.cruds`. Letters stand in the order c r u d s, each at most once. `r` is read, vread and instance history,
`s` is search, `u` also covers an update that creates.

What is not understood is refused when the token is made, never passed over: scopes with a query
(`?category=…`, which would have to narrow), launch and OpenID words, unknown resource types, an empty text. So a
scope that stands in a token is one that this server enforces whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from medlock.access.groups import ALL_TYPES
from medlock.errors import BadRequest

CREATE, READ, UPDATE, DELETE, SEARCH = 1, 2, 4, 8, 16
_LETTERS = {"c": CREATE, "r": READ, "u": UPDATE, "d": DELETE, "s": SEARCH}
_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}
_FORM = re.compile(r"(patient|user|system)/(\*|[A-Za-z]{1,64})\.(read|write|\*|(?=.)c?r?u?d?s?)")
ANY = "*"


class Kind(StrEnum):
    """Whose rights a scope passes on: the patient's in context, the signed-in person's, the program's own."""

    PATIENT = "patient"
    USER = "user"
    SYSTEM = "system"


def rights(letters: str) -> int:
    """The set of rights that SMART letters such as "rs" name, as bits."""
    bits = 0
    for letter in letters:
        bits |= _LETTERS[letter]
    return bits


def letters(bits: int) -> str:
    """The SMART letters of a set of rights, in canonical order."""
    return "".join(letter for letter, bit in _LETTERS.items() if bits & bit)


@dataclass(frozen=True, slots=True)
class Scopes:
    """What an app was granted: for each kind, rights per resource type. `text` is the canonical form.

    Made by `parse_scopes` only; `NO_SCOPES` allows nothing.
    """

    text: str = ""
    _allowed: Mapping[Kind, Mapping[str, int]] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, compare=False
    )

    def allowed(self, kind: Kind, resource_type: str) -> int:
        """The rights on one type under scopes of one kind, as bits; 0 when there are none."""
        of_kind = self._allowed.get(kind)
        if of_kind is None:
            return 0
        return of_kind.get(resource_type, 0) | of_kind.get(ANY, 0)

    def kinds(self) -> frozenset[Kind]:
        """The kinds that occur."""
        return frozenset(self._allowed)


NO_SCOPES = Scopes()


def parse_scopes(text: str) -> Scopes:
    """Scopes from their text, blanks between them. Raises BadRequest, by position, at the first not understood."""
    found: dict[Kind, dict[str, int]] = {}
    words = text.split()
    if not words:
        raise BadRequest("At least one scope is needed, such as patient/*.rs or user/Observation.cruds.")
    for position, word in enumerate(words, 1):
        kind, resource_type, bits = _parse(word, position)
        of_kind = found.setdefault(kind, {})
        of_kind[resource_type] = of_kind.get(resource_type, 0) | bits
    frozen = {kind: MappingProxyType(of_kind) for kind, of_kind in found.items()}
    return Scopes(_canonical(found), MappingProxyType(frozen))


def _parse(word: str, position: int) -> tuple[Kind, str, int]:
    """One scope as kind, type and rights."""
    form = _FORM.fullmatch(word)
    if form is None:
        raise BadRequest(
            f"Scope {position} is not one this server enforces: write patient|user|system/Type.cruds "
            "(or .read, .write, .*), without a query."
        )
    kind, resource_type, given = form.groups()
    if resource_type != ANY and resource_type not in ALL_TYPES:
        raise BadRequest(f"Scope {position} names a resource type that is not offered.")
    return Kind(kind), resource_type, rights(_FIRST_VERSION.get(given, given))


def _canonical(found: Mapping[Kind, Mapping[str, int]]) -> str:
    """One text for one meaning: kinds and types in order, letters in the order of the standard."""
    return " ".join(
        f"{kind}/{resource_type}.{letters(found[kind][resource_type])}"
        for kind in sorted(found)
        for resource_type in sorted(found[kind])
    )
