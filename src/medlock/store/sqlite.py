"""The embedded back end: one SQLite file in WAL mode, reads in the event loop, commits through `store.writer`.

A keyed read takes microseconds, a hop to a thread ten times that, so reads run inline. Several processes may open
the same file: SQLite's locks order their transactions, and every reader sees whole commits only.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

from medlock.errors import SetupError, Unavailable
from medlock.store import schema
from medlock.store.tables import Batch, Ledger, Table
from medlock.store.writer import Writer

BUSY_MS = 10_000
_GET = {table: f"SELECT ct FROM {table.value} WHERE key = ?" for table in Table}  # noqa: S608 - enum
_LAST = {table: f"SELECT max(key) FROM {table.value}" for table in Table}  # noqa: S608 - enum
_SCAN = {table: f"SELECT key, ct FROM {table.value} WHERE key > ? ORDER BY key LIMIT ?" for table in Table}  # noqa: S608
_BEFORE_ALL = -(1 << 63)
_CHUNK = 256


def _many(table: Table, width: int) -> str:
    """A select of `width` keys; widths are powers of two, so that few statements are ever compiled.

    A shorter list is filled up with its own last key, which changes nothing.
    """
    return f"SELECT key, ct FROM {table.value} WHERE key IN ({','.join('?' * width)})"  # noqa: S608 - enum


class SqliteBackend:
    """`Backend` on one SQLite file. Use `open_sqlite`."""

    def __init__(self, read: sqlite3.Connection, writer: Writer) -> None:
        self._read = read
        self._writer = writer
        self._execute = read.execute
        self._selects: dict[tuple[Table, int], str] = {}
        self._loop = asyncio.get_running_loop()
        self._pinned = False
        self._held = False

    def _pin(self) -> None:
        """One read transaction for all reads of this turn of the event loop.

        Opening one costs more than a keyed read (locks, and a look at the journal). Whoever waits for a commit is
        woken in a later turn, and so reads what was committed.
        """
        if not self._pinned:
            self._execute("BEGIN")
            self._pinned = True
            self._loop.call_soon(self._unpin)

    def _unpin(self) -> None:
        if self._pinned and not self._held:
            self._pinned = False
            self._execute("COMMIT")

    async def get(self, table: Table, key: int) -> bytes | None:
        """One row, or None."""
        try:
            self._pin()
            row = self._execute(_GET[table], (key,)).fetchone()
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault
        return None if row is None else row[0]

    async def get_many(self, table: Table, keys: Sequence[int]) -> dict[int, bytes]:
        """The rows that exist among `keys`, in one statement per 256."""
        found: dict[int, bytes] = {}
        try:
            self._pin()
            for start in range(0, len(keys), _CHUNK):
                found.update(self._select(table, keys[start : start + _CHUNK]))
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault
        return found

    def _select(self, table: Table, keys: Sequence[int]) -> list[tuple[int, bytes]]:
        width = 1 << (len(keys) - 1).bit_length()
        statement = self._selects.get((table, width))
        if statement is None:
            statement = self._selects[table, width] = _many(table, width)
        return self._execute(statement, (*keys, *(keys[-1],) * (width - len(keys)))).fetchall()

    async def scan(self, table: Table, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` rows with key > `after`, ascending."""
        try:
            self._pin()
            return self._execute(_SCAN[table], (_BEFORE_ALL if after is None else after, limit)).fetchall()
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault

    async def last_key(self, table: Table) -> int | None:
        """The greatest key, or None when the table is empty."""
        try:
            self._pin()
            found: int | None = self._execute(_LAST[table]).fetchone()[0]
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault
        return found

    async def commit(self, batch: Batch) -> int:
        """Durable when it returns; Conflict or Unavailable otherwise, and nothing written."""
        return await self._writer.submit(batch)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """One read transaction: what is committed meanwhile is not seen, and the journal cannot be cut short."""
        self._unpin()
        try:
            self._execute("BEGIN")
            self._pinned = self._held = True
            self._execute("SELECT count(*) FROM sqlite_master").fetchone()  # BEGIN alone does not pin a state
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault
        try:
            yield
        finally:
            self._held = False
            self._unpin()

    async def scrub(self) -> None:
        """Cut the journal to nothing: with secure_delete, deleted rows are then nowhere in the files."""
        await self._writer.scrub()

    async def close(self) -> None:
        """Finish queued commits and close both connections."""
        self._unpin()
        await self._writer.close()
        self._read.close()


def _unreadable(fault: sqlite3.Error) -> Unavailable:
    return Unavailable(f"The store cannot be read now ({fault}).")


def open_sqlite(path: Path, ledger: Ledger) -> SqliteBackend:
    """Open or create the file and bring its schema forward. Needs a running event loop.

    Raises SetupError when the file cannot be opened, is no medlock store, or comes from a newer medlock.
    """
    try:
        with ExitStack() as opened:
            write = opened.enter_context(closing(_connect(path)))
            schema.prepare(write)
            schema.migrate(write)
            write.execute("PRAGMA busy_timeout = 0")  # the writer waits by itself, without holding up the event loop
            read = opened.enter_context(closing(_connect(path)))
            schema.prepare(read)
            read.execute("PRAGMA query_only = ON")
            opened.pop_all()
    except (sqlite3.Error, OSError) as fault:
        raise SetupError(
            f"The store {path} cannot be opened ({fault}): check that the directory exists, that this user may "
            "write to it, that the disk is not full, and that the file is a medlock store."
        ) from fault
    return SqliteBackend(read, Writer(write, ledger))


def _connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, private to this user."""
    path.touch(mode=0o600, exist_ok=True)
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=BUSY_MS / 1000
    )
