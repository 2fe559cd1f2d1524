"""A small store with everything of identity in it, whose time moves when it is told to; as many processes as wanted."""

from __future__ import annotations

from medlock.access.principal import Role
from medlock.clock import Clock
from medlock.identity.account import Account
from medlock.identity.accounts import Accounts, NewAccount
from medlock.identity.attempts import AttemptBook
from medlock.identity.devices import Devices
from medlock.identity.ground import Place, ground
from medlock.identity.invitations import Invitations
from medlock.identity.lockout import Lockout
from medlock.identity.sessions import Proven, Sessions
from medlock.store.keyring import TenantKeys
from medlock.store.memory import Disk, MemoryBackend

KEYS = TenantKeys(bytes(range(32)))
HOME = Place("192.0.2.7", "browser-1", "", "Firefox")
PASSWORD = Proven(("pwd",), "1")


class StoppedClock(Clock):
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.ms = 1_796_000_000_000

    def now_ms(self) -> int:
        return self.ms


class PlainLog:
    """Remembers every event; its entries hold nothing."""

    def __init__(self) -> None:
        self.events: list = []

    def seal(self, *events):
        self.events += events
        return [b"entry"] * len(events)

    @property
    def actions(self) -> list:
        """What happened, in order."""
        return [event.action for event in self.events]


class NoLedger:
    """A log that takes entries and keeps no tree."""

    def resume(self, _tip):
        return ()

    def load(self, rows):
        """Nothing was asked for."""

    def extend(self, _entries):
        return 0, []

    def forget(self):
        """Nothing to forget."""


class Process:
    """One process on a store."""

    def __init__(self, backend, clock, log, keys=KEYS) -> None:
        self.backend, self.clock, self.log = backend, clock, log
        self.ground = ground(backend, keys, clock, log)
        self.sessions = Sessions(self.ground)
        self.accounts = Accounts(self.ground, [self.sessions])
        self.invitations = Invitations(self.ground, self.accounts)
        self.devices = Devices(self.ground)
        self.lockout = Lockout(self.ground)
        self.book = AttemptBook(self.ground)

    async def active(self, login: str = "ann@example.org", role: Role = Role.PATIENT, resource: str = "") -> Account:
        """An account that somebody has taken up."""
        resource = resource or (f"Patient/{login.partition('@')[0]}" if role is Role.PATIENT else "")
        account = await self.accounts.create(NewAccount("Ann Okafor", (role,), "", resource), "cli:test")
        invited = await self.invitations.invite(account.id, "cli:test")
        _, taken = await self.invitations.take(invited.code, login, "")
        await self.backend.commit(taken.batch)
        return await self.accounts.get(account.id)

    async def sign_in(self, account_id: str, place: Place = HOME, proven: Proven = PASSWORD):
        """A session."""
        return await self.sessions.start(await self.accounts.standing(account_id), proven, place)


class World(Process):
    """A store in memory and one process on it."""

    def __init__(self) -> None:
        self.disk = Disk()
        super().__init__(MemoryBackend(NoLedger(), self.disk), StoppedClock(), PlainLog())

    def process(self) -> Process:
        """Another process on the same disk."""
        return Process(MemoryBackend(NoLedger(), self.disk), self.clock, self.log)
