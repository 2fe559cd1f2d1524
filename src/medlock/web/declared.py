"""What every address of the site declares before it is mounted: who may ask, how often, how much they may send.

A route without a declaration cannot be mounted (`guard.check`), and each declaration stands in `inventory.INVENTORY`,
so what the program answers to is a list that a person, a scanner or a diff can read: `medlock routes --json`.

A package that answers requests has a module `routes.py` of such declarations and binds each to its handler:

    TOKEN = Declared("/oauth/token", ("POST",), Permission.CLIENT, Rate.TOKEN, body=64 * 1024, face=Face.OAUTH)
    DECLARED = (TOKEN, …)                       # listed in inventory.py
    mounted = [TOKEN.at(self.token), …]         # handed to Outer.app by app.py

The declared permission is what the handler enforces; tests/web/test_routes.py asks each route without credentials.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]


class Permission(StrEnum):
    """Who may ask."""

    PUBLIC = "public"  # anybody; the answer holds nothing of any person
    TOKEN = "token"  # a bearer token; role, scopes and consent decide at the door
    CLIENT = "client"  # an OAuth client, authenticated in the way it is registered for
    INITIAL = "initial-token"  # who holds an initial token (RFC 7591 §3)
    SESSION = "session"  # a person who is signed in, from our own pages (CSRF is refused)
    STEP_UP = "step-up"  # the same, who has proven themselves again within minutes
    ADMIN = "admin"  # a person of the role security-admin who is signed in, from our own pages
    ADMIN_PROVEN = "admin-proven"  # the same, who has used a passkey within minutes
    LOCAL = "local"  # a program on this machine, on the administrator's port


class Rate(StrEnum):
    """How often: which of the limits of settings.Rates counts. Numbers and keys: docs/protection.md."""

    FREE = "free"  # not counted: balancers ask it all the time, and it costs nothing
    ANONYMOUS = "anonymous"  # by address
    API = "api"  # by account, client and patient, weighed by what is asked
    PAGE = "page"  # pages of people, by session or address
    LOGIN = "login"  # bad attempts with a secret, by address; accounts have counters of their own (identity)
    TOKEN = "token"  # refused requests, by client and address
    INTROSPECTION = "introspection"  # by client and address
    REGISTRATION = "registration"  # by address and day


class Face(StrEnum):
    """In which form it refuses."""

    FHIR = "fhir"  # OperationOutcome
    OAUTH = "oauth"  # RFC 6749 §5.2, JSON
    PAGE = "page"  # a sentence for a person


class Cors(StrEnum):
    """Which other origins' scripts may read the answer (Fetch standard)."""

    NONE = "none"
    REGISTERED = "registered"  # those of registered clients, and no other
    ANY = "any"  # what says nothing of anybody: discovery, keys, metadata


@dataclass(frozen=True, slots=True)
class Declared:
    """One address with the methods that are declared alike. HEAD goes with GET.

    body   bytes that a request may bring; 0: what it brings is never read
    """

    path: str
    methods: tuple[str, ...]
    permission: Permission
    rate: Rate
    body: int = 0
    face: Face = Face.FHIR
    cors: Cors = Cors.NONE

    def at(self, handler: Handler) -> Mounted:
        """Bound to what answers."""
        return Mounted(self, handler)


class Mounted(NamedTuple):
    """A declaration and what answers there; `handler` gets a body that is there in full and within bounds."""

    declared: Declared
    handler: Handler
