"""A naive second implementation of FHIR R4 search, written from R4 §3.1.1 and docs/search.md, no code shared.

`search` filters a list of resources by search parameters that are known to be valid; it never refuses, so ask it only
what the server accepts. Parameters that shape the result (_sort, _count, _include and so on) are passed over.
`patients_of` says whose Patient compartments a resource is in. Everything is slow, direct and separate on purpose.
`world` is where chains and _has look for other resources; it is the resources given when there is no other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from fhir_search import oracle_terms
from fhir_search.definitions import Node, definitions, select, select_below
from fhir_search.oracle_links import is_link, linked
from fhir_search.readings import (
    MS,
    folded,
    identifier,
    implicit_systems,
    numbers,
    quantities,
    relative,
    span,
    spans,
    targets,
    texts,
    tokens,
    uris,
)

Resource = dict[str, Any]
SHAPING = {"_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude"}


def search(
    resources: Sequence[Resource],
    resource_type: str,
    params: Sequence[tuple[str, str]],
    *,
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    base_url: str = "",
    world: Sequence[Resource] | None = None,
) -> list[Resource]:
    """The resources of the type that meet every parameter."""
    everything = resources if world is None else world

    def elsewhere(other: str, name: str, text: str) -> list[Resource]:
        return search(everything, other, [(name, text)], now=now, base_url=base_url)

    found = [r for r in resources if r["resourceType"] == resource_type]
    for name, text in params:
        if is_link(name):
            found = linked(found, resource_type, name, text, elsewhere)
        elif name.split(":")[0] not in SHAPING:
            ask = Ask(resource_type, name, text, now, base_url)
            found = [r for r in found if ask.holds(r)]
    return found


def patients_of(resource: Resource, base_url: str = "") -> set[str]:
    """Ids of the patients of this server in whose compartment the resource is."""
    kind = resource["resourceType"]
    found = {resource["id"]} if kind == "Patient" and "id" in resource else set()
    for code in definitions().compartment[kind]:
        for node in _values(resource, code):
            local = re.fullmatch(
                r"Patient/([A-Za-z0-9.\-]{1,64})(/_history/[A-Za-z0-9.\-]{1,64})?",
                relative(node.value.get("reference", ""), base_url),
            )
            found |= {local[1]} if local else set()
    return found


def _values(resource: Resource, code: str) -> list[Node]:
    definition = definitions().parameter(resource["resourceType"], code)
    assert definition is not None, code
    return select(resource, definition["expression"])


class Ask:
    """One search parameter as given, and the test of a resource against it."""

    def __init__(self, resource_type: str, name: str, text: str, now: datetime, base_url: str) -> None:
        code, _, self.modifier = name.partition(":")
        definition = definitions().parameter(resource_type, code)
        assert definition is not None, code
        self.code, self.kind, self.text = code, definition["type"], text
        self.pieces = cut(text, ",")
        self.now, self.base_url = now, base_url
        self.definition, self.resource_type = definition, resource_type
        self.resource: Resource = {}

    def holds(self, resource: Resource) -> bool:
        """Does the resource meet this parameter?"""
        self.resource = resource
        nodes = _values(resource, self.code)
        if self.modifier == "missing":
            return (not any(self.answers(node) for node in nodes)) is (self.text == "true")
        fits = any(self.fits(node, piece) for node in nodes for piece in self.pieces)
        return fits is not (self.modifier in {"not", "not-in"})

    def answers(self, node: Node) -> bool:
        """Does the node hold anything that this kind of parameter can compare?"""
        if self.kind == "special":
            return True
        if self.kind == "reference":
            return bool(targets(node, self.base_url)) or bool(tokens(identifier(node)))
        reader: Callable[[Node], Sequence[Any]] = {
            "token": tokens,
            "date": spans,
            "string": texts,
            "uri": uris,
            "quantity": quantities,
            "number": numbers,
        }[self.kind]
        return bool(reader(node))

    def fits(self, node: Node, piece: str) -> bool:
        """Does one node fit one of the values?"""
        return bool(getattr(self, self.kind)(node, piece))

    def token(self, node: Node, piece: str) -> bool:
        """R4 §3.1.1.4.10."""
        if self.modifier in {"text", "of-type", "in", "not-in", "above", "below"}:
            return bool(getattr(self, "by_" + self.modifier.replace("-", "_"))(node, piece))
        implicit = implicit_systems(node)
        parts = [plain(part) for part in cut(piece, "|")]
        if node.type == "string" and self.code != "_id":
            return [(s, c.casefold()) for s, c in tokens(node)] == [("", parts[-1].casefold())]
        for system, code in tokens(node):
            if len(parts) == 1:
                if code == parts[0]:
                    return True
            elif (system == parts[0] or (system == "" and parts[0] in implicit)) and parts[1] in {"", code}:
                return True
        return False

    def reference(self, node: Node, piece: str) -> bool:
        """R4 §3.1.1.4.12."""
        if self.modifier == "identifier":
            return self.token(identifier(node), piece)
        wanted = relative(plain(piece), self.base_url)
        for target in targets(node, self.base_url):
            local = re.fullmatch(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})", target)
            if re.fullmatch(r"[A-Za-z0-9.\-]{1,64}", wanted):
                if local and wanted == local[2] and self.modifier in {"", local[1]}:
                    return True
            elif wanted == target and (not self.modifier or (local and local[1] == self.modifier)):
                return True
        return False

    def date(self, node: Node, piece: str) -> bool:
        """R4 §3.1.1.4.7."""
        prefix, text = prefixed(piece)
        low, high = span(text)
        if prefix == "ap":
            gap = low - self.now if self.now < low else self.now - high if self.now > high else timedelta(0)
            low, high = low - gap // MS // 10 * MS, high + gap // MS // 10 * MS
        return any(compare_spans(prefix, low, high, *target) for target in spans(node))

    def number(self, node: Node, piece: str) -> bool:
        """R4 §3.1.1.4.6."""
        return any(compare_numbers(piece, value) for value in numbers(node))

    def quantity(self, node: Node, piece: str) -> bool:
        """R4 §3.1.1.4.11."""
        number, system, code = [*[plain(p) for p in cut(piece, "|")], "", ""][:3]
        for value, its_system, its_code, its_unit in quantities(node):
            if not compare_numbers(number, value):
                continue
            if system and its_system == system and code in {"", its_code}:
                return True
            if not system and (not code or code in {its_code, its_unit}):
                return True
        return False

    def string(self, node: Node, piece: str) -> bool:
        """R4 §3.1.1.4.8."""
        wanted = plain(piece)
        if self.modifier == "exact":
            return wanted in texts(node)
        if self.modifier == "contains":
            return any(folded(wanted) in folded(text) for text in texts(node))
        return any(folded(text)[: len(folded(wanted))] == folded(wanted) for text in texts(node))

    def uri(self, node: Node, piece: str) -> bool:
        """R4 §3.1.1.4.9."""
        if self.modifier == "below":
            return any(uri.startswith(plain(piece)) for uri in uris(node))
        if self.modifier == "above":
            return any("://" in uri and plain(piece).startswith(uri) for uri in uris(node))
        return plain(piece) in uris(node)

    def by_text(self, node: Node, piece: str) -> bool:
        """:text of a token: what is written beside the code."""
        value, wanted = node.value, folded(plain(piece))
        shown = [] if not isinstance(value, dict) else [value.get("text"), value.get("display")]
        if node.type == "Identifier":
            shown = [value.get("type", {}).get("text")]
        elif node.type == "CodeableConcept":
            shown += [coding.get("display") for coding in value.get("coding", [])]
        return any(text is not None and folded(text)[: len(wanted)] == wanted for text in shown)

    def by_of_type(self, node: Node, piece: str) -> bool:
        """:of-type of an identifier."""
        if node.type != "Identifier":
            return False
        system, code, value = [plain(part) for part in cut(piece, "|")]
        types = [(c.get("system"), c.get("code")) for c in node.value.get("type", {}).get("coding", [])]
        return (system, code) in types and node.value.get("value") == value

    def by_in(self, node: Node, piece: str) -> bool:
        """:in and :not-in."""
        return self.is_one_of(node, oracle_terms.codes_in(plain(piece)))

    by_not_in = by_in

    def is_one_of(self, node: Node, codes: set[tuple[str, str]]) -> bool:
        """Whether a token is one of these; a code has the systems of its value set."""
        systems = implicit_systems(node)
        return any(
            pair in codes or (pair[0] == "" and any((system, pair[1]) in codes for system in systems))
            for pair in tokens(node)
        )

    def by_below(self, node: Node, piece: str) -> bool:
        """:below of a token."""
        system, code = [plain(part) for part in cut(piece, "|")]
        return self.is_one_of(node, {(system, each) for each in oracle_terms.below(system, code)})

    def by_above(self, node: Node, piece: str) -> bool:
        """:above of a token."""
        system, code = [plain(part) for part in cut(piece, "|")]
        return self.is_one_of(node, {(system, each) for each in oracle_terms.above(system, code)})

    def composite(self, node: Node, piece: str) -> bool:
        """R4 §3.1.1.4.14: every part holds in this very place."""
        for component, text in zip(self.definition["component"], cut(piece, "$"), strict=True):
            code = definitions().by_url[component["definition"]]["code"]
            part = Ask(self.resource_type, code, text, self.now, self.base_url)
            if not any(part.fits(each, text) for each in select_below(self.resource, node, component["expression"])):
                return False
        return True

    def special(self, node: Node, piece: str) -> bool:
        """Location's near, by the spherical law of cosines."""
        latitude, longitude, distance, unit = [*piece.split("|"), "", ""][:4]
        metres = float(distance or 10) * ({"m": 1, "mi": 1609.344}.get(unit, 1000) if distance else 1000)
        one, two = math.radians(float(latitude)), math.radians(node.value["latitude"])
        turn = math.radians(node.value["longitude"] - float(longitude))
        angle = math.sin(one) * math.sin(two) + math.cos(one) * math.cos(two) * math.cos(turn)
        return math.acos(max(-1.0, min(1.0, angle))) * 6_371_008.8 <= metres


