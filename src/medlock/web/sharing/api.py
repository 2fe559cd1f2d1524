"""Sharing over HTTP, in plain JSON; refusals are OperationOutcomes. docs/sharing.md.

Who asks is settled by a token, as at the FHIR API; what they may is the door's to say. Refusals are written down before
they are told, those of the door by itself. A link is opened by whoever has it; why it does not open is not told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from medlock.access.principal import Principal
from medlock.errors import BadRequest, Denied, NotAuthenticated
from medlock.rights.links import LinkWish
from medlock.rights.opening import LinkRefused, Manifest
from medlock.rights.services import Rights
from medlock.rights.shares import Wish
from medlock.rights.sharing import Standing
from medlock.web.bearer import bearer_secret
from medlock.web.declared import Declared, Handler, Mounted
from medlock.web.ports import Gate, Watch
from medlock.web.protection import Protection
from medlock.web.proven import SCHEME, ProofGate
from medlock.web.sharing import routes

_KEEP_NOTHING = {"cache-control": "no-store"}
_WEIGHTS = {"GET": 10, "POST": 20, "DELETE": 20}
T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who is let in: bearers of tokens, those with proof of a key; refusals are written down."""

    gate: Gate
    proven: ProofGate
    watch: Watch
    protection: Protection


class SharingApi:
    """Makes the handlers."""

    def __init__(self, rights: Rights, entrance: Entrance) -> None:
        self._rights = rights
        self._in = entrance

    def mounted(self) -> list[Mounted]:
        """Every address, bound to what answers there."""
        handlers: list[tuple[Declared, Handler]] = [
            (routes.SHARING, self.sharing),
            (routes.LINKS, self.link),
            (routes.SHARE, self.withdraw),
            (routes.RECEIPT, self.receipt),
            (routes.MANIFEST, self.manifest),
            (routes.FILE, self.file),
        ]
        return [declared.at(self._watched(declared, handler)) for declared, handler in handlers]

    async def sharing(self, request: Request) -> Response:
        """GET: what is shared now. POST: one rule more, with its receipt."""
        who = await self._who(request)
        if request.method != "POST":
            return _json(await self._listed(await self._rights.sharing.standing(who)))
        share, standing = await self._rights.sharing.grant(who, await _read(request, Wish))
        given = {"share": share, "version": standing.version} | await self._rights.receipt(who, share.id)
        return _json(given, 201, {"location": f"/sharing/{share.id}"})

    async def withdraw(self, request: Request) -> Response:
        """Take a rule, or a link, back; the receipt of that."""
        who, id_ = await self._who(request), request.path_params["id"]
        await self._rights.links.end(who, id_)
        return _json(await self._rights.receipt(who, id_))

    async def receipt(self, request: Request) -> Response:
        """The receipt of a rule that stands, or stood."""
        return _json(await self._rights.receipt(await self._who(request), request.path_params["id"]))

    async def link(self, request: Request) -> Response:
        """A share link; it is shown once."""
        who = await self._who(request)
        made = await self._rights.links.make(who, await _read(request, LinkWish))
        return _json(made, 201, {"location": f"/sharing/{made.id}"})

    async def manifest(self, request: Request) -> Response:
        """A link is opened (SMART Health Links): its file, or how many attempts are left."""
        asked = await _read(request, Manifest)
        try:
            return _json(await self._rights.opening.open(request.path_params["name"], asked))
        except LinkRefused as refusal:
            await self._in.watch.refused(refusal.reason, "sharing")
            return _json({"remainingAttempts": refusal.left}, refusal.http_status)

    async def file(self, request: Request) -> Response:
        """The file of a link whose manifest said that it is here, once."""
        name, ticket = request.path_params["name"], request.path_params["ticket"]
        try:
            file = await self._rights.opening.fetch(name, ticket)
        except LinkRefused as refusal:
            await self._in.watch.refused(refusal.reason, "sharing")
            return _json({"remainingAttempts": 0}, refusal.http_status)
        return Response(file, headers=_KEEP_NOTHING, media_type="application/jose")

    async def _listed(self, standing: Standing) -> dict[str, Any]:
        links = [each for each in standing.shares if each.link]
        return {
            "patient": standing.patient,
            "consent": standing.consent,
            "version": standing.version,
            "updated": standing.updated,
            "shares": [each for each in standing.shares if not each.link],
            "links": [msgspec.to_builtins(each) | await self._of_link(each.id) for each in links],
        }

    async def _of_link(self, id_: str) -> dict[str, Any]:
        """Who made a link, and how many attempts at it were wrong."""
        held = await self._rights.links.held(id_)
        if held is None:
            return {"by": "", "failedAttempts": 0}
        return {"by": held.value.by, "failedAttempts": await self._rights.opening.failed(held.value)}

    async def _who(self, request: Request) -> Principal:
        """Whose token it is. Raises NotAuthenticated, Throttled."""
        headers = dict(request.scope["headers"])
        if headers.get(b"authorization", b"")[: len(SCHEME)].lower() == SCHEME:
            _, who = await self._in.proven.authenticate(request.scope, headers)
        else:
            who = await self._in.gate.authenticate(bearer_secret(headers))
        await self._in.protection.limiter.charge(who, _WEIGHTS.get(request.method, 1))
        return who

    def _watched(self, declared: Declared, handler: Handler) -> Handler:
        """The handler; who is not let in is written down before it is told."""

        async def watched(request: Request) -> Response:
            try:
                return await handler(request)
            except (NotAuthenticated, Denied) as refusal:
                await self._in.watch.refused(f"{declared.path}: {refusal.reason}", "sharing")
                raise

        return watched


async def _read(request: Request, form: type[T]) -> T:
    """The body in its form. Raises BadRequest with the members that there are, never with one that was sent."""
    try:
        return msgspec.json.decode(await request.body(), type=form)
    except msgspec.ValidationError:
        known = ", ".join(each.encode_name for each in msgspec.structs.fields(form))
        raise BadRequest(f"The body does not fit: its members are {known}. See docs/sharing.md.") from None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise BadRequest("Send a JSON object. See docs/sharing.md.") from None


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    data = orjson.dumps(msgspec.to_builtins(body))
    return Response(data, status, headers=_KEEP_NOTHING | (headers or {}), media_type="application/json")
