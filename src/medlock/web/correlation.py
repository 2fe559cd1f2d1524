"""What one request is called: by us, by whoever sent it, and in a trace that others began.

X-Request-Id (FHIR R4, RESTful API, custom headers) comes back on every answer of the API and stands in the operator's
log. A caller's own is taken when it has the form of a random number (a UUID or 32 hexadecimal digits) and does not also
stand in the address: whatever else a caller writes there may be a name or a record number, and those never reach the
log. A request whose id is not taken gets one of ours; the caller learns it from the answer.

traceparent (W3C Trace Context, level 1) is read by the same rule; what does not follow the form is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

REQUEST_ID = b"x-request-id"
TRACEPARENT = b"traceparent"
_RANDOM = re.compile(rb"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16


def request_id(headers: Mapping[bytes, bytes], address: bytes) -> bytes | None:
    """The caller's id of a request to `address` (path and query), if it can be taken."""
    given = headers.get(REQUEST_ID)
    if given is None or _RANDOM.fullmatch(given) is None or _stands_in(given, address):
        return None
    return given


def trace_of(headers: Mapping[bytes, bytes], address: bytes) -> tuple[str, str] | None:
    """Trace id and parent span id of a trace that the caller began, if it can be taken (§3.2.2.3, §3.2.2.4)."""
    given = headers.get(TRACEPARENT)
    form = None if given is None else _TRACEPARENT.fullmatch(given)
    if form is None or form[1] == _NO_TRACE or form[2] == _NO_SPAN or _stands_in(form[1], address):
        return None
    return form[1].decode(), form[2].decode()


def _stands_in(ident: bytes, address: bytes) -> bool:
    """Whether an id is also part of what is asked, with or without its hyphens, percent-encoded or not."""
    return ident.replace(b"-", b"").lower() in unquote_to_bytes(address).replace(b"-", b"").lower()
