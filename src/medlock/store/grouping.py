"""What a group of batches comes to, worked out before anything is written.

A back end whose writers take turns (one lock, held until the commit is visible) may ask once which of the rows that
the group is conditional on exist, and then play the batches through in memory, one after the other: each sees what
those before it did, a conflict drops its batch alone, and what remains is one final state for each row. No savepoints,
and as many questions for 500 batches as for one. Pure: rows in, rows out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from operator import itemgetter

from medlock.store.tables import Batch, Row, Table

Name = tuple[Table, int]
_NAME = itemgetter(0, 1)


class Write(Enum):
    """How a row is written; the value is the order in a statement's text."""

    INSERT = 0  # it is not there
    PUT = 1  # it may be there
    DELETE = 2


Piece = tuple[Write, Table, list[int], list[bytes]]
"""Rows of one table that are written alike, ascending by key; of deletes only the keys."""


def conditions(batches: Iterable[Batch]) -> dict[Table, set[int]]:
    """The rows whose existence decides which batches go through."""
    asked: dict[Table, set[int]] = {}
    for batch in batches:
        for table, key in (*map(_NAME, batch.inserts), *batch.requires):
            asked.setdefault(table, set()).add(key)
    return asked


def expected(batches: Iterable[Batch]) -> dict[Table, set[int]]:
    """The rows whose bytes decide which batches go through."""
    asked: dict[Table, set[int]] = {}
    for batch in batches:
        for table, key, _ in batch.expects:
            asked.setdefault(table, set()).add(key)
    return asked


class Group:
    """The state of the rows that a group touches, batch after batch.

    there  which of the `conditions` exist before the first batch
    held   what those of the `expected` rows hold that exist before it
    """

    def __init__(self, there: Iterable[Name], held: Mapping[Name, bytes] | None = None) -> None:
        self._there = set(there)
        self._held = held or {}
        self._now: dict[Name, bytes | None] = {}
        self._fresh: set[Name] = set()  # not there before, as somebody's insert found out

    def play(self, batch: Batch) -> bool:
        """Take the batch in; False, and nothing changed, when a row is not as the batch demands."""
        inserts = list(map(_NAME, batch.inserts))
        if len(set(inserts)) != len(inserts) or any(map(self._exists, inserts)):
            return False
        if not all(map(self._exists, batch.requires)):
            return False
        if any(self._content((table, key)) != ct for table, key, ct in batch.expects):
            return False
        self._fresh.update(name for name in inserts if name not in self._now)
        self.put(batch.inserts)
        self.put(batch.puts)
        self._now.update(dict.fromkeys(batch.deletes))
        return True

    def put(self, rows: Iterable[Row]) -> None:
        """Rows that are written whether or not they exist."""
        self._now.update({(table, key): ct for table, key, ct in rows})

    def written(self, table: Table, key: int) -> bytes | None:
        """What a row becomes, if the group writes it."""
        return self._now.get((table, key))

    def pieces(self) -> list[Piece]:
        """What to write: each row once, so the order of the pieces does not matter."""
        sorted_out: dict[tuple[Write, Table], list[Row]] = {}
        for name in sorted(self._now):
            ct = self._now[name]
            sorted_out.setdefault((self._how(name, ct), name[0]), []).append((*name, ct or b""))
        return [(how, table, *_columns(rows)) for (how, table), rows in sorted_out.items()]

    def _exists(self, name: Name) -> bool:
        return self._now[name] is not None if name in self._now else name in self._there

    def _content(self, name: Name) -> bytes | None:
        return self._now[name] if name in self._now else self._held.get(name)

    def _how(self, name: Name, ct: bytes | None) -> Write:
        if ct is None:
            return Write.DELETE
        return Write.INSERT if name in self._fresh else Write.PUT


def _columns(rows: Sequence[Row]) -> tuple[list[int], list[bytes]]:
    return [key for _, key, _ in rows], [ct for _, _, ct in rows]


def chunked(pieces: Iterable[Piece], rows: int) -> list[list[Piece]]:
    """The pieces in portions of at most so many rows each, cut where need be."""
    portions: list[list[Piece]] = [[]]
    room = rows
    for how, table, keys, cts in pieces:
        at = 0
        while at < len(keys):
            if not room:
                portions.append([])
                room = rows
            portions[-1].append((how, table, keys[at : at + room], cts[at : at + room]))
            at, room = at + room, max(0, room - (len(keys) - at))
    return [portion for portion in portions if portion]
