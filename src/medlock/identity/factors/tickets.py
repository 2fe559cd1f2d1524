"""Sealed tickets: what an offer must remember, carried by the browser instead of by a row.

A row for everybody who opens the sign-in page would let strangers fill the disk. A ticket is sealed under the
tenant's ticket key and bound to its purpose, the account and the browser that it was made for; it opens nowhere else,
and not after its time. Tickets say nothing about having been used: whoever opens one makes sure of that in the same
batch as what it permits (an enrolment changes the state that the offer names; a challenge leaves a mark in ONCE).
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

from medlock.clock import Clock
from medlock.crypto.aead import Aead
from medlock.errors import Tampered
from medlock.identity.factors.shape import refused

LIFE_MS = 300_000
TEXT_MAX = 4_096
T = TypeVar("T", bound=msgspec.Struct)
_encode = msgspec.msgpack.Encoder().encode


class Tickets:
    """Makes and opens tickets."""

    def __init__(self, aead: Aead, clock: Clock) -> None:
        self._aead = aead
        self._clock = clock

    def make(self, purpose: str, account: str, browser: str, state: msgspec.Struct) -> str:
        """A ticket that remembers `state` for five minutes."""
        expires = self._clock.now_ms() + LIFE_MS
        plain = expires.to_bytes(8, "big") + _encode(state)
        return urlsafe_b64encode(self._aead.seal(plain, _binding(purpose, account, browser))).decode().rstrip("=")

    def open(self, purpose: str, account: str, browser: str, ticket: str, struct: type[T]) -> tuple[T, int]:
        """What a ticket remembers, and when it ends in ms. Raises NotAuthenticated."""
        try:
            sealed = urlsafe_b64decode(ticket[:TEXT_MAX] + "=" * (-len(ticket[:TEXT_MAX]) % 4))
            plain = self._aead.open(sealed, _binding(purpose, account, browser))
        except (Tampered, ValueError):
            raise refused(f"no {purpose} ticket of this account and browser") from None
        expires = int.from_bytes(plain[:8], "big")
        if self._clock.now_ms() >= expires:
            raise refused(f"the {purpose} ticket is over")
        return msgspec.msgpack.decode(plain[8:], type=struct), expires


def _binding(*parts: str) -> bytes:
    """Associated data: each part with its length before it."""
    sized = (len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return b"medlock/1/ticket|" + b"".join(sized)
