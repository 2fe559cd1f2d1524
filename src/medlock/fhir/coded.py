"""Values of the token modifiers :text, :of-type, :in, :not-in, :above and :below, and of :above and :below on a uri.

What names a set of codes becomes the codes of the set, here and once: an index then looks them up like any others, and
no later stage knows what a value set is. The sets are those that ship (`fhir.terms`); any other is refused, since a set
that cannot be expanded would match too little, or under :not-in too much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from medlock.fhir import terms
from medlock.fhir.normalise import fold
from medlock.fhir.operands import Field, Malformed, parts_of, plain
from medlock.fhir.query import Kind, OfTypeValue, StringValue, TokenValue, UriValue, Value
from medlock.fhir.searchparams import Parameter

_CODED: Final = frozenset({"CodeableConcept", "Coding", "code"})
_TEXTS: Final = frozenset({"CodeableConcept", "Coding", "Identifier"})
_KNOWN = "see docs/terminology.md for those that are"
SHOWN_MAX: Final = 5


def offered(parameter: Parameter) -> frozenset[str]:
    """The modifiers of this module that a parameter takes."""
    if parameter.kind is Kind.URI:
        return frozenset({"above", "below"})
    if parameter.kind is not Kind.TOKEN:
        return frozenset()
    found = {name for name, types in _NEEDS.items() if not types.isdisjoint(parameter.datatypes)}
    return frozenset(found)


def coded_values(piece: str, field: Field) -> tuple[Value, ...]:
    """What one value of such a modifier means. Raises Malformed."""
    return _READERS[field.kind, field.modifier](piece, field)


def _text(piece: str, _field: Field) -> tuple[Value, ...]:
    text = plain(piece)
    if not fold(text):
        raise Malformed("needs at least one letter or digit.")
    return (StringValue(text),)


def _of_type(piece: str, _field: Field) -> tuple[Value, ...]:
    parts = parts_of(piece, "|")
    if len(parts) != 3 or not all(parts):
        raise Malformed("takes system|code|value: the type of the identifier, and its value.")
    return (OfTypeValue(*parts),)


def _in(piece: str, field: Field) -> tuple[Value, ...]:
    found = terms.expansion(plain(piece))
    if found is None:
        raise Malformed(f"names a value set that is not known: {_known(field.parameter)}.")
    return tuple(_meant(field.parameter, system, code) for system, code in found)


def _known(parameter: Parameter) -> str:
    """Which value sets are, those first that the standard binds this parameter's codes to."""
    bound = [url for url in parameter.bound if url in terms.value_sets()][:SHOWN_MAX]
    return f"known for it are {', '.join(bound)}; {_KNOWN}" if bound else _KNOWN


def _meant(parameter: Parameter, system: str, code: str) -> TokenValue:
    """A `code` element has no system in JSON: that of its value set falls away, as in any token."""
    return TokenValue("" if system in parameter.systems else system, code)


def _subsumed(reach: Callable[[str, str], frozenset[str] | None]) -> Callable[[str, Field], tuple[Value, ...]]:
    def read(piece: str, field: Field) -> tuple[Value, ...]:
        parts = parts_of(piece, "|")
        if len(parts) == 1 and len(field.parameter.systems) == 1:
            parts = [*field.parameter.systems, *parts]
        if len(parts) != 2 or not all(parts):
            raise Malformed("takes system|code with this modifier.")
        found = reach(*parts)
        if found is None:
            raise Malformed(f"names a code of no code system whose hierarchy is known: {_KNOWN}.")
        return tuple(_meant(field.parameter, parts[0], code) for code in sorted(found))

    return read


def _partial_uri(piece: str, _field: Field) -> tuple[Value, ...]:
    text = plain(piece)
    if " " in text or "://" not in text:
        raise Malformed("takes an address with this modifier, such as http://…; a urn has no parts.")  # R4 §3.1.1.4.9
    return (UriValue(text),)


_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    "text": _TEXTS,
    "of-type": frozenset({"Identifier"}),
    "in": _CODED,
    "not-in": _CODED,
    "above": _CODED,
    "below": _CODED,
}

_READERS: Final[Mapping[tuple[Kind, str], Callable[[str, Field], tuple[Value, ...]]]] = {
    (Kind.TOKEN, "text"): _text,
    (Kind.TOKEN, "of-type"): _of_type,
    (Kind.TOKEN, "in"): _in,
    (Kind.TOKEN, "not-in"): _in,
    (Kind.TOKEN, "above"): _subsumed(terms.at_or_above),
    (Kind.TOKEN, "below"): _subsumed(terms.at_or_below),
    (Kind.URI, "above"): _partial_uri,
    (Kind.URI, "below"): _partial_uri,
}

MEANT: Final[Mapping[str, str]] = {"in": "", "not-in": "not", "above": "", "below": ""}
"""What is left of a token's modifier once its values are codes."""
