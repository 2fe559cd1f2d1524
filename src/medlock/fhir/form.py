"""Percent-encoded text, strictly: query strings, form bodies and path segments (RFC 3986 §2.1, WHATWG URL §5.1).

A stray per cent sign, bytes that are not UTF-8, a control character or a parameter without a name is refused;
a lenient decoder would let two parts of the server read one address in two ways.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from medlock.errors import BadRequest, NotFound

Pairs = tuple[tuple[str, str], ...]
PARAMETERS_MAX = 256
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^\x21-\x7e]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def decode(raw: bytes) -> str:
    """Percent-decoded text. Raises BadRequest when it is not clean UTF-8."""
    if b"%" not in raw:
        text = _text(raw)
    else:
        if _BROKEN.search(raw):
            raise BadRequest("A per cent sign in the address is not followed by two hexadecimal digits.")
        text = _text(unquote_to_bytes(raw))
    if _CONTROL.search(text):
        raise BadRequest("The address holds a control character.")
    return text


def decode_path(raw: bytes) -> str:
    """A decoded path. A slash is written as a slash: encoded, it would be one segment here and two elsewhere."""
    if b"%2f" in raw.lower():
        raise NotFound("This address is not offered.")
    return decode(raw)


def pairs(raw: bytes) -> Pairs:
    """The parameters of a query string or form body, in order, repeated names kept."""
    parts = [part for part in raw.split(b"&") if part]
    if len(parts) > PARAMETERS_MAX:
        raise BadRequest(f"More than {PARAMETERS_MAX} parameters.")
    return tuple(_pair(part) for part in parts)


def _pair(part: bytes) -> tuple[str, str]:
    """One parameter; a plus sign in it stands for a blank."""
    name, equals, value = part.replace(b"+", b"%20").partition(b"=")
    if not name or not equals:
        raise BadRequest("Every parameter is written name=value.")
    return decode(name), decode(value)


def _text(raw: bytes) -> str:
    """Bytes as UTF-8 text."""
    try:
        return raw.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise BadRequest("The address is not UTF-8.") from None
