"""Token introspection (RFC 7662, SMART 2.2 "Token Introspection"): what a token is, for those who may know.

A client that proves who it is learns of its own tokens; one that an administrator let `introspect` (a resource server)
of everybody's, and may also come with an access token of its own instead of credentials. For all else, and for
everybody else's tokens, the answer is `{"active": false}` and nothing more. Only access tokens are active here: refresh
tokens, codes and id_tokens are for nobody to present.
"""

from __future__ import annotations

from typing import Any

from medlock.errors import OAuthRefused, Raced
from medlock.oauth import scope
from medlock.oauth.authenticating import Authenticator, Credentials
from medlock.oauth.client import Client
from medlock.oauth.clients import Clients, unknown_client
from medlock.oauth.granting import Place, as_told, told
from medlock.oauth.rows import Rows, decode_context
from medlock.oauth.tokenrows import Token
from medlock.oauth.tokens import TokenStore

INACTIVE: dict[str, Any] = {"active": False}


class Introspection:
    """Answers the introspection endpoint."""

    def __init__(
        self, rows: Rows, tokens: TokenStore, clients: Clients, authenticator: Authenticator, place: Place
    ) -> None:
        self._rows = rows
        self._tokens = tokens
        self._clients = clients
        self._authenticator = authenticator
        self._place = place

    async def answer(self, given: Credentials, bearer: str | None) -> dict[str, Any]:
        """What is told of the token in the form. Raises OAuthRefused (invalid_client) for strangers."""
        asking = await self._who(given, bearer)
        secret = given.form.get("token", "")
        if not secret:
            raise OAuthRefused("invalid_request", "Send the token to be looked up as the parameter token.")
        found = await self._tokens.look_up(secret)
        if found is None or not (asking.introspects or found[1].client == asking.id):
            return INACTIVE
        return self._of(found[1])

    async def _who(self, given: Credentials, bearer: str | None) -> Client:
        """The client that asks, by its credentials or by an access token that it holds."""
        if bearer is None:
            proven = await self._authenticator.confidential(given)
            if proven.batch.inserts:
                try:
                    await self._rows.commit(proven.batch)
                except Raced:
                    raise unknown_client("an assertion that was used before") from None
            return proven.client
        found = await self._tokens.look_up(bearer)
        if found is None or not found[1].kind or found[1].jkt:
            raise _challenged("no valid bearer token")
        return (await self._clients.active(found[1].client)).value

    def _of(self, token: Token) -> dict[str, Any]:
        """A token that is active, as whoever may ask is told of it."""
        body: dict[str, Any] = {
            "active": True,
            "scope": token.words or token.scopes,
            "client_id": token.client,
            "token_type": "DPoP" if token.jkt else "Bearer",
            "exp": token.expires // 1000,
            "iat": token.created // 1000,
            "iss": self._place.issuer,
            "aud": self._place.fhir,
            "sub": token.account,
        }
        if token.jkt:
            body["cnf"] = {"jkt": token.jkt}
        scopes = scope.asked(token.words)
        if token.fhir_user and scope.FHIR_USER in scopes:
            body["fhirUser"] = f"{self._place.fhir}/{token.fhir_user}"
        return body | as_told(told(decode_context(token.context), scopes, self._place))


def _challenged(reason: str) -> OAuthRefused:
    headers = (("www-authenticate", 'Bearer realm="medlock", error="invalid_token"'),)
    return OAuthRefused(
        "invalid_token", "Send credentials of a client, or a valid token.", reason=reason, status=401, headers=headers
    )
