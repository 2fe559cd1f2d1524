"""Who is counted for what: the quotas that one request is charged to.

A person is charged by account, and their app with all who use it; a program by itself; a request about one patient to
that patient as well. Callers without valid credentials are charged by address, and nobody else is: many honest people
share one. The charge of a caller who is known takes one look into a dict and a few subtractions, and waits for nothing
while its purses hold enough. Requests that are refused here have touched no record; a caller who goes on asking all the
same is answered slowly.
"""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Protocol

import msgspec

from medlock.access.principal import Principal, Role
from medlock.clock import Clock
from medlock.errors import Throttled
from medlock.settings import Rates, rates_of
from medlock.web.limits.purse import Purse, Term
from medlock.web.limits.shares import Filling

KEYS_MAX = 100_000
PATIENCE = 20
"""Refusals in a window that are answered at once; whoever goes on after that waits for each."""
DELAY_SECONDS = 1.0
SLOWED_MAX = 1_000
_CROWD = "\0all others"
_SWEEP_MS = 1_000


class Told(Protocol):
    """Who hears of refusals; `limits.alarms` is it."""

    def counted(self, quota: str) -> None:
        """One more."""

    async def refused(self, quota: str, key: str, account: str, client: str) -> None:
        """The first of a key in its window. Raises Unavailable."""


class Tab(msgspec.Struct):
    """What one caller's requests are charged to."""

    principal: Principal
    purses: tuple[Purse, ...]


