"""Whom limits tell: the counts, the operator's log and the audit log.

Every refusal is counted. The first of a quota and key in its window is in the audit log, so that a flood leaves one
entry and not a million. An alarm (the shared counter is away; somebody sees unusually many patients) is in all three.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from medlock.audit.events import Action, Event, Outcome
from medlock.clock import Clock
from medlock.errors import MedlockError
from medlock.web.counts import Counts
from medlock.web.oplog import OpLog, Told

_MINUTE_MS = 60_000


class Appender(Protocol):
    """The audit log's part."""

    async def append(self, *events: Event) -> int:
        """Make events durable. Raises Unavailable."""


class Alarms:
    """Tells."""

    def __init__(self, audit: Appender, log: OpLog, clock: Clock, counts: Counts | None = None) -> None:
        self._audit = audit
        self._log = log
        self._now_ms = clock.now_ms
        self._counts = counts
        self._alone_until = 0
        self._telling: set[asyncio.Task[None]] = set()

    def counted(self, quota: str) -> None:
        """One more refusal."""
        if self._counts is not None:
            self._counts.refused(quota)

    async def refused(self, quota: str, key: str, account: str, client: str) -> None:
        """Write down the first refusal of a window. Raises Unavailable."""
        whose = "" if account else f" by {key}"
        await self._audit.append(self._event(Outcome.DENIED, account, client, f"limit {quota} is reached{whose}"))

    def alone(self) -> None:
        """The shared counter cannot be had: told at most once a minute, while limits go on per worker."""
        now = self._now_ms()
        if now < self._alone_until:
            return
        self._alone_until = now + _MINUTE_MS
        self._log.notice(Told.LIMITS_ALONE, seconds=_MINUTE_MS // 1000)
        if self._counts is not None:
            self._counts.alone()
        self._tell(self._event(Outcome.FAILED, "", "", "limits are counted by each worker alone: no shared counter"))

    def crowd(self, account: str, client: str, patients: int) -> None:
        """Somebody has seen unusually many patients within an hour."""
        self._log.notice(Told.MANY_PATIENTS, patients=patients)
        if self._counts is not None:
            self._counts.crowded()
        reason = f"saw {patients} different patients within an hour"
        self._tell(self._event(Outcome.SUCCESS, account, client, reason))

    def _event(self, outcome: Outcome, account: str, client: str, reason: str) -> Event:
        return Event(Action.LIMIT, outcome, account, (), client, "", self._now_ms(), "", reason=reason)

    def _tell(self, event: Event) -> None:
        """Into the audit log, beside the request that raised the alarm."""
        task = asyncio.get_running_loop().create_task(self._append(event))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _append(self, event: Event) -> None:
        try:
            await self._audit.append(event)
        except MedlockError as fault:
            self._log.fault(fault, "limits")
