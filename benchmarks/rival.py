"""The rival: resources as plain JSON in SQLite, with the index tables that FHIR servers on SQL databases keep.

One table of resources; tokens, references, dates, strings and uris each in a table of their own, one row a value, with
a covering index by parameter and value (HAPI's and Medplum's design). The same search values are written as the
product indexes, the same SQLite settings hold, every commit is synced.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medlock.clock import instant
from medlock.fhir.document import with_identity
from medlock.fhir.normalise import fold
from medlock.fhir.values import Values
from medlock.store.schema import prepare

INDEXES = {
    "token": ("param TEXT, system TEXT, code TEXT", "param, code, system"),
    "reference": ("param TEXT, target TEXT", "param, target"),
    "date": ("param TEXT, low INTEGER, high INTEGER", "param, low, high"),
    "string": ("param TEXT, text TEXT", "param, text"),
    "uri": ("param TEXT, uri TEXT", "param, uri"),
}
_SEARCH = """
SELECT json FROM resource WHERE key IN (
    SELECT key FROM v_reference WHERE param = ? AND target = ?
    INTERSECT SELECT key FROM v_token WHERE param = ? AND code = ? AND system = ?
    INTERSECT SELECT key FROM v_date WHERE param = ? AND high > ?)
"""
_JOIN = """
SELECT r.json FROM v_reference p
    JOIN v_token t ON t.key = p.key AND t.param = ?3 AND t.code = ?4 AND t.system = ?5
    JOIN v_date d ON d.key = p.key AND d.param = ?6 AND d.high > ?7
    JOIN resource r ON r.key = p.key
WHERE p.param = ?1 AND p.target = ?2
"""


@dataclass(frozen=True, slots=True)
class Item:
    """A resource to store: JSON as received, and its search values."""

    type: str
    id: str
    body: bytes
    values: Values


def rows_of(key: int, item: Item) -> dict[str, list[tuple[int | str, ...]]]:
    """The index rows of a resource, for each table."""
    values, kind = item.values, item.type
    return {
        "token": [(key, f"{kind}.{p}", s, c) for p, s, c in values.tokens],
        "reference": [(key, f"{kind}.{p}", target) for p, target in values.references],
        "date": [(key, f"{kind}.{p}", low, high) for p, low, high in values.dates],
        "string": [(key, f"{kind}.{p}", fold(text)) for p, text in values.strings],
        "uri": [(key, f"{kind}.{p}", uri) for p, uri in values.uris],
    }


class Rival:
    """The plain store. Use within one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None, cached_statements=512)
        prepare(self.db)

    def create_tables(self) -> None:
        """An empty store."""
        self.db.execute(
            "CREATE TABLE resource (key INTEGER PRIMARY KEY, type TEXT, id TEXT, version INTEGER, json BLOB)"
        )
        self.db.execute("CREATE UNIQUE INDEX resource_name ON resource (type, id)")
        for name, (columns, index) in INDEXES.items():
            self.db.execute(f"CREATE TABLE v_{name} (key INTEGER, {columns})")
            self.db.execute(f"CREATE INDEX i_{name} ON v_{name} ({index}, key)")
            self.db.execute(f"CREATE INDEX k_{name} ON v_{name} (key)")

    def write(self, items: Iterable[Item], now: int) -> None:
        """Create resources in one transaction, synced."""
        self.db.execute("BEGIN IMMEDIATE")
        for item in items:
            body = with_identity(item.body, item.type, item.id, 1, instant(now))
            key = self.db.execute(
                "INSERT INTO resource (type, id, version, json) VALUES (?, ?, 1, ?)", (item.type, item.id, body)
            ).lastrowid
            self._index(key or 0, item)
        self.db.execute("COMMIT")

    def _index(self, key: int, item: Item) -> None:
        for table, rows in rows_of(key, item).items():
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                self.db.executemany(f"INSERT INTO v_{table} VALUES ({marks})", rows)

    def observations(self, patient: str, system: str, code: str, since: int) -> list[bytes]:
        """The JSON of a patient's Observations with a code, on or after an instant."""
        given = ("Observation.patient", patient, "Observation.code", code, system, "Observation.date", since)
        return [body for (body,) in self.db.execute(_JOIN, given)]

    def settle(self) -> None:
        """Statistics for the planner, and everything in one compact file."""
        self.db.execute("ANALYZE")
        self.db.execute("VACUUM")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
