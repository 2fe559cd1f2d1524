"""Factors come and go: by whom, after which proof, and what ends with them.

1. Whoever changes a factor has proved within five minutes who they are; a session that may do nothing but enrol (from
an invitation, a recovery code, or of somebody who works here and has no passkey yet) need not. 2. The last way in
stays: what is left must let its owner sign in as their roles demand. 3. What is replaced or removed ends every other
session and everything that apps were given (ASVS 5.0 7.4.3), in the commit that changes the factor; its owner goes on
in a session begun anew. 4. The account's row changes with its factors, so that a sign-in that began before the change
loses. 5. Each change is an event in the same commit.
6. The present password, which a new one asks for, is counted like a code: a stolen session is no place to guess it.

The one place that commits a `Change`. Nothing secret comes near an event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medlock.audit.events import Action, Event
from medlock.errors import Conflict
from medlock.identity.account import Account
from medlock.identity.accounts import Accounts, about, mark, row_of
from medlock.identity.factors.kit import Kit
from medlock.identity.factors.shape import Answer, Change, Described, Kind, Offer, Owner
from medlock.identity.ground import Ground, Place, again
from medlock.identity.lockout import Lockout
from medlock.identity.passwords.check import UnfitPassword
from medlock.identity.sessions import Begun, Proven, Session, Sessions
from medlock.identity.strength import Acr, Act, can_sign_in, demand
from medlock.store.cabinet import Held

PRESENT = "present-password"
ENDS_OTHERS = {Kind.PASSWORD, Kind.TOTP}
"""Kinds whose replacement ends other sessions. Former recovery codes are dead when a new sheet counts."""

Words = Callable[[Account], Awaitable[tuple[str, ...]]]
"""What an attacker would try first for somebody, beside what their account says: from the record, if there is one."""


async def no_words(_account: Account) -> tuple[str, ...]:
    """Nothing is known of them but their account."""
    return ()


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of a change.

    begun  the session that goes on, when it is another one: the old secret is dead
    told   what the browser's authenticators should be told
    """

    factor: str
    begun: Begun | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


