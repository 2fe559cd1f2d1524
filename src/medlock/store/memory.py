"""A back end in memory: the twin of the SQLite one, for tests and trials. It can be told to misbehave.

It drives the ledger as the real writer does. Several back ends may share one `Disk`, as processes share one file;
`Disk.copy` is a snapshot, as a thief or a restored backup would have it. Faults are what storage really does:
refuse, lose a write that it confirmed, apply a write twice, answer from an older state.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from time import perf_counter

from medlock.errors import Raced, Tampered, Unavailable
from medlock.store import memorycounters
from medlock.store.counting import Claim, Count, Pace
from medlock.store.tables import Batch, Ledger, Row, Table
from medlock.store.tally import Tally


class Fault(StrEnum):
    """How the back end misbehaves while the fault is set."""

    REFUSE = "refuse"  # commits fail at the last moment with Unavailable, nothing is written
    DROP = "drop"  # commits say yes, nothing is written
    DUPLICATE = "duplicate"  # every batch is applied twice
    STALE = "stale"  # reads answer from the state at the moment the fault was set


class Disk:
    """The rows of all tables, keys kept in order."""

    def __init__(self) -> None:
        self.rows: dict[Table, dict[int, bytes]] = {table: {} for table in Table}
        self.keys: dict[Table, list[int]] = {table: [] for table in Table}
        self.counts: memorycounters.Counts = {}

    def copy(self) -> Disk:
        """The disk as it is now."""
        twin = Disk()
        twin.rows = {table: dict(rows) for table, rows in self.rows.items()}
        twin.keys = {table: list(keys) for table, keys in self.keys.items()}
        twin.counts = dict(self.counts)
        return twin

    def restore(self, earlier: Disk) -> None:
        """Become what `earlier` is, as when a backup is put back or a transaction rolled back."""
        self.rows, self.keys, self.counts = earlier.rows, earlier.keys, earlier.counts

    def put(self, table: Table, key: int, ct: bytes) -> None:
        """Write one row, behind everybody's back when a test calls it."""
        if key not in self.rows[table]:
            insort(self.keys[table], key)
        self.rows[table][key] = ct

    def delete(self, table: Table, key: int) -> None:
        """Remove one row if it is there."""
        if self.rows[table].pop(key, None) is not None:
            keys = self.keys[table]
            del keys[bisect_right(keys, key) - 1]


