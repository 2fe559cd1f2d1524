"""Resolves the expressions of FHIR R4 search parameters against the structure definitions.

R4's search parameters use a small part of FHIRPath: paths, `|`, `as`, `where(x='y')`, `where(resolve() is T)`,
`[0]`, and once `x.exists() and x != false`. `resolve` turns one union term into the JSON paths at which its
values lie, each with the data type found there, so that the server walks plain dictionaries and needs neither
FHIRPath nor the structure definitions. Anything outside the subset raises Unresolvable: a definition that we
do not understand must stop the build, not be indexed wrongly.

A path is written `step/step/...`; a step is the JSON key, `*` after it when it repeats, `[0]` when only the first
counts, `?key=value` when only objects with that value count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

_TOKEN = re.compile(r"\s*([A-Za-z]\w*|'[^']*'|!=|[().\[\]|=]|\d+)")
_PROFILE = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM_TYPE = "http://hl7.org/fhirpath/System."


class Unresolvable(Exception):
    """The expression is outside the subset, or names an element that the definitions do not have."""


@dataclass(frozen=True)
class Spot:
    """A place in a resource: its JSON path, its type, and what may be there.

    `type` is a data type, or the element path whose children are meant (backbone elements). `targets` holds the
    resource types that a reference may point to, empty for any; `only` the T of `where(resolve() is T)`.
    """

    path: tuple[str, ...]
    type: str
    targets: tuple[str, ...] = ()
    binding: str = ""
    only: str = ""
    truth: bool = False


class Structures:
    """Element definitions of all base types, by path (`Observation.component`, `CodeableConcept.text`)."""

    def __init__(self, definitions: Iterable[dict[str, Any]]) -> None:
        self._elements: dict[str, dict[str, Any]] = {}
        for definition in definitions:
            if definition.get("derivation") != "constraint":
                self._elements |= {item["path"]: item for item in definition["snapshot"]["element"]}

    def children(self, spot: Spot, name: str) -> list[Spot]:
        """The spots of element `name` under `spot`: one for each type when it is a choice. Raises Unresolvable."""
        plain = self._elements.get(f"{spot.type}.{name}")
        if plain is not None:
            return [self._spot(spot, plain, name, offered) for offered in _types(plain)]
        choice = self._elements.get(f"{spot.type}.{name}[x]")
        if choice is None:
            raise Unresolvable(f"{spot.type} has no element {name}")
        return [
            self._spot(spot, choice, name + offered["code"][0].upper() + offered["code"][1:], offered)
            for offered in _types(choice)
        ]

    def _spot(self, parent: Spot, element: dict[str, Any], key: str, offered: dict[str, Any]) -> Spot:
        step = key if element["max"] == "1" else key + "*"
        targets = {profile.removeprefix(_PROFILE) for profile in offered.get("targetProfile", [])}
        return Spot(
            path=(*parent.path, step),
            type=_type_name(element, offered),
            targets=() if "Resource" in targets else tuple(sorted(targets)),
            binding=element.get("binding", {}).get("valueSet", ""),
        )


def _types(element: dict[str, Any]) -> list[dict[str, Any]]:
    return element.get("type") or [{"code": "Element"}]


def _type_name(element: dict[str, Any], offered: dict[str, Any]) -> str:
    if "contentReference" in element:
        return str(element["contentReference"]).removeprefix("#")
    code = str(offered["code"])
    if code in {"BackboneElement", "Element"}:
        return str(element["path"])
    if element["path"] == "Resource.id":
        return "id"  # the package says string, R4 §2.27.3 says id
    if code.startswith(_SYSTEM_TYPE):
        return next(str(item["valueUrl"]) for item in offered["extension"])
    # A family name is searched by its parts too (R4 §3.1.1.4.8), so it is told apart from other strings.
    return "family" if element["path"] == "HumanName.family" else code


def terms(expression: str) -> list[str]:
    """The union terms of an expression, in order."""
    return [term.strip() for term in expression.split("|")]


def resolve(structures: Structures, base: str, term: str) -> list[Spot]:
    """Every spot that one union term selects in resources of type `base`. Raises Unresolvable."""
    return _Reader(structures, base, term).read()


class _Reader:
    """Recursive descent over the tokens of one term; each method leaves the spots selected so far."""

    def __init__(self, structures: Structures, base: str, term: str) -> None:
        self._structures = structures
        self._base = base
        self._term = term
        self._tokens = list(_tokens(term))

    def read(self) -> list[Spot]:
        spots = self._path()
        if self._peek() == "and":
            spots = self._truth(spots)
        if self._tokens:
            raise self._error()
        return spots

    def _path(self) -> list[Spot]:
        spots = self._start()
        while self._peek() in {".", "["}:
            spots = self._index(spots) if self._take() == "[" else self._step(spots)
        return spots

    def _start(self) -> list[Spot]:
        if self._peek() == "(":
            self._expect("(")
            spots = self._cast(self._path())
            self._expect(")")
            return spots
        root = [Spot((), self._base)]
        name = self._take()
        return root if name in {self._base, "Resource"} else self._named(root, name)

    def _cast(self, spots: list[Spot]) -> list[Spot]:
        if self._peek() != "as":
            return spots
        self._expect("as")
        return self._of_type(spots, self._take())

    def _step(self, spots: list[Spot]) -> list[Spot]:
        name = self._take()
        if self._peek() != "(":
            return self._named(spots, name)
        self._expect("(")
        spots = self._call(spots, name)
        self._expect(")")
        return spots

    def _call(self, spots: list[Spot], name: str) -> list[Spot]:
        if name == "as":
            return self._of_type(spots, self._take())
        if name == "where":
            return self._where(spots)
        if name == "exists":
            return [replace(spot, truth=True) for spot in spots]
        raise self._error()

    def _where(self, spots: list[Spot]) -> list[Spot]:
        name = self._take()
        if name == "resolve":
            self._expect("(", ")", "is")
            only = self._take()
            return [replace(spot, only=only, targets=(only,)) for spot in spots]
        self._expect("=")
        wanted = self._take().strip("'").replace("/", "%2F")  # a slash parts the steps of a path
        return [replace(spot, path=(*spot.path[:-1], f"{spot.path[-1]}?{name}={wanted}")) for spot in spots]

    def _index(self, spots: list[Spot]) -> list[Spot]:
        self._expect("0", "]")
        return [replace(spot, path=(*spot.path[:-1], spot.path[-1].rstrip("*") + "[0]")) for spot in spots]

    def _truth(self, spots: list[Spot]) -> list[Spot]:
        # Only the form `X.exists() and X != false`, as Patient.deceased has it: is it there, and not false?
        self._expect("and")
        again = self._path()
        self._expect("!=", "false")
        if [spot.path for spot in again] != [spot.path for spot in spots]:
            raise self._error()
        return spots

    def _named(self, spots: list[Spot], name: str) -> list[Spot]:
        return [child for spot in spots for child in self._structures.children(spot, name)]

    def _of_type(self, spots: list[Spot], name: str) -> list[Spot]:
        kept = [spot for spot in spots if spot.type == name]
        if not kept:
            raise Unresolvable(f"{self._term}: nothing there is a {name}")
        return kept

    def _peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _take(self) -> str:
        if not self._tokens:
            raise self._error()
        return self._tokens.pop(0)

    def _expect(self, *wanted: str) -> None:
        for token in wanted:
            if self._take() != token:
                raise self._error()

    def _error(self) -> Unresolvable:
        return Unresolvable(f"outside the subset: {self._term}")


def _tokens(term: str) -> Iterator[str]:
    at = 0
    while at < len(term):
        found = _TOKEN.match(term, at)
        if found is None:
            raise Unresolvable(f"outside the subset: {term}")
        at = found.end()
        yield found[1]
