"""Columns of words as codes, and a table of columns encoded for counting.

An error names the column and the row, never the value: values are somebody's data. Rows count from 1, the first line of
data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medlock.deid.tabular.hierarchy import Codes, Hierarchy
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


@dataclass(frozen=True)
class Column:
    """One column: for each row the number of its word."""

    name: str
    words: tuple[str, ...]
    codes: Codes

    def leaves(self, hierarchy: Hierarchy) -> Codes:
        """For each row the leaf of its value. Raises BadRequest for a value that the hierarchy does not have."""
        known = np.array([hierarchy.leaf.get(word, -1) for word in self.words] or [-1], np.int32)
        found = known[self.codes]
        if (found < 0).any():
            row = int(np.argmax(found < 0)) + 1
            msg = (
                f"Row {row} has a value in column {self.name} that the hierarchy of {self.name} does not list; add it."
            )
            raise BadRequest(msg)
        return found

    @cached_property
    def ranks(self) -> Codes:
        """For each row the rank of its value among the values, as numbers if all are numbers, else as text."""
        order = _order(self.words)
        places = np.empty(len(order), np.int32)
        places[order] = np.arange(len(order), dtype=np.int32)
        return places[self.codes]

    def require_unique(self) -> None:
        """Raise BadRequest with the first row whose value stood in an earlier row."""
        seen = np.full(len(self.words), -1, np.int64)
        rows = np.arange(len(self.codes))
        seen[self.codes[::-1]] = rows[::-1]
        again = np.flatnonzero(seen[self.codes] != rows)
        if len(again):
            row = int(again[0])
            msg = f"Rows {int(seen[self.codes[row]]) + 1} and {row + 1} have the same {self.name}; ids must be unique."
            raise BadRequest(msg)


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name."""

    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return max((len(column.codes) for column in self.columns.values()), default=0)

    def column(self, name: str) -> Column:
        """A column. Raises BadRequest when there is none of that name."""
        if name not in self.columns:
            msg = f"The table has no column {name}; its columns are {', '.join(self.columns)}."
            raise BadRequest(msg)
        return self.columns[name]


def column(name: str, values: Sequence[str]) -> Column:
    """A column from its words row by row."""
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int32)
    return Column(name, tuple(numbers), codes)


def table(columns: Mapping[str, Sequence[str]]) -> Table:
    """A table from words."""
    return Table({name: column(name, values) for name, values in columns.items()})


def subset_rows(whole: Table, part: Table) -> np.typing.NDArray[np.bool_]:
    """(N,) which rows of a table are those of a part: for equal rows, the first of them.

    Raises BadRequest with the row of the part that the table does not have, or has less often.
    """
    names = list(part.columns)
    wanted: dict[tuple[str, ...], list[int]] = {}
    for at, row in enumerate(_rows(part, names)):
        wanted.setdefault(row, []).append(at)
    chosen = np.zeros(len(whole), bool)
    for at, row in enumerate(_rows(whole, names)):
        if waiting := wanted.get(row):
            waiting.pop(0)
            chosen[at] = True
    missing = min((rows[0] for rows in wanted.values() if rows), default=None)
    if missing is not None:
        msg = f"Row {missing + 1} of the subset is not a row of the table; a subset has rows of the table only."
        raise BadRequest(msg)
    return chosen


def _rows(of: Table, names: Sequence[str]) -> list[tuple[str, ...]]:
    lists = [np.array(of.column(name).words, object)[of.column(name).codes].tolist() for name in names]
    return list(zip(*lists, strict=True))


def _order(words: Sequence[str]) -> Sequence[int]:
    """The words' places in ascending order."""
    places = range(len(words))
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return sorted(places, key=words.__getitem__)
    return sorted(places, key=numbers.__getitem__)


def counted(codes: Codes, size: int) -> Ints:
    """(size,) how many rows have each code."""
    return np.bincount(codes, minlength=size).astype(np.int64)
