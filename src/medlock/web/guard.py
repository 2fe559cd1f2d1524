"""What stands before every handler outside the FHIR API: the declared bounds, enforced in one place.

A request is charged to the quota that its route declares; a handler is called when the body is there in full, within
the declared size and within a minute; what it raises on purpose is told in the declared form; what it forgets of the
security headers is added. `check` makes a forgotten declaration impossible: the server does not start with a route that
has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from medlock.errors import MedlockError, SetupError, UnsupportedMedia
from medlock.web.body import read_body
from medlock.web.cors import ORIGIN
from medlock.web.declared import Declared, Face, Mounted, Permission, Rate
from medlock.web.faces import Faces
from medlock.web.headers import each_once
from medlock.web.limits.claimed import claimed_client
from medlock.web.protection import UNPROTECTED, Protection

Headers = Mapping[bytes, bytes]
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


_BY_ADDRESS = frozenset({Rate.ANONYMOUS, Rate.PAGE, Rate.LOGIN, Rate.REGISTRATION})
_BY_CLIENT = frozenset({Rate.TOKEN, Rate.INTROSPECTION})
_SIGNED_IN = frozenset({Permission.SESSION, Permission.STEP_UP, Permission.ADMIN, Permission.ADMIN_PROVEN})


class Guard:
    """Makes routes of declarations."""

    def __init__(self, faces: Faces, protection: Protection = UNPROTECTED) -> None:
        self.faces = faces
        self.origins = protection.origins
        self._limiter = protection.limiter
        self._peers = protection.peers

    async def by_address(self, declared: Declared, scope: Scope, headers: Headers) -> None:
        """Charge a request before its body is received. Raises Throttled."""
        if declared.rate is Rate.FREE:
            return
        address = self._peers.address(scope, headers)
        await self._limiter.charge_key("address", address)
        if declared.rate in _BY_ADDRESS:
            await self._limiter.charge_key(declared.rate, self._whose(declared, address, headers))

    async def by_client(self, declared: Declared, scope: Scope, headers: Headers, body: bytes) -> None:
        """Charge one that claims to come from a client to that client at that address. Raises Throttled."""
        if declared.rate in _BY_CLIENT:
            await self._limiter.charge_key(declared.rate, self._claimed(scope, headers, body))

    def was_good(self, declared: Declared, scope: Scope, headers: Headers, body: bytes) -> None:
        """Give back what a good attempt was charged where only bad ones count: many honest people share an address."""
        if declared.rate is Rate.LOGIN:
            self._limiter.give_back(Rate.LOGIN, self._peers.address(scope, headers))
        elif declared.rate is Rate.TOKEN:
            self._limiter.give_back(Rate.TOKEN, self._claimed(scope, headers, body))

    def _claimed(self, scope: Scope, headers: Headers, body: bytes) -> str:
        return f"{claimed_client(headers, body)}@{self._peers.address(scope, headers)}"

    def _whose(self, declared: Declared, address: str, headers: Headers) -> str:
        """A page for who is signed in counts by what they are signed in with: many of them may share an address."""
        cookie = headers.get(b"cookie", b"")
        if declared.permission not in _SIGNED_IN or not cookie:
            return address
        return sha256(cookie).hexdigest()[:16]

    def routes(self, mounted: Iterable[Mounted]) -> list[BaseRoute]:
        """Starlette's routes, each behind its declaration."""
        return [
            Route(each.declared.path, Guarded(self, each), methods=each.declared.methods, name=each.declared.path)
            for each in mounted
        ]


class Guarded:
    """One route as an ASGI application."""

    def __init__(self, guard: Guard, mounted: Mounted) -> None:
        self.declared, self._handler = mounted
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        faces, declared = self._guard.faces, self.declared
        headers: Headers = {}
        try:
            headers = each_once(scope["headers"])
            await self._guard.by_address(declared, scope, headers)
            body = await self._body(scope["method"], headers, receive)
            await self._guard.by_client(declared, scope, headers, body)
            response = await self._handler(Request(scope, _replay(body, receive)))
            if response.status_code < 400:
                self._guard.was_good(declared, scope, headers, body)
        except MedlockError as refusal:
            response = faces.refused(declared.face, refusal)
        response = faces.secured(response)
        if ORIGIN in headers:
            response.raw_headers += await self._guard.origins.headers(declared.cors, headers[ORIGIN])
        await response(scope, receive, send)

    async def _body(self, method: str, headers: Headers, receive: Receive) -> bytes:
        """The body, where one is declared. Raises TooLarge, BadRequest, UnsupportedMedia."""
        if not self.declared.body or method not in _WITH_BODY:
            return b""
        if b"content-encoding" in headers:
            raise UnsupportedMedia("Bodies are sent here without Content-Encoding.")
        return await read_body(receive, headers, self.declared.body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A body that was received, for a handler to receive; then whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def declaration_of(scope: Scope) -> Declared | None:
    """What the route that Starlette chose declares; None: it chose none."""
    endpoint = scope.get("endpoint")
    return endpoint.declared if isinstance(endpoint, Guarded) else None


def face_of(scope: Scope) -> Face:
    """In which form a request is refused."""
    declared = declaration_of(scope)
    return Face.FHIR if declared is None else declared.face


def methods_at(routes: Sequence[BaseRoute], path: str) -> tuple[str, ...]:
    """All methods declared for one path template."""
    found = [
        each.endpoint.declared for each in routes if isinstance(each, Route) and isinstance(each.endpoint, Guarded)
    ]
    return tuple(method for declared in found if declared.path == path for method in declared.methods)


def check(routes: Sequence[BaseRoute], inventory: Sequence[Declared]) -> None:
    """Raises SetupError unless every mounted route and method is declared, and listed in the inventory."""
    seen: set[tuple[str, str]] = set()
    for route in routes:
        declared = route.endpoint.declared if isinstance(route, Route) and isinstance(route.endpoint, Guarded) else None
        if declared is None or declared not in inventory:
            raise SetupError(f"{route!r} declares no permission in the inventory: it is not served.")
        pairs = {(declared.path, method) for method in declared.methods}
        if pairs & seen:
            raise SetupError(f"{declared.path} is declared twice with one method: it is not served.")
        seen |= pairs
