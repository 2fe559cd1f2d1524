"""A clock that is moved by hand, a counter that several workers share and that can be late or away, and who is told."""

import asyncio

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.clock import Clock
from medlock.errors import Unavailable
from medlock.settings import rates_of
from medlock.web.limits.limiter import Limiter
from medlock.web.limits.shares import Filling


class Hand(Clock):
    """Stands still until it is moved."""

    def __init__(self, ms=1_700_000_000_000):
        self.ms = ms

    def now_ms(self):
        return self.ms


class Counter:
    """`shares.Shared` in memory; `pause` lets others in before it answers, `away` makes it fail."""

    def __init__(self, *, pause=False):
        self.rows, self.asked = {}, 0
        self.pause, self.away = pause, False

    async def count(self, key, now_ms, window_ms):
        self.asked += 1
        if self.pause:
            await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")
        n, ends = self.rows.get(key, (0, 0))
        self.rows[key] = (n + 1, ends) if ends > now_ms else (1, now_ms + window_ms)
        if self.pause:
            await asyncio.sleep(0)
        return self.rows[key]


class Ears:
    """Who is told."""

    def __init__(self):
        self.refusals, self.noted, self.crowds, self.times_alone = [], [], [], 0

    def counted(self, quota):
        self.refusals.append(quota)

    async def refused(self, quota, key, account, client):
        self.noted.append((quota, key, account, client))

    def crowd(self, account, client, patients):
        self.crowds.append((account, client, patients))

    def alone(self):
        self.times_alone += 1


def caller(account="dr", role=Role.CLINICIAN, patient="", client=""):
    """Somebody."""
    scopes = parse_scopes("user/*.cruds")
    return mint_principal(account, frozenset({role}), scopes, patient=patient, client=client)


def limiter(rates="", clock=None, shared=None, ears=None):
    """One worker's limiter; what `rates` does not name is off."""
    clock, ears = clock or Hand(), ears or Ears()
    return Limiter(rates_of(f"all=off {rates}"), Filling(shared, ears.alone), clock, ears)
