"""Group commit on the SQLite file: many batches, one transaction, one fsync.

Request handlers submit a Batch and wait. Everything that was submitted while the transaction before was on its way to
the disk becomes the next one: each batch inside a savepoint, so that one batch's conflict leaves the others alone, then
the audit entries, which the ledger numbers. There is no artificial delay: groups gather by themselves.

Statements run in the event loop, where they cost microseconds; only what waits for the disk (COMMIT with its fsync, and
checkpoints) runs in a thread. Were the statements in the thread too, each would be two hand-overs of the interpreter,
and each read beside them as well: measured, a fifth of a read's whole cost.

It fails closed: when the disk refuses, every waiter of the group gets `Unavailable` and nothing was written.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import chain
from operator import itemgetter

from medlock.errors import MedlockError, Raced, Tampered, Unavailable
from medlock.store.counterfile import Counting
from medlock.store.diskthread import DiskThread
from medlock.store.queueing import Queue, Take, Waiting
from medlock.store.schema import CELL
from medlock.store.tables import Batch, Ledger, Row, Table, rows_of
from medlock.store.tally import Tally

BUSY_SECONDS = 10.0
SCRUB_SECONDS = 5.0  # a journal that others read all that time is left as it is
ROWS_MAX = 64  # in one statement
FEW = 4  # rows for which sorting them and gathering them into statements costs more than it saves
ROWS_A_TURN = 512  # a millisecond; then others go first
_KEY = itemgetter(1)
_INSERT, _PUT = "INSERT", "INSERT OR REPLACE"
_ONE = {
    verb: {table: f"{verb} INTO {table.value} (key, ct) VALUES (?, ?)" for table in Table} for verb in (_INSERT, _PUT)
}
_HAS = {table: f"SELECT 1 FROM {table.value} WHERE key = ?" for table in Table}  # noqa: S608 - enum
_WITHIN = {
    table: f"SELECT key, {CELL} FROM {table.value} WHERE key >= ? AND key < ? ORDER BY key"  # noqa: S608 - enum
    for table in Table
}
_GET = {table: f"SELECT {CELL} FROM {table.value} WHERE key = ?" for table in Table}  # noqa: S608 - enum


class Writer:
    """The one writer of this process, on a connection that nobody else uses."""

    def __init__(self, db: sqlite3.Connection, ledger: Ledger) -> None:
        self._db = db
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._disk = DiskThread(self._loop)
        self._queue = Queue(self._commit, self._fail)

    def submit(self, batch: Batch) -> asyncio.Future[int]:
        """Queue a batch; the future resolves when it is durable. Raises Unavailable once closed."""
        return self._queue.submit(batch)

    def tally(self) -> Tally:
        """What was committed so far, and how many wait."""
        return self._queue.tally()

    def scrub(self) -> asyncio.Future[int]:
        """Queue a truncating checkpoint, done between two groups. Raises Unavailable once closed."""
        return self._queue.between(self._truncate)

    async def close(self) -> None:
        """Finish what is queued, even when whoever waits here is cancelled; then let go of thread and connection."""
        await self._queue.close()
        self._disk.stop()
        self._db.close()

    def _fail(self) -> Unavailable:
        """After a fault of ours."""
        self._abandon()
        return Unavailable("The store failed and nothing was written; the operator's log says where.")

    async def _commit(self, take: Take) -> None:
        """One transaction for the whole group; on failure every member fails and the file is as before."""
        try:
            await self._begin()
            group = take()
            await self._apply_all(group)
            await self._append_entries([waiting for waiting in group if not isinstance(waiting.result, MedlockError)])
            await self._disk.ask(lambda: self._db.execute("COMMIT"))
            if any(_brings_chunks(waiting.batch) for waiting in group):
                self._db.execute("PRAGMA shrink_memory")  # pages of a content are not asked for again
        except Raced as conflict:  # before the ledger was asked for anything: nothing to forget
            self._db.execute("ROLLBACK")
            for waiting in take():  # there is one
                waiting.result = conflict
        except (sqlite3.Error, MedlockError) as fault:
            self._abandon()
            refusal = fault if isinstance(fault, MedlockError) else _unavailable(fault)
            for waiting in take():
                waiting.result = refusal

    async def _begin(self) -> None:
        """Take the file's write lock; while another process has it, everybody else here goes on."""
        gives_up = time.monotonic() + BUSY_SECONDS
        pause = 0.0002
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as fault:
                if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > gives_up:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.001)
            else:
                return

    def _abandon(self) -> None:
        """Roll back and forget the ledger's tree, which may be ahead of the file now."""
        self._ledger.forget()
        with suppress(sqlite3.Error):  # a file that cannot even be rolled back is rolled back by whoever opens it next
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    async def _apply_all(self, group: Sequence[Waiting]) -> None:
        """Each batch's own rows. Raises Raced when the only batch conflicts: then there is nobody to spare."""
        for waiting in group:
            batch = waiting.batch
            if isinstance(batch, Counting):
                batch.run(self._db.execute)
            elif not self._stands(batch):
                if len(group) == 1:
                    raise Raced
                waiting.result = Raced()
            elif batch.inserts and len(group) > 1:
                waiting.result = await self._apply(batch)
            elif batch.inserts or batch.puts or batch.deletes:
                await self._apply_alone(batch)

    def _stands(self, batch: Batch) -> bool:
        """Whether all required rows exist, and the expected ones hold what they should."""
        if not batch.requires and not batch.expects:
            return True
        there = (self._db.execute(_HAS[table], (key,)).fetchone() for table, key in batch.requires)
        held = ((self._db.execute(_GET[table], (key,)).fetchone(), ct) for table, key, ct in batch.expects)
        return all(row is not None for row in there) and all(row is not None and row[0] == ct for row, ct in held)

    async def _apply_alone(self, batch: Batch) -> None:
        """A batch that cannot conflict, or whose conflict is that of the whole transaction. Raises Raced."""
        try:
            await self._run(_INSERT, batch.inserts)
        except sqlite3.IntegrityError:
            raise Raced from None
        if batch.puts or batch.deletes:
            await self._write(batch)

    async def _apply(self, batch: Batch) -> int | MedlockError:
        """Apply one batch; a conflict undoes this batch alone. A savepoint keeps a copy of each page it changes."""
        self._db.execute("SAVEPOINT batch")
        try:
            await self._run(_INSERT, batch.inserts)
        except sqlite3.IntegrityError:
            self._db.execute("ROLLBACK TO batch")
            self._db.execute("RELEASE batch")
            return Raced()
        await self._write(batch)
        self._db.execute("RELEASE batch")
        return -1

    async def _write(self, batch: Batch) -> None:
        """Puts and deletes, which cannot conflict."""
        await self._run(_PUT, batch.puts)
        by_table: dict[Table, list[int]] = {}
        for table, key in batch.deletes:
            by_table.setdefault(table, []).append(key)
        for table, keys in by_table.items():
            keys.sort()
            some, turn = rows_of(table, ROWS_MAX), rows_of(table, ROWS_A_TURN)
            for start in range(0, len(keys), some):
                _delete_some(self._db, table, keys[start : start + some])
                if (start + some) % turn == 0:
                    await asyncio.sleep(0)

    async def _append_entries(self, group: Sequence[Waiting]) -> None:
        """Append the group's audit entries to the log, and tell each batch the number of its first."""
        entries = [*chain.from_iterable([waiting.batch.entries for waiting in group])]
        if not entries:
            return
        tip = self._db.execute(_GET[Table.TIP], (0,)).fetchone()
        wanted = self._ledger.resume(tip[0] if tip else None)
        if wanted:
            self._ledger.load([row for table, keys in wanted for row in self._within(table, keys)])
        sequence, rows = self._ledger.extend(entries)
        try:
            await self._run_sorted(_INSERT, rows[: len(entries)])
        except sqlite3.IntegrityError as fault:
            raise Tampered("the log holds entries that its head does not know") from fault
        await self._run(_PUT, rows[len(entries) :])
        for waiting in group:
            if waiting.batch.entries:
                waiting.result = sequence
                sequence += len(waiting.batch.entries)

    def _within(self, table: Table, keys: range) -> list[Row]:
        """The rows that there are of a range of keys."""
        return [(table, key, ct) for key, ct in self._db.execute(_WITHIN[table], (keys.start, keys.stop))]

    async def _run(self, verb: str, rows: Sequence[Row]) -> None:
        """Write rows table by table, sorted by key, so that neighbouring leaves are touched once; many a statement."""
        if len(rows) <= FEW:
            for table, key, ct in rows:
                self._db.execute(_ONE[verb][table], (key, bytearray(ct)))
            return
        by_table: dict[Table, list[Row]] = {}
        for row in rows:
            by_table.setdefault(row[0], []).append(row)
        for some in by_table.values():
            some.sort(key=_KEY)
            await self._run_sorted(verb, some)

    async def _run_sorted(self, verb: str, rows: Sequence[Row]) -> None:
        """Rows of one table, ascending by key."""
        for start in range(0, len(rows), ROWS_MAX):
            _run_some(self._db, verb, rows[start : start + ROWS_MAX])
            if (start + ROWS_MAX) % ROWS_A_TURN == 0:
                await asyncio.sleep(0)

    async def _truncate(self) -> int | MedlockError:
        """Move the journal into the file and cut it to zero bytes."""
        gives_up = time.monotonic() + SCRUB_SECONDS
        try:
            while await self._disk.ask(self._cut):
                if time.monotonic() > gives_up:
                    return Unavailable("The journal is in use by another process; try again.")
                await asyncio.sleep(0.01)
        except sqlite3.Error as fault:
            return _unavailable(fault)
        return 0

    def _cut(self) -> bool:
        """Try; whether a reader or another writer was in the way."""
        return bool(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def _brings_chunks(batch: Batch) -> bool:
    rows = batch.inserts or batch.puts
    return bool(rows) and rows[0][0] is Table.CHUNK


def _unavailable(fault: sqlite3.Error) -> Unavailable:
    """A refusal of the disk or of the file as a sentence; SQLite's own text names no data."""
    return Unavailable(f"The store cannot be written now ({fault}); nothing was changed.")


def _run_some(db: sqlite3.Connection, verb: str, rows: Sequence[Row]) -> None:
    """Write up to ROWS_MAX rows of a table in statements whose widths are powers of two, so that few are ever compiled.

    A bytearray is bound as it is; for bytes sqlite3 looks for an adapter first, which costs three times more.
    """
    at = 0
    while at < len(rows):
        width = 1 << (len(rows) - at).bit_length() - 1
        bound: list[int | bytearray] = [0] * (2 * width)
        bound[::2] = [key for _, key, _ in rows[at : at + width]]
        bound[1::2] = [bytearray(ct) for _, _, ct in rows[at : at + width]]
        db.execute(_statement(verb, rows[at][0], width), bound)
        at += width


def _delete_some(db: sqlite3.Connection, table: Table, keys: Sequence[int]) -> None:
    """As few statements as there are bits in the number of keys."""
    at = 0
    while at < len(keys):
        width = 1 << (len(keys) - at).bit_length() - 1
        db.execute(_deletion(table, width), keys[at : at + width])
        at += width


@cache
def _deletion(table: Table, width: int) -> str:
    return f"DELETE FROM {table.value} WHERE key IN ({', '.join('?' * width)})"  # noqa: S608 - enum


@cache
def _statement(verb: str, table: Table, width: int) -> str:
    return f"{verb} INTO {table.value} (key, ct) VALUES {', '.join(['(?, ?)'] * width)}"
