"""Sign-in on a small store: everything of `world.py` with all four factors, and people who have some of them."""

from __future__ import annotations

from base64 import b32decode
from dataclasses import dataclass, field

from argon2 import PasswordHasher

from identity.authenticator import ORIGIN, RP, Authenticator
from identity.world import HOME, KEYS, NoLedger, PlainLog, Process, StoppedClock
from medlock.access.principal import Role
from medlock.crypto.otp import hotp, step_at
from medlock.identity.entering import Desk
from medlock.identity.factors.ceremony import Site
from medlock.identity.factors.kit import Rules, kit_of
from medlock.identity.factors.shape import Answer, Kind, Owner
from medlock.identity.ground import Place
from medlock.identity.passwords.blocklist import Blocklist, shipped
from medlock.identity.passwords.profiles import Policies
from medlock.identity.pending import PendingBook
from medlock.identity.services import identity_of
from medlock.identity.slots import Slots
from medlock.store.memory import Disk, MemoryBackend

PASSWORD = "kettle orbit marmalade 93"
WRONG = "marmalade kettle orbit 94"
ABROAD = Place("203.0.113.5", "browser-2", "", "Chrome")
SLOTS = Slots()
SLOTS._pool._initializer = None  # tests share the machine with others: threads that step back would wait for minutes
RULES = Rules(Policies(), Blocklist((shipped(),)), Site(RP, ORIGIN, "Lakeside Clinic"))


def hash_with(monkeypatch, passes: int, kibibytes: int) -> None:
    """Make and check hashes with other costs, those that are nobody's as well."""
    monkeypatch.setattr("medlock.crypto.passwords._HASHER", PasswordHasher(passes, kibibytes, 1))
    monkeypatch.setattr("medlock.crypto.passwords.PASSES", passes)
    monkeypatch.setattr("medlock.crypto.passwords.MEMORY_KIB", kibibytes)


@dataclass
class Person:
    """Somebody with an account, and what they carry."""

    id: str
    login: str
    secret: bytes = b""
    codes: list[str] = field(default_factory=list)
    passkey: Authenticator = field(default_factory=Authenticator)


class House(Process):
    """One process: sign-in and all that it works with."""

    def __init__(self, backend, clock, log) -> None:
        super().__init__(backend, clock, log)
        self.kit = kit_of(backend, KEYS, clock, RULES, SLOTS)
        self.pendings = PendingBook(self.ground)
        parts = self.accounts, self.sessions, self.pendings, self.devices, self.lockout, self.book, self.kit
        self.desk = Desk(self.ground, *parts)
        self.whole = identity_of(self.desk, self.invitations, SLOTS)
        self.door = self.whole.sign_in

    async def person(self, *kinds: Kind, role: Role = Role.PATIENT, login: str = "ann@example.org") -> Person:
        """Somebody who has these factors."""
        account = await self.active(login, role)
        person = Person(account.id, account.login)
        for kind in kinds:
            await self.enrol(person, kind)
        return person

    async def enrol(self, person: Person, kind: Kind) -> None:
        """One more factor."""
        owner, factor = Owner(person.id, person.login), self.kit.of(kind)
        offer = await factor.offer(owner, HOME.browser)
        text = PASSWORD
        if kind is Kind.TOTP:
            person.secret = b32decode(offer.shown["secret"])
            text = hotp(person.secret, step_at(self.clock.now_ms()))
        if kind is Kind.RECOVERY:
            person.codes = list(offer.shown["codes"])
            text = person.codes[0]
        if kind is Kind.PASSKEY:
            text = person.passkey.create(offer.shown)
        change = await factor.accept(owner, Answer(text, offer.ticket, HOME.browser))
        await self.backend.commit(change.batch)
        self.clock.ms += 60_000

    def code(self, person: Person) -> str:
        """What their app shows now."""
        return hotp(person.secret, step_at(self.clock.now_ms()))

    async def by_password(self, login="ann@example.org", password=PASSWORD, place=HOME):
        """Sign in with it."""
        return await self.door.password(login, password, place)

    async def unlock(self, account_id: str) -> None:
        """As `identity.services` does it, by the operator."""
        await self.whole.unlock(account_id, "cli:boss")

    async def by_passkey(self, person: Person, place=HOME):
        """Sign in with it."""
        offer = await self.door.passkey_options(place)
        return await self.door.passkey(offer.ticket, person.passkey.get(offer.shown), place)


class MemoryHouse(House):
    """On a disk in memory."""

    def __init__(self) -> None:
        self.disk = Disk()
        super().__init__(MemoryBackend(NoLedger(), self.disk), StoppedClock(), PlainLog())

    def process(self) -> House:
        """Another process on the same disk."""
        return House(MemoryBackend(NoLedger(), self.disk), self.clock, self.log)
