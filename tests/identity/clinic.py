"""A small world for factors: a back end in memory, a clock that moves when told to, and all four factors on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from identity.authenticator import ORIGIN, RP
from medlock.clock import Clock
from medlock.identity.factors.ceremony import Site
from medlock.identity.factors.footing import Footing, footing
from medlock.identity.factors.passkey import Passkeys
from medlock.identity.factors.password import Hashing, Passwords
from medlock.identity.factors.recovery import Recovery
from medlock.identity.factors.shape import Owner
from medlock.identity.factors.totp import Totp
from medlock.identity.passwords.blocklist import Blocklist, shipped
from medlock.identity.passwords.profiles import Policies
from medlock.identity.slots import Slots
from medlock.store.keyring import TenantKeys
from medlock.store.memory import MemoryBackend
from medlock.store.tables import Backend
from store.backend_conformance import CountingLedger

ANN = Owner("acc-ann", "ann@clinic.example", "Ann Berg", ("1980-02-29", "MRN-4711", "Lakeside Clinic"), ("patient",))
BOB = Owner("acc-bob", "bob@clinic.example", "Bob Stone", ("1975-12-01",), ("patient",))
GOOD = "kettle orbit marmalade 93"
NIST_FOR_ALL = Policies()
BETTER = "sixteen purple walruses hum"


class StoppedClock(Clock):
    """Time that moves when told to."""

    def __init__(self, ms: int = 1_790_000_000_000) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms


@cache
def slots() -> Slots:
    """Two threads for a process of tests."""
    return Slots()


@dataclass
class Clinic:
    """All of it."""

    backend: Backend
    clock: StoppedClock
    on: Footing
    passwords: Passwords
    totp: Totp
    passkeys: Passkeys
    recovery: Recovery


def clinic(
    backend: Backend | None = None, policies: Policies = NIST_FOR_ALL, clock: StoppedClock | None = None
) -> Clinic:
    """A new one, or another process's view of the same back end."""
    keys = TenantKeys(bytes(range(32)))
    backend, clock = backend or MemoryBackend(CountingLedger()), clock or StoppedClock()
    on = footing(backend, keys, clock)
    passwords = Passwords(on, Hashing(slots(), keys.pepper), policies, Blocklist((shipped(),)))
    return Clinic(
        backend,
        clock,
        on,
        passwords,
        Totp(on, "Lakeside Clinic"),
        Passkeys(on, Site(RP, ORIGIN, "Lakeside Clinic")),
        Recovery(on, keys.pepper),
    )
