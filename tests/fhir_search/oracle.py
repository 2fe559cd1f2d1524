"""A naive second implementation of FHIR R4 search, written from R4 §3.1.1 and docs/search.md, no code shared.

`search` filters a list of resources by search parameters that are known to be valid; it never refuses, so ask it only
what the server accepts. Parameters that shape the result (_sort, _count, _include and so on) are passed over.
`patients_of` says whose Patient compartments a resource is in. Everything is slow, direct and separate on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from fhir_search.definitions import Node, definitions, select
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
) -> list[Resource]:
    """The resources of the type that meet every parameter."""
    found = [r for r in resources if r["resourceType"] == resource_type]
    for name, text in params:
        if name.split(":")[0] not in SHAPING:
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

    def holds(self, resource: Resource) -> bool:
        """Does the resource meet this parameter?"""
        nodes = _values(resource, self.code)
        if self.modifier == "missing":
            return (not any(self.answers(node) for node in nodes)) is (self.text == "true")
        fits = any(self.fits(node, piece) for node in nodes for piece in self.pieces)
        return fits is not (self.modifier == "not")

    def answers(self, node: Node) -> bool:
        """Does the node hold anything that this kind of parameter can compare?"""
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
        return plain(piece) in uris(node)


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
