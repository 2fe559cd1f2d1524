"""The SQL of the PostgreSQL back end. Table names come from the enum, everything else is bound.

Lists are bound as arrays: one text, hence one prepared statement, for any number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from medlock.store.grouping import Piece, Write
from medlock.store.tables import Table

# ruff: noqa: S608 - names come from the enum

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({lock})"
"""In one go. The lock is taken by a statement of its own: the next ones see what its former holder committed."""
STANDING = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
TIP_AT = -1
_ROWS = "unnest(${at}::bigint[], ${then}::bytea[])"

GET = {table: f"SELECT ct FROM {table.value} WHERE key = $1" for table in Table}
LAST = {table: f"SELECT max(key) FROM {table.value}" for table in Table}
SCAN = {table: f"SELECT key, ct FROM {table.value} WHERE key > $1 ORDER BY key LIMIT $2" for table in Table}
FIRST = {table: f"SELECT key, ct FROM {table.value} ORDER BY key LIMIT $1" for table in Table}
WITHIN = {table: f"SELECT key, ct FROM {table.value} WHERE key >= $1 AND key < $2 ORDER BY key" for table in Table}
MANY = {table: f"SELECT key, ct FROM {table.value} WHERE key = ANY($1::bigint[])" for table in Table}
PROVEN = {
    table: f"{MANY[table]} UNION ALL SELECT key, NULL FROM {Table.DELTA.value} WHERE key = ANY($2::bigint[])"
    for table in Table
}
"""Rows of a table, and after them the keys of those deltas that exist: one statement, so one moment."""


@cache
def there(tables: tuple[Table, ...], whole: tuple[Table, ...] = ()) -> str:
    """Which of so many lists of keys exist, what the rows of some more hold, and the head of the log."""
    asked = [
        f"SELECT {at} AS place, key, {'NULL::bytea' if at < len(tables) else 'ct'} AS ct"
        f" FROM {table.value} WHERE key = ANY(${at + 1}::bigint[])"
        for at, table in enumerate((*tables, *whole))
    ]
    asked.append(f"SELECT {TIP_AT} AS place, key, ct FROM {Table.TIP.value} WHERE key = 0")
    return " UNION ALL ".join(asked)


@cache
def writing(shape: tuple[tuple[Write, Table], ...]) -> str:
    """All pieces in one statement: they touch different rows, so none needs to see what another did."""
    parts: list[str] = []
    at = 1
    for how, table in shape:
        parts.append(f"w{at} AS ({_part(how, table, at)})")
        at += 1 if how is Write.DELETE else 2
    return f"WITH {', '.join(parts)} SELECT"


@cache
def extending(shape: tuple[tuple[Write, Table], ...], lock: int) -> str:
    """The same when the head of the log is the one that is bound first, and nothing otherwise; the new one second.

    One statement is one transaction. Its snapshot may be older than the lock, but a row that was changed since is read
    again before it is updated, so the comparison is with what the former holder of the lock left.
    """
    parts = [
        f"taken AS MATERIALIZED (SELECT pg_advisory_xact_lock({lock}))",
        (
            f"head AS (UPDATE {Table.TIP.value} SET ct = $2 FROM taken"
            f" WHERE {Table.TIP.value}.key = 0 AND {Table.TIP.value}.ct = $1 RETURNING {Table.TIP.value}.key)"
        ),
    ]
    parts += [
        f"w{at} AS ({_part(how, table, at, ' WHERE EXISTS (SELECT FROM head)')})"
        for at, (how, table) in zip(range(3, 2 * len(shape) + 3, 2), shape, strict=True)
    ]
    return f"WITH {', '.join(parts)} SELECT count(*) FROM head"


def shape_of(portion: Sequence[Piece]) -> tuple[tuple[Write, Table], ...]:
    """What `writing` makes the statement of."""
    return tuple((how, table) for how, table, _, _ in portion)


def bound_for(portion: Sequence[Piece]) -> list[list[int] | list[bytes]]:
    """What that statement is bound to."""
    return [column for how, _, keys, cts in portion for column in ((keys,) if how is Write.DELETE else (keys, cts))]


def _part(how: Write, table: Table, at: int, condition: str = "") -> str:
    if how is Write.DELETE:
        return f"DELETE FROM {table.value} WHERE key = ANY(${at}::bigint[])"
    insert = f"INSERT INTO {table.value} (key, ct) SELECT * FROM {_ROWS.format(at=at, then=at + 1)}{condition}"
    return insert if how is Write.INSERT else f"{insert} ON CONFLICT (key) DO UPDATE SET ct = excluded.ct"
