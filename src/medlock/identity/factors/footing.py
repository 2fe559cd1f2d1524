"""What every factor stands on: the store, its cabinets, tickets, a clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from medlock.clock import Clock
from medlock.crypto.aead import Aead
from medlock.crypto.prf import Prf
from medlock.identity.factors.tickets import Tickets
from medlock.store.cabinet import Cabinet
from medlock.store.tables import Backend, Table


class FactorKeys(Protocol):
    """The tenant's keys for factors; `store.keyring.TenantKeys` has them."""

    @property
    def identity(self) -> Aead:
        """Seals rows."""

    @property
    def identity_labels(self) -> Prf:
        """Names them."""

    @property
    def once(self) -> Aead:
        """Seals marks of what was used."""

    @property
    def once_labels(self) -> Prf:
        """Names them."""

    @property
    def tickets(self) -> Aead:
        """Seals what browsers carry."""

    @property
    def pepper(self) -> bytes:
        """Keys hashes of passwords and recovery codes."""


@dataclass(frozen=True, slots=True)
class Footing:
    """One for all factors of a process."""

    backend: Backend
    identity: Cabinet
    once: Cabinet
    tickets: Tickets
    clock: Clock


def footing(backend: Backend, keys: FactorKeys, clock: Clock) -> Footing:
    """Put it together."""
    identity = Cabinet(backend, Table.IDENTITY, keys.identity, keys.identity_labels)
    once = Cabinet(backend, Table.ONCE, keys.once, keys.once_labels)
    return Footing(backend, identity, once, Tickets(keys.tickets, clock), clock)
