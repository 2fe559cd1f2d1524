"""Sessions: who is signed in, in which browser, proven how and when. A row each; the browser has the secret.

The secret is 256 random bits; the row lies under the PRF of its SHA-256, holds that digest, and is sealed, so a stolen
disk holds no session and no list of who has one. Every request reads the row: what was ended is dead on the next one.
Another row lists an account's sessions, and changes whenever one begins or ends; so a session that begins while its
account is being ended loses, or is ended with it.

A session ends when it was not used for its idle time (15 minutes; 30 for who is only a patient), and after twelve
hours in any case (ASVS 5.0 7.3). Its secret is new after each proof (7.2.4); its id, which is no secret, stays. When it
was last used is written at most once a minute, so the idle time is up to a minute shorter, never longer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Any

import msgspec
from msgspec.structs import replace

from medlock.access.principal import Role
from medlock.audit.events import Action, Event
from medlock.errors import NotAuthenticated, NotFound, Raced
from medlock.identity.account import Account
from medlock.identity.ground import Ground, Place, again
from medlock.ids import random_bytes
from medlock.ids import secret as new_secret
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

STAFF_IDLE_MS = 15 * 60_000
PATIENT_IDLE_MS = 30 * 60_000
LONGEST_MS = 12 * 3_600_000
SEEN_MS = 60_000
SESSIONS_MAX = 50
AGENT_MAX = 200
SENTENCE = "You are signed out. Sign in again."


class Session(msgspec.Struct, frozen=True, array_like=True):
    """One session. Times in ms. Fields are added at the end.

    id        names it, for as long as it lasts; no secret
    login, name, roles   of its account when it began: when they change, it ends
    amr, acr  how its owner proved who they are (RFC 8176), and how strong that is
    proven    when they last did; `auth_time` when they first did in it
    device    of the browser, in the account's list; "" when it is not kept
    unsettled its owner must enrol before anything else
    """

    digest: bytes
    id: str
    account: str
    login: str
    name: str
    roles: tuple[Role, ...]
    amr: tuple[str, ...]
    acr: str
    auth_time: int
    proven: int
    device: str
    agent: str
    address: str
    created: int
    seen: int
    idle: int
    ends: int
    unsettled: bool = False

    def __repr__(self) -> str:
        return f"<Session {self.id}>"

    @property
    def expires(self) -> int:
        """When it ends unless it is used."""
        return min(self.ends, self.seen + self.idle)

    @property
    def stepped_up(self) -> int:
        """When its owner last proved who they are."""
        return self.proven


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """An account's sessions: where each lies, and its id."""

    sessions: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """A session and the secret that is its browser's alone."""

    secret: str = field(repr=False)
    session: Session


@dataclass(frozen=True, slots=True)
class Proven:
    """How somebody has just proved who they are, for a session."""

    amr: tuple[str, ...]
    acr: str
    unsettled: bool = False
    device: str = ""


