"""Invitations: a code on paper, from the clinic's hand, that makes an account somebody's.

This is the only way into a record that is there already: nobody signs up by saying who they are. The clinic makes an
account for a Patient, hands over the code, and whoever takes it up must know the date of birth as well where one was
given. A code has 120 random bits, is kept as a digest, is good once, and not after its time. A new one for the same
account ends the one before. Dates of birth are few, so those that are tried for one code are counted like one-time
codes, from wherever they come: who finds the paper does not guess the date.

Taking one up begins a session that may do nothing but enrol. For an account that was in use it is a reset: what it
could be proven with before, and all that was given to it, ends in the same act.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest

import msgspec

from medlock.audit.events import Action
from medlock.errors import BadRequest, Conflict, NotAuthenticated
from medlock.identity.account import Account, Status, canonical_login
from medlock.identity.accounts import Accounts, about, mark, row_of
from medlock.identity.codes import digest, new_code
from medlock.identity.ground import Ground, again
from medlock.identity.lockout import Lockout
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

HOURS_MAX = 24 * 30
_HOUR_MS = 3_600_000
_END_OF_TIME = 1 << 62
BIRTH = "birth"
SENTENCE = "This code does not work. Check what you entered; if it still does not, ask for a new code where you got it."


class Invitation(msgspec.Struct, frozen=True, array_like=True):
    """What a code opens. Times in ms."""

    digest: bytes
    account: str
    created: int
    expires: int
    by: str


class Current(msgspec.Struct, frozen=True, array_like=True):
    """The one invitation that an account has."""

    key: int


@dataclass(frozen=True, slots=True)
class Invited:
    """A new code, shown once."""

    code: str = field(repr=False)
    account: str
    expires: int


@dataclass(frozen=True, slots=True)
class Taken:
    """An invitation that somebody has the code of, and the batch that takes it up."""

    account: Account
    batch: Batch
    reset: bool


class Invitations:
    """Codes that were handed out."""

    def __init__(self, ground: Ground, accounts: Accounts) -> None:
        self._ground = ground
        self._accounts = accounts
        self._lockout = Lockout(ground)
        self._rows = ground.cabinet.drawer("invitation", Invitation)
        self._current = ground.cabinet.drawer("invited", Current)

    async def invite(self, account_id: str, by: str, hours: int = 72) -> Invited:
        """A new code for an account. Raises NotFound, BadRequest, Conflict for a disabled one, Unavailable."""
        if not 0 < hours <= HOURS_MAX:
            raise BadRequest(f"An invitation lasts from 1 to {HOURS_MAX} hours.")

        async def once() -> Invited:
            held = await self._accounts.held(account_id)
            if held.value.status is Status.DISABLED:
                raise Conflict("This account is disabled: enable it first.")
            code, now = new_code(), self._ground.clock.now_ms()
            row = Invitation(digest(code), account_id, now, now + hours * _HOUR_MS, by)
            key = self._rows.key(row.digest)
            batch = self._rows.insert(key, row) + await self._only(account_id, key) + self._accounts.unchanged(held)
            event = self._ground.event(Action.ACCOUNT_INVITE, account_id, account_id, about(held.value), by=by)
            await self._ground.commit(batch, event)
            return Invited(code, account_id, row.expires)

        return await again(once)

    async def take(self, code: str, login: str, birth: str) -> tuple[Held[Account], Taken]:
        """The account that a code is for, and what takes it up under a user name.

        Raises NotAuthenticated with one sentence for every cause; BadRequest when the user name cannot be one; Waits,
        Suspended when too many dates of birth were tried for this code.
        """
        wanted = digest(code)
        held = await self._rows.get(self._rows.key(wanted))
        if held is None or not compare_digest(held.value.digest, wanted):
            raise NotAuthenticated(SENTENCE, reason="no such code")
        if self._ground.clock.now_ms() >= held.value.expires:
            raise NotAuthenticated(SENTENCE, reason=f"the code for {held.value.account} is over")
        owner = await self._accounts.held(held.value.account)
        account = owner.value
        if account.status in {Status.DISABLED, Status.WAITING}:
            raise NotAuthenticated(SENTENCE, reason=f"account {account.id} is {account.status}")
        await self._born(held.key, account, birth)
        chosen = account.login or canonical_login(login)
        batch, taken = self._accounts.take_up(owner, chosen)
        event = self._ground.event(Action.ACCOUNT_TAKE_UP, account.id, mark(taken, row_of(batch)), about(taken))
        batch += self._rows.remove(held) + self._current.clear(self._current.key(account.id))
        batch += Batch(entries=self._ground.log.seal(event)) + await self._accounts.ended(account.id)
        return owner, Taken(taken, batch, account.status is Status.ACTIVE)

    async def _born(self, key: int, account: Account, birth: str) -> None:
        """Return when a date of birth is the one that is asked for. Raises NotAuthenticated, Waits, Suspended."""
        if not account.birth:
            return
        await self._lockout.code(str(key), BIRTH)
        if not compare_digest(account.birth.encode(), birth.strip().encode(errors="replace")):
            raise NotAuthenticated(SENTENCE, reason=f"another date of birth for account {account.id}")
        await self._lockout.code_right(str(key), BIRTH)

    async def sweep(self) -> int:
        """Remove codes whose time is over; how many."""
        return await self._remove(self._ground.clock.now_ms())

    async def withdraw(self) -> int:
        """Remove all codes that are out; how many."""
        return await self._remove(_END_OF_TIME)

    async def _remove(self, now: int) -> int:
        """Remove codes whose time is over at a moment; how many."""
        gone = 0
        async for held in self._rows.every():
            if now >= held.value.expires:
                await self._ground.backend.commit(self._rows.clear(held.key))
                gone += 1
        return gone

    async def _only(self, account_id: str, key: int) -> Batch:
        """This code instead of the one before."""
        at = self._current.key(account_id)
        held = await self._current.get(at)
        if held is None:
            return self._current.insert(at, Current(key))
        return self._current.replace(held, Current(key)) + self._rows.clear(held.value.key)
