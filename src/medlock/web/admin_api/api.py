"""Clients of the authorization server, administered over HTTPS: what `medlock client` does, by the same `oauth.clerk`.

What an administrator may not do alone, another one must approve; every change is an event that names who did it, and
every refusal is written down before it is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from medlock.access.principal import Role
from medlock.errors import BadRequest, MedlockError, UnsupportedMedia
from medlock.identity.sessions import Session
from medlock.oauth.clerk import LOUD, Clerk
from medlock.oauth.client import Kind, Policy
from medlock.oauth.lifetimes import INITIAL_TOKEN
from medlock.oauth.registering import Registration
from medlock.web.admin_api import routes
from medlock.web.admin_api.gate import AdminGate
from medlock.web.declared import Declared, Mounted
from medlock.web.ports import Watch

_KEEP_NOTHING = {"cache-control": "no-store", "pragma": "no-cache"}
Body = TypeVar("Body", bound=msgspec.Struct)
Act = Callable[[Request, Session], Awaitable[Response]]


class NewClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is registered, by the names under which a client is shown; what is left out is as the command has it."""

    name: str
    kind: Kind = Kind.PUBLIC
    client_id: str = ""
    redirect_uris: tuple[str, ...] = ()
    launch_url: str = ""
    scopes: str = ""
    grant_types: tuple[str, ...] = ()
    jwks: dict[str, Any] | None = None
    jwks_url: str = ""
    policy: Policy = Policy.SMART
    require_par: bool = False
    dpop_bound: bool = False
    pkce_optional: bool = False
    verified: bool = False
    introspects: bool = False
    role: Role = Role.BACKEND
    origins: tuple[str, ...] = ()


class Approved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version of a client that was looked at, and whether it was checked who is behind it."""

    version: int
    verified: bool = False


class NewKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A JWK Set, or the address of one."""

    jwks: dict[str, Any] | None = None
    jwks_url: str = ""


class Invited(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many registrations an initial token is good for, and how long, in seconds."""

    uses: int = 1
    seconds: int = INITIAL_TOKEN


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty object."""


BODIES: dict[Declared, type[msgspec.Struct]] = {
    routes.REGISTER: NewClient,
    routes.APPROVE: Approved,
    routes.DISABLE: Nothing,
    routes.SECRET: Nothing,
    routes.KEYS: NewKeys,
    routes.INVITE: Invited,
}
"""What each address takes."""


class AdminApi:
    """Handlers for `routes.DECLARED`."""

    def __init__(self, clerk: Clerk, gate: AdminGate, watch: Watch) -> None:
        self._clerk = clerk
        self._gate = gate
        self._watch = watch

    def mounted(self) -> list[Mounted]:
        """Each address with what answers there."""
        handlers: dict[Declared, Act] = {
            routes.CLIENTS: self.clients,
            routes.REGISTER: self.register,
            routes.CLIENT: self.client,
            routes.APPROVE: self.approve,
            routes.DISABLE: self.disable,
            routes.SECRET: self.secret,
            routes.KEYS: self.keys,
            routes.INVITE: self.invite,
        }
        return [self._at(declared, handler) for declared, handler in handlers.items()]

    async def clients(self, _request: Request, _session: Session) -> Response:
        """All clients, those that wait as well."""
        return _json({"clients": await self._clerk.every()})

    async def register(self, request: Request, session: Session) -> Response:
        """A new client; one that acts for itself waits for another administrator."""
        wanted = await _body(request, NewClient)
        facts = await self._clerk.register(_registration(wanted), session.account, second=True)
        return _json(facts | ({"warning": LOUD} if wanted.pkce_optional else {}), 201)

    async def client(self, request: Request, _session: Session) -> Response:
        """One client."""
        return _json(await self._clerk.one(request.path_params["id"]))

    async def approve(self, request: Request, session: Session) -> Response:
        """Let one begin, as it was when it was looked at."""
        asked = await _body(request, Approved)
        if asked.version < 1:
            raise BadRequest("Send the version of the client that you looked at.")
        named = request.path_params["id"]
        return _json(
            await self._clerk.approve(named, session.account, verified=asked.verified, second=True, seen=asked.version)
        )

    async def disable(self, request: Request, session: Session) -> Response:
        """End one and all that it was given."""
        await _body(request, Nothing)
        return _json(await self._clerk.disable(request.path_params["id"], session.account))

    async def secret(self, request: Request, session: Session) -> Response:
        """Another secret."""
        await _body(request, Nothing)
        return _json(await self._clerk.secret(request.path_params["id"], session.account))

    async def keys(self, request: Request, session: Session) -> Response:
        """Other keys; one that acts for itself waits for another administrator."""
        asked = await _body(request, NewKeys)
        named, jwks = request.path_params["id"], _encoded(asked.jwks)
        return _json(await self._clerk.keys(named, session.account, jwks, asked.jwks_url, second=True))

    async def invite(self, request: Request, session: Session) -> Response:
        """An initial token (RFC 7591)."""
        asked = await _body(request, Invited)
        return _json(await self._clerk.invite(session.account, asked.uses, asked.seconds), 201)

    def _at(self, declared: Declared, act: Act) -> Mounted:
        """The act, for who may; its refusals are written down before they are told."""

        async def endpoint(request: Request) -> Response:
            try:
                return await act(request, await self._gate.admit(declared, request))
            except MedlockError as refusal:
                if refusal.http_status < 500:
                    await self._watch.refused(f"{declared.path}: {refusal.reason}", "admin")
                raise

        return declared.at(endpoint)


async def _body(request: Request, form: type[Body]) -> Body:
    """The body as JSON. Raises UnsupportedMedia, BadRequest: an unknown member is refused, not passed over."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia("Send JSON: Content-Type: application/json.")
    try:
        return msgspec.json.decode(await request.body(), type=form)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        members = ", ".join(form.__struct_fields__) or "no members"
        raise BadRequest(f"Send a JSON object of {members}; docs/admin.md says what each is.") from None


def _registration(wanted: NewClient) -> Registration:
    """The same as for the command."""
    return Registration(
        wanted.name,
        wanted.kind,
        wanted.client_id,
        wanted.redirect_uris,
        wanted.launch_url,
        wanted.scopes,
        wanted.grant_types,
        _encoded(wanted.jwks),
        wanted.jwks_url,
        wanted.policy,
        wanted.require_par,
        wanted.dpop_bound,
        wanted.pkce_optional,
        wanted.verified,
        wanted.introspects,
        wanted.role,
        wanted.origins,
    )


def _encoded(jwks: dict[str, Any] | None) -> bytes:
    return b"" if jwks is None else msgspec.json.encode(jwks)


def _json(body: dict[str, Any], status: int = 200) -> Response:
    """An answer that nobody keeps."""
    return Response(orjson.dumps(body), status, headers=_KEEP_NOTHING, media_type="application/json")