class Sessions:
    """All sessions of a store. `identity.endings.Endings`."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._rows = ground.cabinet.drawer("session", Session)
        self._lists = ground.cabinet.drawer("sessions", Listed)

    async def start(self, held: Held[Account], proven: Proven, place: Place, beside: Batch | None = None) -> Begun:
        """A session for an account that is as it was read; `beside` is committed with it. Raises Raced, Unavailable."""
        begun = self._begun(held.value, proven, place)
        session = begun.session
        batch = self._rows.insert(self._rows.key(session.digest), session) + await self._list(session)
        batch += self._unchanged(held) + (beside or Batch())
        about = f"session of {session.login}: {' '.join(session.amr)}"
        event = self._ground.event(Action.SESSION_START, session.account, session.id, about)
        await self._ground.commit(batch, event)
        return begun

    async def find(self, secret: str) -> Session:
        """Whose secret this is. Raises NotAuthenticated, with one sentence for every cause."""
        held = await self._find(secret)
        now, session = self._ground.clock.now_ms(), held.value
        if now - session.seen >= SEEN_MS:
            session = replace(session, seen=now)
            try:
                await self._ground.backend.commit(self._rows.replace(held, session))
            except Raced:  # another request was first; or it was ended, and the next one will find so
                return session
        return session

    async def renew(self, secret: str, proven: Proven, beside: Batch | None = None) -> Begun:
        """The same session under a new secret, proven anew. Raises NotAuthenticated, Raced, Unavailable."""
        held = await self._find(secret)
        fresh, now = new_secret(), self._ground.clock.now_ms()
        session = replace(
            held.value,
            digest=_digest(fresh),
            amr=tuple(dict.fromkeys((*held.value.amr, *proven.amr))),
            acr=proven.acr or held.value.acr,
            proven=now,
            seen=now,
            unsettled=proven.unsettled,
        )
        batch = self._rows.remove(held) + self._rows.insert(self._rows.key(session.digest), session)
        batch += await self._list(session, held.key) + (beside or Batch())
        event = self._ground.event(Action.SESSION_PROVE, session.account, session.id, " ".join(proven.amr))
        await self._ground.commit(batch, event)
        return Begun(fresh, session)

    async def end(self, account_id: str, session_id: str, by: str = "") -> None:
        """End one of an account's. Raises NotFound, Unavailable."""

        async def once() -> None:
            held, listed = await self._of(account_id)
            ending = [(key, name) for key, name in listed.sessions if name == session_id]
            if held is None or not ending:
                raise NotFound("There is no such session.")
            rest = Listed(tuple(each for each in listed.sessions if each not in ending))
            batch = self._lists.replace(held, rest) + self._cleared(ending)
            await self._ground.commit(batch, self._ended(account_id, session_id, by))

        await again(once)

    async def end_all(self, account_id: str, but: str = "", by: str = "") -> int:
        """End all of an account's but one; how many. Raises Unavailable."""

        async def once() -> int:
            held, listed = await self._of(account_id)
            ending = [each for each in listed.sessions if each[1] != but]
            if held is None or not ending:
                return 0
            rest = Listed(tuple(each for each in listed.sessions if each[1] == but))
            batch = self._lists.replace(held, rest) + self._cleared(ending)
            await self._ground.commit(batch, *(self._ended(account_id, name, by) for _, name in ending))
            return len(ending)

        return await again(once)

    async def of(self, account_id: str) -> list[Session]:
        """An account's sessions that still last, the one used last first."""
        _, listed = await self._of(account_id)
        held = await self._rows.get_many([key for key, _ in listed.sessions])
        now = self._ground.clock.now_ms()
        return sorted((each.value for each in held if now < each.value.expires), key=lambda each: -each.seen)

    async def lives(self, account_id: str, session_id: str) -> bool:
        """Whether a session has neither ended nor run out."""
        return any(session.id == session_id for session in await self.of(account_id))

    async def every(self) -> AsyncIterator[Session]:
        """All that still last, of all accounts."""
        now = self._ground.clock.now_ms()
        async for held in self._rows.every():
            if now < held.value.expires:
                yield held.value

    async def of_account(self, account_id: str) -> Batch:
        """`Endings`: all of them, for the batch that changes the account; the list is written even if it was empty."""
        held, listed = await self._of(account_id)
        if held is None:
            return self._lists.insert(self._lists.key(account_id), Listed())
        ended = (self._ended(account_id, name, "") for _, name in listed.sessions)
        told = Batch(entries=self._ground.log.seal(*ended)) if listed.sessions else Batch()
        return self._lists.replace(held, Listed()) + self._cleared(listed.sessions) + told

    async def sweep(self) -> int:
        """Remove sessions that have run out; how many. Their lists forget them when the next one begins."""
        now, gone = self._ground.clock.now_ms(), 0
        async for held in self._rows.every():
            if now >= held.value.expires:
                await self._ground.backend.commit(self._rows.clear(held.key))
                gone += 1
        return gone

    async def _find(self, secret: str) -> Held[Session]:
        digest = _digest(secret)
        held = await self._rows.get(self._rows.key(digest))
        if held is None or not compare_digest(held.value.digest, digest):
            raise NotAuthenticated(SENTENCE, reason="unknown session")
        if self._ground.clock.now_ms() >= held.value.expires:
            raise NotAuthenticated(SENTENCE, reason=f"session {held.value.id} has run out")
        return held

    def _begun(self, account: Account, proven: Proven, place: Place) -> Begun:
        secret, now = new_secret(), self._ground.clock.now_ms()
        session = Session(
            _digest(secret),
            random_bytes(8).hex(),
            account.id,
            account.login,
            account.name,
            account.roles,
            proven.amr,
            proven.acr,
            now,
            now,
            proven.device,
            place.agent[:AGENT_MAX],
            place.address,
            now,
            now,
            STAFF_IDLE_MS if account.is_staff else PATIENT_IDLE_MS,
            now + LONGEST_MS,
            proven.unsettled,
        )
        return Begun(secret, session)

    async def _of(self, account_id: str) -> tuple[Held[Listed] | None, Listed]:
        held = await self._lists.get(self._lists.key(account_id))
        return held, held.value if held else Listed()

    async def _list(self, session: Session, former: int | None = None) -> Batch:
        """The account's list with this session in it.

        Without the row that it had before (`former`), those that have run out, and the oldest of too many.
        """
        held, listed = await self._of(session.account)
        rows = await self._rows.get_many([key for key, _ in listed.sessions if key != former])
        now = self._ground.clock.now_ms()
        lasting = sorted((each for each in rows if now < each.value.expires), key=lambda each: each.value.seen)
        kept = lasting[-(SESSIONS_MAX - 1) :]
        gone = [each for each in listed.sessions if each[0] not in {one.key for one in kept} | {former}]
        entry = self._rows.key(session.digest), session.id
        listing = Listed((*((each.key, each.value.id) for each in kept), entry))
        if held is None:
            return self._lists.insert(self._lists.key(session.account), listing)
        return self._lists.replace(held, listing) + self._cleared(gone)

    def _cleared(self, ending: Any) -> Batch:
        batch = Batch()
        for key, _ in ending:
            batch += self._rows.clear(key)
        return batch

    def _unchanged(self, held: Held[Account]) -> Batch:
        return self._ground.cabinet.drawer("account", Account).unchanged(held)

    def _ended(self, account_id: str, session_id: str, by: str) -> Event:
        return self._ground.event(Action.SESSION_END, account_id, session_id, by=by or account_id)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="replace")).digest()
