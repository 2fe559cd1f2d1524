"""The rows of table TOKEN: what a token stands for, sealed in its place. docs/spec/oauth.md §5."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from medlock.audit.events import Event
from medlock.crypto.aead import Aead
from medlock.crypto.prf import Prf
from medlock.errors import BadRequest, Tampered
from medlock.store.tables import Batch

_BLOCK = 512


class TokenKeys(Protocol):
    """The tenant's keys for tokens; `store.keyring.TenantKeys` has them."""

    @property
    def token(self) -> Aead:
        """Seals rows."""

    @property
    def token_labels(self) -> Prf:
        """Names rows."""


class Token(msgspec.Struct, frozen=True, array_like=True):
    """What a token stands for. Times in milliseconds; `revoked` is 0 while it is not. Fields are added at the end.

    scopes    resource scopes, as they are enforced; `words`: the whole scope string, as it was granted
    patient   whom the caller is held to
    kind      "" made by an operator, `user` for a person through an app, `client` for an app by itself
    approval  the approval it came of; context is that one's `rows.Context`, encoded
    jkt       thumbprint of the key that the caller must prove to have (RFC 9449), or ""
    """

    digest: bytes
    account: str
    role: str
    scopes: str
    patient: str
    client: str
    purpose: str
    created: int
    expires: int
    revoked: int = 0
    kind: str = ""
    words: str = ""
    roles: tuple[str, ...] = ()
    approval: str = ""
    context: bytes = b""
    fhir_user: str = ""
    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: int = 0
    organisations: tuple[str, ...] = ()
    jkt: str = ""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that is made but not yet written: commit `batch` with the event."""

    id: str
    label: int
    secret: str = field(repr=False)
    token: Token
    batch: Batch
    event: Event


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token. `secret` is known to nobody but the holder of this object; it cannot be shown again."""

    id: str
    secret: str
    expires: int

    def __repr__(self) -> str:
        return f"<IssuedToken {self.id}>"


@dataclass(frozen=True, slots=True)
class ListedToken:
    """One row of the list: everything but the secret, which is not kept, and its digest."""

    id: str
    account: str
    role: str
    scopes: str
    patient: str
    client: str
    purpose: str
    created: int
    expires: int
    revoked: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Token).decode


def sealed_token(keys: TokenKeys, label: int, token: Token) -> bytes:
    """A row, padded so that its length says nothing about scopes or names."""
    plain = _encode(token)
    framed = len(plain).to_bytes(4, "big") + plain
    return keys.token.seal(framed + bytes(-len(framed) % _BLOCK), _binding(label))


def open_token(keys: TokenKeys, label: int, row: bytes) -> Token:
    """What the row under `label` says. Raises Tampered."""
    framed = keys.token.open(row, _binding(label))
    try:
        token = _decode(framed[4 : 4 + int.from_bytes(framed[:4], "big")])
    except msgspec.MsgspecError:
        raise Tampered("a token row opens but holds no token") from None
    if keys.token_labels.label(token.digest) != label:
        raise Tampered("a token lies in another one's place")
    return token


def _binding(label: int) -> bytes:
    """Ties a sealed row to its place."""
    return b"medlock/1/token|" + label.to_bytes(8, "big", signed=True)


def token_id_of(label: int) -> str:
    """How people name a token: its row key, which says nothing about the secret."""
    return f"{label:016x}"


def label_of(token_id: str) -> int:
    """The row key in an id. Raises BadRequest."""
    if re.fullmatch("[0-7][0-9a-f]{15}", token_id) is None:
        raise BadRequest("A token id is 16 hexadecimal digits; medlock token list shows them.")
    return int(token_id, 16)
