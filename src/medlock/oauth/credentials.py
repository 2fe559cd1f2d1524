"""grant_type=client_credentials: a program acts for itself (SMART Backend Services).

Only for clients with keys of their own, only `system/` scopes, all of them within what an administrator let it have; no
refresh token, five minutes. What it may do with them is its role's business, as for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping

from medlock.access.principal import Role
from medlock.access.scopes import Kind as ScopeKind
from medlock.errors import OAuthRefused
from medlock.oauth import scope
from medlock.oauth.assertions import Proven
from medlock.oauth.client import Client, Kind
from medlock.oauth.granting import Answer, bare_answer
from medlock.oauth.lifetimes import BACKEND
from medlock.oauth.proofs import Bound
from medlock.oauth.requests import PURPOSES
from medlock.oauth.rows import Rows
from medlock.oauth.tokenrows import Token
from medlock.oauth.tokens import TokenStore

PREFIX = "app."
"""Before a client's id: how the audit log calls a program that acts for itself."""


class Credentials:
    """Gives programs tokens."""

    def __init__(self, rows: Rows, tokens: TokenStore) -> None:
        self._rows = rows
        self._tokens = tokens

    async def answer(self, proven: Proven, form: Mapping[str, str], bound: Bound) -> Answer:
        """A token. Raises OAuthRefused, and Raced when the assertion was used meanwhile."""
        client = proven.client
        scopes = _allowed(client, form.get("scope", ""))
        now = self._rows.clock.now_ms()
        role = Role(client.role)
        token = Token(
            b"",
            PREFIX + client.id,
            role.value,
            " ".join(scopes.resources),
            "",
            client.id,
            PURPOSES[role],
            now,
            now + BACKEND * 1000,
            kind="client",
            words=scopes.text,
            jkt=bound.jkt,
        )
        made = self._tokens.prepare(token)
        batch = made.batch + proven.batch + bound.batch + self._rows.clients.unchanged(proven.held)
        await self._rows.commit(batch, made.event)
        return bare_answer(made, now)


def _allowed(client: Client, text: str) -> scope.Asked:
    """The scopes asked for, all of them within the client's. Raises OAuthRefused."""
    if client.kind is not Kind.ASYMMETRIC:
        raise OAuthRefused(
            "unauthorized_client", "client_credentials is for clients that sign with their own keys.", status=401
        )
    scopes = scope.asked(text)
    if not scopes.resources or scopes.words or scopes.kinds() != {ScopeKind.SYSTEM}:
        raise OAuthRefused("invalid_scope", "Ask for one or more system/ scopes, and nothing else.")
    if not scope.covers(scope.asked(client.scopes), scopes):
        raise OAuthRefused("invalid_scope", "The client is not registered for all these scopes.")
    return scopes
