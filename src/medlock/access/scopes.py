"""SMART on FHIR resource scopes, parsed once into what each one allows (SMART App Launch 2.2, "Scopes").

`patient/Observation.rs`, `user/*.cruds`, and the first version's words: `.read` is `.rs`, `.write` is `.cud`,
`.*` is `.cruds`. Letters stand in the order c r u d s, each at most once. `r` is read, vread and instance history,
`s` is search, `u` also covers an update that creates. With a query (`patient/Observation.rs?category=…|laboratory`,
a granular scope) it speaks of the resources that meet it and of no others (`access.granular`).

Several scopes are a union, resource by resource: a right on a resource is there when one of the scopes that speak of
this very resource has the letter. Letters of scopes that speak of other resources never count for it.

What is not understood is refused when the token is made, never passed over: launch and OpenID words
(`oauth.scope` holds those), unknown resource types, queries that cannot be enforced, an empty text. So a scope that
stands in a token is one that this server enforces whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from medlock.access.granular import Unenforceable, read_query
from medlock.access.groups import ALL_TYPES
from medlock.errors import BadRequest
from medlock.fhir.query import Condition

CREATE, READ, UPDATE, DELETE, SEARCH = 1, 2, 4, 8, 16
_LETTERS = {"c": CREATE, "r": READ, "u": UPDATE, "d": DELETE, "s": SEARCH}
_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}
_FORM = re.compile(r"(patient|user|system)/(\*|[A-Za-z]{1,64})\.(read|write|\*|(?=.)c?r?u?d?s?)(?:\?([!#-\[\]-~]*))?")
ANY = "*"
GRANULAR_MAX = 128
"""Scopes with a query in one text: each may be compared with each resource."""


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
class Scope:
    """One scope. `query` is its text as it was given, "" for none; `conditions` are what it says."""

    kind: Kind
    type: str
    bits: int
    query: str = ""
    conditions: tuple[Condition, ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        """In the second version's spelling, the query as it was given."""
        plain = f"{self.kind}/{self.type}.{letters(self.bits)}"
        return f"{plain}?{self.query}" if self.query else plain


@dataclass(frozen=True, slots=True)
class Scopes:
    """What an app was granted: for each kind, rights per resource type. `text` is the canonical form.

    Made by `parse_scopes` and `scopes_of` only; `NO_SCOPES` allows nothing. `narrows` tells whether any has a query.
    """

    text: str = ""
    _allowed: Mapping[Kind, Mapping[str, int]] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, compare=False
    )
    each: tuple[Scope, ...] = field(default=(), repr=False, compare=False)
    narrows: bool = field(default=False, repr=False, compare=False)

    def allowed(self, kind: Kind, resource_type: str) -> int:
        """The rights on one type under scopes of one kind, as bits, be it on some resources only; 0: there are none."""
        of_kind = self._allowed.get(kind)
        if of_kind is None:
            return 0
        return of_kind.get(resource_type, 0) | of_kind.get(ANY, 0)

    def plain(self, kind: Kind, resource_type: str) -> int:
        """The rights on every resource of a type: those of scopes without a query."""
        return _union(each.bits for each in self._about(kind, resource_type) if not each.query)

    def granular(self, kind: Kind, resource_type: str) -> tuple[Scope, ...]:
        """The scopes with a query that speak of a type."""
        return tuple(each for each in self._about(kind, resource_type) if each.query)

    def _about(self, kind: Kind, resource_type: str) -> Iterable[Scope]:
        return (each for each in self.each if each.kind is kind and each.type in {resource_type, ANY})

    def kinds(self) -> frozenset[Kind]:
        """The kinds that occur."""
        return frozenset(self._allowed)


NO_SCOPES = Scopes()


def parse_scopes(text: str) -> Scopes:
    """Scopes from their text, blanks between them. Raises BadRequest, by position, at the first not understood."""
    words = text.split()
    if not words:
        raise BadRequest("At least one scope is needed, such as patient/*.rs or user/Observation.cruds.")
    return scopes_of([parse_scope(word, position) for position, word in enumerate(words, 1)])


def scopes_of(given: Iterable[Scope]) -> Scopes:
    """These scopes together. Raises BadRequest when too many have a query."""
    plain: dict[tuple[Kind, str, str], Scope] = {}
    for each in given:
        at = each.kind, each.type, each.query
        bits = each.bits | (plain[at].bits if at in plain else 0)
        plain[at] = Scope(each.kind, each.type, bits, each.query, each.conditions)
    together = tuple(plain[at] for at in sorted(plain))
    if sum(each.query != "" for each in together) > GRANULAR_MAX:
        raise BadRequest(f"At most {GRANULAR_MAX} scopes may have a query.")
    allowed: dict[Kind, dict[str, int]] = {}
    for each in together:
        of_kind = allowed.setdefault(each.kind, {})
        of_kind[each.type] = of_kind.get(each.type, 0) | each.bits
    frozen = MappingProxyType({kind: MappingProxyType(of_kind) for kind, of_kind in allowed.items()})
    text = " ".join(each.text for each in together)
    return Scopes(text, frozen, together, narrows=any(each.query for each in together))


def parse_scope(word: str, position: int = 1) -> Scope:
    """One scope. Raises BadRequest, by position: the text of what is refused is not repeated."""
    form = _FORM.fullmatch(word)
    if form is None:
        raise BadRequest(
            f"Scope {position} is not one this server enforces: write patient|user|system/Type.cruds "
            "(or .read, .write, .*), with a ?query of search parameters if need be."
        )
    kind, resource_type, given, query = form.groups()
    if resource_type != ANY and resource_type not in ALL_TYPES:
        raise BadRequest(f"Scope {position} names a resource type that is not offered.")
    bits = rights(_FIRST_VERSION.get(given, given))
    if query is None:
        return Scope(Kind(kind), resource_type, bits)
    if given in _FIRST_VERSION:
        raise BadRequest(f"Scope {position} has a query, which only letters (.cruds) can have.")
    try:
        return Scope(Kind(kind), resource_type, bits, query, read_query(resource_type, query))
    except Unenforceable as fault:
        raise BadRequest(f"Scope {position} {fault}") from None


def _union(bits: Iterable[int]) -> int:
    found = 0
    for each in bits:
        found |= each
    return found
