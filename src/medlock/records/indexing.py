"""From a resource's search values to its index row, and from a search value to the hash it would have there.

Hashes are 64 bits, keyed per tenant: whoever writes records cannot make two values collide on purpose, and by
accident it happens once in 10^19 comparisons. So an equal hash counts as an equal value, without opening the body.
"""

from __future__ import annotations

from dataclasses import dataclass

from medlock.crypto.prf import ValueHash
from medlock.fhir.normalise import fold
from medlock.fhir.searchparams import RESOURCE_TYPES
from medlock.fhir.values import Values
from medlock.store.bodies import Meta
from medlock.store.entries import TEXT_MAX, IndexEntry, parameter_number

REMEMBERED = 200_000
TYPE_NUMBERS = {name: number for number, name in enumerate(sorted(RESOURCE_TYPES), 1)}
TYPE_NAMES = {number: name for name, number in TYPE_NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Place:
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
            tuple((parameter_number(param), low, high) for param, low, high in known.dates),
            tuple({(parameter_number(param), fold(text)[:TEXT_MAX]) for param, text in known.strings}),
        )

    def _hashes(self, type_: str, values: Values) -> tuple[int, ...]:
        texts: set[str] = set()
        for param, system, code in values.tokens:
            texts.add(token_text(type_, param, system, code))
            texts.add(any_system_text(type_, param, code))
        texts.update(whole_text(type_, param, target) for param, target in values.references)
        texts.update(whole_text(type_, param, uri) for param, uri in values.uris)
        texts.update(identifier_text(type_, param, system, value) for param, system, value in values.identifiers)
        return tuple(map(self.hash, texts))


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
