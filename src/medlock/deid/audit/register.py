"""Linkage with a register: whom of a list of known people may each released record be?

The register is a table with the same attributes, not generalised: a voters' roll, a customer file. A person is possible
for a record when every released value covers theirs. The chance of a right link is one over those possible; a record
with one possible person is linked, and where the register names who is in the original, linked rightly or wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medlock.deid.audit.cover import Attribute, Sight, tuples
from medlock.deid.tabular.columns import Column, Table
from medlock.deid.tabular.counts import Rows
from medlock.deid.tabular.hierarchy import Codes
from medlock.deid.tabular.ranking import Ints

BLOCK = 1 << 16  # people whose bits are held at a time
NOBODY = -1
Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Linkage:
    """`highest` and `average` chance of a right link over released records, and how many have one possible person.

    `linked` is the part of the records with one possible person; `right` of how many it is the true one (None when that
    cannot be known).
    """

    people: int
    shared: list[str]
    highest: float
    average: float
    linked: float
    right: float | None


def linkage(sight: Sight, register: Table, ids: tuple[Column, Column] | None) -> Linkage:
    """Link by all attributes that the register has.

    `ids` are the ids of the original's rows and of the register's; the release must then have the original's rows in
    their order. Raises BadRequest through the tables when no attribute is shared.
    """
    places = [at for at, name in enumerate(sight.names) if name in register.columns]
    attributes = [sight.attributes[at] for at in places]
    released = [sight.release[at] for at in places]
    counts = tuples(released)
    possible, last = _possible(attributes, counts.quasi, _known(attributes, register))
    of = Rows(released, {}).tuples.keys
    chance = np.where(possible > 0, 1 / np.maximum(possible, 1), 0.0)[of] * sight.shown
    linked = (possible == 1)[of] & sight.shown
    return Linkage(
        people=len(register),
        shared=[attribute.name for attribute in attributes],
        highest=float(chance.max()),
        average=float(chance.sum() / max(1, sight.shown.sum())),
        linked=float(linked.sum() / max(1, sight.shown.sum())),
        right=None if ids is None else _right(linked, last[of], *ids) / max(1, int(sight.shown.sum())),
    )


def _known(attributes: Sequence[Attribute], register: Table) -> list[Codes]:
    """(m, R) leaves of the register; a value that the release's hierarchy lacks fits only a suppressed one."""
    return [
        np.array([each.hierarchy.leaf.get(word, NOBODY) for word in register.column(each.name).words], np.int32)[
            register.column(each.name).codes
        ]
        for each in attributes
    ]


def _possible(attributes: Sequence[Attribute], released: Sequence[Codes], people: Sequence[Codes]) -> tuple[Ints, Ints]:
    """(T,) how many people fit each released tuple, and the row of the last of them."""
    many = np.zeros(len(released[0]), np.int64)
    last = np.full(len(released[0]), NOBODY)
    for start in range(0, len(people[0]), BLOCK):
        block = [codes[start : start + BLOCK] for codes in people]
        bits = [_bits(attribute, codes) for attribute, codes in zip(attributes, block, strict=True)]
        for at, fit in enumerate(_fits(bits, released)):
            found = int(np.bitwise_count(fit).sum())
            if found == 1:
                last[at] = start + int(np.flatnonzero(np.unpackbits(fit))[0])
            many[at] += found
    return many, last


def _fits(bits: Sequence[Bits], released: Sequence[Codes]) -> Iterator[Bits]:
    for row in zip(*(codes.tolist() for codes in released), strict=True):
        fit = bits[0][row[0]]
        for each, word in zip(bits[1:], row[1:], strict=True):
            fit = fit & each[word]
        yield fit


def _bits(attribute: Attribute, people: Codes) -> Bits:
    """(W, R/8) for each word, whom it covers."""
    found = np.zeros((len(attribute.words), -(-len(people) // 8)), np.uint8)
    for word in range(len(attribute.words)):
        covered = np.zeros(attribute.hierarchy.size + 1, bool)  # the last place is for values unknown
        covered[attribute.covered(word)] = True
        covered[NOBODY] = attribute.sizes[word] == attribute.hierarchy.size
        found[word] = np.packbits(covered[people])
    return found


def _right(linked: NDArray[np.bool_], last: Ints, original: Column, register: Column) -> int:
    rows = np.flatnonzero(linked)
    return sum(
        original.words[original.codes[row]] == register.words[register.codes[last[row]]] for row in rows.tolist()
    )
