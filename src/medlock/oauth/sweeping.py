"""Rows that are over are deleted: nothing is kept of what nobody can use any more.

Deleting expects nothing: what is over cannot come back, and two workers that sweep at once do no harm. Only an
approval is deleted as it was read, since a refresh may have renewed it meanwhile. Tokens made by operators stay for
their list.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

from medlock.errors import Raced, Tampered
from medlock.oauth.rows import Rows
from medlock.oauth.tokens import TokenStore
from medlock.store.cabinet import Drawer, Held
from medlock.store.tables import Batch, Table

SECONDS = 600
GROUP = 500
PAGE = 200


class Sweeper:
    """Goes through the tables OAUTH, ONCE (its own marks) and TOKEN."""

    def __init__(self, rows: Rows, tokens: TokenStore) -> None:
        self._rows = rows
        self._tokens = tokens

    async def sweep(self) -> int:
        """Delete what is over; how many rows. Raises Unavailable."""
        now, count, batch = self._rows.clock.now_ms(), 0, Batch()
        async for table, key in self._over(now):
            batch.deletes.append((table, key))
            count += 1
            if len(batch.deletes) >= GROUP:
                await self._rows.commit(batch)
                batch = Batch()
        if batch.deletes:
            await self._rows.commit(batch)
        return count + await self._approvals(now)

    async def _over(self, now: int) -> AsyncIterator[tuple[Table, int]]:
        """Where rows lie that are over; whoever waits for this process comes first after every page."""
        rows = self._rows
        drawers: dict[Table, tuple[Drawer[Any], ...]] = {
            Table.ONCE: (rows.marks,),
            Table.OAUTH: (rows.pending, rows.pushed, rows.launches, rows.invitations, rows.links),
        }
        for table, kinds in drawers.items():
            async for key, row in self._scan(table):
                value = _opened(kinds, key, row)
                if value is not None and now >= value.expires:
                    yield table, key
        async for key, row in self._scan(Table.TOKEN):
            if self._tokens.is_over(key, row, now):
                yield Table.TOKEN, key

    async def _approvals(self, now: int) -> int:
        """Approvals without a code, a refresh token or an access token that could still be used."""
        count, approvals = 0, self._rows.approvals
        async for key, row in self._scan(Table.OAUTH):
            value = _opened((approvals,), key, row)
            if value is not None and now >= value.ends:
                with suppress(Raced):
                    await self._rows.commit(approvals.remove(Held(key, value, row)))
                    count += 1
        return count

    async def _scan(self, table: Table) -> AsyncIterator[tuple[int, bytes]]:
        """Every row of a table, in pages that take a few milliseconds."""
        after: int | None = None
        while page := await self._rows.backend.scan(table, after, PAGE):
            for key, row in page:
                yield key, row
            after = page[-1][0]
            await asyncio.sleep(0)


def _opened(kinds: Sequence[Drawer[Any]], key: int, row: bytes) -> Any:
    """What a row says, when it is of one of these kinds."""
    for drawer in kinds:
        with suppress(Tampered):
            return drawer.open(key, row)
    return None
