"""Preflights (Fetch standard, "CORS-preflight fetch"): what a browser asks before it lets a script ask."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from medlock.errors import BadRequest, Denied, MedlockError
from medlock.web.cors import ORIGIN, is_preflight
from medlock.web.declared import Cors, Face
from medlock.web.faces import Faces
from medlock.web.guard import Guarded
from medlock.web.headers import each_once
from medlock.web.protection import Protection
from medlock.web.routes import METADATA

_FHIR_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Preflights:
    """Answers them for the whole site. `routes` are those outside the FHIR API."""

    def __init__(self, protection: Protection, faces: Faces, routes: Sequence[BaseRoute]) -> None:
        self._origins = protection.origins
        self._limiter = protection.limiter
        self._peers = protection.peers
        self._faces = faces
        self._routes = routes

    async def answer(self, scope: Scope, *, fhir: bool) -> Response | None:
        """The answer; None when this is no preflight, and goes the way of every request."""
        try:
            headers = each_once(scope["headers"])
        except BadRequest as refusal:
            return self._faces.refused(Face.FHIR, refusal)
        if not is_preflight(scope["method"], headers):
            return None
        cors, methods = _of_fhir(scope) if fhir else self._of_route(scope)
        allowed = await self._origins.preflight(cors, headers[ORIGIN], methods)
        if allowed is not None:
            response = self._faces.secured(Response(status_code=204))
            response.raw_headers += allowed
            return response
        try:
            await self._limiter.charge_key("anonymous", self._peers.address(scope, headers))
        except MedlockError as refusal:
            return self._faces.refused(Face.FHIR, refusal)
        return self._faces.refused(Face.FHIR, Denied("preflight from an origin that is not registered"))

    def _of_route(self, scope: Scope) -> tuple[Cors, tuple[str, ...]]:
        """What the routes at an address declare."""
        found = [
            each.endpoint.declared
            for each in self._routes
            if isinstance(each, Route)
            and isinstance(each.endpoint, Guarded)
            and each.matches(scope)[0] is not Match.NONE
        ]
        shared = [declared for declared in found if declared.cors is not Cors.NONE]
        if not shared:
            return Cors.NONE, ()
        return shared[0].cors, tuple(method for declared in shared for method in declared.methods)


def _of_fhir(scope: Scope) -> tuple[Cors, tuple[str, ...]]:
    """What the FHIR API declares."""
    return (Cors.ANY, ("GET", "HEAD")) if scope["raw_path"] == METADATA else (Cors.REGISTERED, _FHIR_METHODS)
