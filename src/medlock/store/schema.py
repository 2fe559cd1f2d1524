"""The shape of the SQLite file and how it moves forward from version to version.

Every sealed table is `key INTEGER PRIMARY KEY, ct BLOB`: a single b-tree by PRF value, no secondary index, so that
the file says nothing but how many rows there are and how long they are. A file written by a newer program is
refused: guessing at an unknown format is how records get lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from medlock.errors import SetupError
from medlock.store.tables import Table

VERSION = 4
MOVED = -1
"""The version of a file whose records were moved to another back end."""
PAGE_SIZE = 4096
CELL = "CAST(ct AS BLOB)"
"""What is read of a row. SQLite keeps a number in any column: as bytes it does not open, like all that was edited."""


THIRD_TABLES = (Table.IDENTITY, Table.OAUTH, Table.ONCE, Table.CHUNK)
FIRST_TABLES = tuple(table for table in Table if table not in THIRD_TABLES)
COUNTER = "counter"
"""The table of counters (`store.counting`), the only one whose columns are in clear."""


def _create_sealed_tables(db: sqlite3.Connection) -> None:
    """Version 1: the sealed tables."""
    for table in FIRST_TABLES:
        db.execute(f"CREATE TABLE {table.value} (key INTEGER PRIMARY KEY, ct BLOB NOT NULL)")


def _take_short_entries(_db: sqlite3.Connection) -> None:
    """Version 2: the audit log takes shorter entries. Those that lie there stay as they are (spec/audit.md §12)."""


def _create_third_tables(db: sqlite3.Connection) -> None:
    """Version 3: tables of sign-in and of apps, of large contents, and counters."""
    for table in THIRD_TABLES:
        db.execute(f"CREATE TABLE {table.value} (key INTEGER PRIMARY KEY, ct BLOB NOT NULL)")
    db.execute(f"CREATE TABLE {COUNTER} (key INTEGER PRIMARY KEY, n INTEGER NOT NULL, until INTEGER NOT NULL)")


def _take_bodies_apart(_db: sqlite3.Connection) -> None:
    """Version 4: bodies of sensitive classes lie under a sub-key. Those that are there stay, until a relabelling."""


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {
    1: _create_sealed_tables,
    2: _take_short_entries,
    3: _create_third_tables,
    4: _take_bodies_apart,
}
"""Version → the step that leads to it from the version before. Steps are only ever added at the end."""


def version_of(db: sqlite3.Connection) -> int:
    """The schema version in the file; 0 for an empty one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def demand_known(found: int) -> None:
    """Raises SetupError when a store, on whichever back end, has a version that this program does not know."""
    if found == MOVED:
        raise SetupError(
            "The records of this data directory were moved to PostgreSQL: set MEDLOCK_STORE to the address of that "
            "database, and remove medlock.db when you are sure of the move (docs/postgres.md)."
        )
    if found > VERSION:
        raise SetupError(
            f"This data directory was written by a newer medlock (store format {found}, this program knows "
            f"{VERSION}): start it with that version, or upgrade this one."
        )


def migrate(db: sqlite3.Connection) -> None:
    """Bring the file to `VERSION`, each step in a transaction of its own.

    Raises SetupError when the file was written by a newer medlock.
    """
    found = version_of(db)
    demand_known(found)
    for step in range(found + 1, VERSION + 1):
        db.execute("BEGIN IMMEDIATE")
        if version_of(db) < step:
            MIGRATIONS[step](db)
            db.execute(f"PRAGMA user_version = {step}")
        db.execute("COMMIT")


def prepare(db: sqlite3.Connection) -> None:
    """Settings of every connection: durable commits, deleted bytes overwritten, no temporary files on disk."""
    for pragma in (
        f"page_size = {PAGE_SIZE}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",
        "temp_store = MEMORY",
        "wal_autocheckpoint = 4000",
        "journal_size_limit = 67108864",
        "cache_size = -32768",
        "trusted_schema = OFF",
    ):
        db.execute(f"PRAGMA {pragma}")
