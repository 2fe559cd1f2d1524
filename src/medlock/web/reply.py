"""Finished answers: a status, headers and bytes. Made from a Disclosure or from an error, and from nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple

from medlock.errors import (
    MedlockError,
    MethodNotAllowed,
    NotAuthenticated,
    Problem,
    RangeNotSatisfiable,
    Throttled,
    TooMany,
    Unavailable,
)
from medlock.fhir import bundle
from medlock.fhir.binary import content_of
from medlock.fhir.outcome import operation_outcome
from medlock.fhir.question import Interaction, Question
from medlock.identity.strength import StepUpNeeded
from medlock.records.disclosure import Disclosure
from medlock.web.bearer import SENTENCE
from medlock.web.compression import WORTH_BYTES, deflated, takes_gzip
from medlock.web.headers import FHIR_JSON, NDJSON, RawHeaders, http_date, security_headers
from medlock.web.ranges import span_of
from medlock.web.whole import block, head

_WRITES = frozenset({Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH})
_DONE = operation_outcome((Problem("informational", "It is written.", severity="information"),))
_EMPTY = (b"content-length", b"0")
_FAULT = "The server failed to answer. An operator finds the fault in the log under request"


class Fixed(NamedTuple):
    """Headers that many answers share, and the same as they go over the wire."""

    headers: RawHeaders
    block: bytes


class Reply(NamedTuple):
    """What goes on the wire: the headers that answers share, those of this one, the body or its pieces."""

    status: int
    fixed: Fixed
    own: RawHeaders
    body: bytes = b""
    pieces: AsyncGenerator[bytes, None] | None = None

    @property
    def headers(self) -> RawHeaders:
        """All of them."""
        return self.fixed.headers + self.own

    @property
    def head(self) -> bytes:
        """Status line and headers, without the blank line that ends them."""
        return head(self.status, self.fixed.block, self.own)


class Replies:
    """Makes replies; holds what is the same in all of them."""

    def __init__(self, base_url: str, *, tls: bool) -> None:
        self._base = base_url.encode() + b"/"
        bare = security_headers(tls=tls)
        json = [*bare, (b"content-type", FHIR_JSON)]
        self._bare = Fixed(bare, block(bare))
        self._json = Fixed(json, block(json))

    async def disclosed(self, disclosure: Disclosure, question: Question, asked: Mapping[bytes, bytes]) -> Reply:
        """The answer to a question (R4 §3.1.0.1.2 to .5). `asked` are the request's headers."""
        headers: RawHeaders = []
        if disclosure.version:
            headers.append((b"etag", b'W/"%s"' % disclosure.version.encode()))
        if disclosure.updated:
            headers.append((b"last-modified", http_date(disclosure.updated // 1000)))
        if disclosure.location:
            headers.append((b"location", self._base + disclosure.location.encode()))
        if disclosure.status == 200 and question.unchanged(disclosure.version, disclosure.updated):
            return Reply(304, self._bare, headers)
        if question.raw and disclosure.status == 200:
            return self._content(disclosure, headers, asked)
        return await self.json(disclosure.status, _preferred(disclosure, question), headers, asked)

    def _content(self, disclosure: Disclosure, headers: RawHeaders, asked: Mapping[bytes, bytes]) -> Reply:
        """A Binary as what it holds; a browser saves it and never shows it as ours. Raises RangeNotSatisfiable."""
        content, flow = content_of(disclosure.body), disclosure.outflow
        size = len(content.data) if flow is None else flow.size
        span = span_of(asked, size)
        start, stop = (0, size) if span is None else span
        headers += [
            (b"content-type", content.media.encode()),
            (b"content-disposition", b"attachment"),
            (b"accept-ranges", b"bytes"),
            (b"content-length", b"%d" % (stop - start)),
        ]
        if span is not None:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, size)))
        if content.context:
            headers.append((b"x-security-context", content.context.encode()))
        status = 200 if span is None else 206
        if flow is None:
            return Reply(status, self._bare, headers, content.data[start:stop])
        return Reply(status, self._bare, headers, pieces=flow.pieces(start, stop))

    async def json(self, status: int, body: bytes, headers: RawHeaders, asked: Mapping[bytes, bytes]) -> Reply:
        """FHIR JSON, deflated when that is wanted and worth it."""
        if not body:
            length = [] if status == 204 else [(b"content-length", b"0")]
            return Reply(status, self._bare, headers + length)
        if len(body) > WORTH_BYTES and takes_gzip(asked.get(b"accept-encoding", b"")):
            body = await deflated(body)
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        headers.append((b"content-length", b"%d" % len(body)))
        return Reply(status, self._json, headers, body)

    def later(self, name: str) -> Reply:
        """202: where the answer will be (RFC 7240 §4.1)."""
        return Reply(202, self._bare, [(b"content-location", b"%b_async/%b" % (self._base, name.encode())), _EMPTY])

    def pending(self, progress: str = "in progress") -> Reply:
        """202: not yet."""
        return Reply(202, self._bare, [(b"x-progress", progress.encode()), (b"retry-after", b"1"), _EMPTY])

    def accepted(self, where: str) -> Reply:
        """202: an export has begun, and where to ask how far it is."""
        return Reply(202, self._bare, [(b"content-location", where.encode()), _EMPTY])

    async def manifest(self, body: bytes, headers: RawHeaders, asked: Mapping[bytes, bytes]) -> Reply:
        """What an export has to fetch; it is no resource, so JSON and not FHIR."""
        reply = await self.json(200, body, headers, asked)
        return reply._replace(fixed=self._bare, own=[*reply.own, (b"content-type", b"application/json")])

    def file(self, pieces: AsyncGenerator[bytes, None]) -> Reply:
        """A file of an export."""
        return Reply(200, self._bare, [(b"content-type", NDJSON)], pieces=pieces)

    def let_go(self) -> Reply:
        """202: what waited waits no longer."""
        return Reply(202, self._bare, [_EMPTY])

    async def fetched(self, answer: Disclosure | MedlockError, asked: Mapping[bytes, bytes]) -> Reply:
        """An answer that waited, in a batch-response of one entry, as R5 has it: it has a status of its own."""
        if isinstance(answer, MedlockError):
            response = bundle.Response(str(answer.http_status), outcome=operation_outcome(answer.problems))
        else:
            response = bundle.Response(str(answer.status), resource=answer.body)
        return await self.json(200, bundle.transaction_response([response], "batch-response"), [], asked)

    def refused(self, error: MedlockError) -> Reply:
        """An error as an OperationOutcome, with the headers its kind calls for."""
        headers: RawHeaders = []
        problems = error.problems
        if isinstance(error, StepUpNeeded):
            headers.append((b"www-authenticate", challenge(error)))
        elif isinstance(error, NotAuthenticated):  # one sentence for every cause
            problems = (Problem(error.issue, SENTENCE),)
            headers.append((b"www-authenticate", b'Bearer realm="medlock"'))
        elif isinstance(error, MethodNotAllowed):
            headers.append((b"allow", ", ".join(error.allow).encode()))
        elif isinstance(error, RangeNotSatisfiable):
            headers.append((b"content-range", b"bytes */%d" % error.size))
        elif isinstance(error, Unavailable | TooMany):
            headers += waiting(error)
        return self._outcome(error.http_status, problems, headers)

    def failed(self, request: str) -> Reply:
        """The answer to a fault: nothing but the number under which the log knows it."""
        return self._outcome(500, (Problem("exception", f"{_FAULT} {request}."),), [])

    def _outcome(self, status: int, problems: tuple[Problem, ...], headers: RawHeaders) -> Reply:
        """An OperationOutcome."""
        body = operation_outcome(problems)
        headers.append((b"content-length", b"%d" % len(body)))
        return Reply(status, self._json, headers, body)


def waiting(error: Unavailable | TooMany) -> RawHeaders:
    """When to ask again; of a limit also which, and what is left (draft-ietf-httpapi-ratelimit-headers)."""
    headers = [(b"retry-after", b"%d" % error.retry_after)]
    if isinstance(error, Throttled):
        headers += [(b"ratelimit-policy", error.policy), (b"ratelimit", error.state)]
    return headers


def challenge(error: StepUpNeeded) -> bytes:
    """What a fresh token must say (RFC 9470 §3): the app sends its person to sign in again, with these."""
    levels, seconds = " ".join(error.need.levels), error.need.within_ms // 1000
    told = f'error="insufficient_user_authentication", error_description="{error}"'
    return f'Bearer realm="medlock", {told}, acr_values="{levels}", max_age="{seconds}"'.encode()


def _preferred(disclosure: Disclosure, question: Question) -> bytes:
    """What a write brings back as the caller prefers: the resource, an OperationOutcome, or nothing (R4 §3.1.0.1.6)."""
    if question.prefer == "representation" or question.interaction not in _WRITES:
        return disclosure.body
    return b"" if question.prefer == "minimal" else _DONE
