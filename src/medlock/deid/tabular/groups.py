"""Counts from rows that were grouped elsewhere: by SQL, by Spark, by anything that can count equal rows.

A group is the words of the quasi-identifiers and of the sensitive attributes, in the plan's order, and how many rows
have them. The search that follows is the same as over rows read here; a recoding is applied part by part wherever the
rows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medlock.deid.tabular.columns import Column, Table, column
from medlock.deid.tabular.counts import Counts, Rows, merged
from medlock.deid.tabular.hierarchy import SUPPRESSED
from medlock.deid.tabular.local import Recoding
from medlock.deid.tabular.ranking import Ints
from medlock.deid.tabular.release import Plan, encoded
from medlock.errors import BadRequest


@dataclass(frozen=True)
class Groups:
    """(G,) groups: `words` one list for each column of `names`, `rows` how many, `first` the first row of each."""

    names: Sequence[str]
    words: Sequence[Sequence[str]]
    rows: Sequence[int]
    first: Sequence[int]


def grouped_columns(plan: Plan) -> list[str]:
    """The columns to group by. Raises BadRequest for a subset, which rows cannot be told to belong to elsewhere."""
    if plan.sample is not None:
        msg = "A subset works with a table that is read here, not with one that is grouped elsewhere."
        raise BadRequest(msg)
    return list(dict.fromkeys([*plan.quasi, *plan.sensitive]))


def grouping_query(table: str, plan: Plan) -> str:
    """The SQL that groups a table; names are quoted as the standard says (ISO 9075)."""
    names = ", ".join(_quoted(name) for name in grouped_columns(plan))
    return f"SELECT {names}, COUNT(*) FROM {_quoted(table)} GROUP BY {names}"  # noqa: S608 - quoted above


def counted(groups: Groups, plan: Plan) -> Counts:
    """Counts of grouped rows. Raises BadRequest as for rows; a row in its message is the number of a group."""
    table = Table({name: column(name, words) for name, words in zip(groups.names, groups.words, strict=True)})
    rows = encoded(table, plan)
    part = Counts(rows.quasi, rows.sensitive, np.array(groups.rows, np.int64), np.array(groups.first, np.int64))
    return merged([part])


@dataclass(frozen=True)
class PartPublisher:
    """Applies a recoding to parts of a table, one after the other or at the same time: it can be sent to workers."""

    plan: Plan
    recoding: Recoding

    @cached_property
    def _known(self) -> dict[bytes, int]:
        """A tuple of the counts for each combination of leaves; combinations share levels whatever is sensitive."""
        leaves = np.stack(self.recoding.counts.quasi, axis=1).astype(np.int32)
        return {row.tobytes(): at for at, row in enumerate(leaves)}

    def publish(self, part: Table) -> Table:
        """The published columns of a part.

        Raises BadRequest for a row whose quasi-identifiers were not among those that were counted.
        """
        quasi = [part.column(name).leaves(hierarchy) for name, hierarchy in self.plan.quasi.items()]
        ids, count = Rows(quasi, {}).tuples
        known = self._lookup(np.stack(quasi, axis=1), ids, count)
        levels, lost = self.recoding.levels[:, known], self.recoding.lost[known]
        columns = {}
        for name in self.plan.published:
            if name in self.plan.quasi:
                at = list(self.plan.quasi).index(name)
                words, numbers = self.recoding.hierarchies[at].words
                shown = Column(name, words, numbers[np.maximum(levels[at], 0), quasi[at]])
            else:
                shown = part.column(name)
            columns[name] = _hidden(shown, lost)
        return Table(columns)

    def _lookup(self, leaves: Ints, ids: Ints, count: int) -> Ints:
        """(N,) the tuple of each row."""
        found = np.empty(count, np.int64)
        example = np.empty(count, np.int64)
        example[ids] = np.arange(len(ids))
        for at, row in enumerate(example):
            number = self._known.get(leaves[row].astype(np.int32).tobytes())
            if number is None:
                msg = f"Row {int(row) + 1} of a part was not among the rows that were counted; count again."
                raise BadRequest(msg)
            found[at] = number
        return found[ids]


def _hidden(shown: Column, lost: np.typing.NDArray[np.bool_]) -> Column:
    words = (*shown.words, SUPPRESSED)
    return Column(shown.name, words, np.where(lost, len(shown.words), shown.codes).astype(np.int32))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
