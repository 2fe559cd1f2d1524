"""The values that a search condition compares with, from their text (R4 §3.1.1.4.5 to §3.1.1.4.19).

Strict: what does not have exactly the form of its parameter's type raises Malformed, whose sentence completes "The
search parameter x …" and never repeats the text. Whatever two forms mean the same thing become one value: implicit
code systems fall away, local references lose the server's address, ranges are computed here and not by who compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from medlock.fhir import dates
from medlock.fhir.normalise import fold
from medlock.fhir.query import (
    DateValue,
    Kind,
    NumberValue,
    PlainValue,
    Prefix,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
)
from medlock.fhir.searchparams import RESOURCE_TYPES, Parameter
from medlock.fhir.targets import ID_FORM, split_local, strip_base

OPERANDS_MAX: Final = 500

_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?P<whole>\d{1,13})(?:\.(?P<fraction>\d{1,13}))?(?:[eE](?P<power>[+-]?\d{1,2}))?", re.ASCII)
_BAD_ESCAPE = re.compile(r"\\(?![\\,|$])")
_ESCAPED = re.compile(r"\\(.)")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BARE = frozenset({"ContactPoint", "uri", "boolean", "truth", "string", "id"})


class Malformed(ValueError):
    """The text is not a value of its parameter's type; str() completes "The search parameter x"."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What values are read against: the time, for `ap`, and our own address, "" when references never hold it."""

    now_ms: int
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """The parameter that values are for, evaluated as `kind`; its modifier; the one type that `:[type]` leaves."""

    parameter: Parameter
    kind: Kind
    modifier: str = ""
    only: str = ""


def operands(text: str, field: Field, frame: Frame) -> tuple[PlainValue, ...]:
    """The comma-separated values of one condition. Raises Malformed."""
    pieces = pieces_of(text)
    read = _token if field.modifier == "identifier" else READERS[field.kind]
    return tuple(read(piece, field, frame) for piece in pieces)


def pieces_of(text: str) -> list[str]:
    """The comma-separated pieces of a condition's text, escapes in them. Raises Malformed."""
    if _CONTROL.search(text) or _BAD_ESCAPE.search(text.replace("\\\\", "")):
        raise Malformed("holds a control character, or a backslash that escapes nothing.")
    pieces = split(text, ",")
    if len(pieces) > OPERANDS_MAX:
        raise Malformed(f"has more than {OPERANDS_MAX} values.")
    if not all(pieces):
        raise Malformed("has an empty value.")
    return pieces


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that no backslash escapes; escapes stay in the parts (R4 §3.1.1.4.19)."""
    if "\\" not in text:
        return text.split(separator)
    parts, start, escaped = [], 0, False
    for at, letter in enumerate(text):
        if letter == separator and not escaped:
            parts.append(text[start:at])
            start = at + 1
        escaped = letter == "\\" and not escaped
    return [*parts, text[start:]]


def parts_of(piece: str, separator: str) -> list[str]:
    """The parts of a value between separators, without their escapes."""
    return [plain(part) for part in split(piece, separator)]


def plain(piece: str) -> str:
    """A value without its escapes."""
    return _ESCAPED.sub(r"\1", piece)


def _token(piece: str, field: Field, _frame: Frame) -> PlainValue:
    system, code = _token_parts(piece, "takes a code, system|code, |code or system|.")
    parameter = field.parameter
    if field.modifier == "identifier":
        return TokenValue(system, code)
    if system is not None and parameter.datatypes <= _BARE:
        raise Malformed("takes a bare value, without |.")
    if parameter.datatypes <= {"boolean", "truth"} and code not in {"true", "false"}:
        raise Malformed("is true or false.")
    if parameter.name == "_id" and not ID_FORM.fullmatch(code or ""):
        raise Malformed("takes logical ids.")
    if code and parameter.ignores_case:
        code = code.casefold()
    return TokenValue("" if system in parameter.systems else system, code)


def _token_parts(piece: str, form: str) -> tuple[str | None, str | None]:
    parts = parts_of(piece, "|")
    if len(parts) == 1:
        return None, parts[0]
    if len(parts) != 2 or not any(parts):
        raise Malformed(form)
    return parts[0], parts[1] or None


def _reference(piece: str, field: Field, frame: Frame) -> PlainValue:
    text = strip_base(plain(piece), frame.base_url)
    found = (field.only or _only_target(field.parameter), text) if ID_FORM.fullmatch(text) else split_local(text)
    if found is None:
        if field.only or not _ABSOLUTE.fullmatch(text):
            raise Malformed("takes an id, Type/id or an absolute address.")
        return ReferenceValue(url=text)
    kind, logical_id = found
    allowed = {field.only} if field.only else set(field.parameter.targets or RESOURCE_TYPES) | {""}
    if kind not in allowed or "/_history/" in text:
        raise Malformed("cannot refer to a resource of that type, or to a version.")
    return ReferenceValue(kind, logical_id)


def _only_target(parameter: Parameter) -> str:
    return parameter.targets[0] if len(parameter.targets) == 1 else ""


def _date(piece: str, _field: Field, frame: Frame) -> PlainValue:
    prefix, text = _prefixed(piece)
    try:
        low, high = dates.parse(text)
    except ValueError:
        raise Malformed("takes a date such as 2024, 2024-05-01 or 2024-05-01T09:30:00Z.") from None
    if prefix is Prefix.AP:
        gap = max(low - frame.now_ms, frame.now_ms - high, 0) // 10  # R4 §3.1.1.4.5: 10 % of the gap to now
        low, high = low - gap, high + gap
    return DateValue(prefix, low, high)


def _string(piece: str, field: Field, _frame: Frame) -> PlainValue:
    text = plain(piece)
    if field.modifier != "exact" and not fold(text):
        raise Malformed("needs at least one letter or digit.")  # else it would match every value
    return StringValue(text)


def _number(piece: str, _field: Field, _frame: Frame) -> NumberValue:
    prefix, text = _prefixed(piece)
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise Malformed("takes a number such as 5, 5.40 or 5.4e-3.")
    value = Decimal(text)
    if prefix is Prefix.AP:
        margin = abs(value) / 10
    else:
        # Half a unit of the last digit written: 100 is [99.5, 100.5), 1e2 is [50, 150).
        margin = Decimal(5).scaleb(int(found["power"] or 0) - len(found["fraction"] or "") - 1)
    return NumberValue(prefix, value, value - margin, value + margin)


def _quantity(piece: str, field: Field, frame: Frame) -> PlainValue:
    number, *unit = split(piece, "|")
    if not unit:
        return QuantityValue(_number(number, field, frame), None, None)
    system, code = [plain(part) for part in unit] if len(unit) == 2 else ("", "")
    if not system and not code:
        raise Malformed("takes a number, number|system|code or number||code.")
    return QuantityValue(_number(number, field, frame), system or None, code or None)


def _uri(piece: str, _field: Field, _frame: Frame) -> PlainValue:
    text = plain(piece)
    if " " in text:
        raise Malformed("takes a uri.")
    return UriValue(text)


def _prefixed(piece: str) -> tuple[Prefix, str]:
    found = _PREFIXED.fullmatch(piece)
    prefix, text = found.groups() if found else ("", "")
    return Prefix(prefix or "eq"), text


READERS: Final[Mapping[Kind, Callable[[str, Field, Frame], PlainValue]]] = {
    Kind.TOKEN: _token,
    Kind.REFERENCE: _reference,
    Kind.DATE: _date,
    Kind.STRING: _string,
    Kind.QUANTITY: _quantity,
    Kind.NUMBER: _number,
    Kind.URI: _uri,
}
