"""Moving all rows from one back end to another while servers go on writing to the first. docs/postgres.md §8.

Three steps, each of which may end at any moment and be taken again: (1) the file notes from now on which keys change;
(2) every table is compared with its copy in the order of keys, by SHA-256 of each row, and what differs is copied, then
what changed meanwhile, until little is left; (3) writers are held, the last changes are copied, the number of rows of
each table is checked, and the file stops being a store. What is copied is read back and compared. Until (3) the file is
the store and the copy may be thrown away; after it the file refuses reads and writes alike. Rows are carried as they
are: nothing is opened, no key is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from medlock.errors import Tampered
from medlock.store.tables import Row, Table, rows_of

CHUNK = 2_000
"""Rows that are compared at a time: about a megabyte and a half."""
FEW = 500
"""Changes that are left for the moment in which writers wait."""
ROUNDS = 20
Name = tuple[Table, int]
Turn = Callable[[str, int, int], None]
"""Told where the work is: table, key reached, last key."""


class Source(Protocol):
    """A store that is being left; `store.leaving.LeavingFile`."""

    def begin(self) -> None:
        """Note from now on which keys change; forget what was noted before."""

    def scan(self, table: Table, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` rows with key > `after`, ascending; each call sees what is committed by then."""

    def last_key(self, table: Table) -> int | None:
        """The greatest key."""

    def take_changed(self, limit: int) -> list[Name]:
        """Up to `limit` of the keys that changed since they were last taken."""

    def rows(self, names: Sequence[Name]) -> list[Row]:
        """Those that exist."""

    def count(self, table: Table) -> int:
        """How many rows it has."""

    def held(self) -> AbstractContextManager[None]:
        """Within it nobody else writes. Raises Unavailable when a writer does not end."""

    def leave(self, mark: bytes) -> None:
        """Inside `held`: the file is no store any more, for whoever has it open too; it remembers where to it went."""


class Target(Protocol):
    """The store that comes to be; `store.arriving.ArrivingDatabase`."""

    @property
    def mark(self) -> bytes:
        """Names this copy."""

    async def digests(self, table: Table, after: int | None, upto: int | None) -> dict[int, bytes]:
        """SHA-256 of each row with `after` < key ≤ `upto`; None is no bound."""

    async def digests_of(self, table: Table, keys: Sequence[int]) -> dict[int, bytes]:
        """The same for those of `keys` that exist."""

    async def write(self, puts: Sequence[Row], deletes: Sequence[Name]) -> None:
        """All together and durable. Raises Unavailable."""

    async def count(self, table: Table) -> int:
        """How many rows it has."""


@dataclass(slots=True)
class Migrated:
    """What a migration did; `held_ms` is how long writers waited."""

    rows: int = 0
    copied: int = 0
    removed: int = 0
    rounds: int = 0
    held_ms: int = 0


def _portions(names: Sequence[Name]) -> Iterator[list[Name]]:
    """The names, those of long rows a few at a time."""
    by_table: dict[Table, list[Name]] = {}
    for name in names:
        by_table.setdefault(name[0], []).append(name)
    for table, some in by_table.items():
        size = rows_of(table, CHUNK)
        for start in range(0, len(some), size):
            yield some[start : start + size]


class Migration:
    """One run from a source to a target."""

    def __init__(self, source: Source, target: Target, now_ms: Callable[[], int], turn: Turn) -> None:
        self._source, self._target = source, target
        self._now_ms, self._turn = now_ms, turn
        self._done = Migrated()

    async def run(self) -> Migrated:
        """The three steps. Raises Unavailable: run it again; Tampered: copy and original do not agree."""
        self._source.begin()
        for table in Table:
            await self._compare(table)
        await self._catch_up()
        with self._source.held():
            since = self._now_ms()
            while await self._copy_changed():
                pass
            await self._demand_counts()
            self._source.leave(self._target.mark)
            self._done.held_ms = self._now_ms() - since
        return self._done

    async def _compare(self, table: Table) -> None:
        """Make the copy of a table as the table is, wherever it is not."""
        last = self._source.last_key(table) or 0
        after: int | None = None
        while rows := self._source.scan(table, after, rows_of(table, CHUNK)):
            upto = rows[-1][0]
            there = await self._target.digests(table, after, upto)
            puts: list[Row] = [(table, key, ct) for key, ct in rows if there.pop(key, None) != sha256(ct).digest()]
            await self._write(puts, [(table, key) for key in there])
            after = upto
            self._turn(table.value, upto, max(last, upto))
        beyond = await self._target.digests(table, after, None)
        await self._write([], [(table, key) for key in beyond])

    async def _catch_up(self) -> None:
        """Copy what changed meanwhile, again and again, until little is left; writers faster than that must pause."""
        for self._done.rounds in range(1, ROUNDS + 1):
            if await self._copy_changed() < FEW:
                return

    async def _copy_changed(self) -> int:
        """Copy the rows that changed, and see that they came; how many there were."""
        names = self._source.take_changed(CHUNK)
        for some in _portions(names):
            rows = self._source.rows(some)
            here = {(table, key) for table, key, _ in rows}
            await self._write(rows, [name for name in some if name not in here])
        return len(names)

    async def _write(self, puts: Sequence[Row], deletes: Sequence[Name]) -> None:
        """Write, and see that it came."""
        if puts or deletes:
            await self._target.write(puts, deletes)
            await self._demand_same([*((table, key) for table, key, _ in puts), *deletes], puts)
            self._done.copied += len(puts)
            self._done.removed += len(deletes)

    async def _demand_same(self, names: Iterable[Name], rows: Iterable[Row]) -> None:
        """Raises Tampered unless the copy has these rows and, of all `names`, no others."""
        want: dict[Table, dict[int, bytes]] = {}
        asked: dict[Table, list[int]] = {}
        for table, key in names:
            asked.setdefault(table, []).append(key)
        for table, key, ct in rows:
            want.setdefault(table, {})[key] = sha256(ct).digest()
        for table, keys in asked.items():
            if await self._target.digests_of(table, keys) != want.get(table, {}):
                raise Tampered(f"table {table.value} of the copy does not hold what was written into it")

    async def _demand_counts(self) -> None:
        """Raises Tampered unless every table has as many rows as its copy."""
        for table in Table:
            rows = self._source.count(table)
            if rows != await self._target.count(table):
                raise Tampered(f"table {table.value} of the copy has not as many rows as the original")
            self._done.rows += rows
