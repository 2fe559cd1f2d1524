"""Every error that medlock raises on purpose, in one tree.

    MedlockError                        500  fault
    ├── BadRequest                      400  the question cannot be understood
    │   ├── Unprocessable               422  understood, but breaks the rules of FHIR or of this server
    │   ├── UnsupportedMedia            415
    │   ├── NotAcceptable               406
    │   ├── MethodNotAllowed            405
    │   ├── RangeNotSatisfiable         416  none of the bytes asked for are there
    │   ├── TooLarge                    413
    │   └── OAuthRefused                400  or 401; told as RFC 6749 §5.2 has it
    ├── NotAuthenticated                401  who are you?
    │   └── TokenEnded                  401  what was brought was good once
    ├── Denied                          403  a rule said no
    ├── NotFound                        404  not there, or not for you: the two look the same
    │   └── Gone                        410  deleted, told only to those who may read it
    ├── Conflict                        409  somebody else was first
    │   ├── PreconditionFailed          412  If-Match, If-None-Exist
    │   └── Raced                       409  another process wrote between our read and our write; tried again first
    ├── TooMany                         429  this caller has enough under way
    │   └── Throttled                   429  or has asked as much as one may in a span of time
    ├── Unavailable                     503  try again: log, limiter, key service or disk not reachable
    ├── Tampered                        500  sealed data does not open as what it claims to be
    └── SetupError                      500  the operator must act; the sentence says what to do

The caller's sentence is `str(error)`. `reason` is private: it goes to the audit log and the patient,
never to the caller. `problems` name each fault with its FHIRPath, for an OperationOutcome. `tells_of` are resources
whose content decided: the refusal says something of them, so the log names them as it does for an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One issue of an OperationOutcome (FHIR R4 §2.28).

    `code` is from the required IssueType value set, `path` a FHIRPath such as `Patient.name[0].use`.
    `text` names the rule that was broken, never the value that broke it: values are patient data.
    """

    code: str
    text: str
    path: str = ""
    severity: str = "error"


class MedlockError(Exception):
    """Root of every error that medlock raises on purpose."""

    http_status = 500
    issue = "exception"
    audit_code = "fault"

    def __init__(self, sentence: str, *, reason: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(sentence)
        self.reason = reason or sentence
        self.problems = problems or (Problem(self.issue, sentence),)
        self.tells_of: tuple[Any, ...] = ()


class BadRequest(MedlockError):
    """The question cannot be understood."""

    http_status = 400
    issue = "invalid"
    audit_code = "bad-request"


class Unprocessable(BadRequest):
    """The question is understood, but what it brings breaks a rule."""

    http_status = 422
    issue = "processing"


class UnsupportedMedia(BadRequest):
    """The body is in a format that this server does not read."""

    http_status = 415
    issue = "not-supported"


class NotAcceptable(BadRequest):
    """The caller accepts only formats that this server does not write."""

    http_status = 406
    issue = "not-supported"


class MethodNotAllowed(BadRequest):
    """The address exists, this method on it does not; `allow` lists those that do (RFC 9110 §15.5.6)."""

    http_status = 405
    issue = "not-supported"

    def __init__(
        self, sentence: str, *, reason: str = "", problems: tuple[Problem, ...] = (), allow: tuple[str, ...] = ()
    ) -> None:
        super().__init__(sentence, reason=reason, problems=problems)
        self.allow = allow


class RangeNotSatisfiable(BadRequest):
    """Bytes beyond the end of a content were asked for; `size` is how many there are (RFC 9110 §15.5.17)."""

    http_status = 416
    issue = "value"

    def __init__(self, size: int) -> None:
        super().__init__("The content ends before the range that was asked for.")
        self.size = size


class TooLarge(BadRequest):
    """The body is larger than the limit in settings."""

    http_status = 413
    issue = "too-long"


class OAuthRefused(BadRequest):
    """An OAuth request that is not granted. `code` is the error's name in RFC 6749 §5.2 or one of its kin.

    `http_status` is 401 where the client is not who it says (RFC 6749 §5.2), else 400. `headers` go with the answer.
    """

    audit_code = "oauth"

    def __init__(
        self,
        code: str,
        sentence: str,
        *,
        reason: str = "",
        status: int = 400,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(sentence, reason=reason)
        self.code = code
        self.http_status = status
        self.headers = headers


class NotAuthenticated(MedlockError):
    """No credentials, or none that are valid now."""

    http_status = 401
    issue = "login"
    audit_code = "not-authenticated"


class TokenEnded(NotAuthenticated):
    """A token that was good once, and is expired or revoked: told like any other, counted less than a guess."""


class Denied(MedlockError):
    """A rule said no; the caller learns only that."""

    http_status = 403
    issue = "forbidden"
    audit_code = "denied"

    def __init__(self, reason: str) -> None:
        super().__init__("This is not allowed with your access.", reason=reason)


class NotFound(MedlockError):
    """Nothing there, or nothing that this caller may know of."""

    http_status = 404
    issue = "not-found"
    audit_code = "not-found"


class Gone(NotFound):
    """It was deleted; said only to those who may read it."""

    http_status = 410
    issue = "deleted"


class Conflict(MedlockError):
    """Somebody else changed it first; nothing was written."""

    http_status = 409
    issue = "conflict"
    audit_code = "conflict"


class PreconditionFailed(Conflict):
    """The state that the caller demanded (If-Match, If-None-Exist) is not the state there is."""

    http_status = 412


class Raced(Conflict):
    """Another process wrote between our read and our write. Whoever asked starts over from what is there now."""

    def __init__(self) -> None:
        super().__init__("Somebody else changed this at the same moment; nothing was written. Try again.")


class TooMany(MedlockError):
    """This caller has as much under way as one may have (RFC 6585 §4)."""

    http_status = 429
    issue = "throttled"
    audit_code = "too-many"
    retry_after = 5


class Throttled(TooMany):
    """A limit of requests in a span of time is reached; `quota` names it, `policy` and `state` are its headers.

    They are those of draft-ietf-httpapi-ratelimit-headers: RateLimit-Policy and RateLimit.
    """

    audit_code = "throttled"

    def __init__(self, retry_after: int, quota: str, policy: bytes = b"", state: bytes = b"") -> None:
        super().__init__(f"Too many requests: ask again in {retry_after} seconds.", reason=f"limit {quota} is reached")
        self.retry_after = retry_after
        self.quota = quota
        self.policy = policy
        self.state = state


class Unavailable(MedlockError):
    """Something that every answer depends on cannot be reached; nothing was disclosed or written."""

    http_status = 503
    issue = "transient"
    audit_code = "unavailable"
    retry_after = 5


class Tampered(MedlockError):
    """Sealed data does not open as what it claims to be. Run `medlock verify`."""

    issue = "exception"
    audit_code = "tampered"

    def __init__(self, reason: str) -> None:
        super().__init__("This record cannot be opened safely; an operator must run medlock verify.", reason=reason)


class SetupError(MedlockError):
    """The operator must act; the sentence says what to do."""
