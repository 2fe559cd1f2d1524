"""Pages: a link to the next one is a sealed, expiring token that says where to go on, and grants nothing.

Whoever brings a token is asked again who they are and what they may see; the question inside it is decided afresh.
It is bound to the account that it was given to.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from medlock.crypto.aead import Aead
from medlock.errors import BadRequest, Problem, Tampered

_BINDING = b"page|"


class Place(msgspec.Struct, array_like=True, frozen=True):
    """Where the next page starts: the canonical question, how many were shown, the last one shown, and until when.

    `interaction` is the one that the link continues; `subject` the id of the instance that it names. In a history
    `shown` is the time of the last version shown, `last` its row and `version` its number.
    """

    interaction: str
    type: str
    subject: str
    text: str
    shown: int
    last: int
    expires: int
    version: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Place).decode


def seal_place(aead: Aead, account: str, place: Place) -> str:
    """The token of a place, URL-safe."""
    sealed = aead.seal(_encode(place), _BINDING + account.encode())
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_place(aead: Aead, account: str, token: str, now: int) -> Place:
    """The place in a token. Raises BadRequest when it is not ours, not this account's, or expired."""
    try:
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        place = _decode(aead.open(sealed, _BINDING + account.encode()))
    except (Tampered, binascii.Error, ValueError) as fault:
        raise _stale() from fault
    if place.expires < now:
        raise _stale()
    return place


def _stale() -> BadRequest:
    text = "This page link is no longer valid: ask the search again."
    return BadRequest(text, problems=(Problem("expired", text, "_page"),))
