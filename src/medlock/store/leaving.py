"""The embedded file as a store that is being left: it notes which keys change, and in the end it is no store any more.

Noting is done by triggers, so it covers every process that has the file open, whichever version of medlock it runs. In
the end the tables are renamed in the same transaction that gives the file the version `MOVED`: who has it open finds no
tables and answers 503, who opens it is told where the records went. Nothing is deleted; the operator removes the file.
Counters stay behind: they begin anew at the new place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from medlock.errors import SetupError, Unavailable
from medlock.store import schema
from medlock.store.opening import alone
from medlock.store.tables import Row, Table

# ruff: noqa: S608 - names come from the enum

WAIT_SECONDS = 30.0
_NOTES = "leaving"
_LOCK = "migrate.lock"
_BUSY = "Another medlock migrate-store is moving this file: let it end, or stop it, then try again."
_EVENTS = {"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"}
_BEFORE_ALL = -(1 << 63)
_SCAN = f"SELECT key, {schema.CELL} FROM {{}} WHERE key > ? ORDER BY key LIMIT ?"


class LeavingFile:
    """`migrating.Source` on a file that holds a store. Use `leaving_file`: it lets one process in at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def begin(self) -> None:
        """Note from now on which keys change; forget what was noted before."""
        with self._whole():
            self._db.execute(f"DROP TABLE IF EXISTS {_NOTES}")
            self._db.execute(f"CREATE TABLE {_NOTES} (name TEXT, key INTEGER, PRIMARY KEY (name, key)) WITHOUT ROWID")
            for table in Table:
                for event, row in _EVENTS.items():
                    self._db.execute(
                        f"CREATE TRIGGER IF NOT EXISTS {_trigger(table, event)} AFTER {event} ON {table.value} BEGIN "
                        f"INSERT OR IGNORE INTO {_NOTES} VALUES ('{table.value}', {row}.key); END"
                    )

    def abandon(self) -> None:
        """Stop noting: the file stays the store."""
        with self._whole():
            self._stop_noting()

    def scan(self, table: Table, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` rows with key > `after`, ascending; each call sees what is committed by then."""
        return self._ask(_SCAN.format(table.value), _BEFORE_ALL if after is None else after, limit)

    def last_key(self, table: Table) -> int | None:
        """The greatest key."""
        found: int | None = self._ask(f"SELECT max(key) FROM {table.value}")[0][0]
        return found

    def take_changed(self, limit: int) -> list[tuple[Table, int]]:
        """Up to `limit` of the keys that changed since they were last taken."""
        with self._whole():
            taken = self._ask(f"SELECT name, key FROM {_NOTES} LIMIT ?", limit)
            self._db.executemany(f"DELETE FROM {_NOTES} WHERE name = ? AND key = ?", taken)
        return [(Table(name), key) for name, key in taken]

    def rows(self, names: Sequence[tuple[Table, int]]) -> list[Row]:
        """Those that exist."""
        found: list[Row] = []
        for table, key in names:
            found += [
                (table, key, ct) for (ct,) in self._ask(f"SELECT {schema.CELL} FROM {table.value} WHERE key = ?", key)
            ]
        return found

    def count(self, table: Table) -> int:
        """How many rows it has."""
        return int(self._ask(f"SELECT count(*) FROM {table.value}")[0][0])

    @contextmanager
    def held(self) -> Iterator[None]:
        """One write transaction: nobody else writes; undone when the block raises."""
        with self._whole():
            yield

    def leave(self, mark: bytes) -> None:
        """Inside `held`: the file is no store any more, for whoever has it open too; it remembers where to it went."""
        self._stop_noting()
        self._db.execute("CREATE TABLE moved_to (mark BLOB)")
        self._db.execute("INSERT INTO moved_to VALUES (?)", (mark,))
        for table in Table:
            self._db.execute(f"ALTER TABLE {table.value} RENAME TO moved_{table.value}")
        self._db.execute(f"ALTER TABLE {schema.COUNTER} RENAME TO moved_{schema.COUNTER}")
        self._db.execute(f"PRAGMA user_version = {schema.MOVED}")

    def _stop_noting(self) -> None:
        for table in Table:
            for event in _EVENTS:
                self._db.execute(f"DROP TRIGGER IF EXISTS {_trigger(table, event)}")
        self._db.execute(f"DROP TABLE IF EXISTS {_NOTES}")

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """A write transaction, unless one is open; all of it or nothing."""
        if self._db.in_transaction:
            yield
            return
        with _refusing(), ExitStack() as undone:
            self._db.execute("BEGIN IMMEDIATE")
            undone.callback(self._db.execute, "ROLLBACK")
            yield
            undone.pop_all()
            self._db.execute("COMMIT")

    def _ask(self, statement: str, *bound: object) -> list[tuple]:  # type: ignore[type-arg]
        with _refusing():
            return self._db.execute(statement, bound).fetchall()


def _trigger(table: Table, event: str) -> str:
    return f"{_NOTES}_{table.value}_{event.lower()}"


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as fault:
        raise Unavailable(f"The file cannot be left now ({fault}); it is still the store. Try again.") from fault


def moved_to(path: Path) -> bytes | None:
    """The mark of the copy to which the records of this file were moved; None: they were not."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            if schema.version_of(db) != schema.MOVED:
                return None
            mark: bytes = db.execute("SELECT mark FROM moved_to").fetchone()[0]
            return mark
    except sqlite3.Error as fault:
        raise SetupError(f"The store {path} cannot be opened ({fault}).") from fault


@contextmanager
def leaving_file(path: Path) -> Iterator[LeavingFile]:
    """Open a file that holds a store of this program's version, alone. Raises SetupError, Conflict.

    Two moves at once would take each other's notes, and what neither copied would be left behind.
    """
    if not path.exists():
        raise SetupError(f"There is no store in {path} to move.")
    try:
        with (
            alone(path.with_name(_LOCK), _BUSY),
            closing(sqlite3.connect(path, isolation_level=None, timeout=WAIT_SECONDS)) as db,
        ):
            schema.prepare(db)
            schema.migrate(db)
            db.execute("PRAGMA wal_autocheckpoint = 4000")
            yield LeavingFile(db)
    except sqlite3.Error as fault:
        raise SetupError(f"The store {path} cannot be opened ({fault}).") from fault
