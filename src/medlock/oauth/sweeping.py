"""Rows that are over are deleted: nothing is kept of what nobody can use any more.

Deleting expects nothing: what is over cannot come back, and two workers that sweep at once do no harm. Only an
approval is deleted as it was read, since a refresh may have renewed it meanwhile. Tokens made by operators stay for
their list.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from medlock.errors import Raced, Tampered
from medlock.oauth.rows import Rows
from medlock.oauth.tokens import TokenStore
from medlock.store.tables import Batch, Table

SECONDS = 600
GROUP = 500


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
        """Where rows lie that are over."""
        rows = self._rows
        drawers: tuple[tuple[Table, Any], ...] = (
            (Table.OAUTH, rows.pending),
            (Table.OAUTH, rows.pushed),
            (Table.OAUTH, rows.launches),
            (Table.OAUTH, rows.invitations),
            (Table.ONCE, rows.marks),
        )
        for table, drawer in drawers:
            async for held in drawer.every():
                if now >= held.value.expires:
                    yield table, held.key
        async for label in self._tokens.over(now):
            yield Table.TOKEN, label

    async def _approvals(self, now: int) -> int:
        """Approvals without a code, a refresh token or an access token that could still be used."""
        count = 0
        async for held in self._rows.approvals.every():
            if now >= held.value.ends:
                with suppress(Raced, Tampered):
                    await self._rows.commit(self._rows.approvals.remove(held))
                    count += 1
        return count
