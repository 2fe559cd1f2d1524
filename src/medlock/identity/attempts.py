"""What an owner is shown of failed sign-ins (ASVS 5.0 6.3.5): how many since the last good one, when, from where.

A row for each account, put without asking what it was: two failures at the same moment may be shown as one. The log has
every one of them; what decides is `lockout`.
"""

from __future__ import annotations

import msgspec

from medlock.identity.ground import Ground, Place
from medlock.store.tables import Batch

SHOWN = 10


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One that failed. Time in ms; `how` is the factor."""

    at: int
    how: str
    address: str
    agent: str


class Attempts(msgspec.Struct, frozen=True, array_like=True):
    """Those since the last good sign-in, and the newest of them."""

    failed: int = 0
    newest: tuple[Attempt, ...] = ()


class AttemptBook:
    """Failed attempts of all accounts."""

    def __init__(self, ground: Ground) -> None:
        self._rows = ground.cabinet.drawer("attempts", Attempts)
        self._ground = ground

    async def of(self, account_id: str) -> Attempts:
        """An account's."""
        held = await self._rows.get(self._rows.key(account_id))
        return held.value if held else Attempts()

    async def failed(self, account_id: str, how: str, place: Place) -> Batch:
        """One more."""
        attempt = Attempt(self._ground.clock.now_ms(), how, place.address, place.agent[:200])
        before = await self.of(account_id)
        after = Attempts(before.failed + 1, (attempt, *before.newest)[:SHOWN])
        return self._rows.put(self._rows.key(account_id), after)

    def cleared(self, account_id: str) -> Batch:
        """A good one: none since."""
        return self._rows.clear(self._rows.key(account_id))
