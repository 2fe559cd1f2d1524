"""The FHIR API as raw ASGI: the hot path of the server, from bytes to bytes in one function.

Raw, because every microsecond here is paid on every request: no request object, no middleware, headers made ready.
The order below is the order of safety: who is asking is settled from the headers alone, before a body is received
or an address is looked at, so a stranger costs nothing and learns nothing. The one `except Exception` of a request
stands here; whatever arrives there leaves as a 500 that says nothing.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from secrets import token_hex
from time import perf_counter

import msgspec
from starlette.types import Receive, Scope, Send

from medlock.access.principal import Principal
from medlock.clock import Clock
from medlock.errors import MedlockError, MethodNotAllowed, NotAuthenticated, NotFound, TokenEnded, TooMany, Unavailable
from medlock.fhir.address import not_allowed
from medlock.fhir.negotiate import prefers_async
from medlock.fhir.question import EXPORTS, Question
from medlock.fhir.request import Frame, Request, check_metadata, parse
from medlock.settings import Limits
from medlock.web.bearer import bearer_secret
from medlock.web.body import arriving, flows, gathered, read_body, refuse_longer
from medlock.web.bulk import Bulk
from medlock.web.bulk_api import BulkApi, Call, send_pieces
from medlock.web.correlation import REQUEST_ID, TRACEPARENT, request_id, trace_of
from medlock.web.cors import ORIGIN
from medlock.web.costs import patient_named, weight
from medlock.web.counts import Counts
from medlock.web.declared import Cors
from medlock.web.headers import each_once
from medlock.web.later import LATER, Later
from medlock.web.oplog import CAPABILITIES, METHODS, NO_INTERACTION, OTHER_METHOD, Line, OpLog
from medlock.web.ports import Door, Gate, Watch
from medlock.web.protection import UNPROTECTED, Protection
from medlock.web.proven import SCHEME, ProofGate
from medlock.web.reply import Replies, Reply
from medlock.web.routes import BULK, METADATA, PREFIX, route_of
from medlock.web.whole import offered

_ROOTS = frozenset({PREFIX, PREFIX + b"/"})
_CUT = "The server is being stopped and cut this request short. Look whether it was done before you repeat it."
_BEGINS = "This address takes only GET, POST: each begins an export, which HEAD may not."
_BINARY = PREFIX + b"/Binary"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Parts:
    """What the API is made of. `capability` gives the CapabilityStatement as JSON, `counts` counts if asked."""

    gate: Gate
    door: Door
    watch: Watch
    replies: Replies
    limits: Limits
    base_url: str
    clock: Clock
    log: OpLog
    capability: Callable[[], bytes]
    counts: Counts | None = None
    later: Later | None = None
    bulk: Bulk | None = None
    protection: Protection = UNPROTECTED
    proven: ProofGate | None = None


class Asked(msgspec.Struct):
    """What is known of one request for those who watch: what it is called, what it turned out to be, what is left.

    `origin`: whose script asks, "" for no script.
    """

    name: bytes
    interaction: str = NO_INTERACTION
    trace: str = ""
    left: bytes = b""
    origin: bytes = b""

    @property
    def id(self) -> str:
        """Its name in the logs."""
        return self.name.decode()


class FhirApi:
    """ASGI application for everything under /fhir."""

    def __init__(self, parts: Parts) -> None:
        self._gate = parts.gate
        self._door = parts.door
        self._watch = parts.watch
        self._replies = parts.replies
        self._limits = parts.limits
        self._base_url = parts.base_url
        self._now_ms = parts.clock.now_ms
        self._log = parts.log
        self._capability = parts.capability
        self._counts = parts.counts
        self._later = parts.later
        self._limiter = parts.protection.limiter
        self._peers = parts.protection.peers
        self._origins = parts.protection.origins
        self._proven = parts.proven
        self._bulk = BulkApi(parts.bulk, parts.gate, parts.replies, parts.base_url)
        self._watched = parts.log.requests or parts.counts is not None
        self._prefix = token_hex(4).encode()
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = perf_counter()
        asked = Asked(b"%b-%x" % (self._prefix, next(self._numbers)))
        reply = await self._guarded(self._answer(scope, receive, asked), asked)
        reply.own.append((REQUEST_ID, asked.name))
        if asked.left and reply.status != TooMany.http_status:
            reply.own.append((b"ratelimit", asked.left))
        if asked.origin:
            cors = Cors.ANY if scope["raw_path"] == METADATA else Cors.REGISTERED
            reply.own.extend(await self._origins.headers(cors, asked.origin))
        if reply.pieces is not None:
            await self._guarded(send_pieces(reply, receive, send), asked)
        else:
            await _whole(scope, send, reply)
        if self._watched:
            self._note(scope, reply, asked, started)

    async def _guarded(self, answering: Awaitable[Reply], asked: Asked) -> Reply:
        """What an answer is, when it is an error as well. An answer in pieces that fails on its way is cut there."""
        try:
            return await answering
        except MedlockError as error:
            reply = self._replies.refused(error)
            if reply.status >= 500:
                self._log.fault(error, asked.id)
        except CancelledError:  # the server ends, and this request has had its time
            reply = self._replies.refused(Unavailable(_CUT))
        except Exception as fault:  # noqa: BLE001 - the process boundary of one request
            self._log.fault(fault, asked.id)
            reply = self._replies.failed(asked.id)
        return reply

    async def _answer(self, scope: Scope, receive: Receive, asked: Asked) -> Reply:
        """1 who asks, 2 what they bring, 3 what they ask, 4 the door, 5 the answer."""
        headers = each_once(scope["headers"])
        asked.origin = headers.get(ORIGIN, b"")
        method, path = scope["method"], scope["raw_path"]
        if REQUEST_ID in headers or TRACEPARENT in headers:
            _correlate(asked, headers, path + b"?" + scope["query_string"])
        if path == METADATA:
            asked.interaction = CAPABILITIES
            asked.left = await self._stranger(scope, headers)
            return await self._metadata(scope, headers)
        secret, principal = await self._who(scope, headers, asked)  # 1
        left = self._limiter.at_once(principal)
        asked.left = await self._limiter.charge(principal, 1) if left is None else left
        if path.startswith(LATER):
            return await self._waiting(method, path, principal, headers)
        call = Call(method, path, principal, secret, headers)
        if path.startswith(BULK):
            return await self._bulk.answer(call)
        return await self._asked(scope, receive, asked, call)

    async def _asked(self, scope: Scope, receive: Receive, asked: Asked, call: Call) -> Reply:
        """What one who is known asks, from 2 on."""
        headers, principal = call.headers, call.principal
        body, flow = await self._brought(call, receive) if call.method in _WITH_BODY else (b"", None)  # 2
        request = _request(scope, headers, body, flows=flow is not None)
        question = self._question(request)  # 3
        asked.interaction = question.interaction
        weighs, patient = weight(question), patient_named(question)
        if not self._limiter.rest_at_once(principal, weighs, patient):
            asked.left = await self._limiter.rest(principal, weighs, patient) or asked.left
        if question.interaction in EXPORTS:
            return await self._kick_off(call.method, principal, request)
        later = self._later if call.method != "HEAD" and prefers_async(headers) else None
        if later is not None and (name := await later.begin(principal, question, request)):
            return self._replies.later(name)
        if flow is None:
            disclosure = await self._door.answer(principal, question)  # 4
        else:
            disclosure = await self._door.answer(principal, question, arriving=flow)
        reply = await self._replies.disclosed(disclosure, question, headers)  # 5
        if reply.pieces is None:
            return reply
        return reply._replace(pieces=None if call.method == "HEAD" else self._while_known(reply.pieces, call))

    async def _brought(self, call: Call, receive: Receive) -> tuple[bytes, AsyncGenerator[bytes, None] | None]:
        """The body; or a content that is so long that it is taken in as it arrives. Raises TooLarge, BadRequest."""
        least = self._limits.resource_bytes
        if not call.path.startswith(_BINARY) or not flows(call.method, call.headers, least):
            return await read_body(receive, call.headers, self._limit(call.path)), None
        refuse_longer(call.headers, self._limits.binary_bytes)
        flow = arriving(receive)
        return (b"", flow) if b"content-length" in call.headers else await gathered(flow, least)

    async def _while_known(self, pieces: AsyncGenerator[bytes, None], call: Call) -> AsyncGenerator[bytes, None]:
        """The pieces of an answer, each for who still has the right that it was given on: else it is cut off."""
        try:
            async for piece in pieces:
                if await self._gate.still(call.secret) != call.principal:
                    raise NotAuthenticated("Send a valid token.", reason="another right than at first")
                yield piece
        finally:
            await pieces.aclose()

    async def _who(self, scope: Scope, headers: Mapping[bytes, bytes], asked: Asked) -> tuple[str, Principal]:
        """The token and whose it is. Raises NotAuthenticated, once that is written down."""
        try:
            if self._proven is not None and headers.get(b"authorization", b"")[:5].lower() == SCHEME:
                return await self._proven.authenticate(scope, headers)
            secret = bearer_secret(headers)
            return secret, await self._gate.authenticate(secret)
        except NotAuthenticated as refusal:
            await self._stranger(scope, headers, "address" if isinstance(refusal, TokenEnded) else "anonymous")
            await self._watch.refused(refusal.reason, asked.id)
            raise

    async def _kick_off(self, method: str, principal: Principal, request: Request) -> Reply:
        """Begin an export. Raises MethodNotAllowed for HEAD: it is safe, and this begins something."""
        if method == "HEAD":
            raise MethodNotAllowed(_BEGINS, allow=("GET", "POST"))
        return await self._bulk.kick_off(principal, request)

    async def _waiting(self, method: str, path: bytes, principal: Principal, headers: Mapping[bytes, bytes]) -> Reply:
        """An answer that is fetched, or let go of."""
        name = path[len(LATER) :].decode("latin-1")
        if method not in {"GET", "HEAD", "DELETE"}:
            raise not_allowed(("GET", "DELETE"))
        if self._later is None:
            raise NotFound("This address is not offered.")
        if method == "DELETE":
            await self._later.forget(principal, name)
            return self._replies.let_go()
        if method == "HEAD":  # it would make the answer, and take it away
            await self._later.look(principal, name)
            return self._replies.pending("waits to be fetched")
        return await self._replies.fetched(await self._later.fetch(principal, name), headers)

    async def _stranger(self, scope: Scope, headers: Mapping[bytes, bytes], quota: str = "anonymous") -> bytes:
        """Charge a caller without valid credentials by address; what is left. Raises Throttled.

        Whose token has only ended is no guesser, and many of those may share an address.
        """
        return await self._limiter.charge_key(quota, self._peers.address(scope, headers))

    def _limit(self, path: bytes) -> int:
        """How long a body may be there."""
        if path in _ROOTS:
            return self._limits.bundle_bytes
        return self._limits.binary_json_bytes if path.startswith(_BINARY) else self._limits.resource_bytes

    def _question(self, request: Request) -> Question:
        """The Question in the request."""
        return parse(request, Frame(self._now_ms(), self._limits.page_size_max, self._base_url))

    async def _metadata(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Reply:
        """The CapabilityStatement: the one answer that needs no credentials and touches no record."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        check_metadata(Request(method, b"/metadata", scope["query_string"], headers))
        return await self._replies.json(200, self._capability(), [], headers)

    def _note(self, scope: Scope, reply: Reply, asked: Asked, started: float) -> None:
        """One more in the counts, one line in the operator's log."""
        seconds = perf_counter() - started
        if self._counts is not None:
            self._counts.answered(asked.interaction, reply.status, seconds)
        if not self._log.requests:
            return
        route = route_of(scope["method"], scope["raw_path"])
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        self._log.request(Line(method, route, asked.interaction, reply.status, seconds * 1000, asked.id, asked.trace))


def _request(scope: Scope, headers: Mapping[bytes, bytes], body: bytes, *, flows: bool) -> Request:
    """The request, as it is read."""
    asked = "GET" if scope["method"] == "HEAD" else scope["method"]
    return Request(asked, scope["raw_path"][len(PREFIX) :], scope["query_string"], headers, body, flows)


async def _whole(scope: Scope, send: Send, reply: Reply) -> None:
    """Send an answer that is there: in one write where that is offered."""
    body = b"" if scope["method"] == "HEAD" else reply.body
    whole = offered(scope)
    if whole is None or not whole(reply.head, body):
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": body})


def _correlate(asked: Asked, headers: Mapping[bytes, bytes], address: bytes) -> None:
    """Take what the caller calls the request, where that can be taken."""
    asked.name = request_id(headers, address) or asked.name
    began = trace_of(headers, address)
    asked.trace = "" if began is None else began[0]