class MemoryBackend:
    """`store.tables.Backend` over a `Disk`. `fault` may be set and cleared at any time."""

    def __init__(self, ledger: Ledger, disk: Disk | None = None) -> None:
        self.disk = Disk() if disk is None else disk
        self._ledger = ledger
        self._fault: Fault | None = None
        self._seen = self.disk
        self._tally = Tally()

    @property
    def file(self) -> None:
        """The tables are nowhere else."""

    @property
    def fault(self) -> Fault | None:
        """The present misbehaviour."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._fault = fault
        self._seen = self.disk.copy() if fault is Fault.STALE else self.disk

    async def get(self, table: Table, key: int) -> bytes | None:
        """One row, or None."""
        return self._seen.rows[table].get(key)

    async def get_many(self, table: Table, keys: Sequence[int]) -> dict[int, bytes]:
        """The rows that exist among `keys`."""
        rows = self._seen.rows[table]
        return {key: rows[key] for key in keys if key in rows}

    async def get_proven(
        self, table: Table, keys: Sequence[int], deltas: Sequence[int]
    ) -> tuple[dict[int, bytes], set[int]]:
        """The rows that exist among `keys`, and which of `deltas` exist."""
        there = self._seen.rows[Table.DELTA]
        return await self.get_many(table, keys), {key for key in deltas if key in there}

    async def scan(self, table: Table, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` rows with key > `after`, ascending."""
        keys, rows = self._seen.keys[table], self._seen.rows[table]
        start = 0 if after is None else bisect_right(keys, after)
        return [(key, rows[key]) for key in keys[start : start + limit]]

    async def last_key(self, table: Table) -> int | None:
        """The greatest key, or None."""
        keys = self._seen.keys[table]
        return keys[-1] if keys else None

    async def commit(self, batch: Batch) -> int:
        """All or nothing, as in the protocol; Raced, Unavailable and Tampered leave nothing behind."""
        began = perf_counter()
        try:
            first = self._commit(batch)
        except (Unavailable, Tampered):
            self._ledger.forget()
            raise
        self._tally.committed(1, perf_counter() - began)
        return first

    def _commit(self, batch: Batch) -> int:
        before = self.disk.copy() if self._fault in {Fault.REFUSE, Fault.DROP} else None
        if self._fault is Fault.DUPLICATE:
            self._apply(Batch(puts=batch.inserts + batch.puts, entries=batch.entries))
            batch = Batch(puts=batch.puts, deletes=batch.deletes, entries=batch.entries)
        first = self._apply(batch)
        if before is not None:
            self.disk.restore(before)
        if self._fault is Fault.REFUSE:
            raise Unavailable("The store cannot be written now; nothing was changed.")
        return first

    def _apply(self, batch: Batch) -> int:
        if any(key in self.disk.rows[table] for table, key, _ in batch.inserts):
            raise Raced
        if any(key not in self.disk.rows[table] for table, key in batch.requires):
            raise Raced
        if any(self.disk.rows[table].get(key) != ct for table, key, ct in batch.expects):
            raise Raced
        first, appended = self._append(batch.entries)
        for table, key, ct in (*batch.inserts, *batch.puts, *appended):
            self.disk.put(table, key, ct)
        for table, key in batch.deletes:
            self.disk.delete(table, key)
        return first

    def _append(self, entries: Sequence[bytes]) -> tuple[int, list[Row]]:
        """What the ledger wants written; the LOG rows among it must be new."""
        if not entries:
            return -1, []
        on_disk = self.disk.rows
        wanted = self._ledger.resume(on_disk[Table.TIP].get(0))
        if wanted:
            keyed = [(table, key) for table, keys in wanted for key in keys if key in on_disk[table]]
            self._ledger.load([(table, key, on_disk[table][key]) for table, key in keyed])
        first, rows = self._ledger.extend(entries)
        if any(table is Table.LOG and key in self.disk.rows[table] for table, key, _ in rows):
            raise Tampered("the log holds entries that its head does not know")
        return first, rows

    async def bump(self, keys: Sequence[int], now_ms: int, windows_ms: Sequence[int]) -> list[Count]:
        """One more for each key."""
        pairs, held = zip(keys, windows_ms, strict=True), self._countable()
        return [memorycounters.bump(held, key, now_ms, window) for key, window in pairs]

    async def claim(self, key: int, now_ms: int, pace: Pace) -> Claim:
        """One more if the pace allows it now."""
        return memorycounters.claim(self._countable(), key, now_ms, pace)

    async def refund(self, keys: Sequence[int]) -> None:
        """One less for each key that is there."""
        memorycounters.refund(self._countable(), keys)

    async def settle(self, keys: Sequence[int]) -> None:
        """Forget these counters."""
        held = self._countable()
        for key in keys:
            held.pop(key, None)

    async def peek(self, keys: Sequence[int]) -> list[Count]:
        """What they stand at."""
        return [self._seen.counts.get(key, (0, 0)) for key in keys]

    async def lapse(self, before_ms: int) -> int:
        """Remove counters whose time is over."""
        return memorycounters.lapse(self._countable(), before_ms)

    def _countable(self) -> memorycounters.Counts:
        """The counters; with a fault that loses writes, a copy of them. Raises Unavailable."""
        if self._fault is Fault.REFUSE:
            raise Unavailable("The store cannot be counted in now; nothing was allowed.")
        return dict(self.disk.counts) if self._fault is Fault.DROP else self.disk.counts

    def tally(self) -> Tally:
        """What was committed so far; nobody waits."""
        return self._tally

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Reads answer from a copy until it is over."""
        before, self._seen = self._seen, self._seen.copy()
        try:
            yield
        finally:
            self._seen = before

    async def scrub(self) -> None:
        """Nothing to do: deleted rows are gone."""

    async def rewrite(self) -> None:
        """Rows have no places here."""

    async def close(self) -> None:
        """Nothing to let go of."""
