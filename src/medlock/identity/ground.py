"""What accounts, sessions and sign-in stand on: the store, one cabinet of it, names of counters, the log, a clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from medlock.audit.events import Action, Event, Outcome
from medlock.clock import Clock
from medlock.crypto.aead import Aead
from medlock.crypto.prf import Prf
from medlock.errors import Raced
from medlock.store.cabinet import Cabinet, named
from medlock.store.tables import Backend, Batch, Table

TRIES = 8
T = TypeVar("T")


class IdentityKeys(Protocol):
    """The tenant's keys of this; `store.keyring.TenantKeys` has them."""

    @property
    def identity(self) -> Aead:
        """Seals rows."""

    @property
    def identity_labels(self) -> Prf:
        """Names rows."""

    @property
    def counter_labels(self) -> Prf:
        """Names counters."""


class Sealer(Protocol):
    """The audit log's part: an event as an entry for a batch."""

    def seal(self, *events: Event) -> list[bytes]:
        """The sealed entries."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request comes from.

    address  of the peer; "" when it is not known (the command line)
    browser  the browser's own random id, from its cookie: what it was offered, it answers
    device   secret of a browser that signed in before; "" without one
    agent    what the browser says it is; shown to the owner, never decided upon
    """

    address: str = ""
    browser: str = ""
    device: str = ""
    agent: str = ""

    def __repr__(self) -> str:
        return "<Place>"


@dataclass(frozen=True, slots=True)
class Ground:
    """One for all of a process."""

    backend: Backend
    cabinet: Cabinet
    counters: Prf
    clock: Clock
    log: Sealer

    def counter(self, *parts: str | bytes) -> int:
        """The key of the counter with this name."""
        return named(self.counters, *parts)

    def event(self, action: Action, account: str, request: str, about: str = "", **more: str) -> Event:
        """Something that happened to an account or that it did; `by` when somebody else did it."""
        outcome, by = Outcome(more.pop("outcome", Outcome.SUCCESS)), more.pop("by", account)
        now = self.clock.now_ms()
        return Event(action, outcome, by, (), "", "", now, request, query=about, reason=more.pop("reason", ""))

    async def commit(self, batch: Batch, *events: Event) -> None:
        """Changes and what tells of them, together. Raises Raced, Unavailable."""
        await self.backend.commit(batch + Batch(entries=self.log.seal(*events)))


def ground(backend: Backend, keys: IdentityKeys, clock: Clock, log: Sealer) -> Ground:
    """Put it together."""
    cabinet = Cabinet(backend, Table.IDENTITY, keys.identity, keys.identity_labels)
    return Ground(backend, cabinet, keys.counter_labels, clock, log)


async def again(act: Callable[[], Awaitable[T]]) -> T:
    """Do it; when somebody else wrote between its reads and its commit, do it over from what is there now."""
    for _ in range(TRIES - 1):
        try:
            return await act()
        except Raced:
            continue
    return await act()
