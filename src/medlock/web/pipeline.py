"""The whole site as one ASGI application: /fhir goes straight to the FHIR API, everything else through Starlette."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from medlock.errors import BadRequest, MedlockError, NotFound
from medlock.fhir.address import not_allowed
from medlock.web.declared import Declared, Mounted
from medlock.web.faces import Faces
from medlock.web.fhir_api import FhirApi
from medlock.web.guard import Guard, check, declaration_of, face_of, methods_at
from medlock.web.inventory import INVENTORY
from medlock.web.oplog import OpLog
from medlock.web.ports import Probe
from medlock.web.preflight import Preflights
from medlock.web.protection import UNPROTECTED, Protection
from medlock.web.reply import Replies
from medlock.web.routes import PREFIX, PROBES, WELL_KNOWN

_BELOW = PREFIX + b"/"
_RETRY_SECONDS = 5


class Site:
    """ASGI application. Only HTTP: a websocket is turned away."""

    def __init__(self, api: FhirApi, outer: ASGIApp, preflights: Preflights | None = None) -> None:
        self._api = api
        self._outer = outer
        self._preflights = preflights

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a connection to the part that serves its address."""
        if scope["type"] != "http":
            await self._outer(scope, receive, send)
            return
        fhir = _is_fhir(scope["raw_path"])
        if scope["method"] == "OPTIONS" and self._preflights is not None:
            answer = await self._preflights.answer(scope, fhir=fhir)
            if answer is not None:
                await answer(scope, receive, send)
                return
        await (self._api if fhir else self._outer)(scope, receive, send)


def _is_fhir(path: bytes) -> bool:
    """Whether the FHIR API answers there."""
    return (path.startswith(_BELOW) and not path.startswith(WELL_KNOWN)) or path == PREFIX


class Outer:
    """The addresses outside the FHIR API, and the errors of those that do not exist."""

    def __init__(
        self, replies: Replies, probe: Probe, log: OpLog, *, tls: bool, protection: Protection = UNPROTECTED
    ) -> None:
        self._faces = Faces(replies, tls=tls)
        self._protection = protection
        self._guard = Guard(self._faces, protection)
        self._probe = probe
        self._log = log

    def app(self, mounted: Sequence[Mounted] = (), inventory: Sequence[Declared] = INVENTORY) -> Starlette:
        """The Starlette application. Raises SetupError for a route that is not declared in the inventory."""
        health, ready = PROBES
        routes = self._guard.routes([health.at(self.health), ready.at(self.ready), *mounted])
        check(routes, inventory)
        handlers = {HTTPException: self.no_such_address, Exception: self.failed}
        app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type] # async handlers
        app.router.redirect_slashes = False  # a redirect would repeat the caller's Host header
        return app

    def preflights(self, app: Starlette) -> Preflights:
        """What answers preflights for this application and the FHIR API beside it."""
        return Preflights(self._protection, self._faces, app.routes)

    async def health(self, _request: Request) -> Response:
        """Liveness: this process answers. Whoever restarts processes asks it; nothing else is looked at."""
        return _status(200)

    async def ready(self, _request: Request) -> Response:
        """Readiness: what every answer depends on can be had. Balancers ask it; they learn yes or no and no more."""
        try:
            await self._probe.ready()
        except MedlockError:
            return _status(503)
        return _status(200)

    async def no_such_address(self, request: Request, error: HTTPException) -> Response:
        """404, 405 with the methods that there are, and what Starlette itself refuses: a form that is none."""
        declared = declaration_of(request.scope)
        if error.status_code == 405 and declared is not None:
            methods = methods_at(request.app.routes, declared.path)
            return self._faces.refused(declared.face, not_allowed(methods))
        unreadable = declared is not None and error.status_code == 400
        refusal = BadRequest("The request cannot be read.") if unreadable else NotFound("This address is not offered.")
        return self._faces.refused(face_of(request.scope), refusal)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Anything that nobody raised on purpose."""
        self._log.fault(error, "outer")
        return self._faces.failed(face_of(request.scope), "outer")


def _status(code: int) -> Response:
    """One of two answers."""
    body = b'{"status":"ok"}' if code == 200 else b'{"status":"unavailable"}'
    more = {} if code == 200 else {"retry-after": str(_RETRY_SECONDS)}
    return Response(body, code, headers=more, media_type="application/json")
