"""A small world to test the log in: fixed keys, a clock that stands still, events about a few patients."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from medlock.audit.events import Action, Event, Outcome, Position, Touched
from medlock.audit.findings import Finding
from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.audit.verify import verify_log
from medlock.clock import Clock
from medlock.crypto.aead import Aead
from medlock.errors import NotFound
from medlock.store.memory import Disk, MemoryBackend

STORE = bytes(range(16))
NOW = 1_764_000_000_000


class StandingClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now


class Keys:
    """`LogKeys` with keys that anybody can guess; `destroy` is what shredding does."""

    def __init__(self, store_id: bytes = STORE) -> None:
        self.store_id = store_id
        self.log = Aead(b"\x11" * 32)
        self.detail = Aead(b"\x22" * 32)
        self.checkpoint_seed = b"\x44" * 32
        self._destroyed: set[int] = set()

    def patient(self, slot: int) -> Aead:
        if slot in self._destroyed:
            raise NotFound("There is nothing here.")
        return Aead(b"\x33" * 24 + slot.to_bytes(8, "big"))

    def openers(self, slot: int) -> Iterator[Aead]:
        yield self.patient(slot)

    def destroy(self, slot: int) -> None:
        self._destroyed.add(slot)


def changed(event: Event, **given: object) -> Event:
    """The event with some fields given anew."""
    return Event(**{name: getattr(event, name) for name in Event.__annotations__} | given)


@dataclass
class World:
    """One log on a disk in memory; `another()` is a second process on the same disk."""

    keys: Keys = field(default_factory=Keys)
    clock: StandingClock = field(default_factory=StandingClock)
    disk: Disk = field(default_factory=Disk)
    watermark: tuple[int, bytes] | None = None
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self.backend = MemoryBackend(MerkleLedger(self.keys, self.clock.now_ms), self.disk)
        self.log = AuditLog(self.backend, self.keys, self.clock, self._remember)

    def another(self) -> World:
        return World(self.keys, self.clock, self.disk, rng=self.rng)

    def _remember(self, size: int, root: bytes) -> None:
        if self.watermark is None or size > self.watermark[0]:
            self.watermark = (size, root)

    def event(self, number: int = 0, **given: object) -> Event:
        """An event about one of 40 patients by one of 7 accounts; `given` overrides."""
        slot = self.rng.randrange(1, 41)
        fields = {
            "action": Action.READ if number % 3 else Action.UPDATE,
            "outcome": Outcome.SUCCESS,
            "account": f"account-{self.rng.randrange(7)}",
            "roles": ("clinician",),
            "client": "app",
            "purpose": "TREAT",
            "recorded": NOW + number,
            "request": f"request-{number}",
            "slot": slot,
            "patient": f"patient-{slot}",
            "touched": (Touched(f"Observation/obs-{number}", 1 + number % 4, "R" if number % 3 else "U"),),
            "query": "code=8480-6" if number % 2 else "",
            "basis": "role clinician",
            "position": None if number % 3 else Position(slot, number, number.to_bytes(16, "big")),
        }
        return Event(**fields | given)

    async def fill(self, count: int, group: int = 50) -> list[Event]:
        """Append `count` events in groups."""
        first = await self.log.size()
        events = [self.event(first + number) for number in range(count)]
        for start in range(0, count, group):
            await self.log.append(*events[start : start + group])
        return events

    async def settle(self) -> None:
        """Index what can be indexed, and make a checkpoint."""
        while await self.log.index_run() is not None:
            pass
        await self.log.seal_checkpoint()

    async def verify(self, positions: dict[int, Position] | None = None) -> list[Finding]:
        """What verification finds on the disk as it is now."""
        backend = MemoryBackend(MerkleLedger(self.keys, self.clock.now_ms), self.disk)
        return [finding async for finding in verify_log(backend, self.keys, self.watermark, positions)]
