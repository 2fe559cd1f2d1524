"""Dynamic client registration (RFC 7591): an app registers itself.

With an initial token, which an administrator made and which counts down, the app may start at once. Without one it
waits until an administrator has looked at it (ASVS 10.4.7), and there may only be so many that wait. Either way it is
shown as not verified, may not act for itself, and may not be let off anything: what only an administrator may allow
cannot be asked for here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from medlock.errors import BadRequest, Conflict, OAuthRefused
from medlock.ids import secret as new_secret
from medlock.oauth.client import CODE, GRANTS, REFRESH, Client, Kind, Status
from medlock.oauth.clients import Clients, digest
from medlock.oauth.redirects import parsed
from medlock.oauth.registering import Registration
from medlock.oauth.rows import Invitation, Rows
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

_KINDS = {
    "none": Kind.PUBLIC,
    "client_secret_basic": Kind.SYMMETRIC,
    "client_secret_post": Kind.SYMMETRIC,
    "private_key_jwt": Kind.ASYMMETRIC,
}
_BY_KIND = {Kind.PUBLIC: "none", Kind.SYMMETRIC: "client_secret_basic", Kind.ASYMMETRIC: "private_key_jwt"}
USES_MAX = 1_000


class Metadata(msgspec.Struct):
    """What of RFC 7591 §2 (and SMART's launch_uri) is taken up; other members are ignored, as §2 has it."""

    redirect_uris: tuple[str, ...] = ()
    token_endpoint_auth_method: str = "client_secret_basic"
    grant_types: tuple[str, ...] = (CODE,)
    response_types: tuple[str, ...] = ("code",)
    client_name: str = ""
    scope: str = ""
    jwks: dict[str, Any] | None = None
    jwks_uri: str = ""
    launch_uri: str = ""
    initiate_login_uri: str = ""
    software_statement: str | None = None
    dpop_bound_access_tokens: bool = False
    require_pushed_authorization_requests: bool = False


class Joining:
    """Answers the registration endpoint, and makes initial tokens."""

    def __init__(self, rows: Rows, clients: Clients) -> None:
        self._rows = rows
        self._clients = clients

    async def invite(self, by: str, uses: int, seconds: int) -> str:
        """An initial token for so many registrations, shown once. Raises BadRequest."""
        if not 0 < uses <= USES_MAX or seconds <= 0:
            raise BadRequest(f"An initial token is good for 1 to {USES_MAX} registrations, for some time.")
        token = new_secret()
        row = Invitation(uses, self._rows.clock.now_ms() + seconds * 1000, by)
        await self._rows.commit(self._rows.invitations.insert(self._rows.invitations.key(digest(token)), row))
        return token

    async def answer(self, body: bytes, token: str | None) -> dict[str, Any]:
        """The new client as RFC 7591 §3.2.1 tells it. Raises OAuthRefused."""
        metadata = _read(body)
        status, by, spent = Status.PENDING, "registration", Batch()
        if token is not None:
            held = await self._invited(token)
            status, by, spent = Status.ACTIVE, f"initial:{held.value.by}"[:64], self._one_less(held)
        else:
            await self._clients.room()
        try:
            client, secret = await self._clients.register(_wanted(metadata), by, status, spent)
        except Conflict:
            raise _no_token("an initial token that was used meanwhile") from None
        except BadRequest as fault:
            code = "invalid_redirect_uri" if "edirect" in str(fault) else "invalid_client_metadata"
            raise OAuthRefused(code, str(fault)) from None
        return _told(client, secret)

    async def _invited(self, token: str) -> Held[Invitation]:
        """The initial token. Raises OAuthRefused."""
        held = await self._rows.invitations.get(self._rows.invitations.key(digest(token)))
        if held is None or held.value.left < 1 or self._rows.clock.now_ms() >= held.value.expires:
            raise _no_token("an initial token that is unknown, used or too old")
        return held

    def _one_less(self, held: Held[Invitation]) -> Batch:
        left = held.value.left - 1
        if not left:
            return self._rows.invitations.remove(held)
        return self._rows.invitations.replace(held, msgspec.structs.replace(held.value, left=left))


def _read(body: bytes) -> Metadata:
    """The metadata. Raises OAuthRefused."""
    try:
        metadata = msgspec.json.decode(body, type=Metadata)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise OAuthRefused("invalid_client_metadata", "Send client metadata as RFC 7591 has them, as JSON.") from None
    if metadata.software_statement is not None:
        raise OAuthRefused("invalid_software_statement", "Software statements are not taken here.")
    if metadata.token_endpoint_auth_method not in _KINDS:
        raise OAuthRefused("invalid_client_metadata", f"token_endpoint_auth_method is one of {', '.join(_KINDS)}.")
    if not set(metadata.grant_types) <= {CODE, REFRESH}:
        raise OAuthRefused("invalid_client_metadata", "An app that acts for itself is registered by an administrator.")
    if metadata.response_types != ("code",):
        raise OAuthRefused("invalid_client_metadata", "response_types is code.")
    return metadata


def _wanted(metadata: Metadata) -> Registration:
    """The same as a registration. Who has redirect URIs may refresh, if the person lets them."""
    name = metadata.client_name or _host(metadata.redirect_uris)
    return Registration(
        name,
        _KINDS[metadata.token_endpoint_auth_method],
        redirect_uris=metadata.redirect_uris,
        launch_url=metadata.launch_uri or metadata.initiate_login_uri,
        scopes=metadata.scope,
        grants=tuple(grant for grant in GRANTS if grant in {CODE, REFRESH, *metadata.grant_types}),
        jwks=b"" if metadata.jwks is None else msgspec.json.encode(metadata.jwks),
        jwks_url=metadata.jwks_uri,
        require_par=metadata.require_pushed_authorization_requests,
        dpop_bound=metadata.dpop_bound_access_tokens,
    )


def _host(uris: tuple[str, ...]) -> str:
    """A name for an app that gives none."""
    parts = parsed(uris[0]) if uris else None
    return (parts.hostname if parts is not None else None) or "app"


def _told(client: Client, secret: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": client.created // 1000,
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "grant_types": list(client.grants),
        "response_types": ["code"],
        "token_endpoint_auth_method": _BY_KIND[client.kind],
        "scope": client.scopes,
        "require_pushed_authorization_requests": client.require_par,
        "dpop_bound_access_tokens": client.dpop_bound,
        "medlock_status": client.status.value,
    }
    if secret:
        told |= {"client_secret": secret, "client_secret_expires_at": 0}
    if client.jwks_url:
        told["jwks_uri"] = client.jwks_url
    if client.jwks:
        told["jwks"] = msgspec.json.decode(client.jwks)
    return told | ({"launch_uri": client.launch_url} if client.launch_url else {})


def _no_token(reason: str) -> OAuthRefused:
    headers = (("www-authenticate", 'Bearer realm="medlock", error="invalid_token"'),)
    return OAuthRefused(
        "invalid_token", "The initial access token is not valid.", reason=reason, status=401, headers=headers
    )
