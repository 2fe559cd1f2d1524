"""Which scripts of other origins may read answers (Fetch standard, "CORS protocol").

Documents that say nothing of anybody may be read by any. All else only by the origins that active clients registered,
and by no other; pages for people by none. Credentials of the browser are never asked for: a token is in a header that
the script itself sets, so `Access-Control-Allow-Credentials` is not sent, with or without `*`. A preflight is answered
before anybody is authenticated, because browsers send it without credentials; from an origin that is not registered it
is refused, and counted like any stranger's request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from medlock.clock import Clock
from medlock.errors import MedlockError
from medlock.web.declared import Cors
from medlock.web.headers import RawHeaders

ORIGIN: Final = b"origin"
ASKS: Final = b"access-control-request-method"
KEPT_MS: Final = 5_000
PREFLIGHT_SECONDS: Final = 600
_EXPOSED: Final = (
    "ETag, Location, Content-Location, Last-Modified, Expires, Retry-After, RateLimit, RateLimit-Policy, "
    "WWW-Authenticate, DPoP-Nonce, X-Request-Id, X-Progress"
)
_TAKEN: Final = (
    "Accept, Authorization, Content-Type, DPoP, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, "
    "traceparent, X-Request-Id, X-Security-Context"
)
_ALLOW: Final = b"access-control-allow-origin"
_EXPOSE: Final = (b"access-control-expose-headers", _EXPOSED.encode())
_VARY: Final = (b"vary", b"origin")

Source = Callable[[], Awaitable[frozenset[str]]]
"""The origins of active clients. Raises Unavailable."""


async def no_origins() -> frozenset[str]:
    """Nobody is registered."""
    return frozenset()


class Origins:
    """What to tell a browser. What is registered is asked for again after KEPT_MS; when it cannot be, nobody is."""

    def __init__(self, source: Source = no_origins, clock: Clock | None = None) -> None:
        self._source = source
        self._now_ms = (clock or Clock()).now_ms
        self._known: frozenset[str] = frozenset()
        self._until = 0

    async def headers(self, cors: Cors, origin: bytes) -> RawHeaders:
        """The headers of an answer to a script of `origin`."""
        if cors is Cors.ANY:
            return [(_ALLOW, b"*"), _EXPOSE]
        if cors is Cors.NONE:
            return []
        return [(_ALLOW, origin), _EXPOSE, _VARY] if await self.registered(origin) else [_VARY]

    async def preflight(self, cors: Cors, origin: bytes, methods: tuple[str, ...]) -> RawHeaders | None:
        """The headers of the answer to a preflight; None: it is refused."""
        if cors is Cors.NONE or (cors is Cors.REGISTERED and not await self.registered(origin)):
            return None
        return [
            (_ALLOW, b"*" if cors is Cors.ANY else origin),
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", _TAKEN.encode()),
            (b"access-control-max-age", b"%d" % PREFLIGHT_SECONDS),
            _VARY,
        ]

    async def registered(self, origin: bytes) -> bool:
        """Whether an active client named it, letter by letter."""
        now = self._now_ms()
        if now >= self._until:
            try:
                self._known = await self._source()
            except MedlockError:
                return False
            self._until = now + KEPT_MS
        return origin.decode("latin-1") in self._known


def is_preflight(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request only asks what may be asked."""
    return method == "OPTIONS" and ORIGIN in headers and ASKS in headers


NOBODYS = Origins()
"""No origin is registered."""
