"""What an OAuth request brings: a form with each name once, and credentials in its header.

Nothing is read from a query string (RFC 6749 §2.3.1: credentials MUST NOT be in the URI); a form that names something
twice is refused (§3.2), as is a body in another form.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from starlette.requests import Request

from medlock.errors import OAuthRefused
from medlock.oauth.authenticating import Credentials

FIELDS_MAX = 100
_BASIC = re.compile(r"(?i:basic) ([A-Za-z0-9+/]+={0,2})")
_BEARER = re.compile(r"(?i:bearer) ([A-Za-z0-9\-._~+/]{1,512}=*)")
_FORM = "application/x-www-form-urlencoded"

Pairs = list[tuple[str, str]]


async def pairs_of(request: Request) -> Pairs:
    """The fields of the form, as they came. Raises OAuthRefused."""
    if request.url.query:
        raise OAuthRefused("invalid_request", "Send parameters in the body, none in the address.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthRefused("invalid_request", f"Send a form: Content-Type: {_FORM}.")
    try:
        text = (await request.body()).decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=FIELDS_MAX)
    except ValueError:
        raise OAuthRefused("invalid_request", "The form cannot be read.") from None


def once(pairs: Pairs) -> dict[str, str]:
    """Each name once. Raises OAuthRefused."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise OAuthRefused("invalid_request", "Send each parameter once.")
    return found


def credentials(request: Request, pairs: Pairs) -> Credentials:
    """What the request says of its client. Raises OAuthRefused."""
    given = request.headers.getlist("authorization")
    form = _BASIC.fullmatch(given[0]) if len(given) == 1 else None
    if len(given) > 1:
        raise OAuthRefused("invalid_request", "Send one Authorization header.")
    return Credentials(form[1] if form else None, once(pairs))


def bearer(request: Request) -> str | None:
    """The bearer token in the header; None when there is no such header. Raises OAuthRefused for a malformed one."""
    given = request.headers.getlist("authorization")
    if not given or _BASIC.fullmatch(given[0]):
        return None
    form = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    if form is None:
        headers = (("www-authenticate", 'Bearer realm="medlock"'),)
        raise OAuthRefused("invalid_token", "The Authorization header cannot be read.", status=401, headers=headers)
    return form[1]


def proof(request: Request) -> str | None:
    """The DPoP proof in the header (RFC 9449 §4); None when there is none. Raises OAuthRefused for more than one."""
    given = request.headers.getlist("dpop")
    if len(given) > 1:
        raise OAuthRefused("invalid_dpop_proof", "Send one DPoP proof.")
    return given[0] if given else None
