"""private_key_jwt: a client proves who it is with a token that it signed (RFC 7523 §3, SMART 2.2 "Asymmetric").

Everything that public test kits leave out is looked at: issuer and subject are the client itself; every audience is
this server; `exp` at most five minutes ahead; `iat` and `nbf` not in the future; `jti` used once. The mark of the
`jti` is handed back as a batch, to be committed with whatever the assertion brings, so that of two that arrive
together one loses on whichever worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medlock.crypto.jose import SKEW, BadToken, Expected, algorithm, check_claims, claimed, peek
from medlock.oauth.client import ASSERTED, Client
from medlock.oauth.clients import Clients, unknown_client
from medlock.oauth.keysets import KeySets
from medlock.oauth.lifetimes import ASSERTION
from medlock.oauth.rows import Mark, Rows
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
JTI_BYTES = 255
_TYPES = frozenset({"jwt", "client-authentication+jwt"})  # the second: draft-ietf-oauth-rfc7523bis


@dataclass(frozen=True, slots=True)
class Proven:
    """A client that has proven who it is, and what must be committed for it to have done so."""

    held: Held[Client]
    batch: Batch

    @property
    def client(self) -> Client:
        """The client."""
        return self.held.value


class Assertions:
    """Checks assertions. `audiences`: the names of this server that one may be meant for."""

    def __init__(self, rows: Rows, clients: Clients, keys: KeySets, audiences: frozenset[str]) -> None:
        self._rows = rows
        self._clients = clients
        self._keys = keys
        self._audiences = audiences

    async def check(self, assertion: str, client_id: str) -> Proven:
        """Whose assertion this is; `client_id` "" when the request names none. Raises OAuthRefused (invalid_client)."""
        try:
            header, claims = peek(assertion)
            issuer, subject, jti = claimed(claims, ("iss", "sub", "jti"))
            held = await self._clients.active(issuer)
            _same(issuer, subject, client_id or issuer)
            await self._signed(assertion, header, held.value)
            self._stands(claims, issuer, jti)
        except BadToken as fault:
            raise unknown_client(f"assertion: {fault}") from None
        mark = Mark(int((claims["exp"] + SKEW) * 1000) + 1000)
        return Proven(held, self._rows.marks.insert(self._rows.marks.key(issuer, jti), mark))

    async def _signed(self, assertion: str, header: Mapping[str, Any], client: Client) -> None:
        """Return when one of the client's keys signed it. Raises BadToken."""
        if not client.jwks and not client.jwks_url:
            raise BadToken("a client without keys")
        alg = algorithm(header, ASSERTED & frozenset(client.algorithms))
        if str(header.get("typ", "")).lower().removeprefix("application/") not in _TYPES:
            raise BadToken("typ is not JWT")
        if "jku" in header and (not client.jwks_url or header["jku"] != client.jwks_url):
            raise BadToken("jku is not the registered URL")
        kid = header.get("kid")
        if not isinstance(kid, str) or not kid:
            raise BadToken("no kid")
        (await self._keys.one(client, kid, alg)).verify(assertion, alg)

    def _stands(self, claims: Mapping[str, Any], issuer: str, jti: str) -> None:
        """Return when claims are as they must be. Raises BadToken."""
        now = self._rows.clock.now_ms() / 1000
        check_claims(claims, Expected(ASSERTED, issuer, self._audiences, now, ASSERTION))
        audience = claims["aud"]
        if isinstance(audience, list) and any(
            not isinstance(each, str) or each not in self._audiences for each in audience
        ):
            raise BadToken("meant for others as well")
        if len(jti) > JTI_BYTES:
            raise BadToken("a jti that is too long")


def _same(*names: str) -> None:
    """Return when issuer, subject and client_id are one. Raises BadToken."""
    if len(set(names)) != 1:
        raise BadToken("issuer, subject and client_id are not the same")
