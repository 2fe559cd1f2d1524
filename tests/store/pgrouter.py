"""Two PostgreSQL servers as one, rows placed by a hash of their key: what a sharded PostgreSQL does, small enough to read.

Every statement of medlock goes to both servers as it is, with those of its keys that live there; what comes back is laid
together (all of it, the greatest, the first so many). No row of one server ever meets a row of the other: a statement
that needed that would give other answers here than on one server. Commits are two-phase.
"""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import blake2b
from itertools import count
from typing import ClassVar

from medlock.store.pgconnect import Connections

_NUMBERS = count(1)


def home(key, servers):
    """Where the row lives, the same for every table."""
    return blake2b(key.to_bytes(8, "big", signed=True), digest_size=1).digest()[0] % servers


def split(statement, bound, at, servers):
    """The arguments for one server: of keys (bigint[]), and what stands beside keys, only those that live there."""
    kept, parts = [], list(bound)
    for place, value in enumerate(parts):
        if not isinstance(value, list) or any(isinstance(each, str) for each in value):
            continue
        if f"${place + 1}::bigint[]" in statement:
            kept = [home(key, servers) == at for key in value]
        parts[place] = [each for each, keep in zip(value, kept, strict=True) if keep]
    return parts


class Routed:
    """An asyncpg connection, as far as medlock uses one, on several servers."""

    def __init__(self, connections, asked):
        self._all, self._asked, self._number = connections, asked, next(_NUMBERS)

    async def fetch(self, statement, *bound):
        """Rows of all servers, in the order and number that were asked for."""
        self._asked.add(statement)
        rows = [
            row
            for at, each in enumerate(self._all)
            for row in await each.fetch(statement, *split(statement, bound, at, len(self._all)))
        ]
        if "max(key)" in statement:
            return [max(rows, key=lambda row: -1 if row[0] is None else row[0])]
        if "ORDER BY key" in statement:
            rows.sort(key=lambda row: row[0])
        return rows[: bound[-1]] if "LIMIT" in statement else rows

    async def fetchval(self, statement, *bound):
        """The value of the one row that there is on any server."""
        rows = [row for row in await self.fetch(statement, *bound) if row[0] is not None]
        return rows[0][0] if rows else None

    async def execute(self, statement, *bound):
        """On all servers; COMMIT in two phases."""
        self._asked.add(re.sub(r"[0-9]{6,}", "N", statement))
        if statement == "COMMIT":
            name = f"medlock_{self._number}"
            for each in self._all:
                await each.execute(f"PREPARE TRANSACTION '{name}'")
            for each in self._all:
                await each.execute(f"COMMIT PREPARED '{name}'")
            return
        for at, each in enumerate(self._all):
            await each.execute(statement, *split(statement, bound, at, len(self._all)))

    @asynccontextmanager
    async def transaction(self):
        """One on each server."""
        async with AsyncExitStack() as kept:
            for each in self._all:
                await kept.enter_async_context(each.transaction())
            yield

    def is_closed(self):
        """Whether one of them is gone."""
        return any(each.is_closed() for each in self._all)

    def terminate(self):
        """Hang up on all."""
        for each in self._all:
            each.terminate()

    async def close(self, **how):
        """Say goodbye to all."""
        for each in self._all:
            await each.close(**how)


class RoutedConnections:
    """`Connections` to several servers; the addresses are separated by a space. `asked` collects every statement."""

    asked: ClassVar[set[str]] = set()

    def __init__(self, urls):
        self._servers = [Connections(url) for url in urls.split(" ")]

    async def for_writing(self):
        """One writer's connections."""
        return Routed([await each.for_writing() for each in self._servers], self.asked)

    @asynccontextmanager
    async def _entered(self, which, **how):
        async with AsyncExitStack() as kept:
            inner = [await kept.enter_async_context(getattr(each, which)(**how)) for each in self._servers]
            yield Routed(inner, self.asked)

    def reading(self):
        """Connections for one question."""
        return self._entered("reading")

    def alone(self, **how):
        """Connections for one purpose."""
        return self._entered("alone", **how)

    async def close(self):
        """Let go of all."""
        for each in self._servers:
            await each.close()
