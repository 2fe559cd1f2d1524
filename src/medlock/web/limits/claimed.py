"""Which client a request to the token or introspection endpoint claims to come from, before anybody has checked it.

Used for nothing but counting: a claim that is false is charged to that name at that address only, so nobody can use up
another client's quota from elsewhere.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64decode
from binascii import Error
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import parse_qs, unquote_to_bytes

import msgspec

_CLAIM_BYTES = 8_192
_FIELDS_MAX = 64


class _Assertion(msgspec.Struct):
    iss: str = ""


def claimed_client(headers: Mapping[bytes, bytes], body: bytes) -> str:
    """A short name for the claim: client_id, the user of Basic, the issuer of an assertion; "" for none."""
    claim = _basic(headers.get(b"authorization", b"")) or _form(body[:_CLAIM_BYTES])
    return sha256(claim).hexdigest()[:16] if claim else ""


def _basic(header: bytes) -> bytes:
    """The user in HTTP Basic, form-encoded as RFC 6749 §2.3.1 has it."""
    scheme, _, given = header.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return unquote_to_bytes(b64decode(given, validate=True).partition(b":")[0])
    except (Error, ValueError):
        return b""


def _form(body: bytes) -> bytes:
    """`client_id`, or who issued `client_assertion` (RFC 7523 §3), in a form that may be cut short."""
    fields = parse_qs(body.decode("latin-1")) if body.count(b"&") < _FIELDS_MAX else {}
    if "client_id" in fields:
        return fields["client_id"][0].encode()
    parts = fields.get("client_assertion", [""])[0].split(".")
    if len(parts) != 3:
        return b""
    try:
        text = urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(text, type=_Assertion).iss.encode()
    except (Error, ValueError, msgspec.MsgspecError, UnicodeError):
        return b""