def cut(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that are not escaped."""
    hidden = re.sub(r"\\(.)", lambda m: f"\x00{ord(m[1]):04x}", text)
    return [re.sub(r"\x00(....)", lambda m: "\\" + chr(int(m[1], 16)), part) for part in hidden.split(separator)]


def plain(piece: str) -> str:
    """A value without its escapes."""
    return re.sub(r"\\(.)", r"\1", piece)


def prefixed(piece: str) -> tuple[str, str]:
    """The comparator and the rest."""
    return (
        (piece[:2], piece[2:]) if piece[:2] in {"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"} else ("eq", piece)
    )


def compare_spans(prefix: str, low: datetime, high: datetime, its_low: datetime, its_high: datetime) -> bool:
    """The third column of the table in R4 §3.1.1.4.5: `low` to `high` is searched, `its_…` is the target."""
    contained = its_low >= low and its_high <= high
    above, below = its_high > high, its_low < low
    return {
        "eq": contained,
        "ne": not contained,
        "gt": above,
        "lt": below,
        "ge": above or contained,
        "le": below or contained,
        "sa": its_low >= high,
        "eb": its_high <= low,
        "ap": not (its_high <= low or its_low >= high),
    }[prefix]


def compare_numbers(text: str, value: Fraction) -> bool:
    """R4 §3.1.1.4.6: eq and ne have the precision that was written, the others none."""
    prefix, digits = prefixed(text)
    wanted = Fraction(digits)
    mantissa, _, exponent = digits.lower().partition("e")
    unit = Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    equal = wanted - unit / 2 <= value < wanted + unit / 2
    return {
        "eq": equal,
        "ne": not equal,
        "gt": value > wanted,
        "lt": value < wanted,
        "ge": value >= wanted,
        "le": value <= wanted,
        "sa": value > wanted,
        "eb": value < wanted,
        "ap": abs(value - wanted) <= abs(wanted) / 10,
    }[prefix]
