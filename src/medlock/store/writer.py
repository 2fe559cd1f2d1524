"""The one thread that writes to the SQLite file: many commits, one transaction, one fsync.

Request handlers submit a Batch and wait. What one turn of the event loop submits is handed over together; the thread
takes everything that was handed over, applies it in one transaction (each batch inside a savepoint, so that one
batch's conflict leaves the others alone), lets the ledger append the audit entries, commits with fsync, and only then
wakes the waiters. There is no artificial delay: while one fsync runs, the next group gathers by itself.

Every statement costs a hand-over of the interpreter between this thread and the event loop, and every transaction
costs the readers their page cache. So rows are written many to a statement, and batches many to a transaction.

It fails closed: when the disk refuses, every waiter of the group gets `Unavailable` and nothing was written.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from queue import Empty, SimpleQueue

from medlock.errors import MedlockError, Raced, Tampered, Unavailable
from medlock.store.tables import Batch, Ledger, Row, Table

GROUP_MAX = 512
PART = 8  # handed over before the turn ends, so that the disk is at work while the event loop goes on
SCRUB_SECONDS = 5.0  # a journal that others read all that time is left as it is
ROWS_MAX = 64  # in one statement; fewer hand-overs beyond that no longer show
_INSERT, _PUT = "INSERT", "INSERT OR REPLACE"
_DELETE = {table: f"DELETE FROM {table.value} WHERE key = ?" for table in Table}  # noqa: S608 - enum
_HAS = {table: f"SELECT 1 FROM {table.value} WHERE key = ?" for table in Table}  # noqa: S608 - enum
_GET = {table: f"SELECT ct FROM {table.value} WHERE key = ?" for table in Table}  # noqa: S608 - enum


@dataclass(slots=True, eq=False)
class Waiting:
    """A queued batch and the future of whoever waits for it; `result` is its log sequence or its error."""

    batch: Batch
    future: asyncio.Future[int]
    result: int | MedlockError = -1


class Scrub:
    """A queued wish to truncate the journal, done between groups."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[int]) -> None:
        self.future = future


