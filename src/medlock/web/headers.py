"""Headers in and out: request headers as a mapping with each name once, response headers made ready beforehand.

Every answer carries the security headers below (OWASP Secure Headers): nothing is cached, sniffed, framed, or run.
Which scripts of other origins may read an answer is `cors`' matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from medlock.errors import BadRequest

RawHeaders = list[tuple[bytes, bytes]]

FHIR_JSON = b"application/fhir+json; fhirVersion=4.0"
NDJSON = b"application/fhir+ndjson"

_SECURITY: RawHeaders = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000")  # RFC 6797; subdomains are the operator's to add

# Given twice, each of these makes a request that two readers may read in two ways.
_ONCE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"if-match",
        b"if-modified-since",
        b"if-none-exist",
        b"if-none-match",
        b"transfer-encoding",
        b"x-security-context",
    }
)


def security_headers(*, tls: bool) -> RawHeaders:
    """The headers of every answer. HSTS only over TLS, where browsers heed it (RFC 6797 §7.2)."""
    return [*_SECURITY, _HSTS] if tls else list(_SECURITY)


def each_once(raw: RawHeaders) -> Mapping[bytes, bytes]:
    """Request headers by lower-case name. Lists are joined; raises BadRequest for a second singleton header."""
    headers = dict(raw)
    return headers if len(headers) == len(raw) else _joined(raw)


def _joined(raw: RawHeaders) -> Mapping[bytes, bytes]:
    """The same when a name occurs more than once (RFC 9110 §5.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in raw:
        if name in headers and name in _ONCE:
            raise BadRequest(f"The header {name.decode('ascii', 'replace')} is given more than once.")
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


@lru_cache(maxsize=4_096)
def http_date(seconds: int) -> bytes:
    """An instant as an HTTP date (RFC 9110 §5.6.7). Kept, because records loaded together share their second."""
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True).encode()
