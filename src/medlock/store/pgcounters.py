"""Counters (`store.counting`) on PostgreSQL: one statement each, which locks its rows in the order of their keys.

They do not take turns with the writers of sealed rows. One statement of a process goes at a time: all sign-ins meet at
the same few counters, and those who wait for a row's lock shall not take the connections of those who read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from medlock.store.counting import DOUBLINGS_MAX, Claim, Count, Pace
from medlock.store.pgconnect import Connections, refusing
from medlock.store.schema import COUNTER

# ruff: noqa: S608 - the name is a constant

LAPSED_MAX = 1_000
_UNCHANGED = "; nothing was allowed"
_BUMP = (
    f"INSERT INTO {COUNTER} AS c (key, n, until)"
    " SELECT key, 1, $2::bigint + span FROM unnest($1::bigint[], $3::int8[]) AS t (key, span) ORDER BY key"
    " ON CONFLICT (key) DO UPDATE SET n = CASE WHEN c.until > $2 THEN c.n + 1 ELSE 1 END,"
    " until = CASE WHEN c.until > $2 THEN c.until ELSE excluded.until END RETURNING c.key, c.n, c.until"
)
_CLAIM = (
    f"INSERT INTO {COUNTER} AS c (key, n, until) SELECT key, 1, $2::bigint + $3::bigint FROM unnest($1::bigint[]) key"
    " ON CONFLICT (key) DO UPDATE SET n = CASE WHEN c.until + $4::bigint <= $2 THEN 1 ELSE c.n + 1 END,"
    " until = $2 + CASE WHEN c.until + $4 <= $2 THEN $3 WHEN c.n + 1 < $5::bigint THEN 0"
    f" ELSE least($7::bigint, $6::bigint << least(c.n + 1 - $5, {DOUBLINGS_MAX})::int) END"
    " WHERE c.n < $5 OR c.until <= $2 RETURNING c.key, c.n, c.until"
)
_PEEK = f"SELECT key, n, until FROM {COUNTER} WHERE key = ANY($1::bigint[])"
_LOCKED = f"SELECT key FROM {COUNTER} WHERE key = ANY($1::bigint[]) ORDER BY key FOR UPDATE"
_REFUND = f"UPDATE {COUNTER} SET n = greatest(n - 1, 0) WHERE key IN ({_LOCKED})"
_SETTLE = f"DELETE FROM {COUNTER} WHERE key IN ({_LOCKED})"
_LAPSE = (
    f"DELETE FROM {COUNTER} WHERE key IN (SELECT key FROM {COUNTER} WHERE until <= $1"
    f" LIMIT {LAPSED_MAX} FOR UPDATE SKIP LOCKED) RETURNING key"
)


class PgCounters:
    """The counters of one database."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._turn = asyncio.Lock()

    async def bump(self, keys: Sequence[int], now_ms: int, windows_ms: Sequence[int]) -> list[Count]:
        """One more for each key, in one statement."""
        rows = await self._ask(_BUMP, list(keys), now_ms, list(windows_ms))
        found = {key: (n, until) for key, n, until in rows}
        return [found[key] for key in keys]

    async def claim(self, key: int, now_ms: int, pace: Pace) -> Claim:
        """One more if the pace allows it now; when it does not, what it stands at is asked afterwards, to be told."""
        spans = pace.wait(1), pace.forget_ms, pace.free, pace.first_ms, pace.longest_ms
        if rows := await self._ask(_CLAIM, [key], now_ms, *spans):
            return Claim(allowed=True, n=rows[0][1], until=rows[0][2])
        n, until = (await self.peek([key]))[0]
        return Claim(allowed=False, n=n, until=until)

    async def refund(self, keys: Sequence[int]) -> None:
        """One less for each."""
        await self._ask(_REFUND, list(keys))

    async def settle(self, keys: Sequence[int]) -> None:
        """Forget them."""
        await self._ask(_SETTLE, list(keys))

    async def peek(self, keys: Sequence[int]) -> list[Count]:
        """What they stand at."""
        found = {key: (n, until) for key, n, until in await self._ask(_PEEK, list(keys))}
        return [found.get(key, (0, 0)) for key in keys]

    async def lapse(self, before_ms: int) -> int:
        """Remove what is over."""
        return len(await self._ask(_LAPSE, before_ms))

    async def _ask(self, statement: str, *bound: Any) -> Sequence[Any]:
        """In the order of asking. A statement is a transaction, durable when it is answered."""
        with refusing("counted in", _UNCHANGED):
            async with self._turn, self._connections.reading() as db:
                return await db.fetch(statement, *bound)  # type: ignore[no-any-return]
