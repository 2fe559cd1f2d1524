"""One-time codes of an authenticator app (RFC 6238): six digits, thirty seconds, one step of tolerance either way.

The step of the last accepted code is kept, and only later ones count (ASVS 5.0 6.5.1), so a code that was seen over a
shoulder is worth nothing; the row is replaced only while it is what was read, so of fifty at once one gets in, on every
back end. Codes can be relayed by a page that looks like ours: a proof by code is not phishing-resistant, and says so.
The secret is sealed with the tenant's key, because it must be had back to compute codes.
"""

from __future__ import annotations

from base64 import b32encode
from urllib.parse import quote

import msgspec

from medlock.crypto.otp import DIGITS, SECRET_BYTES, STEP_SECONDS, matching_step
from medlock.errors import Conflict, NotFound, Raced
from medlock.identity.factors.footing import Footing
from medlock.identity.factors.shape import Answer, Change, Described, Kind, Offer, Owner, Proof, prove, refused
from medlock.ids import random_bytes
from medlock.store.cabinet import Held


class TotpRow(msgspec.Struct, frozen=True, array_like=True):
    """An account's app. `made` is random and names this enrolment; times in ms; `last_step` was used."""

    made: bytes
    secret: bytes
    last_step: int
    created: int
    used: int = 0


class _Offered(msgspec.Struct, frozen=True, array_like=True):
    """What a ticket remembers: the new secret, and the enrolment that it replaces."""

    secret: bytes
    before: bytes


class Totp:
    """`Factor`: one app for each account."""

    kind = Kind.TOTP

    def __init__(self, on: Footing, issuer: str) -> None:
        self._backend = on.backend
        self._rows = on.identity.drawer("totp", TotpRow)
        self._tickets = on.tickets
        self._clock = on.clock
        self._issuer = issuer

    async def offer(self, owner: Owner, browser: str) -> Offer:
        """A new secret, as a URI for a picture and as text to type."""
        held = await self._held(owner.account)
        secret = random_bytes(SECRET_BYTES)
        ticket = self._tickets.make("totp", owner.account, browser, _Offered(secret, held.value.made if held else b""))
        text = b32encode(secret).decode()
        shown = {"uri": otpauth(self._issuer, owner.login, text), "secret": text, "phishable": True}
        return Offer(self.kind, ticket, shown)

    async def accept(self, owner: Owner, answer: Answer) -> Change:
        """The app shows the right code: it is enrolled, in the place of an earlier one."""
        state, _ = self._tickets.open("totp", owner.account, answer.browser, answer.ticket, _Offered)
        now, held = self._clock.now_ms(), await self._held(owner.account)
        if state.before != (held.value.made if held else b""):
            raise Conflict("Your authenticator app was changed meanwhile. Begin again.")
        step = matching_step(state.secret, _digits(answer.text), now, after=0)
        if step is None:
            raise refused("the code is not one of the offered secret")
        row = TotpRow(random_bytes(8), state.secret, step, now)
        key = self._rows.key(owner.account)
        batch = self._rows.replace(held, row) if held else self._rows.insert(key, row)
        return Change(batch, self.kind.value, replaces=held is not None)

    async def challenge(self, account: str, browser: str) -> Offer:  # noqa: ARG002 - the app needs nothing
        """Six digits are asked for."""
        return Offer(self.kind, "", {"digits": DIGITS})

    async def verify(self, account: str, answer: Answer) -> Proof:
        """The code of this moment, once."""
        held = await self._held(account)
        now, code = self._clock.now_ms(), _digits(answer.text)
        secret, after = (held.value.secret, held.value.last_step) if held else (bytes(SECRET_BYTES), 1 << 62)
        step = matching_step(secret, code, now, after)
        if held is None or step is None:
            raise refused("no such code now, or a used one")
        row = msgspec.structs.replace(held.value, last_step=step, used=now)
        try:
            await self._backend.commit(self._rows.replace(held, row))
        except Raced:
            raise refused("the code was used at the same moment") from None
        return prove(account, self.kind, now, ("otp",))

    async def describe(self, account: str) -> list[Described]:
        """The app, if there is one."""
        held = await self._held(account)
        if held is None:
            return []
        row = held.value
        return [Described(self.kind, self.kind.value, "Authenticator app", row.created, row.used)]

    async def remove(self, account: str, factor: str) -> Change:
        """The app counts no more."""
        held = await self._held(account)
        if held is None or factor != self.kind.value:
            raise NotFound("There is no authenticator app to remove.")
        return Change(self._rows.remove(held), factor, replaces=True)

    async def _held(self, account: str) -> Held[TotpRow] | None:
        return await self._rows.get(self._rows.key(account))


def otpauth(issuer: str, login: str, secret: str) -> str:
    """The URI that apps read from a picture (the key URI format that they share)."""
    label = quote(f"{issuer}:{login}", safe="")
    query = f"secret={secret}&issuer={quote(issuer, safe='')}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
    return f"otpauth://totp/{label}?{query}"


def _digits(text: str) -> str:
    """A code as people type it, without the spaces that apps show; nothing that is no ASCII digit survives."""
    plain = "".join(text[:32].split())
    return plain if plain.isascii() and plain.isdigit() and len(plain) == DIGITS else ""
