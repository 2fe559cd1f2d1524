"""Requests that another site made a browser send are refused (ASVS 5.0 V3.5; OWASP CSRF Prevention).

Two independent checks, both must pass. First, where the request comes from, as the browser says it: `Origin` must be
ours, and `Sec-Fetch-Site`, where there is one, must be `same-origin`; a request with neither comes from no browser that
we serve, and is refused. Second, a token in the form: an HMAC under the secret in the cookie, so it is bound to that
session, dies with it, and needs no storage. Pages send `Referrer-Policy: same-origin`, because browsers answer
`no-referrer` with `Origin: null`.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256

from medlock.errors import MedlockError

_CONTEXT = b"medlock/1/form|"
_SENTENCE = "This page was open for too long, or it was opened from another site. Go back, reload it and try again."


class Foreign(MedlockError):
    """The request was not made by one of our pages as it is now."""

    http_status = 403
    issue = "forbidden"
    audit_code = "denied"

    def __init__(self, reason: str) -> None:
        super().__init__(_SENTENCE, reason=reason)


def token_of(secret: str) -> str:
    """The token that forms carry for whoever holds the cookie with this secret."""
    return urlsafe_b64encode(hmac.digest(secret.encode(), _CONTEXT, sha256)).rstrip(b"=").decode()


def check_source(headers: Mapping[str, str], origin: str) -> None:
    """Raise Foreign unless the browser says that one of our own pages sends this."""
    said, site = headers.get("origin"), headers.get("sec-fetch-site")
    if said is None and site is None:
        raise Foreign("no Origin and no Sec-Fetch-Site")
    if said is not None and said != origin:
        raise Foreign("foreign Origin")
    if site is not None and site != "same-origin":
        raise Foreign("foreign Sec-Fetch-Site")


def check_token(given: str, secret: str) -> None:
    """Raise Foreign unless the form carries the token of this cookie."""
    if not secret or not hmac.compare_digest(given.encode(), token_of(secret).encode()):
        raise Foreign("wrong form token")
