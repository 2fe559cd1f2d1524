"""What lies in the tables OAUTH and ONCE, kind by kind: docs/spec/oauth.md §2. Fields are only ever added at the end.

Times are milliseconds since 1970. Secrets are kept as SHA-256 digests: each has 256 random bits, so a slow hash would
add nothing. `""`, `b""` and 0 mean that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from medlock.audit.events import Event
from medlock.clock import Clock
from medlock.crypto.aead import Aead
from medlock.crypto.prf import Prf
from medlock.oauth.client import Client
from medlock.store.cabinet import Cabinet, Drawer
from medlock.store.tables import Backend, Batch, Table


class Context(msgspec.Struct, frozen=True, array_like=True):
    """Launch context, as it is told with a token (SMART 2.2 §6.0.6). `fhir_context` is JSON, or b""."""

    patient: str = ""
    encounter: str = ""
    intent: str = ""
    tenant: str = ""
    banner: bool = True
    fhir_context: bytes = b""


encode_context = msgspec.msgpack.Encoder().encode
_decode_context = msgspec.msgpack.Decoder(Context).decode


def decode_context(data: bytes) -> Context:
    """A launch context from a token's row; an empty one when there is none."""
    return _decode_context(data) if data else Context()


class Request(msgspec.Struct, frozen=True, array_like=True):
    """An authorization request that was found sound. `prompt` and `max_age` as OpenID Connect has them, -1: none."""

    client: str
    redirect_uri: str
    state: str
    scopes: str
    challenge: str = ""
    nonce: str = ""
    launch: str = ""
    prompt: str = ""
    max_age: int = -1
    jkt: str = ""


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """A request that waits for a person: to sign in, then to decide."""

    request: Request
    expires: int
    begun: int = 0


class Pushed(msgspec.Struct, frozen=True, array_like=True):
    """A request that came by RFC 9126: its parameters, as they came, and whose they are."""

    client: str
    parameters: tuple[tuple[str, str], ...]
    expires: int


class Launch(msgspec.Struct, frozen=True, array_like=True):
    """A launch from the portal: for this account and this client, once."""

    account: str
    client: str
    context: Context
    expires: int


class Approval(msgspec.Struct, frozen=True, array_like=True):
    """What a person let an app do: the code, the refresh tokens and the access tokens that came of it all hang on this.

    code, former, refresh  digests: of the code; of the refresh token just replaced; of the one that is valid
    tokens                 the places of access tokens that may still live, each with its end
    redeemed               when the code was used; a second use ends everything
    session                the session it was given in; `online`: it ends with that
    ends                   after this it may be swept
    """

    id: str
    account: str
    client: str
    scopes: str
    context: Context
    created: int
    ends: int
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str = ""
    code: bytes = b""
    code_expires: int = 0
    redeemed: int = 0
    refresh: bytes = b""
    refresh_expires: int = 0
    former: bytes = b""
    rotated: int = 0
    tokens: tuple[tuple[int, int], ...] = ()
    session: str = ""
    online: bool = False
    offline: bool = False
    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: int = 0
    jkt: str = ""
    used: int = 0


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """The approvals of one account, so that all of them can be ended."""

    approvals: tuple[str, ...] = ()


class Key(msgspec.Struct, frozen=True, array_like=True):
    """One signing key: its private JWK as JSON. `retired`: when another took its place."""

    kid: str
    algorithm: str
    jwk: bytes
    created: int
    retired: int = 0


class Keys(msgspec.Struct, frozen=True, array_like=True):
    """All signing keys that are published, the ones that sign last."""

    keys: tuple[Key, ...] = ()


class Roll(msgspec.Struct, frozen=True, array_like=True):
    """The ids of all clients, so that lists of them need not go through every approval."""

    clients: tuple[str, ...] = ()


class Invitation(msgspec.Struct, frozen=True, array_like=True):
    """An initial access token (RFC 7591 §3): so many registrations, until then."""

    left: int
    expires: int
    by: str = ""


class ShareLink(msgspec.Struct, frozen=True, array_like=True):
    """A patient's share link: docs/spec/sharing.md. `passcode` is an Argon2id PHC string, `digest` of the URL's secret.

    `used`: when it was opened, for one that may be opened once. `version` counts its changes: each stands in the log.
    `by`: the account whose person made it, "" for an operator's token; it opens while they may act for the patient.
    """

    id: str
    patient: str
    digest: bytes
    passcode: str
    scopes: str
    lasting: bool
    made: int
    expires: int
    used: int = 0
    version: int = 1
    by: str = ""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Something that was used, and may not be again until `expires`, when it is refused for its age anyway."""

    expires: int


class OAuthKeys(Protocol):
    """The tenant's keys for these tables; `store.keyring.TenantKeys` has them."""

    @property
    def oauth(self) -> Aead:
        """Seals rows."""

    @property
    def oauth_labels(self) -> Prf:
        """Names rows."""

    @property
    def once(self) -> Aead:
        """Seals marks."""

    @property
    def once_labels(self) -> Prf:
        """Names marks."""


class Log(Protocol):
    """The audit log's part: an event as an entry for a batch."""

    def seal(self, *events: Event) -> list[bytes]:
        """The sealed entries."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The drawers, and what it takes to write into them."""

    backend: Backend
    clock: Clock
    log: Log
    labels: Prf
    clients: Drawer[Client]
    roll: Drawer[Roll]
    pending: Drawer[Pending]
    pushed: Drawer[Pushed]
    launches: Drawer[Launch]
    approvals: Drawer[Approval]
    listed: Drawer[Listed]
    keys: Drawer[Keys]
    invitations: Drawer[Invitation]
    marks: Drawer[Mark]
    links: Drawer[ShareLink]

    async def commit(self, batch: Batch, *events: Event) -> None:
        """All of it, with the events that tell of it, or nothing. Raises Raced, Unavailable."""
        await self.backend.commit(batch + Batch(entries=self.log.seal(*events)) if events else batch)


def open_rows(backend: Backend, keys: OAuthKeys, clock: Clock, log: Log) -> Rows:
    """The drawers of an open store."""
    cabinet = Cabinet(backend, Table.OAUTH, keys.oauth, keys.oauth_labels)
    once = Cabinet(backend, Table.ONCE, keys.once, keys.once_labels)
    return Rows(
        backend,
        clock,
        log,
        keys.oauth_labels,
        cabinet.drawer("client", Client),
        cabinet.drawer("clients", Roll),
        cabinet.drawer("pending", Pending),
        cabinet.drawer("pushed", Pushed),
        cabinet.drawer("launch", Launch),
        cabinet.drawer("approval", Approval),
        cabinet.drawer("approvals-of", Listed),
        cabinet.drawer("signing-keys", Keys),
        cabinet.drawer("initial-token", Invitation),
        once.drawer("assertion", Mark),
        cabinet.drawer("share-link", ShareLink),
    )
