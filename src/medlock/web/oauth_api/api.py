"""The endpoints: from a request to the authorization server's own module, and from its answer to JSON.

Every refusal is written to the audit log with its private reason before it is told (house rule: denials too); a
stranger who sends thousands is counted, as at the FHIR API. No answer may be kept by anybody (RFC 6749 §5.1), but for
the documents that say nothing of anybody, which may be, for a few minutes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from medlock.errors import MedlockError, OAuthRefused
from medlock.oauth import discovery
from medlock.oauth.launching import LaunchRequest
from medlock.oauth.people import SignedIn
from medlock.oauth.server import AuthorizationServer
from medlock.web.declared import Declared, Handler, Mounted
from medlock.web.oauth_api import routes
from medlock.web.oauth_api.forms import bearer, credentials, pairs_of, proof
from medlock.web.ports import Watch

DOCUMENT_SECONDS = 300
_KEEP_NOTHING = {"cache-control": "no-store", "pragma": "no-cache"}
_READABLE = {"cache-control": f"max-age={DOCUMENT_SECONDS}", "cross-origin-resource-policy": "cross-origin"}
_STYLE = {
    "color_background": "#ffffff",
    "color_error": "#b3261e",
    "color_highlight": "#0b57d0",
    "color_modal_backdrop": "",
    "color_success": "#146c2e",
    "color_text": "#1f1f1f",
    "dim_border_radius": "6px",
    "dim_font_size": "16px",
    "dim_spacing_size": "16px",
    "font_family_body": "system-ui, sans-serif",
    "font_family_heading": "system-ui, sans-serif",
}

WhoAsks = Callable[[Request], Awaitable[SignedIn]]
"""Who is signed in, for a request from a page of ours. Raises NotAuthenticated, and Denied for another site's."""


class OAuthApi:
    """Handlers for `routes.DECLARED`."""

    def __init__(self, server: AuthorizationServer, watch: Watch, who: WhoAsks) -> None:
        self._server = server
        self._watch = watch
        self._who = who

    def mounted(self) -> list[Mounted]:
        """Each address with what answers there."""
        place = self._server.place
        documents: list[tuple[Declared, dict[str, Any]]] = [
            (routes.SMART, discovery.smart_configuration(place)),
            (routes.SERVER, discovery.server_metadata(place)),
            (routes.OPENID, discovery.openid_configuration(place)),
            (routes.STYLE, _STYLE),
        ]
        handlers: list[tuple[Declared, Handler]] = [
            (routes.TOKEN, self.token),
            (routes.PAR, self.push),
            (routes.INTROSPECT, self.introspect),
            (routes.REVOKE, self.revoke),
            (routes.USERINFO, self.userinfo),
            (routes.REGISTER, self.register),
            (routes.LAUNCH, self.launch),
        ]
        return [
            *(declared.at(_document(body)) for declared, body in documents),
            routes.JWKS.at(self.jwks),
            *(declared.at(self._watched(declared, handler)) for declared, handler in handlers),
        ]

    async def token(self, request: Request) -> Response:
        """RFC 6749 §3.2."""
        given = credentials(request, await pairs_of(request))
        return _json(await self._server.exchange.answer(given, proof(request)))

    async def push(self, request: Request) -> Response:
        """RFC 9126 §2."""
        pairs = await pairs_of(request)
        single = [(name, value) for name, value in pairs if name in _OF_CLIENT]
        return _json(await self._server.pushing.answer(credentials(request, single), pairs, proof(request)), 201)

    async def introspect(self, request: Request) -> Response:
        """RFC 7662 §2."""
        given = credentials(request, await pairs_of(request))
        return _json(await self._server.introspection.answer(given, bearer(request)))

    async def revoke(self, request: Request) -> Response:
        """RFC 7009 §2."""
        await self._server.revocation.answer(credentials(request, await pairs_of(request)))
        return Response(b"", 200, headers=_KEEP_NOTHING)

    async def userinfo(self, request: Request) -> Response:
        """OpenID Connect Core §5.3."""
        return _json(await self._server.userinfo.answer(bearer(request) or ""))

    async def register(self, request: Request) -> Response:
        """RFC 7591 §3."""
        return _json(await self._server.joining.answer(await request.body(), bearer(request)), 201)

    async def launch(self, request: Request) -> Response:
        """A launch from the portal: JSON in, the address to send the browser to out."""
        session = await self._who(request)
        try:
            asked = msgspec.json.decode(await request.body(), type=LaunchRequest)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise OAuthRefused("invalid_request", "Send client, patient, encounter and what else as JSON.") from None
        return _json({"location": await self._server.launching.begin(session.account, asked)})

    async def jwks(self, _request: Request) -> Response:
        """RFC 7517 §5: the keys that sign id_tokens."""
        return _json(await self._server.keys.published(), headers=_READABLE)

    def _watched(self, declared: Declared, handler: Handler) -> Handler:
        """The handler, whose refusals are written down before they are told."""

        async def watched(request: Request) -> Response:
            try:
                return await handler(request)
            except MedlockError as refusal:
                if refusal.http_status < 500:
                    await self._watch.refused(f"{declared.path}: {refusal.reason}", "oauth")
                raise

        return watched


_OF_CLIENT = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})


def _document(body: dict[str, Any]) -> Handler:
    """What answers with a document that never changes."""
    data = orjson.dumps(body)

    async def document(_request: Request) -> Response:
        return Response(data, headers=_READABLE, media_type="application/json")

    return document


def _json(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer; kept by nobody, unless it says otherwise."""
    return Response(orjson.dumps(body), status, headers=headers or _KEEP_NOTHING, media_type="application/json")
