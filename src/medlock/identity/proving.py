"""Step-up: somebody who is signed in proves it again, for what weighs more (ASVS 5.0 7.5.3, RFC 9470).

The session goes on under a new secret, as strong as what was proven now or before. A password is counted for the
session before it is looked at, a code for the account, as at the sign-in; where an app is enrolled, a password alone
proves nothing, nor does it for whoever works here: what can be phished is no proof of theirs, once they have enrolled.
A passkey cannot be guessed and is not counted; one that may be a copy is refused.
"""

from __future__ import annotations

from medlock.audit.events import Action, Outcome
from medlock.errors import NotAuthenticated
from medlock.identity.account import STAFF
from medlock.identity.factors.kit import Kit
from medlock.identity.factors.shape import Answer, Kind, Offer, Proof, refused
from medlock.identity.ground import Ground, Place
from medlock.identity.lockout import Lockout
from medlock.identity.sessions import Begun, Proven, Session, Sessions
from medlock.identity.strength import Acr, strength, words
from medlock.store.tables import Batch


class Proving:
    """Proofs of whoever is signed in."""

    def __init__(self, ground: Ground, sessions: Sessions, kit: Kit, lockout: Lockout) -> None:
        self._ground = ground
        self._sessions = sessions
        self._kit = kit
        self._lockout = lockout

    async def passkey_options(self, secret: str, place: Place) -> Offer:
        """What `navigator.credentials.get` is asked: their own passkeys. Raises NotAuthenticated."""
        session = await self._sessions.find(secret)
        return await self._kit.passkey.challenge(session.account, place.browser)

    async def passkey(self, secret: str, ticket: str, credential: str, place: Place) -> Begun:
        """A passkey's answer. Raises NotAuthenticated, Unavailable."""
        session = await self._sessions.find(secret)
        try:
            proof = await self._kit.passkey.verify(session.account, Answer(credential, ticket, place.browser))
            if proof.doubted:
                raise refused("a passkey that may be a copy, and nothing beside it")
        except NotAuthenticated as refusal:
            await self._failed(session, Kind.PASSKEY, refusal.reason)
            raise
        return await self._proven(secret, session, [proof])

    async def password(self, secret: str, password: str, code: str, place: Place) -> Begun:
        """A password, with a code where an app is enrolled. Raises NotAuthenticated, Waits, Suspended, Unavailable."""
        session = await self._sessions.find(secret)
        counted = await self._lockout.proof(session.id)
        if not session.unsettled and not STAFF.isdisjoint(session.roles):
            await self._failed(session, Kind.PASSWORD, "a password of somebody who works here")
            raise refused("a password of somebody who works here")
        proofs = [await self._verified(session, Kind.PASSWORD, password, place)]
        if await self._kit.totp.describe(session.account):
            await self._lockout.code(session.account, Kind.TOTP.value)
            proofs.append(await self._verified(session, Kind.TOTP, code, place))
            await self._lockout.code_right(session.account, Kind.TOTP.value)
        begun = await self._proven(secret, session, proofs)
        await self._lockout.settle([counted])
        return begun

    async def _verified(self, session: Session, kind: Kind, text: str, place: Place) -> Proof:
        try:
            return await self._kit.of(kind).verify(session.account, Answer(text, browser=place.browser))
        except NotAuthenticated as refusal:
            await self._failed(session, kind, refusal.reason)
            raise

    async def _proven(self, secret: str, session: Session, proofs: list[Proof]) -> Begun:
        """The session under a new secret. What was proven before still holds; what must be enrolled still must be."""
        acr = max(strength(proofs), Acr(session.acr), key=lambda each: each.rank)
        return await self._sessions.renew(secret, Proven(words(proofs), acr.value, unsettled=session.unsettled))

    async def _failed(self, session: Session, kind: Kind, reason: str) -> None:
        """Write it down. Raises Unavailable."""
        event = self._ground.event(
            Action.SIGN_IN_FAILED, session.account, session.id, f"{kind} again", outcome=Outcome.DENIED, reason=reason
        )
        await self._ground.commit(Batch(), event)
