"""Counters (`store.counting`) in the SQLite file: statements that go through the one writer, so they share its fsync.

Each act is a batch of its own kind. Many that wait together become one transaction and one sync of the disk; each still
sees what those before it counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from medlock.store.counting import DOUBLINGS_MAX, Claim, Count, Pace
from medlock.store.schema import COUNTER
from medlock.store.tables import Batch

# ruff: noqa: S608 - the name is a constant

LAPSED_MAX = 1_000
_BUMP = (
    f"INSERT INTO {COUNTER} (key, n, until) VALUES (:key, 1, :now + :window) ON CONFLICT (key) DO UPDATE SET"
    " n = CASE WHEN until > :now THEN n + 1 ELSE 1 END,"
    " until = CASE WHEN until > :now THEN until ELSE excluded.until END RETURNING n, until"
)
_CLAIM = (
    f"INSERT INTO {COUNTER} (key, n, until) VALUES (:key, 1, :now + :alone) ON CONFLICT (key) DO UPDATE SET"
    " n = CASE WHEN until + :forget <= :now THEN 1 ELSE n + 1 END,"
    " until = :now + CASE WHEN until + :forget <= :now THEN :alone WHEN n + 1 < :free THEN 0"
    f" ELSE min(:longest, :first << min(n + 1 - :free, {DOUBLINGS_MAX})) END"
    " WHERE n < :free OR until <= :now RETURNING n, until"
)
_PEEK = f"SELECT n, until FROM {COUNTER} WHERE key = :key"
_REFUND = f"UPDATE {COUNTER} SET n = max(n - 1, 0) WHERE key = :key"
_SETTLE = f"DELETE FROM {COUNTER} WHERE key = :key"
_LAPSE = (
    f"DELETE FROM {COUNTER} WHERE key IN (SELECT key FROM {COUNTER} WHERE until <= :before LIMIT {LAPSED_MAX})"
    " RETURNING key"
)

Rows = list[tuple[int, ...]]
Execute = Callable[[str, dict[str, int]], sqlite3.Cursor]


class Counting(Batch):
    """Statements on counters as a batch that the writer runs; `found` has the rows of each."""

    asked: list[tuple[str, dict[str, int]]] = msgspec.field(default_factory=list)
    found: list[Rows] = msgspec.field(default_factory=list)

    def run(self, execute: Callable[..., Any]) -> None:
        """Inside the writer's transaction. Raises sqlite3.Error."""
        self.found = [execute(statement, bound).fetchall() for statement, bound in self.asked]


def bumping(keys: Sequence[int], now_ms: int, windows_ms: Sequence[int]) -> Counting:
    """One more for each."""
    pairs = zip(keys, windows_ms, strict=True)
    return Counting(asked=[(_BUMP, {"key": key, "now": now_ms, "window": window}) for key, window in pairs])


def claiming(key: int, now_ms: int, pace: Pace) -> Counting:
    """One more if the pace allows it; then what the counter stands at."""
    bound = {
        "key": key,
        "now": now_ms,
        "alone": pace.wait(1),
        "free": pace.free,
        "first": pace.first_ms,
        "longest": pace.longest_ms,
        "forget": pace.forget_ms,
    }
    return Counting(asked=[(_CLAIM, bound), (_PEEK, {"key": key})])


def refunding(keys: Sequence[int]) -> Counting:
    """One less for each."""
    return Counting(asked=[(_REFUND, {"key": key}) for key in keys])


def settling(keys: Sequence[int]) -> Counting:
    """Forget them."""
    return Counting(asked=[(_SETTLE, {"key": key}) for key in keys])


def lapsing(before_ms: int) -> Counting:
    """Remove what is over."""
    return Counting(asked=[(_LAPSE, {"before": before_ms})])


def claimed(counting: Counting) -> Claim:
    """What came of `claiming`."""
    let, ((n, until),) = counting.found
    return Claim(allowed=bool(let), n=n, until=until)


def counts(counting: Counting) -> list[Count]:
    """What came of `bumping`."""
    return [(rows[0][0], rows[0][1]) for rows in counting.found]


def peeked(db: sqlite3.Connection, keys: Sequence[int]) -> list[Count]:
    """What they stand at. Raises sqlite3.Error."""
    rows = (db.execute(_PEEK, {"key": key}).fetchone() for key in keys)
    return [(0, 0) if row is None else (row[0], row[1]) for row in rows]
