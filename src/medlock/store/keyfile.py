"""The keystore's own SQLite file, apart from the database that is replicated and backed up.

WAL, synchronous FULL and secure_delete: a commit is on the disk when it returns, and a deleted row is nowhere in the
file after `scrub`. One connection reads, inline and without waiting; one writes, under a lock. Other processes may
have the file open at the same time. Connections do not survive a fork: every worker opens its own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from medlock.errors import SetupError, Tampered, Unavailable

FORMAT = 1
APPLICATION_ID = 0x4D4C4B31  # "MLK1"
BUSY_SECONDS = 30
SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE epoch(number INTEGER PRIMARY KEY, under INTEGER NOT NULL, made INTEGER NOT NULL, state TEXT NOT NULL,
    wrapped BLOB NOT NULL);
CREATE TABLE key(slot INTEGER NOT NULL, generation INTEGER NOT NULL, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (slot, generation)) WITHOUT ROWID;
"""
NEWEST = "SELECT generation, epoch, wrapped FROM key WHERE slot = ? ORDER BY generation DESC LIMIT 1"
EXACT = "SELECT generation, epoch, wrapped FROM key WHERE slot = ? AND generation = ?"

Row = tuple[Any, ...]  # as SQLite gives it; whoever reads says what it is
KeyRow = tuple[int, int, bytes]  # generation, epoch, wrapped


@contextmanager
def reported() -> Iterator[None]:
    """SQLite's errors as ours: busy, full or read-only is Unavailable, a broken file is Tampered."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(
            "The keystore cannot be read or written now: its disk is full, read-only, failing or busy.",
            reason=f"keystore: {error}",
        ) from error
    except sqlite3.DatabaseError as error:
        raise Tampered(f"keystore: {error}") from error


class KeyFile:
    """Two connections to one keystore file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with reported():
            self._writer = _connect(path)
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only = ON")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction, durable on leaving, undone on any error."""
        with self._lock, reported():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def row(self, slot: int, generation: int | None) -> KeyRow | None:
        """One key row, the newest generation unless another is named."""
        try:
            if generation is None:
                found = self._reader.execute(NEWEST, (slot,)).fetchone()
            else:
                found = self._reader.execute(EXACT, (slot, generation)).fetchone()
        except sqlite3.Error:
            with reported():
                raise
        return None if found is None else (found[0], found[1], found[2])

    def read(self, sql: str, *values: object) -> list[Row]:
        """All rows of a query, outside any transaction."""
        with reported():
            return self._reader.execute(sql, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one unchanging state of the file; it holds up `scrub` while it lasts."""
        with reported():
            connection = _connect(self.path)
            try:
                connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.close()

    def copy(self, target: Path) -> None:
        """A copy of the file as it is now, whoever writes meanwhile, on the disk when this returns; `target` is new."""
        with closing(_connect(self.path)) as connection, reported():
            target.touch(mode=0o600)
            connection.execute("VACUUM INTO ?", (str(target),))
        with target.open("rb") as written:
            os.fsync(written.fileno())

    def changes(self) -> int:
        """A number that differs after anybody has committed (PRAGMA data_version)."""
        try:
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            with reported():
                raise

    def scrub(self) -> None:
        """Leave no deleted row in file or journal. Raises Unavailable while somebody else reads without pause.

        The file is written anew (30 ms and 4 MB in memory for 50,000 patients, half a second for a million): with rows
        of several lengths SQLite leaves copies of those that it moved in the free space of pages, and secure_delete
        does not reach them.
        """
        gives_up = time.monotonic() + BUSY_SECONDS
        with self._lock, reported():
            self._writer.execute("VACUUM")
            # SQLite waits for readers by itself, but not for another process that is checkpointing
            while self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > gives_up:
                    raise Unavailable("The keystore's journal is in use; what was deleted may linger. Try again.")
                time.sleep(0.01)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._writer.close()


def create_file(path: Path) -> KeyFile:
    """A keystore file with no tables yet, readable by its owner only."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise SetupError(f"The keystore cannot be made at {path}: {error.strerror}.") from error
    file = KeyFile(path)
    with reported():
        mode = file._writer.execute("PRAGMA journal_mode = WAL").fetchone()[0]  # noqa: SLF001 - its maker
    if mode != "wal":
        raise SetupError(f"The keystore at {path} lies on a file system without shared memory; use a local disk.")
    return file


def _connect(path: Path) -> sqlite3.Connection:
    # autocommit; check_same_thread off because SQLite itself serialises a connection's calls
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    for pragma in ("synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
