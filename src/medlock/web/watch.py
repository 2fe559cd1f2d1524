"""Writes failed authentications to the audit log, without letting strangers fill the disk with it.

Anybody can send bad tokens as fast as the network carries them. Each process writes up to `BURST` entries a minute;
what is refused beyond that is counted, and the count stands in the next entry that is written.
"""

from __future__ import annotations

from typing import Protocol

from medlock.audit.events import Action, Event, Outcome
from medlock.clock import Clock

BURST = 60
_MINUTE_MS = 60_000


class Appender(Protocol):
    """The audit log's part."""

    async def append(self, *events: Event) -> int:
        """Make events durable. Raises Unavailable."""


class RefusalWatch:
    """`web.ports.Watch` over the audit log."""

    def __init__(self, log: Appender, clock: Clock, action: Action = Action.SIGN_IN) -> None:
        self._log = log
        self._action = action
        self._clock = clock
        self._minute = 0
        self._written = 0
        self._unwritten = 0

    async def refused(self, reason: str, request: str) -> None:
        """Write down one refusal, or count it. Raises Unavailable when the log cannot be written."""
        now = self._clock.now_ms()
        if now // _MINUTE_MS != self._minute:
            self._minute, self._written = now // _MINUTE_MS, 0
        if self._written >= BURST:
            self._unwritten += 1
            return
        self._written += 1
        more, self._unwritten = self._unwritten, 0
        told = f"{reason}; {more} more were refused and not written down" if more else reason
        await self._log.append(Event(self._action, Outcome.DENIED, "", (), "", "", now, request, reason=told))
