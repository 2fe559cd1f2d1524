"""The values of one condition, whatever its parameter's type: plain, coded, composite, or a place."""

from __future__ import annotations

from typing import Final

from medlock.fhir.coded import MEANT, coded_values, offered
from medlock.fhir.near import near_value
from medlock.fhir.operands import READERS, Field, Frame, Malformed, operands, pieces_of, split
from medlock.fhir.query import CompositeValue, Condition, Kind, Value

CODES_MAX: Final = 4_000


class TooMany(Malformed):
    """The value sets of a condition hold too many codes together."""


def read_condition(field: Field, text: str, frame: Frame) -> Condition:
    """The condition that a parameter with this text is. Raises Malformed."""
    values = _values(field, text, frame)
    modifier = MEANT.get(field.modifier, field.modifier) if field.kind is Kind.TOKEN else field.modifier
    return Condition(field.parameter.name, field.kind, values, modifier=modifier)


def _values(field: Field, text: str, frame: Frame) -> tuple[Value, ...]:
    if field.kind is Kind.COMPOSITE:
        return tuple(_composite(piece, field, frame) for piece in pieces_of(text))
    if field.kind is Kind.SPECIAL:
        return tuple(near_value(piece) for piece in pieces_of(text))
    if field.modifier not in offered(field.parameter):
        return operands(text, field, frame)
    found: dict[Value, None] = {}
    for piece in pieces_of(text):
        found |= dict.fromkeys(coded_values(piece, field))
        if len(found) > CODES_MAX:
            raise TooMany(f"means more than {CODES_MAX} codes.")
    return tuple(found)


def _composite(piece: str, field: Field, frame: Frame) -> CompositeValue:
    """value$value, each in the form of its part's type (R4 §3.1.1.4.14)."""
    joined = field.parameter.composite
    given = split(piece, "$")
    if joined is None or len(given) != len(joined.parts) or not all(given):
        parts = joined.parts if joined is not None else ()
        raise Malformed(f"takes {len(parts)} values with $ between them: {', '.join(each.name for each in parts)}.")
    asked = ((text, part, part.kind) for text, part in zip(given, joined.parts, strict=True))
    return CompositeValue(
        tuple(READERS[kind](text, Field(part, kind), frame) for text, part, kind in asked if kind is not None)
    )
