"""What an owner is shown of failed sign-ins (ASVS 5.0 6.3.5): how many since the last good one, when, from where.

A row for each account, and one for all user names that are nobody's, so that both cost the same. It is written in the
commit of the event and, where it is somebody's, only while it is what was read: whoever loses reads again. What decides
is `lockout`.
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
        """One more; Raced when another was written at the same moment."""
        attempt = Attempt(self._ground.clock.now_ms(), how, place.address, place.agent[:200])
        key = self._rows.key(account_id)
        held = await self._rows.get(key)
        before = held.value if held else Attempts()
        after = Attempts(before.failed + 1, (attempt, *before.newest)[:SHOWN])
        if not account_id:
            return self._rows.put(key, after)
        return self._rows.replace(held, after) if held else self._rows.insert(key, after)

    def cleared(self, account_id: str) -> Batch:
        """A good one: none since."""
        return self._rows.clear(self._rows.key(account_id))
