"""Distinct tuples with how often each occurs: all that a search needs of a table, and the only pass over its rows.

A tuple is a leaf for every quasi-identifier and a code for every sensitive attribute. Counts of parts of a table, from
Spark partitions or SQL groups, add up to the counts of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medlock.deid.tabular.hierarchy import Codes, Reals
from medlock.deid.tabular.ranking import Ints, Keys, firsts, joined, ranked
from medlock.errors import BadRequest


@dataclass(frozen=True)
class Counts:
    """`T` distinct tuples: `quasi` is (m, T) leaves, `sensitive` (T,) codes by attribute, `weight` (T,) records.

    `first` (T,) is the row where each tuple is met first. Where the records are a sample of a larger table,
    `population` (T,) counts the tuple there, sample included, and `weight` may be zero.
    """

    quasi: Sequence[Codes]
    sensitive: Mapping[str, Codes]
    weight: Ints
    first: Ints
    population: Ints | None = None
    whole: Mapping[str, Ints] | None = None

    @cached_property
    def records(self) -> int:
        """Records in all."""
        return int(self.weight.sum())

    @cached_property
    def totals(self) -> Mapping[str, Ints]:
        """(S,) records of the whole table with each value of a sensitive attribute, by code."""
        if self.whole is not None:
            return self.whole
        return {name: np.bincount(codes, self.weight).astype(np.int64) for name, codes in self.sensitive.items()}

    def distribution(self, attribute: str) -> Reals:
        """(S,) part of the whole table's records that each value has."""
        totals = self.totals[attribute]
        return totals / totals.sum()

    def taken(self, tuples: NDArray[np.intp] | NDArray[np.bool_]) -> Counts:
        """Some of the tuples, which keep the distributions of the whole table."""
        return Counts(
            [codes[tuples] for codes in self.quasi],
            {name: codes[tuples] for name, codes in self.sensitive.items()},
            self.weight[tuples],
            self.first[tuples],
            None if self.population is None else self.population[tuples],
            self.totals,
        )


@dataclass(frozen=True)
class Rows:
    """Encoded rows of a table: leaves by quasi-identifier, codes by sensitive attribute, and who is in the sample."""

    quasi: Sequence[Codes]
    sensitive: Mapping[str, Codes]
    sample: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.quasi[0])

    @cached_property
    def tuples(self) -> Keys:
        """The tuple of each row."""
        columns = sorted([*self.quasi, *self.sensitive.values()], key=lambda codes: int(codes.max(initial=0)))
        return ranked(joined(Keys(codes.astype(np.int64), int(codes.max(initial=0)) + 1) for codes in columns))

    def counted(self) -> Counts:
        """Their distinct tuples. Raises BadRequest for a table or sample without rows."""
        if not len(self) or (self.sample is not None and not self.sample.any()):
            msg = "The table has no rows; there is nothing to make anonymous."
            raise BadRequest(msg)
        ids, count = self.tuples
        rows = firsts(ids, count)
        everyone = np.bincount(ids, minlength=count)
        within = None if self.sample is None else np.bincount(ids[self.sample], minlength=count)
        return Counts(
            [codes[rows] for codes in self.quasi],
            {name: codes[rows] for name, codes in self.sensitive.items()},
            everyone if within is None else within,
            rows,
            None if within is None else everyone,
        )


def merged(parts: Sequence[Counts]) -> Counts:
    """The counts of all parts together. `first` must count rows across the parts."""
    whole = Rows(
        [np.concatenate(columns) for columns in zip(*(part.quasi for part in parts), strict=True)],
        {name: np.concatenate([part.sensitive[name] for part in parts]) for name in parts[0].sensitive},
    )
    ids, count = whole.tuples
    weight = np.concatenate([part.weight for part in parts])
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, ids, np.concatenate([part.first for part in parts]))
    rows = firsts(ids, count)
    return Counts(
        [codes[rows] for codes in whole.quasi],
        {name: codes[rows] for name, codes in whole.sensitive.items()},
        np.bincount(ids, weight, count).astype(np.int64),
        first,
    )
