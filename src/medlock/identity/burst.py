"""What strangers can cause without end is written down up to so many times a minute; the rest is counted and told then.

Anybody can send passkeys that are none, as fast as the network carries them, and nothing makes them wait: each would be
an entry of the log for ever. (`web.watch` does the same for tokens.)
"""

from __future__ import annotations

from medlock.clock import Clock

MOST = 60
_MINUTE_MS = 60_000


class Burst:
    """In one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._told = 0
        self._untold = 0

    def take(self) -> int | None:
        """How many were left out before this one, which is to be written down; None: leave it out as well."""
        minute = self._clock.now_ms() // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._told = minute, 0
        if self._told >= MOST:
            self._untold += 1
            return None
        self._told += 1
        before, self._untold = self._untold, 0
        return before
