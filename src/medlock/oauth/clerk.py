"""What an administrator does with clients: the same acts for `medlock client` and for the administration over HTTPS.

Who holds the keys of the store, at the keyboard, acts alone. Who administers over HTTPS sees no patient's record, and
must not get at them by the way of a program that acts for itself: such a client waits, when it is registered and when
its keys are replaced, until another administrator approves it (`second`).
"""

from __future__ import annotations

from typing import Any

from medlock.clock import instant
from medlock.crypto.jose import key_set
from medlock.errors import BadRequest, NotFound
from medlock.oauth.client import CREDENTIALS, Client, Kind, Status
from medlock.oauth.clients import Clients, changed_since
from medlock.oauth.endings import ApprovalEndings
from medlock.oauth.joining import Joining
from medlock.oauth.registering import Registration, usual_grants

LOUD = (
    "This client may do without PKCE: a code that somebody intercepts is worth something. Use it for an old client "
    "only, and end it when that client is renewed."
)
_ANOTHER = "Another administrator approves a program that you registered, or whose keys you replaced."

Facts = dict[str, Any]


class Clerk:
    """Registers, shows, approves, disables, replaces secrets and keys. Every change is an event that names `by`."""

    def __init__(self, clients: Clients, endings: ApprovalEndings, joining: Joining) -> None:
        self._clients = clients
        self._endings = endings
        self._joining = joining

    async def register(self, asked_for: Registration, by: str, *, second: bool = False) -> Facts:
        """A new client, with its secret when it has one, which is shown this once. Raises BadRequest, Conflict."""
        waits = second and CREDENTIALS in (asked_for.grants or usual_grants(asked_for))
        status = Status.PENDING if waits else Status.ACTIVE
        client, secret = await self._clients.register(asked_for, by, status)
        return shown(client) | ({"client_secret": secret} if secret else {})

    async def every(self) -> list[Facts]:
        """All clients, newest first."""
        return [shown(client) for client in await self._clients.every()]

    async def one(self, client_id: str) -> Facts:
        """Everything about one, its secret aside, which nobody has. Raises NotFound."""
        return shown(await self._found(client_id))

    async def approve(
        self, client_id: str, by: str, *, verified: bool = False, second: bool = False, seen: int = 0
    ) -> Facts:
        """Let one begin that waits or was disabled; `seen`: as it was in this version, which was looked at.

        Raises NotFound, BadRequest when another must do that, Conflict when it was changed since.
        """
        client = await self._found(client_id)
        if second and CREDENTIALS in client.grants and by == (client.set_by or client.registered_by):
            raise BadRequest(_ANOTHER, reason=f"{by} approves client {client_id} alone")
        if seen and client.version != seen:
            raise changed_since()
        changes: Facts = {"status": Status.ACTIVE} | ({"verified": True} if verified else {})
        # only as it was when it was asked who had set its keys: else whoever replaces them now would approve them, too
        return shown(await self._clients.change(client_id, by, changes, client.version))

    async def disable(self, client_id: str, by: str) -> Facts:
        """End one and all that it was given. Raises NotFound."""
        client = await self._clients.change(client_id, by, {"status": Status.DISABLED})
        await self._endings.end_client(client_id, by)
        return shown(client)

    async def secret(self, client_id: str, by: str) -> Facts:
        """Another secret, shown once; the one before is refused at once. Raises NotFound, BadRequest."""
        return {"client_id": client_id, "client_secret": await self._clients.new_secret(client_id, by)}

    async def keys(self, client_id: str, by: str, jwks: bytes, jwks_url: str, *, second: bool = False) -> Facts:
        """Other keys, or another address of them; those before are refused at once.

        Raises NotFound, BadRequest, Conflict.
        """
        client = await self._found(client_id)
        if client.kind is not Kind.ASYMMETRIC:
            raise BadRequest("Only an asymmetric client has keys.")
        changes: Facts = {"jwks": jwks, "jwks_url": jwks_url, "set_by": by}
        if second and CREDENTIALS in client.grants and client.status is Status.ACTIVE:
            changes["status"] = Status.PENDING
        return shown(await self._clients.change(client_id, by, changes, client.version))

    async def invite(self, by: str, uses: int, seconds: int) -> Facts:
        """An initial token (RFC 7591), shown once. Raises BadRequest."""
        return {"initial_access_token": await self._joining.invite(by, uses, seconds), "uses": str(uses)}

    async def _found(self, client_id: str) -> Client:
        held = await self._clients.find(client_id)
        if held is None:
            raise NotFound("There is no client of this id; medlock client list shows them.")
        return held.value


def shown(client: Client) -> Facts:
    """A client as lists show it: all but its secret and its keys, which are told by thumbprint (RFC 7638)."""
    return {
        "client_id": client.id,
        "name": client.name,
        "kind": client.kind.value,
        "status": client.status.value,
        "verified": client.verified,
        "policy": client.policy.value,
        "grant_types": list(client.grants),
        "scopes": client.scopes,
        "redirect_uris": list(client.redirect_uris),
        "launch_url": client.launch_url,
        "jwks_url": client.jwks_url,
        "has_jwks": bool(client.jwks),
        "key_thumbprints": [key.thumbprint for key in key_set(client.jwks).keys] if client.jwks else [],
        "keys_set_by": client.set_by or client.registered_by,
        "origins": list(client.origins),
        "role": client.role,
        "require_par": client.require_par,
        "dpop_bound": client.dpop_bound,
        "pkce_optional": client.pkce_optional,
        "introspects": client.introspects,
        "registered": instant(client.created),
        "registered_by": client.registered_by,
        "version": client.version,
    }
