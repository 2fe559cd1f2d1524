"""What a thief reads out of a stolen data file without any key: rows, their lengths, their places, and what was written together.

Pages are taken apart by hand (SQLite's file format, §1.6 and §4), because order inside and among pages tells when a row
was written, which no SQL statement shows. The journal tells more: each commit with the pages that it changed.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from medlock.store.tables import Table

PAGE = 4_096
_INTERIOR, _LEAF = 5, 13
_FRAME = 24


@dataclass(frozen=True, slots=True)
class Place:
    """A row as it lies: page number, how far from the end of the page it begins, and its length."""

    table: Table
    key: int
    page: int
    depth: int
    length: int


def varint(data: bytes, at: int) -> tuple[int, int]:
    """SQLite's variable-length integer, and where it ends."""
    value = 0
    for step in range(8):
        byte = data[at + step]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + step + 1
    return value << 8 | data[at + 8], at + 9


def cells(page: bytes, offset: int = 0) -> list[int]:
    """Where the cells of a b-tree page begin."""
    (count,) = struct.unpack_from(">H", page, offset + 3)
    first = offset + (12 if page[offset] == _INTERIOR else 8)
    return list(struct.unpack_from(f">{count}H", page, first))


def leaf_rows(page: bytes) -> Iterator[tuple[int, int, int]]:
    """Key, distance from the end of the page, and length of the blob, of each row of a leaf."""
    for start in cells(page):
        _, at = varint(page, start)
        key, at = varint(page, at)
        _, at = varint(page, at)  # length of the record's head
        _, at = varint(page, at)  # the key again, which is NULL
        kind, _ = varint(page, at)
        yield key - (1 << 64) if key >> 63 else key, PAGE - start, (kind - 12) // 2


def children(page: bytes) -> list[int]:
    """The pages below an interior page."""
    return [*(struct.unpack_from(">I", page, at)[0] for at in cells(page)), struct.unpack_from(">I", page, 8)[0]]


def leaves(pages: Mapping[int, bytes], root: int) -> Iterator[int]:
    """The leaf pages of a b-tree, in the order of keys."""
    page = pages[root]
    if page[0] == _LEAF:
        yield root
    else:
        for child in children(page):
            yield from leaves(pages, child)


@dataclass
class Commit:
    """One commit in the journal: rows that it added and rows that it took away, as (table, key) and length."""

    added: dict[tuple[Table, int], int] = field(default_factory=dict)
    removed: dict[tuple[Table, int], int] = field(default_factory=dict)


@dataclass
class Loot:
    """A stolen file. `commits` is empty when no journal was there."""

    rows: dict[Table, dict[int, bytes]]
    places: dict[Table, list[Place]]
    commits: list[Commit]

    def lengths(self, table: Table) -> set[int]:
        """The lengths that rows of a table have."""
        return {len(ct) for ct in self.rows[table].values()}


def steal(path: Path) -> Loot:
    """Everything in the file at `path` and in its journal."""
    data = path.read_bytes()
    base = {number + 1: data[number * PAGE : (number + 1) * PAGE] for number in range(len(data) // PAGE)}
    journal = path.with_name(path.name + "-wal")
    steps = list(frames(journal.read_bytes())) if journal.exists() else []
    with closing(sqlite3.connect(path)) as db:
        roots = {
            table: db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
            for table in Table
        }
        rows = {table: dict(db.execute(f"SELECT key, ct FROM {table}")) for table in Table}  # noqa: S608 - enum
    last = dict(base)
    for step in steps:
        last |= step
    places = {
        table: [
            Place(table, key, page, depth, length)
            for page in leaves(last, root)
            for key, depth, length in leaf_rows(last[page])
        ]
        for table, root in roots.items()
    }
    return Loot(rows, places, list(commits(base, steps, roots)))


def frames(journal: bytes) -> Iterator[dict[int, bytes]]:
    """The pages that each commit in a journal wrote (SQLite's file format, §4.1); older rounds of it are passed over."""
    salts, pages, at = journal[16:24], {}, 32
    while at + _FRAME + PAGE <= len(journal):
        number, size = struct.unpack_from(">II", journal, at)
        if journal[at + 8 : at + 16] != salts:
            return
        pages[number] = journal[at + _FRAME : at + _FRAME + PAGE]
        at += _FRAME + PAGE
        if size:
            yield pages
            pages = {}


def commits(base: Mapping[int, bytes], steps: list[dict[int, bytes]], roots: Mapping[Table, int]) -> Iterator[Commit]:
    """What each commit added and took away, by comparing the leaves that it wrote with what they were before."""
    now = dict(base)
    owner = owners(now, roots)
    for step in steps:
        before = rows_in(step.keys() & now.keys(), now, owner)
        old = {number: now.get(number, b"\0") for number in step}
        now |= step
        if any(_INTERIOR in {page[0], step[number][0]} or not page[0] for number, page in old.items()):
            owner = owners(now, roots)
        after = rows_in(step.keys(), now, owner)
        yield Commit(
            {row: length for row, length in after.items() if row not in before},
            {row: length for row, length in before.items() if row not in after},
        )


def owners(pages: Mapping[int, bytes], roots: Mapping[Table, int]) -> dict[int, Table]:
    """Which table a leaf page is of."""
    return {page: table for table, root in roots.items() for page in leaves(pages, root)}


def rows_in(
    numbers: Iterable[int], pages: Mapping[int, bytes], owner: Mapping[int, Table]
) -> dict[tuple[Table, int], int]:
    """Rows and their lengths in those of these pages that are leaves."""
    return {
        (owner[number], key): length
        for number in numbers
        if number in owner
        for key, _, length in leaf_rows(pages[number])
    }
