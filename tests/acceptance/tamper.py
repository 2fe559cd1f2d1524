"""One row changed behind everybody's back, in any table of either file: what was done, and which rows it touched."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acceptance.scene import DATA, KEYS
from medlock.store.schema import FIRST_TABLES
from medlock.store.tables import Table

Cell = dict[int, bytes]
Touched = set[tuple[str, int]]

COUNTERS = (Table.LOG, Table.DIROP)
"""Tables with a tail that can be cut off."""


def rows_of(path: Path) -> dict[Table, Cell]:
    """Every row of the sealed tables."""
    with closing(sqlite3.connect(path)) as db:
        return {table: dict(db.execute(f"SELECT key, ct FROM {table}")) for table in Table}  # noqa: S608 - enum


VERIFIED = (*FIRST_TABLES, Table.CHUNK)
"""The tables of which every row is vouched for."""


@dataclass
class Tamperer:
    """Changes copies of one data file. `earlier` are the rows of older copies, to put back."""

    now: dict[Table, Cell]
    earlier: list[dict[Table, Cell]]
    rng: random.Random
    path: Path = Path()
    _ways: list[Callable[[Table], Touched]] = field(init=False)

    def __post_init__(self) -> None:
        self._ways = [
            self._flip, self._scramble, self._cut, self._extend, self._delete, self._insert_noise, self._insert_copy,
            self._overwrite, self._swap, self._swap_across, self._roll_back, self._bring_back, self._truncate,
        ]  # fmt: skip

    def tamper(self, path: Path) -> tuple[str, Touched]:
        """Change something in the copy at `path`; the way, and the rows that are not as they were written."""
        self.path = path
        while True:
            table, way = self.rng.choice(VERIFIED), self.rng.choice(self._ways)
            if touched := way(table):
                return f"{way.__name__.strip('_')} {table}", touched

    def _put(self, table: Table, rows: Cell) -> Touched:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows.items())  # noqa: S608 - enum
        return {(table, key) for key in rows}

    def _remove(self, table: Table, keys: list[int]) -> Touched:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in keys])  # noqa: S608 - enum
        return {(table, key) for key in keys}

    def _pick(self, table: Table) -> int | None:
        return self.rng.choice(list(self.now[table])) if self.now[table] else None

    def _change(self, table: Table, change: Callable[[bytes], bytes]) -> Touched:
        key = self._pick(table)
        return set() if key is None else self._put(table, {key: change(self.now[table][key])})

    def _flip(self, table: Table) -> Touched:
        def flipped(row: bytes) -> bytes:
            at = self.rng.randrange(len(row))
            return row[:at] + bytes([row[at] ^ 1 << self.rng.randrange(8)]) + row[at + 1 :]

        return self._change(table, flipped)

    def _scramble(self, table: Table) -> Touched:
        return self._change(table, lambda row: self.rng.randbytes(len(row)))

    def _cut(self, table: Table) -> Touched:
        return self._change(table, lambda row: row[: self.rng.randrange(len(row))])

    def _extend(self, table: Table) -> Touched:
        return self._change(table, lambda row: row + self.rng.randbytes(self.rng.randrange(1, 600)))

    def _delete(self, table: Table) -> Touched:
        key = self._pick(table)
        return set() if key is None else self._remove(table, [key])

    def _free(self, table: Table) -> int:
        """A key that no row has: near the others, far away, or below zero."""
        last = max(self.now[table], default=0)
        while True:
            near = last + self.rng.randrange(1, 50)
            key = self.rng.choice([near, self.rng.randrange(1 << 62), -self.rng.randrange(1, 99), (1 << 63) - 1])
            if key not in self.now[table] and key < 1 << 63:
                return key

    def _insert_noise(self, table: Table) -> Touched:
        return self._put(table, {self._free(table): self.rng.randbytes(self.rng.choice([0, 7, 60, 572, 5000]))})

    def _insert_copy(self, table: Table) -> Touched:
        key = self._pick(table)
        return set() if key is None else self._put(table, {self._free(table): self.now[table][key]})

    def _two(self, table: Table) -> list[int]:
        keys = list(self.now[table])
        return self.rng.sample(keys, 2) if len(keys) > 1 else []

    def _overwrite(self, table: Table) -> Touched:
        pair = self._two(table)
        return self._put(table, {pair[0]: self.now[table][pair[1]]}) if pair else set()

    def _swap(self, table: Table) -> Touched:
        pair = self._two(table)
        if not pair:
            return set()
        one, other = pair
        return self._put(table, {one: self.now[table][other], other: self.now[table][one]})

    def _swap_across(self, table: Table) -> Touched:
        other = self.rng.choice([each for each in Table if each is not table and self.now[each]])
        mine, theirs = self._pick(table), self._pick(other)
        if mine is None or theirs is None:
            return set()
        return self._put(table, {mine: self.now[other][theirs]}) | self._put(other, {theirs: self.now[table][mine]})

    def _roll_back(self, table: Table) -> Touched:
        now, before = self.now[table], self.rng.choice(self.earlier)[table]
        older = [key for key in now if key in before and before[key] != now[key]]
        key = self.rng.choice(older) if older else None
        return set() if key is None else self._put(table, {key: before[key]})

    def _bring_back(self, table: Table) -> Touched:
        now, before = self.now[table], self.rng.choice(self.earlier)[table]
        gone = [key for key in before if key not in now]
        key = self.rng.choice(gone) if gone else None
        return set() if key is None else self._put(table, {key: before[key]})

    def _truncate(self, table: Table) -> Touched:
        if table not in COUNTERS:
            return set()
        keys = sorted(self.now[table])
        cut = keys[-self.rng.randrange(1, max(2, len(keys) // 3)) :]
        self._remove(table, cut)
        return {(table, cut[0])}


@dataclass
class KeyTamperer:
    """The same for the keystore's file: key rows, epochs, meta."""

    rng: random.Random
    earlier: list[Path]
    path: Path = Path()

    def tamper(self, path: Path) -> str:
        """Change something; the way."""
        self.path = path
        ways = [self._flip, self._cut, self._delete, self._insert, self._swap, self._move, self._roll_back]
        while True:
            table, way = self.rng.choice(["key", "key", "key", "epoch", "meta"]), self.rng.choice(ways)
            with closing(sqlite3.connect(path)) as db, db:
                changed = way(db, table)
            if changed:
                return f"{way.__name__.strip('_')} {table}"

    def _pick(self, db: sqlite3.Connection, table: str) -> tuple[Any, ...]:
        rows = db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
        return self.rng.choice(sorted(rows))

    @staticmethod
    def _where(table: str, row: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        if table == "key":
            return "slot = ? AND generation = ?", row[:2]
        return ("number = ?" if table == "epoch" else "name = ?"), row[:1]

    def _set(self, db: sqlite3.Connection, table: str, row: tuple[Any, ...], sealed: bytes) -> bool:
        where, values = self._where(table, row)
        column = "value" if table == "meta" else "wrapped"
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (sealed, *values))  # noqa: S608
        return sealed != row[-1]

    def _flip(self, db: sqlite3.Connection, table: str) -> bool:
        row = self._pick(db, table)
        at = self.rng.randrange(len(row[-1]))
        return self._set(db, table, row, row[-1][:at] + bytes([row[-1][at] ^ 1]) + row[-1][at + 1 :])

    def _cut(self, db: sqlite3.Connection, table: str) -> bool:
        row = self._pick(db, table)
        return self._set(db, table, row, row[-1][: self.rng.randrange(len(row[-1]))])

    def _delete(self, db: sqlite3.Connection, table: str) -> bool:
        where, values = self._where(table, self._pick(db, table))
        db.execute(f"DELETE FROM {table} WHERE {where}", values)  # noqa: S608
        return True

    def _insert(self, db: sqlite3.Connection, table: str) -> bool:
        row = self._pick(db, table)
        if table != "key":
            return False
        slot = self.rng.choice([self.rng.randrange(1, 1 << 62), -5])
        db.execute("INSERT INTO key VALUES (?, ?, ?, ?)", (slot, *row[1:]))
        return True

    def _swap(self, db: sqlite3.Connection, table: str) -> bool:
        one, other = self._pick(db, table), self._pick(db, table)
        return one[:2] != other[:2] and self._set(db, table, one, other[-1]) and self._set(db, table, other, one[-1])

    def _move(self, db: sqlite3.Connection, table: str) -> bool:
        row = self._pick(db, table)
        if table != "key":
            return False
        db.execute(
            "UPDATE key SET slot = ? WHERE slot = ? AND generation = ?", (self.rng.randrange(1, 1 << 62), *row[:2])
        )
        return True

    def _roll_back(self, db: sqlite3.Connection, table: str) -> bool:
        row = self._pick(db, table)
        where, values = self._where(table, row)
        with closing(sqlite3.connect(self.rng.choice(self.earlier) / KEYS)) as old:
            found = old.execute(f"SELECT * FROM {table} WHERE {where}", values).fetchone()  # noqa: S608
        return found is not None and self._set(db, table, row, found[-1])


__all__ = ["DATA", "KEYS", "KeyTamperer", "Tamperer", "Touched", "rows_of"]
