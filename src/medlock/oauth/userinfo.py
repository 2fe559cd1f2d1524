"""UserInfo (OpenID Connect Core §5.3): who the person is that an access token with `openid` stands for."""

from __future__ import annotations

from medlock.errors import NotAuthenticated, OAuthRefused
from medlock.oauth import scope
from medlock.oauth.granting import Place, identity
from medlock.oauth.people import People
from medlock.oauth.tokens import TokenStore


class UserInfo:
    """Answers the userinfo endpoint."""

    def __init__(self, tokens: TokenStore, people: People, place: Place) -> None:
        self._tokens = tokens
        self._people = people
        self._place = place

    async def answer(self, secret: str) -> dict[str, str]:
        """What the token's scopes let be known. Raises OAuthRefused (invalid_token, insufficient_scope)."""
        found = await self._tokens.look_up(secret)
        if found is None or found[1].kind != "user" or found[1].jkt:
            raise _refused("invalid_token", 401)
        scopes = scope.asked(found[1].words)
        if scope.OPENID not in scopes:
            raise _refused("insufficient_scope", 403)
        try:
            standing = await self._people.standing(found[1].account)
        except NotAuthenticated:
            raise _refused("invalid_token", 401) from None
        return identity(standing.person, scopes, self._place)


def _refused(code: str, status: int) -> OAuthRefused:
    """RFC 6750 §3.1."""
    headers = (("www-authenticate", f'Bearer realm="medlock", error="{code}"'),)
    return OAuthRefused(code, "Send a valid token that has the scope openid.", status=status, headers=headers)
