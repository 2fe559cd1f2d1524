"""Whether the time of a refused sign-in tells that there is an account: real door, store, log and Argon2id (64 MiB).

Wrong passwords for a user name that somebody has and for one that nobody has, in random order, one at a time, each a
day later, so that nobody waits. The figure is the AUC of the best threshold on time: 0.5 tells nothing, 1 everything.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

from machine import SERVER_CORE, pinned
from servers import Bench
from verdict import measure

from medlock.access.principal import Role
from medlock.app import App, open_app
from medlock.clock import Clock
from medlock.console import settings_for
from medlock.errors import NotAuthenticated
from medlock.identity.accounts import NewAccount
from medlock.identity.factors.shape import Answer, Kind
from medlock.identity.ground import Place

TRIES = 2_000
QUICK = 100
DAY_MS = 86_400_000
THERE, NOBODY = "there@example.org", "nobody@example.org"


class Days(Clock):
    """Wall time, and days that were let pass."""

    def __init__(self) -> None:
        self.passed = 0

    def now_ms(self) -> int:
        """Now, so many days later."""
        return super().now_ms() + self.passed * DAY_MS


def distinguish_measures(bench: Bench, *, quick: bool) -> list[dict[str, Any]]:
    """On one core, as a server has it."""
    with pinned(SERVER_CORE):
        times = asyncio.run(_times(bench.fresh("distinguish"), QUICK if quick else TRIES))
    medians = {f"{name}_ms": round(sorted(each)[len(each) // 2] * 1000, 1) for name, each in times.items()}
    return [measure("sign_in_auc", round(auc(*times.values()), 3), tries=sum(map(len, times.values())), **medians)]


async def _times(data_dir: Path, tries: int) -> dict[str, list[float]]:
    """Seconds of each refusal, by whether there is such an account."""
    clock, dice = Days(), random.Random(7)
    found: dict[str, list[float]] = {"there": [], "nobody": []}
    async with open_app(settings_for(data_dir), create=True, clock=clock) as app:
        await _somebody(app)
        for at in range(tries):
            clock.passed += 1
            name = dice.choice(tuple(found))
            began = time.perf_counter()
            await _refused(app, THERE if name == "there" else NOBODY, at)
            found[name].append(time.perf_counter() - began)
    return found


async def _somebody(app: App) -> None:
    """An account with a password."""
    identity, place = app.identity, Place("192.0.2.7", "browser")
    account = await identity.accounts.create(NewAccount("Ann", (Role.PATIENT,), resource="Patient/ann"), "bench")
    invited = await identity.invitations.invite(account.id, "bench")
    joined = await identity.sign_in.join(invited.code, THERE, "", place)
    enrolment = identity.enrolment()
    offer = await enrolment.offer(joined.secret, Kind.PASSWORD, place.browser)
    answer = Answer("kettle orbit marmalade 93", offer.ticket, place.browser)
    await enrolment.accept(joined.secret, Kind.PASSWORD, answer, place)


async def _refused(app: App, login: str, at: int) -> None:
    try:
        await app.identity.sign_in.password(
            login, "marmalade kettle orbit 94", Place(f"198.51.{at % 250}.1", "browser")
        )
    except NotAuthenticated:
        return
    raise RuntimeError("a wrong password was not refused as one")


def auc(one: list[float], other: list[float]) -> float:
    """How well a threshold tells the two apart."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which)
    found = (ranks - len(other) * (len(other) + 1) / 2) / (len(one) * len(other))
    return max(found, 1 - found)
