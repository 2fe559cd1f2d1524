"""How many requests may wait for somebody to sign in: whoever sends them by the thousand must not fill the disk.

A request at the authorization endpoint is a row until it is decided or a quarter of an hour has passed; a pushed one
for 90 seconds; both until the sweep that follows. Anybody may send them, so they are counted in the store, by all
workers together: those of strangers for their network and for everybody, those of people who are signed in for each
by themselves. So a stranger cannot fill the disk, and cannot keep people who are signed in from their apps.
"""

from __future__ import annotations

from medlock.errors import TooMany
from medlock.identity.lockout import prefix_of
from medlock.oauth.client import Client
from medlock.oauth.lifetimes import PENDING
from medlock.oauth.people import SignedIn
from medlock.oauth.rows import Rows

NETWORK_MAX = 2_000
STRANGERS_MAX = 20_000
ACCOUNT_MAX = 200
CLIENT_MAX = 5_000
WINDOW_MS = PENDING * 1000


class Crowded(TooMany):
    """Too many requests wait; `retry_after` seconds until there is room."""

    def __init__(self, wait_ms: int, reason: str) -> None:
        super().__init__("Too many apps wait for an answer here. Try again in some minutes.", reason=reason)
        self.retry_after = max(1, -(-wait_ms // 1000))


class Crowd:
    """Counts, before a row is written."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def waits(self, session: SignedIn | None, address: str) -> None:
        """One more request waits. Raises Crowded, Unavailable.

        A network before everybody: what one may not send any more must not use up what the others have.
        """
        if session is not None:
            await self._count(f"account|{session.account}", ACCOUNT_MAX)
            return
        if address:
            await self._count(f"network|{prefix_of(address)}", NETWORK_MAX)
        await self._count("strangers", STRANGERS_MAX)

    async def pushed(self, client: Client) -> None:
        """One more was pushed: a public client proves nothing, so all of those are strangers. Raises Crowded."""
        await self._count(f"client|{client.id}", CLIENT_MAX)
        if not client.confidential:
            await self._count("pushed", STRANGERS_MAX)

    async def _count(self, whose: str, most: int) -> None:
        now = self._rows.clock.now_ms()
        name = self._rows.labels.label(f"crowd|{whose}".encode())
        ((n, until),) = await self._rows.backend.bump([name], now, [WINDOW_MS])
        if n > most:
            raise Crowded(until - now, f"more than {most} requests wait: {whose.partition('|')[0]}")
