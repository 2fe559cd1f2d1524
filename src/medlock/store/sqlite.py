"""The embedded back end: one SQLite file in WAL mode, reads in the event loop, commits through `store.writer`.

A keyed read takes microseconds, a hop to a thread ten times that, so reads run inline. Several processes may open
the same file: SQLite's locks order their transactions, and every reader sees whole commits only.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from functools import cache
from pathlib import Path

from medlock.errors import SetupError, Unavailable
from medlock.store import schema
from medlock.store.counterfile import (
    Counting,
    bumping,
    claimed,
    claiming,
    counts,
    lapsing,
    peeked,
    refunding,
    settling,
)
from medlock.store.counting import Claim, Count, Pace
from medlock.store.tables import Batch, Ledger, Table
from medlock.store.tally import Tally
from medlock.store.writer import Writer

BUSY_MS = 10_000
_GET = {table: f"SELECT {schema.CELL} FROM {table.value} WHERE key = ?" for table in Table}  # noqa: S608 - enum
_LAST = {table: f"SELECT max(key) FROM {table.value}" for table in Table}  # noqa: S608 - enum
_SCAN = {
    table: f"SELECT key, {schema.CELL} FROM {table.value} WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608 - enum
    for table in Table
}
_BEFORE_ALL = -(1 << 63)
_CHUNK = 256
_DELTAS_MAX = 16
REWRITE_SHARE = 0.8
"""The share of the pages now that were there at first, above which laying them out anew is not worth it."""


def _width(count: int) -> int:
    """Selects are as wide as a power of two, so that few are ever compiled."""
    return 1 << (count - 1).bit_length()


def _filled(keys: Sequence[int], width: int) -> tuple[int | None, ...]:
    """As many keys as a select takes: filled up with NULL, which no key equals."""
    return (*keys, *(None,) * (width - len(keys)))


@cache
def _many(table: Table, width: int, column: str = schema.CELL) -> str:
    """Rows of a table by key. Joined to a list of keys: `IN` first sorts them into an index, a fifth of the whole."""
    keys = ",".join(["(?)"] * width)
    return f"SELECT key, {column} FROM (VALUES {keys}) CROSS JOIN {table.value} ON key = column1"  # noqa: S608 - enum


@cache
def _proven(table: Table, width: int, deltas: int) -> str:
    """Rows of a table, and after them the keys of those deltas that exist."""
    return f"{_many(table, width)} UNION ALL {_many(Table.DELTA, deltas, 'NULL')}"


class SqliteBackend:
    """`Backend` on one SQLite file. Use `open_sqlite`."""

    def __init__(self, path: Path, read: sqlite3.Connection, aside: sqlite3.Connection, writer: Writer) -> None:
        self._path = path
        self._aside = aside
        self._pages = _page_count(read)
        self._read = read
        self._writer = writer
        self._execute = read.execute
        self._loop = asyncio.get_running_loop()
        self._pinned = False
        self._held = False
        self._read_before: dict[tuple[Table, int], bytes | None] = {}

    @property
    def file(self) -> Path:
        """Where the tables lie."""
        return self._path

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
            self._read_before.clear()
            self._execute("COMMIT")

    async def get(self, table: Table, key: int) -> bytes | None:
        """One row, or None. Read once a turn: within it the answer cannot change, and requests ask for the same."""
        if table is Table.CHUNK and not self._held:
            return self._chunk(key)
        name = table, key
        if name in self._read_before:
            return self._read_before[name]
        try:
            self._pin()
            row = self._execute(_GET[table], (key,)).fetchone()
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault
        found: bytes | None = None if row is None else row[0]
        if not self._held:
            self._read_before[name] = found
        return found

    def _chunk(self, key: int) -> bytes | None:
        """A chunk, on a connection that keeps no pages: a content would drive out of memory what others ask for."""
        try:
            row = self._aside.execute(_GET[Table.CHUNK], (key,)).fetchone()
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

    async def get_proven(
        self, table: Table, keys: Sequence[int], deltas: Sequence[int]
    ) -> tuple[dict[int, bytes], set[int]]:
        """Rows and deltas; one statement for up to 256 keys and 16 deltas."""
        if not keys or not deltas or len(keys) > _CHUNK or len(deltas) > _DELTAS_MAX:
            found = await self.get_many(table, keys)
            return found, set(await self.get_many(Table.DELTA, deltas))  # in the same turn, so as of the same moment
        shape = _width(len(keys)), _width(len(deltas))
        try:
            self._pin()
            asked = (*_filled(keys, shape[0]), *_filled(deltas, shape[1]))
            rows = self._execute(_proven(table, *shape), asked).fetchall()
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault
        return {key: ct for key, ct in rows if ct is not None}, {key for key, ct in rows if ct is None}

    def _select(self, table: Table, keys: Sequence[int]) -> list[tuple[int, bytes]]:
        width = _width(len(keys))
        return self._execute(_many(table, width), _filled(keys, width)).fetchall()

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

    async def bump(self, keys: Sequence[int], now_ms: int, windows_ms: Sequence[int]) -> list[Count]:
        """One more for each key, all in one transaction, which many share."""
        return counts(await self._count(bumping(keys, now_ms, windows_ms)))

    async def claim(self, key: int, now_ms: int, pace: Pace) -> Claim:
        """One more if the pace allows it now."""
        return claimed(await self._count(claiming(key, now_ms, pace)))

    async def refund(self, keys: Sequence[int]) -> None:
        """One less for each key that is there."""
        await self._count(refunding(keys))

    async def settle(self, keys: Sequence[int]) -> None:
        """Forget these counters."""
        await self._count(settling(keys))

    async def peek(self, keys: Sequence[int]) -> list[Count]:
        """What they stand at."""
        try:
            self._pin()
            return peeked(self._read, keys)
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault

    async def lapse(self, before_ms: int) -> int:
        """Remove counters whose time is over."""
        return len((await self._count(lapsing(before_ms))).found[0])

    async def _count(self, counting: Counting) -> Counting:
        await self._writer.submit(counting)
        return counting

    def tally(self) -> Tally:
        """What was committed so far, and how many wait."""
        return self._writer.tally()

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
        """Cut the journal to nothing: with secure_delete, deleted rows are then zeros.

        But for copies that SQLite may leave when it moves rows of several lengths between pages: those are sealed, and
        dead with their key. `keystore.db`, where it matters, is written anew (`KeyFile.scrub`).
        """
        await self._writer.scrub()

    async def rewrite(self) -> None:
        """Copy the file in the order of keys: pages are numbered by time, and that groups what was written together.

        Passed over when the file has not grown by a quarter: a large store is not copied for a small load.
        """
        self._unpin()
        try:
            if _page_count(self._read) * REWRITE_SHARE >= self._pages:
                await self._loop.run_in_executor(None, _vacuum, self._path)
                self._pages = _page_count(self._read)
        except sqlite3.Error as fault:
            raise Unavailable(f"The store cannot be laid out anew now ({fault}); it stays as it is.") from fault

    async def close(self) -> None:
        """Finish queued commits and close all connections."""
        self._unpin()
        await self._writer.close()
        self._read.close()
        self._aside.close()


def _page_count(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA page_count").fetchone()[0])


def _vacuum(path: Path) -> None:
    """On a connection of its own. The copy is too large for memory; it holds sealed rows and has no name on disk."""
    with closing(_connect(path)) as db:
        schema.prepare(db)
        db.execute("PRAGMA temp_store = FILE")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


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
            aside = opened.enter_context(closing(_connect(path)))
            schema.prepare(aside)
            aside.execute("PRAGMA cache_size = -512")
            for each in (read, aside):
                each.execute("PRAGMA query_only = ON")
            opened.pop_all()
    except (sqlite3.Error, OSError) as fault:
        raise SetupError(
            f"The store {path} cannot be opened ({fault}): check that the directory exists, that this user may "
            "write to it, that the disk is not full, and that the file is a medlock store."
        ) from fault
    return SqliteBackend(path, read, aside, Writer(write, ledger))


def _connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, private to this user."""
    path.touch(mode=0o600, exist_ok=True)
    db = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=BUSY_MS / 1000
    )
    db.text_factory = bytes  # a cell that somebody made text is bytes like all others: they do not open, and say so
    return db
