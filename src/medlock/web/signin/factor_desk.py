"""`ports.Factors` over `identity.enrolment`: what somebody proves themselves with, shown and changed by its owner."""

from __future__ import annotations

from collections.abc import Sequence

from medlock.identity.account import STAFF
from medlock.identity.enrolment import Enrolment
from medlock.identity.factors.kit import Kit
from medlock.identity.factors.shape import Answer, Described, Kind
from medlock.identity.sessions import Sessions
from medlock.identity.strength import can_sign_in
from medlock.web.signin.ports import Arrival, Ceremony, Holdings, Passkey, PasswordOffer, Place, Seed, Sheet, Visitor
from medlock.web.signin.sign_desk import ceremony, origin, renewed


class FactorDesk:
    """What an account proves itself with."""

    def __init__(self, enrolment: Enrolment, kit: Kit, sessions: Sessions) -> None:
        self._enrolment = enrolment
        self._kit = kit
        self._sessions = sessions

    async def held(self, visitor: Visitor) -> Holdings:
        """All of it."""
        found = await self._kit.held(visitor.account)
        roles = (await self._sessions.find(visitor.secret)).roles
        staff = not STAFF.isdisjoint(roles)
        told = await self._kit.passkey.accepted(visitor.account)
        return Holdings(
            tuple(_passkey(each) for each in found if each.kind is Kind.PASSKEY),
            password_changed=_first(found, Kind.PASSWORD),
            password_due=max((each.due for each in found), default=0),
            password_days=max((each.reminder for each in found), default=0),
            totp=_first(found, Kind.TOTP),
            recovery_left=sum(each.left for each in found if each.kind is Kind.RECOVERY),
            staff=staff,
            settled=can_sign_in(staff=staff, held=found),
            rp=told.get("rpId", ""),
            handle=told.get("userId", ""),
            accepted=tuple(told.get("allAcceptedCredentialIds", ())),
        )

    async def passkey_options(self, visitor: Visitor, place: Place, *, conditional: bool) -> Ceremony:
        """Options for a new passkey."""
        return ceremony(
            await self._enrolment.offer(visitor.secret, Kind.PASSKEY, place.browser, conditional=conditional)
        )

    async def passkey_add(
        self, visitor: Visitor, place: Place, handle: str, credential: str
    ) -> tuple[str, Arrival | None]:
        """The new passkey."""
        answer = Answer(credential, handle, place.browser)
        changed = await self._enrolment.accept(visitor.secret, Kind.PASSKEY, answer, origin(place))
        return changed.factor, renewed(changed.begun)

    async def passkey_rename(self, visitor: Visitor, passkey: str, name: str) -> None:
        """Call it something else."""
        await self._enrolment.rename(visitor.secret, passkey, name)

    async def passkey_trust(self, visitor: Visitor, passkey: str) -> None:
        """A doubted passkey is their own after all."""
        await self._enrolment.trust(visitor.secret, passkey)

    async def passkey_remove(self, visitor: Visitor, place: Place, passkey: str) -> Arrival | None:
        """It signs nobody in any more."""
        return renewed((await self._enrolment.remove(visitor.secret, Kind.PASSKEY, passkey, origin(place))).begun)

    async def totp_begin(self, visitor: Visitor, place: Place) -> Seed:
        """A new authenticator app."""
        offer = await self._enrolment.offer(visitor.secret, Kind.TOTP, place.browser)
        return Seed(offer.ticket, offer.shown["secret"], offer.shown["uri"])

    async def totp_finish(self, visitor: Visitor, place: Place, handle: str, code: str) -> Arrival | None:
        """It showed the right code."""
        answer = Answer(code, handle, place.browser)
        return renewed((await self._enrolment.accept(visitor.secret, Kind.TOTP, answer, origin(place))).begun)

    async def totp_remove(self, visitor: Visitor, place: Place) -> Arrival | None:
        """Its codes count no longer."""
        factor = Kind.TOTP.value
        return renewed((await self._enrolment.remove(visitor.secret, Kind.TOTP, factor, origin(place))).begun)

    async def recovery_begin(self, visitor: Visitor, place: Place) -> Sheet:
        """Ten new codes."""
        offer = await self._enrolment.offer(visitor.secret, Kind.RECOVERY, place.browser)
        return Sheet(offer.ticket, tuple(offer.shown["codes"]))

    async def recovery_finish(self, visitor: Visitor, place: Place, handle: str, code: str) -> Arrival | None:
        """One of them was typed back."""
        answer = Answer(code, handle, place.browser)
        return renewed((await self._enrolment.accept(visitor.secret, Kind.RECOVERY, answer, origin(place))).begun)

    async def password_begin(self, visitor: Visitor, place: Place) -> PasswordOffer:
        """What a new password must be."""
        offer = await self._enrolment.offer(visitor.secret, Kind.PASSWORD, place.browser)
        present = any(each.kind is Kind.PASSWORD for each in await self._kit.held(visitor.account))
        lost = visitor.unsettled and "pwd" not in visitor.methods
        rules = tuple(each["sentence"] for each in offer.shown["rules"])
        return PasswordOffer(offer.ticket, rules, present and not lost)

    async def password_set(
        self, visitor: Visitor, place: Place, handle: str, password: str, present: str
    ) -> Arrival | None:
        """A new password."""
        answer = Answer(password, handle, place.browser, present)
        return renewed((await self._enrolment.accept(visitor.secret, Kind.PASSWORD, answer, origin(place))).begun)


def _passkey(each: Described) -> Passkey:
    return Passkey(each.factor, each.label, each.created, each.used, each.synced, each.doubted)


def _first(found: Sequence[Described], kind: Kind) -> int:
    """When the one of a kind was made; 0: there is none."""
    return next((each.created for each in found if each.kind is kind), 0)
