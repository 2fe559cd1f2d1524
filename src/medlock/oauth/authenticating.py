"""Who calls the token endpoint and its kin: one client, by the one method that it is registered for (RFC 6749 §2.3).

`none` for public clients, client_secret_basic or client_secret_post for symmetric ones, private_key_jwt for asymmetric
ones. A client that comes with another method than its own, or with two, is refused like one that nobody knows.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import unquote_plus

from medlock.errors import OAuthRefused
from medlock.oauth.assertions import ASSERTION_TYPE, Assertions, Proven
from medlock.oauth.client import Client, Kind
from medlock.oauth.clients import Clients, digest, unknown_client
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
_CHALLENGE = (("www-authenticate", 'Basic realm="medlock", charset="UTF-8"'),)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request says of its client. `basic`: the header's value, without its scheme; None: there was none."""

    basic: str | None
    form: Mapping[str, str]

    def __repr__(self) -> str:
        return "<Credentials>"


class Authenticator:
    """Finds out which client it is."""

    def __init__(self, clients: Clients, assertions: Assertions) -> None:
        self._clients = clients
        self._assertions = assertions

    async def check(self, given: Credentials) -> Proven:
        """The client, proven; a public one has only named itself. Raises OAuthRefused (invalid_client)."""
        form = given.form
        if ("client_assertion" in form) or ("client_assertion_type" in form):
            return await self._asserted(given)
        if given.basic is not None:
            return await self._basic(given)
        if "client_secret" in form:
            return await self._by_secret(form.get("client_id", ""), form["client_secret"])
        held = await self._clients.active(form.get("client_id", ""))
        if held.value.kind is not Kind.PUBLIC:
            raise unknown_client(f"client {held.value.id} came without proof")
        return Proven(held, Batch())

    async def confidential(self, given: Credentials) -> Proven:
        """As `check`, for what a client that merely names itself may not have. Raises OAuthRefused."""
        proven = await self.check(given)
        if proven.client.kind is Kind.PUBLIC:
            raise unknown_client(f"client {proven.client.id} cannot prove who it is")
        return proven

    async def _asserted(self, given: Credentials) -> Proven:
        form = given.form
        if given.basic is not None or "client_secret" in form:
            raise unknown_client("two methods of authentication")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise unknown_client("another client_assertion_type")
        return await self._assertions.check(form.get("client_assertion", ""), form.get("client_id", ""))

    async def _basic(self, given: Credentials) -> Proven:
        """RFC 6749 §2.3.1: both halves are form-encoded; that changes nothing in ids and secrets of ours."""
        form = given.form
        try:
            name, colon, secret = b64decode(given.basic or "", validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            name = colon = secret = ""
        client_id = unquote_plus(name)
        if not colon or "client_secret" in form or form.get("client_id", client_id) != client_id:
            raise _challenged(unknown_client("Basic credentials that cannot be read, or two methods"))
        try:
            return await self._by_secret(client_id, unquote_plus(secret))
        except OAuthRefused as refusal:
            raise _challenged(refusal) from None

    async def _by_secret(self, client_id: str, secret: str) -> Proven:
        held = await self._clients.active(client_id)
        if held.value.kind is not Kind.SYMMETRIC or not _is_secret_of(held, secret):
            raise unknown_client(f"a wrong secret for client {held.value.id}")
        return Proven(held, Batch())


def _is_secret_of(held: Held[Client], secret: str) -> bool:
    return bool(held.value.secret) and compare_digest(digest(secret), held.value.secret)


def _challenged(refusal: OAuthRefused) -> OAuthRefused:
    """Who used the header is told how to (RFC 6749 §5.2)."""
    return OAuthRefused(
        refusal.code, str(refusal), reason=refusal.reason, status=refusal.http_status, headers=_CHALLENGE
    )
