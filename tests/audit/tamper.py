"""One row changed behind the log's back: what was done, and what verification should say about it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from medlock.audit.findings import Kind
from medlock.store.memory import Disk
from medlock.store.tables import Table

TABLES = (Table.LOG, Table.TILE, Table.TIP, Table.LOGINDEX)
WAYS = ("scramble", "flip", "cut", "delete", "insert", "swap", "copy", "truncate", "roll back")


@dataclass
class Tamperer:
    """Changes rows of a disk at random. `earlier` are snapshots whose rows may be put back."""

    disk: Disk
    earlier: list[Disk]
    rng: random.Random

    def tamper(self):
        """Change something; the way, and the findings to expect as {(table, key): kinds}."""
        tables = [table for table in TABLES if len(self.disk.keys[table]) > 1]
        while True:
            table, way = self.rng.choice(tables), self.rng.choice(WAYS)
            if expected := getattr(self, "_" + way.replace(" ", "_"))(table):
                return f"{way} {table}", expected

    def _pick(self, table):
        return self.rng.choice(self.disk.keys[table])

    def _change(self, table, change):
        key = self._pick(table)
        self.disk.put(table, key, change(self.disk.rows[table][key]))
        return {(table, key): {Kind.EDITED}}

    def _scramble(self, table):
        return self._change(table, lambda row: self.rng.randbytes(len(row)))

    def _cut(self, table):
        """Not to a whole number of hashes: of a tile that grows, that is an earlier state."""
        return self._change(
            table, lambda row: row[: self.rng.randrange(len(row)) // 32 * 32 + self.rng.randrange(1, 32)]
        )

    def _flip(self, table):
        def flipped(row):
            at = self.rng.randrange(len(row))
            return row[:at] + bytes([row[at] ^ 1 << self.rng.randrange(8)]) + row[at + 1 :]

        return self._change(table, flipped)

    def _delete(self, table):
        key = self._pick(table)
        is_last = table is Table.LOG and key == self.disk.keys[table][-1]
        self.disk.delete(table, key)
        return {(table, key): {Kind.TRUNCATED if is_last else Kind.DELETED}}

    def _insert(self, table):
        last = self.disk.keys[table][-1]
        key = self.rng.choice([last + 1, last + self.rng.randrange(2, 10**6), -self.rng.randrange(1, 99), 1 << 61])
        row = self.disk.rows[table][self._pick(table)] if self.rng.random() < 0.5 else self.rng.randbytes(600)
        self.disk.put(table, key, row)
        return {(table, key): {Kind.INSERTED}}

    def _swap(self, table):
        one, two = self.rng.sample(self.disk.keys[table], 2)
        rows = self.disk.rows[table]
        rows[one], rows[two] = rows[two], rows[one]
        kind = Kind.REORDERED if table is Table.LOG else Kind.EDITED
        return {(table, one): {kind}, (table, two): {kind}}

    def _copy(self, table):
        one, two = self.rng.sample(self.disk.keys[table], 2)
        self.disk.put(table, one, self.disk.rows[table][two])
        return {(table, one): {Kind.EDITED}}

    def _truncate(self, table):
        if table is not Table.LOG:
            return None
        count = self.rng.randrange(1, 700)
        gone = self.disk.keys[table][-count:]
        for key in gone:
            self.disk.delete(table, key)
        return {(table, gone[0]): {Kind.TRUNCATED}}

    def _roll_back(self, table):
        now, before = self.disk.rows[table], self.rng.choice(self.earlier).rows[table]
        older = [key for key in now if key in before and before[key] != now[key]]
        if not older:
            return None
        key = self.rng.choice(older)
        self.disk.put(table, key, before[key])
        return {(table, key): {Kind.ROLLED_BACK}}
