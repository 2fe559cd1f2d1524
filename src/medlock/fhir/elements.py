"""How each FHIR data type answers a search parameter (R4 §3.1.1.4.6 to §3.1.1.4.12, cross-map in §3.1.1.9).

Every function here reads one element, as validation accepted it, and adds a row for each of `names`, the
parameters that look at it. An element with nothing to compare adds none: a coding with only a display, a quantity
without a value, a Period without dates, a reference to a contained resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from medlock.fhir import dates
from medlock.fhir.paths import Take
from medlock.fhir.query import Kind
from medlock.fhir.targets import target_of
from medlock.fhir.values import Values

CURRENCIES: Final = "urn:iso:std:iso:4217"  # the code system of Money.currency (R4 §2.24.0.7)

Element = dict[str, Any]
Names = tuple[str, ...]
Seekers = tuple[tuple[str, str], ...]  # (parameter, the one resource type that it is limited to or "")


def to_decimal(number: float | Decimal) -> Decimal:
    """A JSON number as it was written: a float's text is the shortest decimal that reads back the same."""
    return Decimal(str(number)) if isinstance(number, float) else Decimal(number)


def _coding(coding: Element, out: Values, names: Names) -> None:
    system, code = coding.get("system", ""), coding.get("code", "")
    if system or code:
        for name in names:
            out.tokens.append((name, system, code))


def _concept(concept: Element, out: Values, names: Names) -> None:
    if "coding" in concept:
        for coding in concept["coding"]:
            _coding(coding, out, names)


def _identifier(identifier: Element, out: Values, names: Names) -> None:
    system, value = identifier.get("system", ""), identifier.get("value", "")
    if system or value:
        for name in names:
            out.tokens.append((name, system, value))


def _contact(contact: Element, out: Values, names: Names) -> None:
    if "value" in contact:  # ContactPoint.system (phone, email) is no code system; R4 leaves its URI column empty
        _code(contact["value"], out, names)


def _code(code: str, out: Values, names: Names) -> None:
    for name in names:
        out.tokens.append((name, "", code))


def _boolean(value: bool, out: Values, names: Names) -> None:
    _code("true" if value else "false", out, names)


def _string_token(text: str, out: Values, names: Names) -> None:
    # "If the underlying data type is string then the search is not case sensitive" (R4 §3.1.1.4.10).
    _code(text.casefold(), out, names)


def _string(text: str, out: Values, names: Names) -> None:
    for name in names:
        out.strings.append((name, text))


def _family(text: str, out: Values, names: Names) -> None:
    # "Servers should search the parts of a family name independently" (R4 §3.1.1.4.8): each part is a field too.
    _string(text, out, names)
    parts = text.replace("-", " ").split()
    if len(parts) > 1:
        _strings(parts, out, names)


def _human_name(element: Element, out: Values, names: Names) -> None:
    if "family" in element:
        _family(element["family"], out, names)
    if "text" in element:
        _string(element["text"], out, names)
    for key in ("given", "prefix", "suffix"):
        _strings(element.get(key, ()), out, names)


def _address(element: Element, out: Values, names: Names) -> None:
    for key in ("city", "district", "state", "postalCode", "country", "text"):
        if key in element:
            _string(element[key], out, names)
    _strings(element.get("line", ()), out, names)


def _strings(texts: Iterable[str | None], out: Values, names: Names) -> None:
    for text in texts:
        if text is not None:  # a part that has only extensions
            _string(text, out, names)


def _date(text: str, out: Values, names: Names) -> None:
    low, high = dates.interval(text)
    for name in names:
        out.dates.append((name, low, high))


def _instant(text: str, out: Values, names: Names) -> None:
    for name in names:
        out.dates.append((name, *dates.instant(text)))


def _span(read: Callable[[Element], dates.Interval | None]) -> Take:
    def take(element: Element, out: Values, names: Names) -> None:
        found = read(element)
        if found is not None:
            out.dates.extend((name, *found) for name in names)

    return take


def _quantity(quantity: Element, out: Values, names: Names) -> None:
    if "value" in quantity:
        value, find = to_decimal(quantity["value"]), quantity.get
        for name in names:
            out.quantities.append((name, value, find("system", ""), find("code", ""), find("unit", "")))


def _money(money: Element, out: Values, names: Names) -> None:
    currency = money.get("currency", "")
    _quantity({**money, "system": CURRENCIES if currency else "", "code": currency}, out, names)


def _range(element: Element, out: Values, names: Names) -> None:
    for end in ("low", "high"):
        _quantity(element.get(end, {}), out, names)


