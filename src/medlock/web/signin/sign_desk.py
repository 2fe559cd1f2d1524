"""`ports.SignIn`, `Sessions` and `Proofs` over `identity`: who comes in, who is there, who proves it again."""

from __future__ import annotations

from medlock.access.principal import Role
from medlock.identity.entering import Arrival as Entered
from medlock.identity.factors import passkey
from medlock.identity.factors.shape import Offer
from medlock.identity.ground import Place as Origin
from medlock.identity.pending import Pending as Waiting
from medlock.identity.proving import Proving
from medlock.identity.review import Point
from medlock.identity.services import Identity
from medlock.identity.sessions import Begun, Session
from medlock.identity.signin import SignIn
from medlock.web.signin.ports import (
    Arrival,
    Attempts,
    Ceremony,
    Pending,
    Place,
    SessionView,
    UnknownPasskey,
    Visitor,
)

_STRICT = frozenset({Role.SECURITY_ADMIN, Role.PRIVACY_OFFICER})


class SignInDesk:
    """From nobody to somebody."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    async def password(self, login: str, password: str, place: Place) -> Arrival | Pending:
        """The first factor by password."""
        return _come(await self._sign_in.password(login, password, origin(place)))

    async def code(self, pending: str, code: str, place: Place) -> Arrival | Pending:
        """The second factor by an authenticator app."""
        return _come(await self._sign_in.code(pending, code, origin(place)))

    async def recovery(self, pending: str, login: str, code: str, place: Place) -> Arrival | Pending:
        """A recovery code."""
        return _come(await self._sign_in.recovery(pending, login, code, origin(place)))

    async def passkey_options(self, place: Place) -> Ceremony:
        """Options for any passkey of this site."""
        return ceremony(await self._sign_in.passkey_options(origin(place)))

    async def passkey(self, handle: str, credential: str, place: Place) -> Arrival | Pending:
        """A passkey's answer."""
        try:
            return _come(await self._sign_in.passkey(handle, credential, origin(place)))
        except passkey.UnknownPasskey as refusal:
            raise UnknownPasskey(refusal.signal) from None

    async def join(self, code: str, login: str, birth: str, place: Place) -> Arrival:
        """An invitation's or the clinic's code."""
        found = await self._sign_in.join(code, login, birth, origin(place))
        return arrival(found.secret, found.session, found.device)


class SessionDesk:
    """Who is signed in where."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def find(self, secret: str) -> Visitor:
        """Whose session this is."""
        return visitor(secret, await self._identity.sessions.find(secret))

    async def of(self, visitor: Visitor) -> list[SessionView]:
        """Every session of theirs."""
        return [_listed(each, visitor) for each in await self._identity.sessions.of(visitor.account)]

    async def end(self, visitor: Visitor, session: str) -> None:
        """End one of theirs."""
        await self._identity.sessions.end(visitor.account, session)

    async def end_others(self, visitor: Visitor) -> None:
        """End all but this one."""
        await self._identity.sessions.end_all(visitor.account, but=visitor.session)

    async def attempts(self, visitor: Visitor) -> Attempts:
        """Failed sign-ins at their account."""
        found = await self._identity.standing(visitor.account)
        return Attempts(found.failed, found.last, found.waits_until)

    async def unlock(self, visitor: Visitor) -> None:
        """Failed sign-ins count no longer."""
        await self._identity.unlock(visitor.account, visitor.account)

    async def review(self, visitor: Visitor) -> tuple[Point, ...] | None:
        """What to look at, when it is time."""
        return await self._identity.review(visitor.account)

    async def reviewed(self, visitor: Visitor) -> None:
        """They have looked."""
        await self._identity.accounts.confirm(visitor.account)


class ProofDesk:
    """Proving oneself again."""

    def __init__(self, proving: Proving) -> None:
        self._proving = proving

    async def options(self, visitor: Visitor, place: Place) -> Ceremony:
        """Options for their passkeys."""
        return ceremony(await self._proving.passkey_options(visitor.secret, origin(place)))

    async def passkey(self, visitor: Visitor, handle: str, credential: str, place: Place) -> Arrival:
        """A passkey's answer."""
        try:
            begun = await self._proving.passkey(visitor.secret, handle, credential, origin(place))
        except passkey.UnknownPasskey as refusal:
            raise UnknownPasskey(refusal.signal) from None
        return arrival(begun.secret, begun.session)

    async def password(self, visitor: Visitor, password: str, code: str, place: Place) -> Arrival:
        """A password, with a code where there is an authenticator app."""
        begun = await self._proving.password(visitor.secret, password, code, origin(place))
        return arrival(begun.secret, begun.session)


def origin(place: Place) -> Origin:
    """Where a request comes from, as identity takes it."""
    return Origin(place.address, place.browser, place.device, place.agent)


def ceremony(offer: Offer) -> Ceremony:
    """An offer of a passkey's."""
    return Ceremony(offer.ticket, offer.shown)


def visitor(secret: str, session: Session) -> Visitor:
    """Somebody who is signed in."""
    return Visitor(
        session.id,
        session.account,
        session.login,
        session.name,
        session.amr,
        session.proven,
        strict=not _STRICT.isdisjoint(session.roles),
        unsettled=session.unsettled,
        acr=session.acr,
        secret=secret,
    )


def arrival(secret: str, session: Session, device: str = "") -> Arrival:
    """A session that has just begun, or begun anew."""
    return Arrival(secret, visitor(secret, session), device)


def renewed(begun: Begun | None) -> Arrival | None:
    """The session that goes on after a change."""
    return None if begun is None else arrival(begun.secret, begun.session)


def _come(found: Entered | Waiting) -> Arrival | Pending:
    """In, or what is missing."""
    if isinstance(found, Waiting):
        return Pending(found.secret, found.seconds)
    return arrival(found.secret, found.session, found.device)


def _listed(session: Session, visitor: Visitor) -> SessionView:
    return SessionView(
        session.id,
        session.agent,
        session.address,
        session.created,
        session.seen,
        session.amr,
        here=session.id == visitor.session,
    )
