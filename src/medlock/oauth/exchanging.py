"""The token endpoint (RFC 6749 §3.2): who asks, with which key, for which grant; then that grant's own module.

Whatever must be used once (an assertion, a proof, a code, a refresh token) is used up in the commit that writes the
tokens. When another commit was first, this one is tried again from what is there now, which says why it lost. An
assertion that brought nothing is used up all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from medlock.errors import OAuthRefused, Raced, Unavailable
from medlock.oauth.assertions import Proven
from medlock.oauth.authenticating import Authenticator, Credentials
from medlock.oauth.client import CREDENTIALS, REFRESH
from medlock.oauth.clients import unknown_client
from medlock.oauth.granting import Answer
from medlock.oauth.handles import read_refresh
from medlock.oauth.proofs import Asked, Bound, Proofs
from medlock.oauth.rows import Rows
from medlock.store.tables import Batch

Grant = Callable[[Proven, Mapping[str, str], Bound], Awaitable[Answer]]
_TRIES = 4
_SAYS_WHO = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})


class Exchange:
    """Answers the token endpoint. `grants`: what answers for each grant type; `address`: where it is."""

    def __init__(
        self, rows: Rows, authenticator: Authenticator, proofs: Proofs, grants: Mapping[str, Grant], address: str
    ) -> None:
        self._rows = rows
        self._authenticator = authenticator
        self._proofs = proofs
        self._grants = grants
        self._address = address

    async def answer(self, given: Credentials, proof: str | None) -> Answer:
        """The members of the answer. Raises OAuthRefused, Unavailable."""
        proven = await self._authenticator.check(await self._named(given))
        try:
            bound = self._bound(proven, proof)
            grant = self._grant(proven, given.form)
            return await self._granted(grant, proven, given.form, bound)
        except OAuthRefused:
            await self._spend(proven)
            raise

    async def _named(self, given: Credentials) -> Credentials:
        """A refresh token says whose it is: a public client need not repeat its name with it (RFC 6749 §3.2.1, §6).

        fhirclient.js does not. Only a token that was issued here names anybody; a confidential client still proves
        who it is.
        """
        form = given.form
        if given.basic is not None or form.get("grant_type") != REFRESH or _SAYS_WHO.intersection(form):
            return given
        named = read_refresh(self._rows.labels, form.get("refresh_token", ""))
        if named is None or not named.issued:
            return given
        held = await self._rows.approvals.get(self._rows.approvals.key(named.approval))
        return given if held is None else replace(given, form={**form, "client_id": held.value.client})

    def _grant(self, proven: Proven, form: Mapping[str, str]) -> Grant:
        """What answers for the grant type, if this client may ask for it."""
        name = form.get("grant_type", "")
        if name not in self._grants:
            raise OAuthRefused("unsupported_grant_type", f"grant_type is one of {', '.join(self._grants)}.")
        if name not in proven.client.grants:
            status = 401 if name == CREDENTIALS else 400
            raise OAuthRefused(
                "unauthorized_client", "The client is not registered for this grant type.", status=status
            )
        return self._grants[name]

    def _bound(self, proven: Proven, proof: str | None) -> Bound:
        """The key that tokens are bound to, when the client proves one."""
        if proof is None:
            if proven.client.dpop_bound:
                raise OAuthRefused("invalid_dpop_proof", "This client sends a DPoP proof with every request.")
            return Bound()
        return self._proofs.check(proof, Asked("POST", self._address), nonce=proven.client.dpop_bound)

    async def _granted(self, grant: Grant, proven: Proven, form: Mapping[str, str], bound: Bound) -> Answer:
        """The grant's answer, tried again when somebody else was first."""
        for _ in range(_TRIES):
            try:
                return await grant(proven, form, bound)
            except Raced:
                if await self._spent(proven.batch):
                    raise unknown_client("an assertion that was used before") from None
                if await self._spent(bound.batch):
                    raise OAuthRefused("invalid_dpop_proof", "The DPoP proof was used before.") from None
        raise Unavailable("Others changed the same at the same moment, again and again. Try again.")

    async def _spent(self, marks: Batch) -> bool:
        """Whether one of these marks is there already."""
        for table, key, _ in marks.inserts:
            if await self._rows.backend.get(table, key) is not None:
                return True
        return False

    async def _spend(self, proven: Proven) -> None:
        """Use up the assertion of a request that was refused; that it was used before changes nothing any more."""
        if proven.batch.inserts:
            with suppress(Raced):
                await self._rows.commit(proven.batch)