class Enrolment:
    """Changes the factors of whoever is signed in."""

    def __init__(
        self, ground: Ground, accounts: Accounts, sessions: Sessions, kit: Kit, words: Words = no_words
    ) -> None:
        self._ground = ground
        self._accounts = accounts
        self._sessions = sessions
        self._kit = kit
        self._words = words
        self._lockout = Lockout(ground)

    async def offer(self, secret: str, kind: Kind, browser: str, *, conditional: bool = False) -> Offer:
        """Begin to enrol a factor. Raises NotAuthenticated (StepUpNeeded), Conflict."""
        session = await self._allowed(secret)
        owner = await self._owner(session, kind)
        if conditional:
            return await self._kit.passkey.offer_conditional(owner, browser)
        return await self._kit.of(kind).offer(owner, browser)

    async def accept(self, secret: str, kind: Kind, answer: Answer, place: Place) -> Changed:
        """The owner has shown that it works: it counts. Raises as `offer`, and what the factor raises."""

        async def once() -> tuple[Session, Change, Held[Account]]:
            session = await self._allowed(secret)
            change = await self._accepted(await self._owner(session, kind), kind, answer)
            action = Action.FACTOR_CHANGE if change.replaces else Action.FACTOR_ADD
            ends = change.replaces and kind in ENDS_OTHERS
            return session, change, await self._write(session, change, action, ends=ends)

        session, change, account = await again(once)
        if change.replaces and kind in ENDS_OTHERS:
            return Changed(change.factor, await self._go_on(session, account, place), change.told)
        return Changed(change.factor, await self._settle(secret, session, kind), change.told)

    async def remove(self, secret: str, kind: Kind, factor: str, place: Place) -> Changed:
        """A factor counts no more. Raises StepUpNeeded, NotFound, Conflict when it is the last way in."""

        async def once() -> tuple[Session, Change, Held[Account]]:
            session = await self._allowed(secret)
            change = await self._kit.of(kind).remove(session.account, factor)
            await self._leaves_a_way_in(session.account, kind, factor)
            return session, change, await self._write(session, change, Action.FACTOR_REMOVE, ends=True)

        session, change, account = await again(once)
        return Changed(factor, await self._go_on(session, account, place), change.told)

    async def rename(self, secret: str, factor: str, label: str) -> None:
        """A passkey is called something else. Raises NotAuthenticated, NotFound."""
        session = await self._sessions.find(secret)
        change = await self._kit.passkey.rename(session.account, factor, label)
        await self._ground.commit(change.batch, self._event(session, change, Action.FACTOR_CHANGE, "renamed"))

    async def trust(self, secret: str, factor: str) -> None:
        """A doubted passkey is its owner's alone; they proved it by another factor. Raises StepUpNeeded, NotFound."""
        session = await self._sessions.find(secret)
        now = self._ground.clock.now_ms()
        demand(Act.FACTOR_CHANGE, session.acr, session.proven, now)
        change = await self._kit.passkey.trust(session.account, factor)
        await self._ground.commit(change.batch, self._event(session, change, Action.FACTOR_CHANGE, "trusted again"))

    async def held(self, secret: str) -> list[Described]:
        """All that they can prove themselves with. Raises NotAuthenticated."""
        return await self._kit.held((await self._sessions.find(secret)).account)

    async def _allowed(self, secret: str) -> Session:
        """The session, when it may change factors now. Raises NotAuthenticated, StepUpNeeded."""
        session = await self._sessions.find(secret)
        if not session.unsettled:
            demand(Act.FACTOR_CHANGE, session.acr, session.proven, self._ground.clock.now_ms())
        return session

    async def _owner(self, session: Session, kind: Kind) -> Owner:
        """Whose factor it is; the record is asked for words only when a password is to be judged."""
        account = (await self._accounts.standing(session.account)).value
        held = await self._kit.held(account.id)
        second = account.is_staff or any(each.kind is Kind.TOTP for each in held)
        words = await self._words(account) if kind is Kind.PASSWORD else ()
        known = (account.birth, account.resource, *account.organisations, *words)
        lost = session.unsettled and "pwd" not in session.amr
        return Owner(account.id, account.login, account.name, known, account.roles, second, recovered=lost)

    async def _accepted(self, owner: Owner, kind: Kind, answer: Answer) -> Change:
        """The factor's own answer; the present password is counted before it is looked at. Raises Waits, Suspended."""
        guessed = kind is Kind.PASSWORD and bool(answer.present) and not owner.recovered
        if not guessed:
            return await self._kit.of(kind).accept(owner, answer)
        await self._lockout.code(owner.account, PRESENT)
        try:
            change = await self._kit.of(kind).accept(owner, answer)
        except UnfitPassword:  # the new one was judged, so the present one was right
            await self._lockout.code_right(owner.account, PRESENT)
            raise
        await self._lockout.code_right(owner.account, PRESENT)
        return change

    async def _leaves_a_way_in(self, account_id: str, kind: Kind, factor: str) -> None:
        """Raises Conflict when somebody could sign in with a factor and could not without it."""
        staff, held = (await self._accounts.get(account_id)).is_staff, await self._kit.held(account_id)
        left = [each for each in held if (each.kind, each.factor) != (kind, factor)]
        if can_sign_in(staff=staff, held=held) and not can_sign_in(staff=staff, held=left):
            raise Conflict("You could not sign in any more without it: add a passkey or a longer password first.")

    async def _go_on(self, session: Session, account: Held[Account], place: Place) -> Begun:
        """All sessions have ended; their owner goes on in a new one."""
        held = await self._kit.held(session.account)
        lacking = session.unsettled and not _settled(session, account.value, held)
        return await self._sessions.start(
            account, Proven(session.amr, session.acr, unsettled=lacking, device=session.device), place
        )

    async def _write(self, session: Session, change: Change, action: Action, *, ends: bool) -> Held[Account]:
        """One try: the change, the account's row, what ends, what tells of it."""
        held = await self._accounts.standing(session.account)
        batch, account = self._accounts.replaced(held)
        row = row_of(batch)
        told = self._ground.event(Action.ACCOUNT_CHANGE, account.id, mark(account, row), about(account))
        batch += change.batch
        if ends:
            batch += await self._accounts.ended(account.id)
        await self._ground.commit(batch, self._event(session, change, action), told)
        return Held(held.key, account, row)

    async def _settle(self, secret: str, session: Session, kind: Kind) -> Begun | None:
        """A session that could do nothing but enrol becomes an ordinary one when its owner has a way in."""
        if not session.unsettled:
            return None
        account = await self._accounts.get(session.account)
        if not _settled(session, account, await self._kit.held(account.id)):
            return None
        if kind is Kind.PASSKEY:  # whoever makes one with us has touched it and was verified
            return await self._sessions.renew(secret, Proven(("pop", "user"), Acr.PHR))
        return await self._sessions.renew(secret, Proven((), session.acr))

    def _event(self, session: Session, change: Change, action: Action, how: str = "") -> Event:
        """What the log is told: which factor, never what is in it."""
        return self._ground.event(action, session.account, session.id, f"factor {change.factor} {how}".strip())


def _settled(session: Session, account: Account, held: list[Described]) -> bool:
    """Whether a session that may only enrol has done so: there is a way in, and no password that let them in is stale.

    Another factor does not make up for a password that attackers know: it would still begin such a session.
    """
    stale = "pwd" in session.amr and any(each.stale for each in held)
    return can_sign_in(staff=account.is_staff, held=held) and not stale
