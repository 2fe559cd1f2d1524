"""Counting in Valkey or Redis, by the library `limits` (extra `valkey`), which is imported here only.

The server counts in a script of its own, so no two workers get the same number. Keys are PRF values in hexadecimal: it
learns how many callers there are and how busy, not who. It tells the rest of a window in whole seconds, rounded; we
take the end that is never late, so that nothing left over from one window is spent in the next.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from limits.aio.storage import RedisStorage
from limits.errors import StorageError
from valkey.asyncio import BlockingConnectionPool

from medlock.errors import Unavailable
from medlock.web.limits.stored import Names

_CONNECTIONS = 8
_SECONDS = 1
_ROUNDED_MS = 500


class ValkeyCounter:
    """`shares.Shared` over a server at `address`."""

    def __init__(self, address: str, names: Names) -> None:
        at = address.replace("rediss://", "valkeys://").replace("redis", "valkey", 1)
        self._pool = BlockingConnectionPool.from_url(
            at.replace("valkey+unix", "unix"),
            max_connections=_CONNECTIONS,
            timeout=_SECONDS,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
        )
        pool: Any = self._pool  # the library hands on what it is given
        self._storage = RedisStorage(
            f"async+{at}", wrap_exceptions=True, implementation="valkey", key_prefix="medlock", connection_pool=pool
        )
        self._names = names

    async def count(self, key: str, now_ms: int, window_ms: int) -> tuple[int, int]:
        """One more. Raises Unavailable."""
        label = f"{self._names.label(b'limit:' + key.encode()):016x}"
        try:
            number = await self._storage.incr(label, -(-window_ms // 1000))
            asked = monotonic()
            ends = await self._storage.get_expiry(label)
        except (StorageError, OSError) as fault:
            raise Unavailable("The counter of limits cannot be reached.") from fault
        waited = monotonic() - asked  # the library adds the rest to the time at which it came: too late by this much
        return number, max(now_ms + 1, int((ends - waited) * 1000) - _ROUNDED_MS)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._pool.disconnect()
