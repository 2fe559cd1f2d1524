"""Keyed pseudonyms of one project: docs/spec/pseudonyms.md, format 1.

Everything comes from the project key by HMAC: without it nothing can be recomputed, undone or linked, and two
projects have nothing in common. Ids become UUIDs of version 8, dates move by days drawn per patient, and values keep
their form: a permutation over all texts of the same form, so two patients never share a number by accident.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

from medlock.crypto.kdf import derive
from medlock.crypto.prf import Prf
from medlock.errors import BadRequest
from medlock.fhir.structures import resource_types

KEY_BYTES: Final = 32
DAYS_MAX: Final = 364
_REMEMBERED: Final = 200_000
_ROUNDS: Final = 10
_CLASSES: Final = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_ALPHABET: Final = {letter: alphabet for alphabet in _CLASSES for letter in alphabet}
PLACE: Final = "https://deidentified.invalid/fhir/"  # RFC 2606: a base address that can never be anybody's


class Pseudonyms:
    """The pseudonyms of one project. Raises BadRequest when the key is not 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise BadRequest("A project key has 32 bytes.")
        self._key = key
        self._ids: dict[str, str] = {}
        self._references: dict[str, str] = {}

    def __repr__(self) -> str:
        return "<Pseudonyms>"

    def prf(self, what: str) -> Prf:
        """The function for one kind of pseudonym."""
        return Prf(derive(self._key, f"medlock/1/deid/{what}"))

    @cached_property
    def _id(self) -> Prf:
        return self.prf("id")

    @cached_property
    def _days(self) -> Prf:
        return self.prf("days")

    def id(self, text: str) -> str:
        """The pseudonym of an id: a UUID of version 8 (RFC 9562 §5.8)."""
        found = self._ids.get(text)
        if found is None:
            if len(self._ids) > _REMEMBERED:
                self._ids.clear()
            found = self._ids[text] = _uuid(self._id.digest(text.encode()))
        return found

    def days(self, patient: str, *, weeks: bool = False) -> int:
        """How far this patient's dates move: 1 to 364 days back, or 1 to 52 whole weeks."""
        label = self._days.label(patient.encode())
        return -7 * (1 + label % 52) if weeks else -(1 + label % DAYS_MAX)

    def reference(self, text: str) -> str:
        """A literal reference with its id replaced; its type stays where it names one of R4."""
        found = self._references.get(text)
        if found is None:
            if len(self._references) > _REMEMBERED:
                self._references.clear()
            found = self._references[text] = self._referred(text)
        return found

    def _referred(self, text: str) -> str:
        if text[:1] == "#":
            return f"#{self.id(text[1:])}" if len(text) > 1 else text
        if text.startswith(("urn:uuid:", "urn:oid:")):
            return f"urn:uuid:{self.id(text.rpartition(':')[2])}"
        bare = text.partition("/_history/")[0]
        kind, _, tail = bare.partition("?")
        if tail and kind in resource_types():  # a search by what identifies: its answer gets an id of its own
            return f"{kind}/{self.id(text)}"
        parts = bare.split("/")
        if len(parts) > 1 and parts[-2] in resource_types() and parts[-1]:
            return f"{parts[-2]}/{self.id(parts[-1])}"
        return f"urn:uuid:{self.id(text)}"

    def full_url(self, text: str) -> str:
        """The address of a Bundle entry, such that references to it still find it."""
        found = self.reference(text)
        return found if found.startswith("urn:") else PLACE + found

    def like(self, kind: str, text: str) -> str:
        """A text of the same form: digits for digits, letters for letters in their case, all else as it is."""
        return _permuted(text, self.prf(f"like/{kind}"), forward=True)

    def unlike(self, kind: str, text: str) -> str:
        """The text that `like` made this one of."""
        return _permuted(text, self.prf(f"like/{kind}"), forward=False)

    def chooser(self, kind: str) -> Callable[[str, int], int]:
        """(text, n) → a number below n that stays the same for the text."""
        prf = self.prf(f"choice/{kind}")
        return lambda text, n: prf.label(text.casefold().encode()) % n


def _uuid(digest: bytes) -> str:
    raw = bytearray(digest)
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _permuted(text: str, prf: Prf, *, forward: bool) -> str:
    """A Feistel network over the letters and digits of `text`, with moduli from their classes."""
    places = [(at, _ALPHABET[letter]) for at, letter in enumerate(text) if letter in _ALPHABET]
    half = len(places) // 2
    if not places:
        return text
    form = "".join(str(_CLASSES.index(_ALPHABET[x])) if x in _ALPHABET else x for x in text)
    sides = [places[:half], places[half:]]
    values = [_number(text, side) for side in sides]
    moduli = [_size(side) for side in sides]
    for turn in range(_ROUNDS) if forward else reversed(range(_ROUNDS)):
        mine, other = turn % 2, 1 - turn % 2
        noise = _wide(prf, f"{turn}\x1f{form}\x1f{values[other]}".encode())
        values[mine] = (values[mine] + (noise if forward else -noise)) % moduli[mine]
    out = list(text)
    for side, value in zip(sides, values, strict=True):
        rest = value
        for at, alphabet in reversed(side):
            rest, digit = divmod(rest, len(alphabet))
            out[at] = alphabet[digit]
    return "".join(out)


def _wide(prf: Prf, data: bytes) -> int:
    """256 bits: as many as any half of a value of up to 50 characters needs, with room to be uniform."""
    return int.from_bytes(prf.digest(data + b"\x00") + prf.digest(data + b"\x01"), "big")


def _number(text: str, places: list[tuple[int, str]]) -> int:
    value = 0
    for at, alphabet in places:
        value = value * len(alphabet) + alphabet.index(text[at])
    return value


def _size(places: list[tuple[int, str]]) -> int:
    size = 1
    for _, alphabet in places:
        size *= len(alphabet)
    return size
