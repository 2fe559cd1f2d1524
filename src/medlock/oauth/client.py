"""What is known of an app: the client of RFC 6749 §2, as it was registered and as an administrator let it be.

Three types, as SMART names them: `public` (no secret can be kept), `symmetric` (a secret), `asymmetric` (its own keys,
RFC 7523). What a client may do is written here and nowhere else: its redirect URIs, its scopes, its grant types, and by
which policy it is held. Pure; rows lie in drawers of `oauth.clients`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from medlock.access.principal import Role
from medlock.crypto.jose import ALGORITHMS

CODE, REFRESH, CREDENTIALS = "authorization_code", "refresh_token", "client_credentials"
GRANTS = (CODE, REFRESH, CREDENTIALS)
ASSERTION_ALGORITHMS = ("RS384", "ES384", "PS384", "ES256", "PS256")
"""What may sign a client's assertion. SMART: a server takes RS384 and ES384; the others are strong as well."""

ASSERTED = frozenset(ASSERTION_ALGORITHMS) & ALGORITHMS


class Kind(StrEnum):
    """How a client proves who it is (SMART App Launch 2.2, capabilities client-*)."""

    PUBLIC = "public"
    SYMMETRIC = "symmetric"
    ASYMMETRIC = "asymmetric"


class Policy(StrEnum):
    """`smart`: what SMART demands. `high`: own keys only, and every request pushed (ASVS 10.4.13, 10.4.16)."""

    SMART = "smart"
    HIGH = "high"


class Status(StrEnum):
    """`pending`: registered itself, and no administrator has said yes (ASVS 10.4.7)."""

    ACTIVE = "active"
    PENDING = "pending"
    DISABLED = "disabled"


class Client(msgspec.Struct, frozen=True, array_like=True):
    """One app. Times in milliseconds. Fields are added at the end.

    scopes         what it may ask for, at most
    secret         SHA-256 of its secret: 256 random bits, so no slow hash is needed
    jwks           its public keys as it gave them, or b""; `jwks_url` where they are fetched, or ""
    verified       an administrator has checked who is behind it
    require_par    only pushed requests (RFC 9126)
    dpop_bound     only tokens bound to a key (RFC 9449)
    pkce_optional  it may do without PKCE: for old confidential clients, and told at every start
    introspects    it may ask about tokens of any client (SMART 2.2 "Token Introspection")
    role           as what it acts when it acts for itself
    set_by         who replaced its keys last, "" when they are those it was registered with
    version        1, 2, 3 … with every change; the log names it, so that a row that was put back is found
    """

    id: str
    name: str
    kind: Kind
    status: Status
    created: int
    registered_by: str
    redirect_uris: tuple[str, ...] = ()
    launch_url: str = ""
    scopes: str = ""
    grants: tuple[str, ...] = (CODE, REFRESH)
    secret: bytes = b""
    jwks: bytes = b""
    jwks_url: str = ""
    algorithms: tuple[str, ...] = ASSERTION_ALGORITHMS
    policy: Policy = Policy.SMART
    require_par: bool = False
    dpop_bound: bool = False
    pkce_optional: bool = False
    verified: bool = False
    introspects: bool = False
    role: str = Role.BACKEND.value
    origins: tuple[str, ...] = ()
    version: int = 1
    set_by: str = ""

    @property
    def confidential(self) -> bool:
        """Whether it can prove who it is."""
        return self.kind is not Kind.PUBLIC