def _sampled(sampled: Element, out: Values, names: Names) -> None:
    """Adds the least and the greatest sample, in the unit of the origin; the origin when there are no numbers.

    The definition of Observation's value-quantity asks for "the bounds of the values in sampled data". Among the
    data, E is an error, U and L stand for the limits of the device (R4 §2.24.0.12).
    """
    origin, factor = to_decimal(sampled["origin"].get("value", 0)), to_decimal(sampled.get("factor", 1))
    limits = {"E": None, "U": sampled.get("upperLimit"), "L": sampled.get("lowerLimit")}
    points = [limits.get(word, word) for word in sampled.get("data", "").split()]
    values = [origin + factor * Decimal(str(point)) for point in points if point is not None] or [origin]
    for bound in (min(values), max(values)):
        _quantity({**sampled["origin"], "value": bound}, out, names)


def _number(number: float | Decimal, out: Values, names: Names) -> None:
    value = to_decimal(number)
    for name in names:
        out.numbers.append((name, value))


def _number_range(element: Element, out: Values, names: Names) -> None:
    for end in ("low", "high"):
        if "value" in element.get(end, {}):
            _number(element[end]["value"], out, names)


def _uri(uri: str, out: Values, names: Names) -> None:
    for name in names:
        out.uris.append((name, uri))


def canonical_forms(canonical: str) -> tuple[str, ...]:
    """A canonical address as written and, when it names a version, without: a search that names none means any."""
    address, bar, _ = canonical.partition("|")
    return (canonical, address) if bar else (canonical,)


def _canonical_uri(canonical: str, out: Values, names: Names) -> None:
    for form in canonical_forms(canonical):
        _uri(form, out, names)


def _canonical(canonical: str, out: Values, seekers: Seekers) -> None:
    for form in canonical_forms(canonical):
        if not form.startswith("#"):
            out.references.extend([(name, form) for name, _ in seekers])


def _reference(element: Element, out: Values, seekers: Seekers) -> None:
    kind, target = target_of(element.get("reference", ""))
    if not kind and "type" in element:
        kind = element["type"].rpartition("/")[2]
    if target:
        out.references.extend([(name, target) for name, only in seekers if not only or only == kind])
    if "identifier" in element:
        system, value = element["identifier"].get("system", ""), element["identifier"].get("value", "")
        if system or value:
            out.identifiers.extend([(name, system, value) for name, only in seekers if only in {"", kind}])


def _nested(resource: Element, out: Values, seekers: Seekers) -> None:
    # A resource inside another is itself the target (R4 §3.1.1.4.12: Bundle's composition and message).
    if "id" in resource:
        kind = resource["resourceType"]
        out.references.extend([(name, f"{kind}/{resource['id']}") for name, only in seekers if only == kind])


TAKES: Final[Mapping[tuple[Kind, str], Take]] = {
    (Kind.TOKEN, "Coding"): _coding,
    (Kind.TOKEN, "CodeableConcept"): _concept,
    (Kind.TOKEN, "Identifier"): _identifier,
    (Kind.TOKEN, "ContactPoint"): _contact,
    (Kind.TOKEN, "code"): _code,
    (Kind.TOKEN, "id"): _code,
    (Kind.TOKEN, "uri"): _code,
    (Kind.TOKEN, "boolean"): _boolean,
    (Kind.TOKEN, "string"): _string_token,
    (Kind.STRING, "string"): _string,
    (Kind.STRING, "markdown"): _string,
    (Kind.STRING, "family"): _family,
    (Kind.STRING, "HumanName"): _human_name,
    (Kind.STRING, "Address"): _address,
    (Kind.DATE, "date"): _date,
    (Kind.DATE, "dateTime"): _date,
    (Kind.DATE, "instant"): _instant,
    (Kind.DATE, "Period"): _span(dates.period),
    (Kind.DATE, "Timing"): _span(dates.timing),
    (Kind.QUANTITY, "Quantity"): _quantity,
    (Kind.QUANTITY, "Age"): _quantity,
    (Kind.QUANTITY, "Duration"): _quantity,
    (Kind.QUANTITY, "Money"): _money,
    (Kind.QUANTITY, "Range"): _range,
    (Kind.QUANTITY, "SampledData"): _sampled,
    (Kind.NUMBER, "decimal"): _number,
    (Kind.NUMBER, "integer"): _number,
    (Kind.NUMBER, "Range"): _number_range,
    (Kind.URI, "uri"): _uri,
    (Kind.URI, "url"): _uri,
    (Kind.URI, "canonical"): _canonical_uri,
    (Kind.REFERENCE, "canonical"): _canonical,
    (Kind.REFERENCE, "uri"): _canonical,
    (Kind.REFERENCE, "Reference"): _reference,
    (Kind.REFERENCE, "Resource"): _nested,
}
