"""The addresses of bulk exports: kick-off, status, files, cancelling (Bulk Data Access 2.0).

A file goes out in pieces as they are made. When one cannot be made, or the caller's right ends, the connection is cut
before its end, so that what arrived is not taken for the whole; nothing is made any more for a caller who has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple

from starlette.types import Receive, Send

from medlock.access.principal import Principal
from medlock.errors import BadRequest, NotFound
from medlock.fhir.address import not_allowed
from medlock.fhir.negotiate import prefers_async
from medlock.fhir.request import Request
from medlock.web.bulk import Bulk
from medlock.web.headers import http_date
from medlock.web.ports import Gate
from medlock.web.reply import Replies, Reply
from medlock.web.routes import BULK

_NOT_OFFERED = "This address is not offered."
_LATER = "An export is fetched later: send Prefer: respond-async."


class Call(NamedTuple):
    """One request of a caller who is known. `secret` is their token, `headers` are each there once."""

    method: str
    path: bytes
    principal: Principal
    secret: str
    headers: Mapping[bytes, bytes]


class BulkApi:
    """Answers them. Without `bulk` there is nothing to export here."""

    def __init__(self, bulk: Bulk | None, gate: Gate, replies: Replies, base: str) -> None:
        self._bulk = bulk
        self._gate = gate
        self._replies = replies
        self._base = base

    async def kick_off(self, principal: Principal, request: Request) -> Reply:
        """202 with the address of the status. Raises BadRequest, and what the door says."""
        if self._bulk is None:
            raise NotFound(_NOT_OFFERED)
        if not prefers_async(request.headers):
            raise BadRequest(_LATER)
        name = await self._bulk.begin(principal, request)
        return self._replies.accepted(f"{self._base}/_bulk/{name}")

    async def answer(self, call: Call) -> Reply:
        """Status, a file, or the end of an export."""
        name, _, file = call.path[len(BULK) :].decode("latin-1").partition("/")
        offered = ("GET",) if file else ("GET", "DELETE")
        if call.method not in {*offered, "HEAD"}:
            raise not_allowed(offered)
        if self._bulk is None:
            raise NotFound(_NOT_OFFERED)
        if call.method == "DELETE":
            await self._bulk.cancel(call.principal, name)
            return self._replies.let_go()
        return await (self._file(call, name, file) if file else self._status(call, name))

    async def _status(self, call: Call, name: str) -> Reply:
        """202 with how far it is; 200 with the manifest; or the door's refusal."""
        bulk = self._bulk
        if bulk is None:
            raise NotFound(_NOT_OFFERED)
        job = await bulk.status(call.principal, name)
        if not job.counted:
            return self._replies.pending(f"{job.done} of {job.of} records")
        expires = (b"expires", http_date(job.expires // 1000))
        return await self._replies.manifest(bulk.manifest(job, name), [expires], call.headers)

    async def _file(self, call: Call, name: str, file: str) -> Reply:
        """The file; its first piece is made before its head goes out, so that a refusal is one."""
        bulk = self._bulk
        if bulk is None:
            raise NotFound(_NOT_OFFERED)
        if call.method == "HEAD":
            if file not in await bulk.files(call.principal, name):
                raise NotFound(_NOT_OFFERED)
            return self._replies.file(_nothing())

        async def again() -> Principal:
            return await self._gate.still(call.secret)

        pieces = bulk.file(call.principal, name, file, again)
        first = await anext(pieces)
        return self._replies.file(_joined(first, pieces))


async def _nothing() -> AsyncGenerator[bytes, None]:
    """No body."""
    yield b""


async def _joined(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """All pieces; however it ends, the file is let go of."""
    try:
        yield first
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()


async def send_pieces(reply: Reply, receive: Receive, send: Send) -> Reply:
    """Send an answer piece by piece while the caller is there. Raises what making a piece raises."""
    if reply.pieces is None:
        return reply
    gone = asyncio.create_task(_leaving(receive))
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        async for piece in reply.pieces:
            if gone.done():
                break
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        else:
            await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        await reply.pieces.aclose()
    return reply


async def _leaving(receive: Receive) -> None:
    """Return when the caller has gone; what is left of their request comes first."""
    while (await receive())["type"] != "http.disconnect":
        pass
