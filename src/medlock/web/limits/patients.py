"""How many different patients somebody sees within an hour of the clock: the guard against scraping.

Each request may be modest and the sum of them a copy of the clinic. So the door tells here, before it lets an answer
go, whose records are in it; who has seen as many patients as one person or program may in an hour sees no further one
until the next, while those already seen stay within reach. At half of it an alarm is raised. Patients' own callers,
held to one record, are not counted, nor are exports, which have rights, weights and log entries of their own.

The count is exact within a worker. With several workers each tells a shared counter, a second later, which (account,
patient, hour) it saw; the first to tell counts, so a patient seen through two workers counts once. What others saw
within that second is not known yet: that, and units of 1/128 of the limit, is how far the sum can be off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

import msgspec

from medlock.access.principal import Principal, Role
from medlock.clock import Clock
from medlock.errors import Throttled, Unavailable
from medlock.settings import Quota, Rates
from medlock.web.limits.purse import Purse, Term
from medlock.web.limits.shares import Shared

SHARE_SECONDS = 1.0
UNITS = 128
_HOUR_MS = 3_600_000
_PROGRAMS = frozenset({Role.BACKEND, Role.LOADER, Role.VENDOR})


class Told(Protocol):
    """Who hears of it; `limits.alarms` is it."""

    def counted(self, quota: str) -> None:
        """One more refusal."""

    def crowd(self, account: str, client: str, patients: int) -> None:
        """The alarm."""

    def alone(self) -> None:
        """The shared counter cannot be had."""


class Seen(msgspec.Struct):
    """What one key saw in an hour. `others`: how many more than `slots` all workers together saw, as last heard."""

    quota: str
    slots: set[int]
    fresh: list[int] = []
    first: int = 0
    others: int = 0
    alarmed: bool = False

    @property
    def total(self) -> int:
        """Different patients, as far as this worker knows."""
        return len(self.slots) + self.others


class Patients:
    """The counts of one process."""

    def __init__(self, rates: Rates, clock: Clock, told: Told, shared: Shared | None = None) -> None:
        self._quotas = {"people_patients": rates.people_patients, "program_patients": rates.program_patients}
        self._now_ms = clock.now_ms
        self._told = told
        self._shared = shared
        self._ends = 0
        self._accounts: dict[str, Seen] = {}
        self._clients: dict[str, Seen] = {}

    def saw(self, principal: Principal, slots: Collection[int]) -> None:
        """Somebody is about to see records of these patients. Raises Throttled when they may see no further one."""
        if principal.patient and Role.PATIENT in principal.roles:  # staff may be held to one patient after another
            return
        if self._now_ms() >= self._ends:
            self._begin()
        seen = self._accounts.get(principal.account)
        if seen is None or not seen.slots.issuperset(slots):
            quota = "people_patients" if principal.roles.isdisjoint(_PROGRAMS) else "program_patients"
            self._add(principal, self._accounts, principal.account, quota, slots)
        if principal.client:
            seen = self._clients.get(principal.client)
            if seen is None or not seen.slots.issuperset(slots):
                self._add(principal, self._clients, principal.client, "program_patients", slots)

    def _begin(self) -> None:
        """A new hour begins with nothing seen."""
        self._ends = (self._now_ms() // _HOUR_MS + 1) * _HOUR_MS
        self._accounts, self._clients = {}, {}

    def _add(self, who: Principal, among: dict[str, Seen], key: str, quota: str, slots: Collection[int]) -> None:
        limit = self._quotas[quota]
        if not limit.amount:
            return
        seen = among.setdefault(key, Seen(quota, set(), []))
        new = set(slots) - seen.slots
        if seen.total + len(new) > limit.amount:
            raise self._refusal(quota, limit, key)
        seen.slots |= new
        if self._shared is not None:
            seen.fresh += new
        if seen.total * 2 >= limit.amount and not seen.alarmed:
            seen.alarmed = True
            self._told.crowd(who.account, who.client, seen.total)

    def _refusal(self, quota: str, limit: Quota, key: str) -> Throttled:
        self._told.counted(quota)
        return Purse(Term(quota, limit), key, 0, self._ends).refusal(self._now_ms())

    async def share_on(self) -> None:
        """Tell and hear, until cancelled."""
        while self._shared is not None:
            await asyncio.sleep(SHARE_SECONDS)
            await self.share(self._shared)

    async def share(self, shared: Shared) -> None:
        """Tell what this worker saw since, and hear how many all saw."""
        known = [(f"account:{key}", seen) for key, seen in self._accounts.items() if seen.fresh]
        known += [(f"client:{key}", seen) for key, seen in self._clients.items() if seen.fresh]
        for key, seen in known:
            fresh, seen.fresh = seen.fresh, []
            try:
                await self._tell(shared, f"{self._ends}:{key}", seen, fresh)
            except (Unavailable, TimeoutError):
                self._told.alone()

    async def _tell(self, shared: Shared, key: str, seen: Seen, fresh: list[int]) -> None:
        """Mark each; count those that nobody had marked, a unit at a time."""
        now = self._now_ms()
        window = max(1, self._ends - now)
        marks = await asyncio.gather(*(shared.count(f"{key}:{slot}", now, window) for slot in fresh))
        unit = -(-self._quotas[seen.quota].amount // UNITS)
        before, seen.first = seen.first // unit, seen.first + sum(number == 1 for number, _ in marks)
        units = 0
        for _ in range(seen.first // unit - before):
            units, _ends = await shared.count(f"{key}:sum", now, window)
        if units:
            seen.others = max(seen.others, units * unit + seen.first % unit - len(seen.slots))