class Limiter:
    """The quotas of one process."""

    def __init__(self, rates: Rates, filling: Filling, clock: Clock, told: Told) -> None:
        self._terms = {each.name: Term(each.name, getattr(rates, each.name)) for each in fields(rates)}
        self._filling = filling
        self._now_ms = clock.now_ms
        self._told = told
        self._purses: dict[str, dict[str, Purse]] = {name: {} for name in self._terms}
        self._tabs: dict[str, Tab] = {}
        self._by_patient = rates.patient.amount > 0
        self._swept = self._now = self._slowed = 0

    def at_once(self, principal: Principal) -> bytes | None:
        """Charge one to a caller, if that needs no waiting: what is left to them, as RateLimit says it; else None."""
        tab = self._tabs.get(principal.account)
        if tab is None or tab.principal is not principal:
            tab = self._tab(principal)
        now = self._now = self._now_ms()
        purses = tab.purses
        for purse in purses:
            if purse.left < 1 or purse.ends <= now:
                return None
        for purse in purses:
            purse.left -= 1
        return purses[0].state(now) if purses else b""

    async def charge(self, principal: Principal, weight: int, patient: str = "") -> bytes:
        """Charge a caller for a question; `patient` is one that it names. What is left. Raises Throttled."""
        tab = self._tabs.get(principal.account)
        if tab is None or tab.principal is not principal:
            tab = self._tab(principal)
        purses = tab.purses
        if patient and patient != principal.patient:
            purses += self._named("patient", patient)
        return await self._spend(purses, weight, principal.account, principal.client)

    def rest_at_once(self, principal: Principal, weight: int, patient: str) -> bool:
        """Charge what a question weighs beyond the one already charged, and the patient it names, if nothing waits."""
        if weight > 1:
            return False
        if not patient or patient == principal.patient or not self._by_patient:
            return True
        purse = self._purses["patient"].get(patient)
        if purse is None or purse.left < 1 or purse.ends <= self._now:
            return False
        purse.left -= 1
        return True

    async def rest(self, principal: Principal, weight: int, patient: str) -> bytes:
        """The same, waiting. What is left to the caller, "" when that has not changed. Raises Throttled."""
        if weight > 1:
            return await self.charge(principal, weight - 1, patient)
        await self._spend(self._named("patient", patient), 1, principal.account, principal.client)
        return b""

    async def charge_key(self, quota: str, key: str, weight: int = 1) -> bytes:
        """Charge whoever `key` stands for to one quota. What is left. Raises Throttled."""
        return await self._spend(self._named(quota, key), weight, "", "")

    def give_back(self, quota: str, key: str) -> None:
        """What was charged turned out not to count: the attempt was good."""
        for purse in self._named(quota, key):
            if purse.ends > self._now_ms():
                purse.left += 1

    async def _spend(self, purses: tuple[Purse, ...], weight: int, account: str, client: str) -> bytes:
        """All of them, or none."""
        now = self._now_ms()
        weights = [min(weight, purse.term.most) for purse in purses]
        try:
            while any(purse.left < each or purse.ends <= now for purse, each in zip(purses, weights, strict=True)):
                for purse, each in zip(purses, weights, strict=True):
                    await self._filling.fill(purse, each, now)
        except Throttled as refusal:
            await self._refused(refusal, purses, account, client)
            raise
        for purse, each in zip(purses, weights, strict=True):
            purse.left -= each
        return purses[0].state(now) if purses else b""

    async def _refused(self, refusal: Throttled, purses: tuple[Purse, ...], account: str, client: str) -> None:
        """Count it, and write down the first of a window."""
        self._told.counted(refusal.quota)
        for purse in purses:
            if purse.term.name == refusal.quota:
                purse.refusals += 1
                if purse.refusals == 1:
                    await self._told.refused(refusal.quota, purse.key, account, client)
                elif purse.refusals > PATIENCE:
                    await self._slow_down()

    async def _slow_down(self) -> None:
        """Make a caller wait who goes on asking: what each of their connections can cost the others is bounded."""
        if self._slowed >= SLOWED_MAX:
            return
        self._slowed += 1
        try:
            await asyncio.sleep(DELAY_SECONDS)
        finally:
            self._slowed -= 1

    def _tab(self, principal: Principal) -> Tab:
        """What a caller is charged to. Kept for as long as their token says the same."""
        if len(self._tabs) >= KEYS_MAX:
            self._tabs.clear()  # purses stay: nobody gains by it
        purses = self._named(_kind(principal), principal.account)
        if principal.client:
            purses += self._named("app", principal.client)
        if principal.patient:
            purses += self._named("patient", principal.patient)
        tab = self._tabs[principal.account] = Tab(principal, purses)
        return tab

    def _named(self, quota: str, key: str) -> tuple[Purse, ...]:
        """The purse of a key; none where the quota is off. Past a bound of keys, new ones share one."""
        term, purses = self._terms[quota], self._purses[quota]
        if not term.quota.amount:
            return ()
        found = purses.get(key)
        if found is None:
            if len(purses) >= KEYS_MAX:
                self._sweep(purses)
            key = key if len(purses) < KEYS_MAX else _CROWD
            found = purses.setdefault(key, Purse(term, key))
        return (found,)

    def _sweep(self, purses: dict[str, Purse]) -> None:
        """Drop purses whose window is over, and with them the tabs that may name them; once a second at most."""
        now = self._now_ms()
        if now < self._swept + _SWEEP_MS:
            return
        self._swept = now
        self._tabs.clear()
        for key in [key for key, purse in purses.items() if purse.ends <= now]:
            del purses[key]


def _kind(principal: Principal) -> str:
    """Whose quota it is."""
    if Role.LOADER in principal.roles:
        return "loader"
    return "backend" if Role.BACKEND in principal.roles else "user"


class Nobody:
    """Told of nothing: where nothing is ever refused."""

    def counted(self, quota: str) -> None:
        """Nothing is."""

    async def refused(self, quota: str, key: str, account: str, client: str) -> None:
        """Nothing is."""

    def alone(self) -> None:
        """Nothing is shared."""

    def crowd(self, account: str, client: str, patients: int) -> None:
        """Nobody is watched."""


UNLIMITED = Limiter(rates_of("all=off"), Filling(None, Nobody().alone), Clock(), Nobody())
"""Counts nothing: for parts that are used without the site around them."""
