"""Callers that prove they have the key their token was given to (RFC 9449 §7), instead of merely bearing it.

The token is looked up as ever, and is good only with a proof made just now for this very request. A proof is used
once: its mark is committed before anything is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.types import Scope

from medlock.access.principal import Principal
from medlock.errors import NotAuthenticated, OAuthRefused, Raced
from medlock.oauth.proofs import Asked, Proofs
from medlock.oauth.rows import Rows
from medlock.oauth.tokens import TokenStore
from medlock.web.bearer import SENTENCE

SCHEME = b"dpop "
_FORM = re.compile(rb"(?i:dpop) ([A-Za-z0-9\-._~+/]{1,512}=*)")


class ProofGate:
    """Turns a token and a proof into a Principal. `issuer`: the address that requests are sent to."""

    def __init__(self, rows: Rows, tokens: TokenStore, proofs: Proofs, issuer: str) -> None:
        self._rows = rows
        self._tokens = tokens
        self._proofs = proofs
        self._issuer = issuer

    async def authenticate(self, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[str, Principal]:
        """The token and who has it. Raises NotAuthenticated, with one sentence for every cause."""
        form = _FORM.fullmatch(headers[b"authorization"])
        proof = headers.get(b"dpop", b"")
        if form is None or not proof:
            raise NotAuthenticated(SENTENCE, reason="malformed credentials, or no proof")
        secret = form[1].decode("ascii")
        address = self._issuer + scope["raw_path"].decode("latin-1")
        try:
            bound = self._proofs.check(proof.decode("latin-1"), Asked(scope["method"], address, secret))
            principal = await self._tokens.authenticate_bound(secret, bound.jkt)
            await self._rows.commit(bound.batch)
        except (OAuthRefused, Raced) as refusal:
            reason = "a proof that was used before" if isinstance(refusal, Raced) else refusal.reason
            raise NotAuthenticated(SENTENCE, reason=reason) from None
        return secret, principal