class Writer(threading.Thread):
    """Group commit on one connection, which nobody else uses while the thread runs."""

    def __init__(self, db: sqlite3.Connection, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="medlock-writer", daemon=True)
        self._db = db
        self._ledger = ledger
        self._loop = loop
        self._queue: SimpleQueue[list[Waiting] | Scrub | None] = SimpleQueue()
        self._submitted: list[Waiting] = []

    def submit(self, batch: Batch) -> asyncio.Future[int]:
        """Queue a batch; the future resolves when it is durable. Called from the event loop."""
        waiting = Waiting(batch, self._loop.create_future())
        if not self._submitted:
            self._loop.call_soon(self.hand_over)
        self._submitted.append(waiting)
        if len(self._submitted) == PART:
            self.hand_over()
        return waiting.future

    def hand_over(self) -> None:
        """Pass on what was submitted. By itself at the end of each turn of the event loop; before `stop`, call it."""
        if self._submitted:
            self._queue.put(self._submitted)
            self._submitted = []

    def scrub(self) -> asyncio.Future[int]:
        """Queue a truncating checkpoint."""
        self.hand_over()
        wish = Scrub(self._loop.create_future())
        self._queue.put(wish)
        return wish.future

    def stop(self) -> None:
        """Finish what is queued, then end the thread."""
        self._queue.put(None)
        self.join()

    def close(self) -> None:
        """Close the connection; call after `stop`."""
        self._db.close()

    def run(self) -> None:
        """Take groups until told to stop."""
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, Scrub):
                self._finish([(item.future, self._truncate())])
                continue
            group, follower = self._gather(item)
            self._commit(group)
            self._finish([(waiting.future, waiting.result) for waiting in group])
            if isinstance(follower, Scrub):
                self._finish([(follower.future, self._truncate())])
            elif follower is _STOP:
                return

    def _gather(self, first: list[Waiting]) -> tuple[list[Waiting], object]:
        """Everything queued now, until GROUP_MAX is reached; and what ended the gathering, if it was no batches."""
        group = first
        while len(group) < GROUP_MAX:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if not isinstance(item, list):
                return group, _STOP if item is None else item
            group += item
        return group, None

    def _commit(self, group: list[Waiting]) -> None:
        """One transaction for the whole group; on failure every member fails and the file is as before."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for waiting in group:
                waiting.result = self._apply(waiting.batch)
            self._append_entries([waiting for waiting in group if not isinstance(waiting.result, MedlockError)])
            self._db.execute("COMMIT")
        except (sqlite3.Error, MedlockError) as fault:
            self._abandon()
            refusal = fault if isinstance(fault, MedlockError) else _unavailable(fault)
            for waiting in group:
                waiting.result = refusal

    def _abandon(self) -> None:
        """Roll back and forget the ledger's tree, which may be ahead of the file now."""
        self._ledger.forget()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _apply(self, batch: Batch) -> int | MedlockError:
        """Apply one batch; a conflict undoes this batch alone."""
        if any(self._db.execute(_HAS[table], (key,)).fetchone() is None for table, key in batch.requires):
            return Raced()
        if not batch.inserts:
            self._write(batch)
            return -1
        self._db.execute("SAVEPOINT batch")
        try:
            _run(self._db, _INSERT, batch.inserts)
        except sqlite3.IntegrityError:
            self._db.execute("ROLLBACK TO batch")
            self._db.execute("RELEASE batch")
            return Raced()
        self._write(batch)
        self._db.execute("RELEASE batch")
        return -1

    def _write(self, batch: Batch) -> None:
        """Puts and deletes, which cannot conflict."""
        if batch.puts:
            _run(self._db, _PUT, batch.puts)
        for table, key in batch.deletes:
            self._db.execute(_DELETE[table], (key,))

    def _append_entries(self, group: list[Waiting]) -> None:
        """Append the group's audit entries to the log, and tell each batch the number of its first."""
        entries = [entry for waiting in group for entry in waiting.batch.entries]
        if not entries:
            return
        tip = self._db.execute(_GET[Table.TIP], (0,)).fetchone()
        missing = self._ledger.resume(tip[0] if tip else None)
        if missing is not None:
            self._ledger.load([self._db.execute(_GET[Table.LOG], (key,)).fetchone()[0] for key in missing])
        sequence, rows = self._ledger.extend(entries)
        try:
            _run(self._db, _INSERT, [row for row in rows if row[0] is Table.LOG])
        except sqlite3.IntegrityError as fault:
            raise Tampered("the log holds entries that its head does not know") from fault
        _run(self._db, _PUT, [row for row in rows if row[0] is not Table.LOG])
        for waiting in group:
            if waiting.batch.entries:
                waiting.result = sequence
                sequence += len(waiting.batch.entries)

    def _truncate(self) -> int | MedlockError:
        """Move the journal into the file and cut it to zero bytes."""
        gives_up = time.monotonic() + SCRUB_SECONDS
        try:
            # SQLite waits for readers by itself, but not for another process that is checkpointing
            while self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > gives_up:
                    return Unavailable("The journal is in use by another process; try again.")
                time.sleep(0.01)
        except sqlite3.Error as fault:
            return _unavailable(fault)
        return 0

    def _finish(self, results: Sequence[tuple[asyncio.Future[int], int | MedlockError]]) -> None:
        """Wake the waiters in the event loop, in one hop. A loop that is gone has nobody left to tell."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_resolve, results)


_STOP = object()


def _unavailable(fault: sqlite3.Error) -> Unavailable:
    """A refusal of the disk or of the file as a sentence; SQLite's own text names no data."""
    return Unavailable(f"The store cannot be written now ({fault}); nothing was changed.")


def _resolve(results: Iterable[tuple[asyncio.Future[int], int | MedlockError]]) -> None:
    """Set results and errors; a waiter that was cancelled meanwhile is passed over."""
    for future, result in results:
        if future.cancelled():
            continue
        if isinstance(result, MedlockError):
            future.set_exception(result)
        else:
            future.set_result(result)


def _run(db: sqlite3.Connection, verb: str, rows: list[Row]) -> None:
    """Write rows table by table, sorted by key, so that neighbouring leaves are touched once; many to a statement."""
    by_table: dict[Table, list[tuple[int, bytes]]] = {}
    for table, key, ct in rows:
        by_table.setdefault(table, []).append((key, ct))
    for table, values in by_table.items():
        values.sort()
        for start in range(0, len(values), ROWS_MAX):
            _run_some(db, verb, table, values[start : start + ROWS_MAX])


def _run_some(db: sqlite3.Connection, verb: str, table: Table, values: list[tuple[int, bytes]]) -> None:
    """Write up to ROWS_MAX rows in statements whose widths are powers of two, so that few are ever compiled."""
    at = 0
    while at < len(values):
        width = 1 << (len(values) - at).bit_length() - 1
        db.execute(_statement(verb, table, width), tuple(chain.from_iterable(values[at : at + width])))
        at += width


@cache
def _statement(verb: str, table: Table, width: int) -> str:
    return f"{verb} INTO {table.value} (key, ct) VALUES {', '.join(['(?, ?)'] * width)}"
