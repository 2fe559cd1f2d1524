"""Refusals outside the FHIR API, in the form that each kind of caller reads.

FHIR clients read an OperationOutcome, OAuth clients the JSON of RFC 6749 §5.2, people a sentence on a page without
scripts. All three are made of the same error, and say no more than its sentence.
"""

from __future__ import annotations

import orjson
from starlette.responses import Response

from medlock.errors import (
    Denied,
    MedlockError,
    MethodNotAllowed,
    NotAuthenticated,
    OAuthRefused,
    TooMany,
    Unavailable,
)
from medlock.identity.strength import StepUpNeeded
from medlock.web.declared import Face
from medlock.web.headers import RawHeaders, security_headers
from medlock.web.reply import Replies, challenge, waiting
from medlock.web.signin.plain import plain_page
from medlock.web.signin.policy import page_headers

_FAULT = "The server failed to answer. An operator finds the fault in the log under request"
_OAUTH: tuple[tuple[type[MedlockError], str], ...] = (
    (TooMany, "temporarily_unavailable"),  # no RFC has a better word; the status and Retry-After say it
    (Unavailable, "temporarily_unavailable"),
    (StepUpNeeded, "insufficient_user_authentication"),
    (NotAuthenticated, "invalid_client"),
    (Denied, "access_denied"),
)


class Faces:
    """Makes refusals."""

    def __init__(self, replies: Replies, *, tls: bool) -> None:
        self._replies = replies
        self._security = security_headers(tls=tls)
        self._pages = page_headers(tls=tls)

    def refused(self, face: Face, error: MedlockError) -> Response:
        """An error that was raised on purpose."""
        if face is Face.FHIR:
            reply = self._replies.refused(error)
            return _raw(reply.body, reply.status, reply.headers)
        made = _json(error) if face is Face.OAUTH else self._page(error.http_status, str(error))
        made.raw_headers += _kind_headers(error)
        return self.secured(made)

    def failed(self, face: Face, number: str) -> Response:
        """A fault: nothing but the number under which the log knows it."""
        if face is Face.FHIR:
            reply = self._replies.failed(number)
            return _raw(reply.body, reply.status, reply.headers)
        sentence = f"{_FAULT} {number}."
        made = _oauth(500, "server_error", sentence) if face is Face.OAUTH else self._page(500, sentence)
        return self.secured(made)

    def _page(self, status: int, sentence: str) -> Response:
        """A sentence for a person, under the policy of pages: it shows our style sheet."""
        return Response(plain_page(sentence), status, self._pages, "text/html; charset=utf-8")

    def secured(self, response: Response) -> Response:
        """A handler's answer with the security headers that it did not set itself."""
        given = {name for name, _ in response.raw_headers}
        response.raw_headers += [header for header in self._security if header[0] not in given]
        return response


def _kind_headers(error: MedlockError) -> RawHeaders:
    """What a kind of refusal says in headers."""
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", ", ".join(error.allow).encode())]
    if isinstance(error, TooMany | Unavailable):
        return waiting(error)
    if isinstance(error, StepUpNeeded):
        return [(b"www-authenticate", challenge(error))]
    if isinstance(error, OAuthRefused):
        return [(name.encode(), value.encode()) for name, value in error.headers]
    return []


def _json(error: MedlockError) -> Response:
    """RFC 6749 §5.2. What is none of its causes is a request that cannot be served as it is."""
    if isinstance(error, OAuthRefused):
        return _oauth(error.http_status, error.code, str(error))
    code = next((word for kind, word in _OAUTH if isinstance(error, kind)), "")
    return _oauth(
        error.http_status, code or ("invalid_request" if error.http_status < 500 else "server_error"), str(error)
    )


def _oauth(status: int, code: str, sentence: str) -> Response:
    body = orjson.dumps({"error": code, "error_description": sentence})
    return Response(body, status, headers={"pragma": "no-cache"}, media_type="application/json")


def _raw(body: bytes, status: int, headers: RawHeaders) -> Response:
    response = Response(body, status_code=status)
    response.raw_headers = headers
    return response
