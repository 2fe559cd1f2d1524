"""Value sets and hierarchies, naively: straight from the package's CodeSystem and ValueSet resources."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from fhir_search.definitions import definitions, package

Concept = dict[str, Any]


@cache
def _systems() -> dict[str, dict[str, Any]]:
    return {each["url"]: each for each in package().read_resources("CodeSystem")}


def _walk(concepts: list[Concept], above: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each code with all codes on the way down to it."""
    for concept in concepts:
        yield concept["code"], above
        yield from _walk(concept.get("concept", []), (*above, concept["code"]))


def codes_in(value_set: str) -> set[tuple[str, str]]:
    """The (system, code) of a value set of the package."""
    compose = definitions().value_sets[value_set]["compose"]
    included = {pair for part in compose["include"] for pair in _part(part)}
    return included - {pair for part in compose.get("exclude", []) for pair in _part(part)}


def _part(part: dict[str, Any]) -> set[tuple[str, str]]:
    imported = [codes_in(url) for url in part.get("valueSet", [])]
    if "system" not in part:
        return set.intersection(*imported)
    walked = list(_walk(_systems()[part["system"]].get("concept", [])))
    chosen = {concept["code"] for concept in part["concept"]} if "concept" in part else {code for code, _ in walked}
    for wanted in part.get("filter", []):
        under = {code for code, above in walked if wanted["value"] in above}
        chosen &= under | ({wanted["value"]} if wanted["op"] == "is-a" else set())
    return set.intersection({(part["system"], code) for code in chosen}, *imported)


def below(system: str, code: str) -> set[str]:
    """The code and every code under it."""
    return {code} | {each for each, above in _walk(_systems()[system]["concept"]) if code in above}


def above(system: str, code: str) -> set[str]:
    """The code and every code over it."""
    return {code} | {each for here, over in _walk(_systems()[system]["concept"]) if here == code for each in over}
