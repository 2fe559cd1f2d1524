"""Reading a store's file without being a back end: for work that another process takes over (`audit.hands`).

One connection that cannot write. It takes no part in commits, knows no keys, and sees what is committed when it asks.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from medlock.errors import Unavailable
from medlock.store.schema import CELL
from medlock.store.tables import Table

BUSY_SECONDS = 10.0
_WITHIN = {
    table: f"SELECT {CELL} FROM {table.value} WHERE key BETWEEN ? AND ? ORDER BY key"  # noqa: S608 - enum
    for table in Table
}


class FileReader:
    """The sealed tables of one SQLite file."""

    def __init__(self, path: Path) -> None:
        """Raises Unavailable when it cannot be opened."""
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
            self._db.text_factory = bytes
            for pragma in ("query_only = ON", "cache_size = -256"):  # rows are read once: few pages stay near
                self._db.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault

    def within(self, table: Table, keys: range) -> list[bytes]:
        """The rows that there are in a range of keys, ascending. Raises Unavailable."""
        try:
            return [row for (row,) in self._db.execute(_WITHIN[table], (keys.start, keys.stop - 1)).fetchall()]
        except sqlite3.Error as fault:
            raise _unreadable(fault) from fault

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _unreadable(fault: sqlite3.Error) -> Unavailable:
    return Unavailable(f"The store cannot be read now ({fault}).")
