"""Sign-ins that are half done: the first factor was right, a second one is missing.

The browser has a secret of 256 random bits, the row what was proven. It is good for five minutes, in the browser that
it was made in, once; and it is taken away as soon as no more codes may be tried for it, so that whoever has a password
cannot go on guessing codes behind a wait (keycloak#26177).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

import msgspec

from medlock.errors import NotAuthenticated
from medlock.identity.factors.shape import Kind, Notice, Proof, prove
from medlock.identity.ground import Ground, Place
from medlock.ids import secret as new_secret
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

LIFE_MS = 300_000
SENTENCE = "This sign-in has taken too long. Begin again."


class Given(msgspec.Struct, frozen=True, array_like=True):
    """One proof, as it is kept until the next one comes."""

    kind: Kind
    factor: str
    amr: tuple[str, ...]
    at: int
    notices: tuple[Notice, ...] = ()
    doubted: bool = False

    def proof(self, account_id: str) -> Proof:
        """The proof that it was."""
        return prove(
            account_id,
            self.kind,
            self.at,
            self.amr,
            factor=self.factor,
            notices=frozenset(self.notices),
            doubted=self.doubted,
        )


class PendingRow(msgspec.Struct, frozen=True, array_like=True):
    """What was proven, and which counts begin anew when it is completed. Times in ms."""

    digest: bytes
    account: str
    given: tuple[Given, ...]
    settling: tuple[int, ...]
    browser: str
    expires: int


@dataclass(frozen=True, slots=True)
class Pending:
    """The first factor was right; one of `seconds` (`otp`, `hwk`, `rcv`) is missing."""

    secret: str = field(repr=False)
    seconds: tuple[str, ...]


class PendingBook:
    """Sign-ins that wait for a second factor."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._rows = ground.cabinet.drawer("pending", PendingRow)

    async def open(
        self, proofs: list[Proof], settling: tuple[int, ...], place: Place, seconds: tuple[str, ...]
    ) -> Pending:
        """One more. Raises Unavailable."""
        secret = new_secret()
        given = tuple(
            Given(each.kind, each.factor, each.amr, each.at_ms, tuple(sorted(each.notices)), each.doubted)
            for each in proofs
        )
        expires = self._ground.clock.now_ms() + LIFE_MS
        row = PendingRow(_digest(secret), proofs[0].account, given, settling, place.browser, expires)
        await self._ground.backend.commit(self._rows.insert(self._rows.key(row.digest), row))
        return Pending(secret, seconds)

    async def find(self, secret: str, place: Place) -> Held[PendingRow]:
        """The one with this secret, in this browser. Raises NotAuthenticated."""
        digest = _digest(secret)
        held = await self._rows.get(self._rows.key(digest))
        if held is None or not compare_digest(held.value.digest, digest):
            raise NotAuthenticated(SENTENCE, reason="no such pending sign-in")
        if self._ground.clock.now_ms() >= held.value.expires or held.value.browser != place.browser:
            raise NotAuthenticated(SENTENCE, reason="a pending sign-in that is over, or of another browser")
        return held

    def close(self, held: Held[PendingRow]) -> Batch:
        """It is completed; Raced when it was at the same moment."""
        return self._rows.remove(held)

    async def kill(self, held: Held[PendingRow]) -> None:
        """It will not be completed. Raises Unavailable."""
        await self._ground.backend.commit(self._rows.clear(held.key))

    async def sweep(self) -> int:
        """Remove those that are over; how many."""
        now, gone = self._ground.clock.now_ms(), 0
        async for held in self._rows.every():
            if now >= held.value.expires:
                await self._ground.backend.commit(self._rows.clear(held.key))
                gone += 1
        return gone


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="replace")).digest()
