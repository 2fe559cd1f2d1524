"""The headers of a FHIR request (R4 §3.1.0.1; RFC 9110 §8.3, §12.5, §13.1; RFC 7240 for Prefer).

JSON of FHIR 4.0 is the only format, both ways. A precondition that cannot be read is refused, never left out:
the caller counts on it. `Prefer: handling` is not obeyed: unknown parameters are always refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from medlock.errors import BadRequest, NotAcceptable, UnsupportedMedia

Headers = Mapping[bytes, bytes]

_JSON = frozenset({"application/fhir+json", "application/json", "json", "text/json"})
_RANGES = _JSON | {"application/*", "*/*"}
_PLAIN_ACCEPT = frozenset({b"application/fhir+json", b"application/json", b"*/*", b""})
_PLAIN_CONTENT = frozenset({b"application/fhir+json", b"application/json"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSIONS = frozenset({"4.0", "4.0.1"})
_TAG = re.compile(rb'(?:W/)?"([A-Za-z0-9\-.]{1,64})"')
_BARE_TAG = re.compile(rb"([A-Za-z0-9\-.]{1,64})")
_RETURN = {
    "minimal": "minimal",
    "representation": "representation",
    "operationoutcome": "OperationOutcome",
}


def check_accept(headers: Headers) -> None:
    """Raise NotAcceptable unless the Accept header allows FHIR JSON."""
    given = headers.get(b"accept", b"")
    if given in _PLAIN_ACCEPT:
        return
    if not any(_acceptable(part) for part in given.decode("latin-1").split(",")):
        raise NotAcceptable("Answers are application/fhir+json of FHIR 4.0 only.")


def check_format(value: str) -> None:
    """Raise NotAcceptable unless the parameter _format names JSON; it outranks the Accept header."""
    if not _acceptable(value.replace(" ", "+")):
        raise NotAcceptable("Answers are application/fhir+json of FHIR 4.0 only.")


def check_json_body(headers: Headers) -> None:
    """Raise UnsupportedMedia unless the body is declared to be FHIR JSON in UTF-8."""
    given = headers.get(b"content-type", b"")
    if given in _PLAIN_CONTENT:
        return
    media, parameters = _media(given.decode("latin-1"))
    if media not in _JSON or not _understood(parameters):
        raise UnsupportedMedia("Send the body as Content-Type application/fhir+json, FHIR 4.0, UTF-8.")


def check_form_body(headers: Headers) -> None:
    """Raise UnsupportedMedia unless the body is declared to be a form in UTF-8."""
    media, parameters = _media(headers.get(b"content-type", b"").decode("latin-1"))
    if media != "application/x-www-form-urlencoded" or not _understood(parameters):
        raise UnsupportedMedia("Send search parameters as Content-Type application/x-www-form-urlencoded.")


def entity_tag(value: bytes | None, *, star: bool = False) -> str | None:
    """The version id inside one entity tag. Raises BadRequest.

    With `star`, that is for If-None-Match, "*" is itself and a version may stand bare: fhirpy writes it so.
    """
    if value is None:
        return None
    if star and value == b"*":
        return "*"
    form = _TAG.fullmatch(value) or (_BARE_TAG.fullmatch(value) if star else None)
    if form is None:
        raise BadRequest('A version condition is written W/"1", with one version.')
    return form[1].decode("ascii")


def http_date(value: bytes | None) -> int | None:
    """The last millisecond of the second that an HTTP date names (RFC 9110 §5.6.7). Raises BadRequest."""
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
    except (ValueError, TypeError, IndexError, OverflowError):
        raise BadRequest("If-Modified-Since takes a date such as Tue, 24 Nov 2026 17:46:00 GMT.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(seconds=1) * 1_000 + 999


def prefer_return(value: bytes | None) -> str:
    """What the caller wants back after a write; other preferences are passed over (RFC 7240 §2)."""
    if value is None:
        return "representation"
    for part in re.split("[,;]", value.decode("latin-1")):
        name, _, chosen = part.strip().partition("=")
        if name.strip().lower() == "return":
            return _RETURN.get(chosen.strip().strip('"').lower(), "representation")
    return "representation"


def prefers_async(headers: Headers) -> bool:
    """Whether the caller would rather fetch the answer later (RFC 7240 §4.1)."""
    given = headers.get(b"prefer")
    if given is None:
        return False
    return b"respond-async" in (part.strip().lower() for part in given.replace(b";", b",").split(b","))


def media_type(value: bytes) -> str:
    """The media type that a Content-Type names, in lower case, without its parameters."""
    return _media(value.decode("latin-1"))[0]


def _acceptable(part: str) -> bool:
    """Whether one media range of an Accept header takes FHIR JSON; q=0 means it does not."""
    media, parameters = _media(part)
    refused = re.fullmatch(r"0(\.0{0,3})?", parameters.pop("q", "1"))
    return media in _RANGES and refused is None and _understood(parameters)


def _understood(parameters: Mapping[str, str]) -> bool:
    """Whether the parameters of a media type ask for nothing else than UTF-8 and FHIR 4.0."""
    charset_ok = parameters.get("charset", "utf-8").lower() in {"utf-8", "utf8"}
    return charset_ok and parameters.get("fhirversion", "4.0") in _VERSIONS


def _media(text: str) -> tuple[str, dict[str, str]]:
    """A media type and its parameters, names in lower case."""
    media, *rest = text.split(";")
    parameters = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return media.strip().lower(), parameters
