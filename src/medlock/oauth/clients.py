"""The clients of this server: registered, found, approved, disabled. Every change is an event, in the same commit.

A client is read anew for every request that it makes, so that one that is disabled is refused on the next one. What it
was given before is ended at once: the ending of its approvals follows the change (`oauth.endings`), and whatever is
issued meanwhile loses against it, because issuing expects the client's row as it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from medlock.audit.events import Action, Event, Outcome
from medlock.errors import BadRequest, Conflict, NotFound, OAuthRefused, Raced
from medlock.ids import secret as new_secret
from medlock.oauth.client import Client, Kind, Status
from medlock.oauth.handles import new_name
from medlock.oauth.registering import Registration, checked, client_of
from medlock.oauth.rows import Roll, Rows
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

PENDING_MAX = 100
"""Clients that registered themselves and wait: beyond that nobody may, until an administrator has looked."""

_TRIES = 5
_ALL = "all"
_TAG = slice(-16, -8)
"""The first half of a row's authentication tag: names this very row."""


def changed_since() -> Conflict:
    """The refusal to change what somebody else has changed in the meantime."""
    return Conflict("The client was changed since you looked at it. Look again.")


class Clients:
    """Registers and finds."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def find(self, client_id: str) -> Held[Client] | None:
        """A client, whatever its status."""
        held = await self._rows.clients.get(self._rows.clients.key(client_id))
        return held if held is not None and held.value.id == client_id else None

    async def active(self, client_id: str) -> Held[Client]:
        """A client that may ask now. Raises OAuthRefused (invalid_client), the same whether it exists or not."""
        held = await self.find(client_id)
        if held is None or held.value.status is not Status.ACTIVE:
            reason = "unknown client" if held is None else f"client {client_id} is {held.value.status}"
            raise unknown_client(reason)
        return held

    async def register(
        self, asked_for: Registration, by: str, status: Status = Status.ACTIVE, also: Batch | None = None
    ) -> tuple[Client, str]:
        """A new client and its secret ("" when it has none), shown once. `also` is written with it.

        Raises BadRequest with what to change, Conflict when the id is taken.
        """
        client = client_of(asked_for, new_name(), status, by, self._rows.clock.now_ms())
        secret = new_secret() if client.kind is Kind.SYMMETRIC else ""
        if secret:
            client = replace(client, secret=digest(secret))
        await self._insert(client, by, also or Batch())
        return client, secret

    async def _insert(self, client: Client, by: str, also: Batch) -> None:
        """Write a new client and its name on the roll. Raises Conflict."""
        rows = self._rows
        for _ in range(_TRIES):
            if await self.find(client.id) is not None:
                raise Conflict("There is a client of this id already.")
            key, roll = rows.roll.key(_ALL), await self._roll()
            listed = Roll((*(roll.value.clients if roll else ()), client.id))
            batch = rows.clients.insert(rows.clients.key(client.id), client) + also
            batch += rows.roll.insert(key, listed) if roll is None else rows.roll.replace(roll, listed)
            try:
                await rows.commit(batch, self._event(Action.CLIENT_REGISTER, by, client, batch))
            except Raced:
                continue
            return
        raise Conflict("The initial token was used, or others register at the same moment. Try again.")

    async def _roll(self) -> Held[Roll] | None:
        return await self._rows.roll.get(self._rows.roll.key(_ALL))

    async def change(self, client_id: str, by: str, changes: Mapping[str, Any], seen: int = 0) -> Client:
        """Change some fields; what comes out must make sense. `seen`: only when it is still in this version.

        Raises NotFound, BadRequest, Conflict, Raced.
        """
        for _ in range(_TRIES):
            held = await self.find(client_id)
            if held is None:
                raise NotFound("There is no client of this id; medlock client list shows them.")
            if seen and held.value.version != seen:
                raise changed_since()
            client = replace(held.value, **changes, version=held.value.version + 1)
            checked(client)
            batch = self._rows.clients.replace(held, client)
            try:
                await self._rows.commit(batch, self._event(Action.CLIENT_CHANGE, by, client, batch))
            except Raced:
                continue
            return client
        raise Raced

    async def new_secret(self, client_id: str, by: str) -> str:
        """Another secret in the place of the present one, shown once. Raises NotFound, BadRequest."""
        held = await self.find(client_id)
        if held is not None and held.value.kind is not Kind.SYMMETRIC:
            raise BadRequest("Only a symmetric client has a secret.")
        secret = new_secret()
        await self.change(client_id, by, {"secret": digest(secret)})
        return secret

    async def every(self) -> list[Client]:
        """All of them, newest first."""
        roll = await self._roll()
        keys = [self._rows.clients.key(name) for name in (roll.value.clients if roll else ())]
        found = [held.value for held in await self._rows.clients.get_many(keys)]
        return sorted(found, key=lambda client: client.created, reverse=True)

    async def fetches_from(self, host: str) -> bool:
        """Whether an active client has its keys at a host: the allow-list of outbound connections."""
        return any(
            client.jwks_url and urlsplit(client.jwks_url).hostname == host
            for client in await self.every()
            if client.status is Status.ACTIVE
        )

    async def origins(self) -> frozenset[str]:
        """The origins of active clients: whose scripts may read answers."""
        active = [client for client in await self.every() if client.status is Status.ACTIVE]
        return frozenset(origin for client in active for origin in client.origins)

    async def room(self) -> None:
        """Return when one more may register itself. Raises OAuthRefused."""
        waiting = [client for client in await self.every() if client.status is Status.PENDING]
        if len(waiting) >= PENDING_MAX:
            raise OAuthRefused("temporarily_unavailable", "Too many apps wait to be approved; ask the operator.")

    def _event(self, action: Action, by: str, client: Client, batch: Batch) -> Event:
        """What an administrator, or a stranger, did to a client; it names the very row."""
        told = (
            f"client {client.id} {client.kind} {client.status} policy {client.policy} grants {' '.join(client.grants)} "
            f"scopes {client.scopes} redirects {' '.join(client.redirect_uris)} verified {client.verified} "
            f"pkce_optional {client.pkce_optional} introspects {client.introspects}"
        )
        now = self._rows.clock.now_ms()
        _, key, row = (batch.inserts or batch.puts)[0]  # the client's own row comes first
        about = mark(key, client.version, row)
        return Event(action, Outcome.SUCCESS, by, (), client.id, "HSYSADMIN", now, about, query=told)


def mark(key: int, version: int, row: bytes) -> str:
    """How an event names a client's row: its place, its version, and the very bytes."""
    return f"{key:016x}:{version}:{row[_TAG].hex()}"


def digest(secret: str) -> bytes:
    """How a secret of 256 random bits is kept."""
    return sha256(secret.encode()).digest()


def unknown_client(reason: str) -> OAuthRefused:
    """The one refusal for a client that is not there, not active, or not who it says."""
    return OAuthRefused(
        "invalid_client", "The client is not known or could not prove who it is.", reason=reason, status=401
    )
