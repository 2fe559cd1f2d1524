"""The primitive types of R4 (§2.24.0.1) as JSON carries them: one predicate and one sentence each.

A predicate gets any JSON value and says whether it is a legal value of its type; it never raises and never
converts. The patterns are the specification's, made stricter in one way: a date must exist in the calendar.
Strings are looked at with `str.isprintable` first, which settles nearly every value without a pattern.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Predicate = Callable[[Any], bool]

STRING_MAX: Final = 1024 * 1024  # R4 §2.24.0.1: strings SHALL NOT exceed 1 MB
INT_MAX: Final = 2**31 - 1

_YEAR = r"(?!0000)[0-9]{4}"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAY = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_MONTH = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2]))?"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_is_text = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]+").fullmatch
_is_unbroken = re.compile(r"[^\s\x00-\x1f]+").fullmatch
_is_code = re.compile(r"[^\s\x00-\x1f]+(?:\s[^\s\x00-\x1f]+)*").fullmatch
_is_id = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_is_date = re.compile(rf"{_DAY}|{_MONTH}").fullmatch
_is_date_time = re.compile(rf"{_DAY}(?:T{_TIME}{_ZONE})?|{_MONTH}").fullmatch
_is_instant = re.compile(rf"{_DAY}T{_TIME}{_ZONE}").fullmatch
_is_time = re.compile(_TIME).fullmatch
_is_oid = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch
_is_uuid = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def is_string(value: Any) -> bool:
    """At least one character, none below U+0020 except tab, line feed and carriage return, at most 1 MiB."""
    if type(value) is not str or not value or len(value) > STRING_MAX:
        return False
    return value.isprintable() or _is_text(value) is not None


def is_uri(value: Any) -> bool:
    """No whitespace and no control characters."""
    if type(value) is not str or not value:
        return False
    return (value.isprintable() and " " not in value) or _is_unbroken(value) is not None


def is_code(value: Any) -> bool:
    """No whitespace at either end and only single spaces inside."""
    if type(value) is not str or not value:
        return False
    return (value.isprintable() and " " not in value) or _is_code(value) is not None


def is_boolean(value: Any) -> bool:
    """The JSON literals true and false."""
    return value is True or value is False


def is_decimal(value: Any) -> bool:
    """A JSON number; its digits stay in the document's bytes, so no precision is lost here."""
    return type(value) is float or type(value) is int


def is_integer(value: Any) -> bool:
    """A JSON number without fraction or exponent that fits 32 bits."""
    return type(value) is int and -INT_MAX - 1 <= value <= INT_MAX


def is_unsigned(value: Any) -> bool:
    """0 to 2,147,483,647."""
    return type(value) is int and 0 <= value <= INT_MAX


def is_positive(value: Any) -> bool:
    """1 to 2,147,483,647."""
    return type(value) is int and 1 <= value <= INT_MAX


def is_base64(value: Any) -> bool:
    """RFC 4648 §4 with padding; whitespace between the characters is allowed."""
    if type(value) is not str or not value.isascii():
        return False
    packed = value if value.isalnum() else "".join(value.split())
    try:
        return len(binascii.a2b_base64(packed, strict_mode=True)) > 0
    except binascii.Error:
        return False


def _matching(full_match: Callable[[str], re.Match[str] | None]) -> Predicate:
    def accepts(value: Any) -> bool:
        return type(value) is str and full_match(value) is not None

    return accepts


@dataclass(frozen=True, slots=True)
class Primitive:
    """A primitive type: what it accepts, and the sentence for what it does not."""

    accepts: Predicate
    json: tuple[type, ...]
    sentence: str


_TEXT, _NUMBER = (str,), (int, float)

PRIMITIVES: Final = {
    "base64Binary": Primitive(is_base64, _TEXT, "base64Binary must be base64 text"),
    "boolean": Primitive(is_boolean, (bool,), "boolean must be true or false, without quotes"),
    "canonical": Primitive(is_uri, _TEXT, "canonical must be a URI without whitespace"),
    "code": Primitive(is_code, _TEXT, "code must be text without outer or doubled whitespace"),
    "date": Primitive(_matching(_is_date), _TEXT, "date must be YYYY, YYYY-MM or YYYY-MM-DD and exist"),
    "dateTime": Primitive(
        _matching(_is_date_time),
        _TEXT,
        "dateTime must be YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone, and exist",
    ),
    "decimal": Primitive(is_decimal, _NUMBER, "decimal must be a JSON number"),
    "id": Primitive(_matching(_is_id), _TEXT, "id must be 1 to 64 of the characters A-Z a-z 0-9 - ."),
    "instant": Primitive(_matching(_is_instant), _TEXT, "instant must be YYYY-MM-DDThh:mm:ss with a zone, and exist"),
    "integer": Primitive(is_integer, _NUMBER, "integer must be a whole JSON number of 32 bits"),
    "markdown": Primitive(is_string, _TEXT, "markdown must be text, not empty, without control characters"),
    "oid": Primitive(_matching(_is_oid), _TEXT, "oid must be urn:oid: and a dotted number"),
    "positiveInt": Primitive(is_positive, _NUMBER, "positiveInt must be a whole JSON number from 1 to 2147483647"),
    "string": Primitive(is_string, _TEXT, "string must be text, not empty, without control characters"),
    "time": Primitive(_matching(_is_time), _TEXT, "time must be hh:mm:ss without a zone"),
    "unsignedInt": Primitive(is_unsigned, _NUMBER, "unsignedInt must be a whole JSON number from 0 to 2147483647"),
    "uri": Primitive(is_uri, _TEXT, "uri must be text without whitespace"),
    "url": Primitive(is_uri, _TEXT, "url must be text without whitespace"),
    "uuid": Primitive(_matching(_is_uuid), _TEXT, "uuid must be urn:uuid: and a lower-case UUID"),
    "xhtml": Primitive(is_string, _TEXT, "xhtml must be text"),
}

CODE_PATTERNS: Final = {
    # Code lists that HL7 does not own, as patterns of our own. R4 lists bare json, xml, ttl and none beside BCP 13.
    "mimetypes": re.compile(
        r"(?:json|xml|ttl|turtle|none|[\w.+*!#$&^-]+/[\w.+*!#$&^-]+(?:\s*;\s*[^\s;]+)*)", re.ASCII
    ).fullmatch,
    "currencies": re.compile(r"[A-Z]{3}").fullmatch,  # ISO 4217
    "units-of-time": re.compile(r"s|min|h|d|wk|mo|a").fullmatch,  # UCUM §§ 4.3 and 4.4
    "audit-event-action": re.compile(r"[CRUDE]").fullmatch,  # RFC 3881 §5.1.2
    "audit-event-outcome": re.compile(r"0|4|8|12").fullmatch,  # RFC 3881 §5.1.4
    "network-type": re.compile(r"[1-5]").fullmatch,  # RFC 3881 §5.3.1, and two that came later
}
