"""Token revocation (RFC 7009): a client gives back what it was given.

A refresh token takes its whole approval with it, access tokens too (ASVS 10.4.9); an access token ends alone. A token
that is unknown, or another client's, is answered like one that was ended: whoever asks learns nothing of it.
"""

from __future__ import annotations

from medlock.errors import OAuthRefused, Raced
from medlock.oauth.authenticating import Authenticator, Credentials
from medlock.oauth.clients import unknown_client
from medlock.oauth.endings import ApprovalEndings
from medlock.oauth.handles import read_refresh
from medlock.oauth.rows import Rows
from medlock.oauth.tokens import TokenStore


class Revocation:
    """Answers the revocation endpoint."""

    def __init__(self, rows: Rows, tokens: TokenStore, authenticator: Authenticator, endings: ApprovalEndings) -> None:
        self._rows = rows
        self._tokens = tokens
        self._authenticator = authenticator
        self._endings = endings

    async def answer(self, given: Credentials) -> None:
        """End the token in the form. Raises OAuthRefused for a client that is not who it says."""
        proven = await self._authenticator.check(given)
        if proven.batch.inserts:
            try:
                await self._rows.commit(proven.batch)
            except Raced:
                raise unknown_client("an assertion that was used before") from None
        token = given.form.get("token", "")
        if not token:
            raise OAuthRefused("invalid_request", "Send the token to be revoked as the parameter token.")
        client = proven.client.id
        if not await self._refresh(token, client):
            found = await self._tokens.look_up(token)
            if found is not None and found[1].client == client and found[1].kind:
                await self._endings.end_token(found[0], client, client)

    async def _refresh(self, token: str, client: str) -> bool:
        """Whether it has the form of a refresh token; if it is one of this client's, its approval is over."""
        named = read_refresh(self._rows.labels, token)
        if named is None:
            return False
        held = await self._rows.approvals.get(self._rows.approvals.key(named.approval))
        if held is None or held.value.client != client:
            return True
        if named.issued:
            await self._endings.end_approval(held.value.id, "the app gave it back", client)
        return True
