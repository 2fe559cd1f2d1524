"""The whole site as one ASGI application: /fhir goes straight to the FHIR API, everything else through Starlette."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from medlock.errors import MedlockError, NotFound
from medlock.fhir.address import not_allowed
from medlock.web.fhir_api import FhirApi
from medlock.web.headers import security_headers
from medlock.web.oplog import OpLog
from medlock.web.ports import Probe
from medlock.web.reply import Replies, Reply
from medlock.web.routes import HEALTH, PREFIX, READY

_BELOW = PREFIX + b"/"
_RETRY_SECONDS = 5


class Site:
    """ASGI application. Only HTTP: a websocket is turned away."""

    def __init__(self, api: FhirApi, outer: ASGIApp) -> None:
        self._api = api
        self._outer = outer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a connection to the part that serves its address."""
        if scope["type"] == "http" and (scope["raw_path"].startswith(_BELOW) or scope["raw_path"] == PREFIX):
            await self._api(scope, receive, send)
        else:
            await self._outer(scope, receive, send)


class Outer:
    """The addresses outside the FHIR API, and the errors of those that do not exist."""

    def __init__(self, replies: Replies, probe: Probe, log: OpLog, *, tls: bool) -> None:
        self._replies = replies
        self._probe = probe
        self._log = log
        self._headers = {name.decode(): value.decode() for name, value in security_headers(tls=tls)}

    def app(self) -> Starlette:
        """The Starlette application."""
        routes = [Route(HEALTH, self.health, methods=["GET"]), Route(READY, self.ready, methods=["GET"])]
        handlers = {HTTPException: self.no_such_address, MedlockError: self.refused, Exception: self.failed}
        app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type] # async handlers
        app.router.redirect_slashes = False  # a redirect would repeat the caller's Host header
        return app

    async def health(self, _request: Request) -> Response:
        """Liveness: this process answers. Whoever restarts processes asks it; nothing else is looked at."""
        return self._status(200)

    async def ready(self, _request: Request) -> Response:
        """Readiness: what every answer depends on can be had. Balancers ask it; they learn yes or no and no more."""
        try:
            await self._probe.ready()
        except MedlockError:
            return self._status(503)
        return self._status(200)

    def _status(self, code: int) -> Response:
        """One of two answers."""
        body = b'{"status":"ok"}' if code == 200 else b'{"status":"unavailable"}'
        more = {} if code == 200 else {"retry-after": str(_RETRY_SECONDS)}
        return Response(body, code, headers=self._headers | more, media_type="application/json")

    async def no_such_address(self, _request: Request, error: HTTPException) -> Response:
        """404 and 405 as OperationOutcomes."""
        if error.status_code == 405:
            return _response(self._replies.refused(not_allowed(("GET",))))
        return _response(self._replies.refused(NotFound("This address is not offered.")))

    async def refused(self, _request: Request, error: MedlockError) -> Response:
        """An error raised on purpose."""
        return _response(self._replies.refused(error))

    async def failed(self, _request: Request, error: Exception) -> Response:
        """Anything else."""
        self._log.fault(error, "outer")
        return _response(self._replies.failed("outer"))


def _response(reply: Reply) -> Response:
    """A Reply for Starlette."""
    response = Response(reply.body, status_code=reply.status)
    response.raw_headers = reply.headers
    return response
