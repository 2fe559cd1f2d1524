"""From a resource's search values to its index row, and from a search value to the hash it would have there.

Hashes are 64 bits, keyed per tenant: whoever writes records cannot make two values collide on purpose, and by
accident it happens once in 10^19 comparisons. So an equal hash counts as an equal value, without opening the body.
"""

from __future__ import annotations

import msgspec

from medlock.crypto.prf import ValueHash
from medlock.fhir.normalise import fold
from medlock.fhir.searchparams import RESOURCE_TYPES
from medlock.fhir.values import Values
from medlock.store.bodies import Meta
from medlock.store.entries import TEXT_MAX, IndexEntry, parameter_number

REMEMBERED = 200_000
TYPE_NUMBERS = {name: number for number, name in enumerate(sorted(RESOURCE_TYPES), 1)}
TYPE_NAMES = {number: name for name, number in TYPE_NUMBERS.items()}


class Place(msgspec.Struct, frozen=True):
    """Where a version lies: row id, owner's slot, tag of the sealed body, index flags."""

    rid: int
    slot: int
    tag: int
    flags: int = 0


class Indexer:
    """Makes index rows; remembers hashes, because codes repeat from resource to resource."""

    def __init__(self, hasher: ValueHash) -> None:
        self._of = hasher.of
        self._known: dict[str, int] = {}
        self._tokens: dict[tuple[str, tuple[str, str, str]], tuple[int, int]] = {}

    def hash(self, text: str) -> int:
        """The hash of one canonical value text, as made by the functions below."""
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[text] = self._of(text.encode())
        return found

    def entry(self, meta: Meta, place: Place, values: Values | None) -> IndexEntry:
        """The index row of one version; `values` is None for a tombstone."""
        known = Values() if values is None else values
        return IndexEntry(
            place.rid,
            place.slot,
            meta.version,
            place.tag,
            TYPE_NUMBERS[meta.type],
            place.flags,
            meta.updated,
            meta.labels,
            self._hashes(meta.type, known),
            tuple([(parameter_number(param), low, high) for param, low, high in known.dates]),
            tuple({(parameter_number(param), fold(text)[:TEXT_MAX]) for param, text in known.strings}),
        )

    def _hashes(self, type_: str, values: Values) -> tuple[int, ...]:
        found: set[int] = set()
        known = self._tokens
        for token in values.tokens:
            found.update(known.get((type_, token)) or self._token_hashes(type_, token))
        for param, target in values.references:
            found.add(self.hash(whole_text(type_, param, target)))
        for param, uri in values.uris:
            found.add(self.hash(whole_text(type_, param, uri)))
        for each in values.identifiers:
            found.add(self.hash(identifier_text(type_, *each)))
        return tuple(found)

    def _token_hashes(self, type_: str, token: tuple[str, str, str]) -> tuple[int, int]:
        """With its system and without; remembered together, for nearly every value of a record is a token."""
        if len(self._tokens) >= REMEMBERED:
            self._tokens.clear()
        param, system, code = token
        texts = token_text(type_, param, system, code), any_system_text(type_, param, code)
        pair = self._tokens[type_, token] = self.hash(texts[0]), self.hash(texts[1])
        return pair


def token_text(type_: str, param: str, system: str, code: str) -> str:
    """A token with its system ("" for none)."""
    return f"{type_}.{param}|{system}|{code}"


def any_system_text(type_: str, param: str, code: str) -> str:
    """A token whatever its system."""
    return f"{type_}.{param}*{code}"


def whole_text(type_: str, param: str, value: str) -> str:
    """A reference or uri, compared whole."""
    return f"{type_}.{param}={value}"


def identifier_text(type_: str, param: str, system: str, value: str) -> str:
    """The identifier inside a reference, for the :identifier modifier."""
    return f"{type_}.{param}#{system}|{value}"
