"""Pushed authorization requests (RFC 9126): the app hands its request over, and the browser carries a name.

The request is looked at when it is pushed, and again when the browser brings its name: what was sound may not be any
more. A DPoP proof that comes with it binds the code to its key, as `dpop_jkt` does (RFC 9449 §10.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medlock.errors import BadRequest, OAuthRefused, Raced
from medlock.ids import secret as new_secret
from medlock.oauth.asking import PUSHED_PREFIX, Asking, Pairs, SentBack, once
from medlock.oauth.authenticating import Authenticator, Credentials
from medlock.oauth.client import Client
from medlock.oauth.clients import unknown_client
from medlock.oauth.crowding import Crowd
from medlock.oauth.lifetimes import PUSHED
from medlock.oauth.proofs import Asked, Bound, Proofs
from medlock.oauth.rows import Pushed, Rows

_CREDENTIALS = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
PARAMETERS_MAX = 50
PARAMETERS_BYTES = 24_576
"""In all: the longest scope, state and nonce that are taken (`asking`, `scope`), and room for the rest."""


class Pushing:
    """Answers the endpoint for pushed requests."""

    def __init__(self, rows: Rows, authenticator: Authenticator, asking: Asking, proofs: Proofs, address: str) -> None:
        self._rows = rows
        self._authenticator = authenticator
        self._asking = asking
        self._proofs = proofs
        self._address = address
        self._crowd = Crowd(rows)

    async def answer(self, given: Credentials, pairs: Pairs, proof: str | None = None) -> dict[str, Any]:
        """A name for the request. Raises OAuthRefused."""
        proven = await self._authenticator.check(given)
        bound = self._bound(proven.client, pairs, proof)
        kept = tuple((name, value) for name, value in pairs if name not in _CREDENTIALS and value)
        if bound.jkt and ("dpop_jkt", bound.jkt) not in kept:
            kept += (("dpop_jkt", bound.jkt),)
        parameters, twice = once(kept)
        if "request_uri" in parameters or len(kept) > PARAMETERS_MAX:
            raise OAuthRefused("invalid_request", "A pushed request holds its parameters, and no request_uri.")
        if sum(len(name) + len(value.encode()) for name, value in kept) > PARAMETERS_BYTES:
            raise OAuthRefused("invalid_request", f"A pushed request has at most {PARAMETERS_BYTES} bytes.")
        self._check(proven.client, parameters, twice)
        await self._crowd.pushed(proven.client)
        name = new_secret()
        expires = self._rows.clock.now_ms() + PUSHED * 1000
        row = Pushed(proven.client.id, kept, expires)
        batch = self._rows.pushed.insert(self._rows.pushed.key(name), row) + proven.batch + bound.batch
        try:
            await self._rows.commit(batch)
        except Raced:
            raise await self._used(bound) from None
        return {"request_uri": PUSHED_PREFIX + name, "expires_in": PUSHED}

    def _bound(self, client: Client, pairs: Pairs, proof: str | None) -> Bound:
        """The key that is proven, if one is. Raises OAuthRefused (invalid_dpop_proof), also when another is named."""
        if proof is None:
            return Bound()
        bound = self._proofs.check(proof, Asked("POST", self._address), nonce=client.dpop_bound)
        if any(value and value != bound.jkt for name, value in pairs if name == "dpop_jkt"):
            raise OAuthRefused("invalid_dpop_proof", "dpop_jkt names another key than the proof.")
        return bound

    async def _used(self, bound: Bound) -> OAuthRefused:
        """Which of what may come once came before."""
        for table, key, _ in bound.batch.inserts:
            if await self._rows.backend.get(table, key) is not None:
                return OAuthRefused("invalid_dpop_proof", "The DPoP proof was used before.")
        return unknown_client("an assertion that was used before")

    def _check(self, client: Client, given: Mapping[str, str], twice: frozenset[str]) -> None:
        """Return when it is sound. Raises OAuthRefused: a pushed request is refused here, not in a browser (§2.3)."""
        if given.get("client_id", client.id) != client.id:
            raise OAuthRefused("invalid_request", "client_id is another client's.")
        try:
            self._asking.checked(client, self._asking.begun(client, given), given, twice)
        except SentBack as fault:
            raise OAuthRefused(fault.code, str(fault), reason=fault.reason) from None
        except BadRequest as fault:
            raise OAuthRefused("invalid_request", str(fault), reason=fault.reason) from None
