"""The equivalence classes that a transformation makes of counted tuples, without sorting and with little memory.

A transformation is one level for each quasi-identifier. The quasi-identifiers are dealt into two blocks; the key that
a block gives each tuple on given levels is remembered, so that most transformations cost one multiplication and one
scatter over the tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.hierarchy import Codes, Hierarchy, Reals
from medlock.deid.tabular.ranking import Ints, Keys, joined, ranked

T = TypeVar("T")
Levels = tuple[int, ...]
Mask = NDArray[np.bool_]
SLOTS_MAX = 1 << 23
REMEMBERED = 192  # keys of blocks: four bytes a tuple each


@dataclass(frozen=True)
class Classes:
    """Classes of some of the tuples: `members` (P,) which tuples, `of` (P,) the class of each, `number` of classes."""

    counts: Counts
    members: Ints
    of: Ints
    number: int
    _known: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def sizes(self) -> Ints:
        """(C,) records in each class."""
        return self._summed(self.counts.weight)

    @cached_property
    def population(self) -> Ints:
        """(C,) records of the population in each class; the sizes themselves where there is none."""
        return self.sizes if self.counts.population is None else self._summed(self.counts.population)

    @cached_property
    def first(self) -> Ints:
        """(C,) the first row of each class; of the sample where there is one."""
        rows = np.full(self.number, np.iinfo(np.int64).max)
        within = self.counts.weight[self.members] > 0
        np.minimum.at(rows, self.of[within], self.counts.first[self.members[within]])
        return rows

    def once(self, of: object, make: Callable[[], T]) -> T:
        """What a model finds out about these classes, found out once."""
        if of not in self._known:
            self._known[of] = make()
        return self._known[of]

    def table(self, attribute: str) -> Ints:
        """(C, S) records of each class that have each value of a sensitive attribute."""
        return self.once(attribute, lambda: self._table(attribute))

    def _table(self, attribute: str) -> Ints:
        codes = self.counts.sensitive[attribute]
        values = len(self.counts.totals[attribute])
        keys = self.of * values + codes[self.members]
        flat = np.bincount(keys, self.counts.weight[self.members], self.number * values)
        return flat.astype(np.int64).reshape(self.number, values)

    def averaged(self, values: Reals) -> Reals:
        """(C,) the value that all tuples of a class share, given for each member."""
        found = np.empty(self.number)
        found[self.of] = values
        return found

    def _summed(self, weight: Ints) -> Ints:
        return np.bincount(self.of, weight[self.members], self.number).astype(np.int64)


class Grouper:
    """Groups one table's tuples."""

    def __init__(self, counts: Counts, hierarchies: Sequence[Hierarchy]) -> None:
        self.counts = counts
        self.hierarchies = hierarchies
        self._slots = np.zeros(1, np.int64)
        by_size = sorted(range(len(hierarchies)), key=lambda at: -len(np.unique(counts.quasi[at])))
        self._blocks = [sorted(by_size[0::2]), sorted(by_size[1::2])]
        self._block = lru_cache(REMEMBERED)(self._block_keys)

    def generalised(self, attribute: int, level: int) -> Codes:
        """(T,) the group of each tuple's value on a level."""
        return self.hierarchies[attribute].groups[level][self.counts.quasi[attribute]]

    def keys(self, levels: Levels, among: Ints | None = None) -> Keys:
        """(T,) keys that are equal where tuples become equal; with `among` (A,) those of these tuples."""
        parts = [self._block(at, tuple(levels[j] for j in block)) for at, block in enumerate(self._blocks) if block]
        first, *rest = (Keys(part.keys if among is None else part.keys[among], part.span) for part in parts)
        found = Keys(first.keys.astype(np.int64), first.span)
        for part in rest:
            found = Keys(found.keys * part.span + part.keys, found.span * part.span)
        return found if found.span <= SLOTS_MAX else ranked(found)

    def sizes(self, keys: Keys, among: Ints | None = None) -> Ints:
        """(T,) or (A,) records in the class of each tuple."""
        weight = self.counts.weight if among is None else self.counts.weight[among]
        slots = self._room(keys.span)
        np.add.at(slots, keys.keys, weight)
        sizes = slots.take(keys.keys)
        slots[keys.keys] = 0
        return sizes

    def classes(self, keys: Keys, members: Mask, among: Ints | None = None) -> Classes:
        """The classes of those tuples that are members: a mask over (T,), or over (A,)."""
        which = np.flatnonzero(members)
        wanted = keys.keys[which]
        slots = self._room(keys.span)
        order = np.arange(len(which))
        slots[wanted] = order
        last = slots.take(wanted)
        slots[wanted] = 0
        numbers = np.cumsum(last == order) - 1
        number = int(numbers[-1]) + 1 if len(which) else 0
        return Classes(self.counts, which if among is None else among[which], numbers[last], number)

    def _room(self, span: int) -> Ints:
        if span > len(self._slots):
            self._slots = np.zeros(span, np.int64)
        return self._slots

    def _block_keys(self, block: int, levels: Levels) -> Keys:
        columns = zip(self._blocks[block], levels, strict=True)
        parts = (
            Keys(self.generalised(at, level).astype(np.int64), len(self.hierarchies[at].labels[level]))
            for at, level in columns
        )
        keys, span = ranked(joined(parts))
        return Keys(keys.astype(np.int32), span)  # ranks fit, and memory is what limits
