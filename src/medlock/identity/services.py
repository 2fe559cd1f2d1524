"""Everything of identity in one process, put together: for pages, the authorization server and commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medlock.audit.events import Action
from medlock.clock import Clock
from medlock.identity.accounts import Accounts
from medlock.identity.attempts import AttemptBook
from medlock.identity.devices import Devices
from medlock.identity.endings import Endings
from medlock.identity.enrolment import Enrolment, Words, no_words
from medlock.identity.entering import CODES, Desk
from medlock.identity.factors.footing import FactorKeys
from medlock.identity.factors.kit import Kit, Rules, kit_of, site_of
from medlock.identity.ground import Ground, IdentityKeys, Sealer, ground
from medlock.identity.invitations import Invitations
from medlock.identity.lockout import PASSWORD_PACE, Lockout
from medlock.identity.passwords.blocklist import blocklist
from medlock.identity.passwords.profiles import policies
from medlock.identity.pending import PendingBook
from medlock.identity.review import Point, due, points
from medlock.identity.sessions import Sessions
from medlock.identity.signin import SignIn
from medlock.identity.slots import Slots
from medlock.store.tables import Backend


class Keys(IdentityKeys, FactorKeys, Protocol):
    """The tenant's keys of all this; `store.keyring.TenantKeys` has them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an owner, or who administers accounts, is shown of attempts. Times in ms.

    failed       sign-ins that failed since the last good one; `last`: when; 0: none
    waits_until  until when unknown browsers must wait; 0: they need not
    suspended    factors that answer no more until another one was proven
    """

    failed: int = 0
    last: int = 0
    waits_until: int = 0
    suspended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """All of it."""

    ground: Ground
    accounts: Accounts
    sessions: Sessions
    invitations: Invitations
    devices: Devices
    lockout: Lockout
    book: AttemptBook
    pendings: PendingBook
    kit: Kit
    slots: Slots
    sign_in: SignIn

    def enrolment(self, words: Words = no_words) -> Enrolment:
        """Factors come and go."""
        return Enrolment(self.ground, self.accounts, self.sessions, self.kit, words)

    async def standing(self, account_id: str) -> Standing:
        """How sign-in stands for an account. Raises NotFound."""
        account = await self.accounts.get(account_id)
        attempts = await self.book.of(account_id)
        _, until = await self.lockout.standing(account.login)
        suspended = await self.lockout.suspended(account_id, CODES)
        return Standing(attempts.failed, max((each.at for each in attempts.newest), default=0), until, tuple(suspended))

    async def review(self, account_id: str) -> tuple[Point, ...] | None:
        """What an owner is asked to look at this year; None when they have looked. Raises NotFound."""
        account, now = await self.accounts.get(account_id), self.ground.clock.now_ms()
        if not due(self.kit.password.policy_of(account.roles), account.reviewed, now):
            return None
        return tuple(points(await self.kit.held(account_id), now))

    async def unlock(self, account_id: str, by: str) -> None:
        """Failed attempts count no longer: by the owner, who is in, or by who administers accounts. Raises NotFound."""
        account = await self.accounts.get(account_id)
        event = self.ground.event(Action.ACCOUNT_UNLOCK, account_id, account_id, by=by)
        await self.ground.commit(self.book.cleared(account_id), event)
        await self.lockout.unlock(account_id, account.login, CODES, await self.devices.of(account_id))

    async def sweep(self) -> int:
        """Remove what is over: sessions, half sign-ins, invitations, marks, counters; how many. Raises Unavailable."""
        gone = await self.sessions.sweep() + await self.pendings.sweep() + await self.invitations.sweep()
        gone += await self.kit.passkey.sweep()
        before = self.ground.clock.now_ms() - PASSWORD_PACE.forget_ms
        while counters := await self.ground.backend.lapse(before):
            gone += counters
        return gone

    def close(self) -> None:
        """Let go of the threads."""
        self.slots.close()


@dataclass(frozen=True, slots=True)
class Place:
    """What identity needs to know of where it runs: the address that browsers use, password policies, own lists."""

    base_url: str
    password_policy: str
    data_dir: Path


def identity_rules(place: Place) -> Rules:
    """What the operator has set. Raises SetupError."""
    return Rules(policies(place.password_policy), blocklist(place.data_dir), site_of(place.base_url))


def open_identity(
    backend: Backend,
    keys: Keys,
    clock: Clock,
    log: Sealer,
    *,
    rules: Rules,
    endings: Sequence[Endings] = (),
    two_persons: bool = False,
) -> Identity:
    """Over an open store; `endings` are what others gave to accounts. `close` it."""
    base, slots = ground(backend, keys, clock, log), Slots()
    sessions = Sessions(base)
    accounts = Accounts(base, (sessions, *endings), two_persons=two_persons)
    kit = kit_of(backend, keys, clock, rules, slots)
    desk = Desk(base, accounts, sessions, PendingBook(base), Devices(base), Lockout(base), AttemptBook(base), kit)
    return identity_of(desk, Invitations(base, accounts), slots)


def identity_of(desk: Desk, invitations: Invitations, slots: Slots) -> Identity:
    """All of it, of what sign-in works with."""
    return Identity(
        desk.ground,
        desk.accounts,
        desk.sessions,
        invitations,
        desk.devices,
        desk.lockout,
        desk.book,
        desk.pendings,
        desk.kit,
        slots,
        SignIn(desk.ground, desk, invitations),
    )
