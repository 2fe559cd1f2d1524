"""Writes src/medlock/fhir/data/r4-terms.json.zst: the terminology that :in, :not-in, :above and :below know.

Kept of HL7's R4 package: code systems that HL7 owns and that are complete, each code with the codes above it; and the
value sets whose content follows from those systems alone (whole systems, listed codes, is-a and descendent-of filters,
imports, exclusions). Left out, and so refused by the server by name: everything that carries another owner's notice
(SNOMED CT, LOINC, UCUM, DICOM, ISO …), examples, and value sets that select in another way.

Run by `make definitions`; a test compares what is shipped with what this makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import zstandard
from r4_package import read_resources

TARGET = Path(__file__).parent.parent / "src" / "medlock" / "fhir" / "data" / "r4-terms.json.zst"
OURS = ("http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/")
NOT_OURS = {"http://hl7.org/fhir/spdx-license"}
CODES_MAX = 2_000  # a larger set would be a search for thousands of values

Json = dict[str, Any]
Codes = dict[str, list[str]]  # code → the codes right above it
Pair = tuple[str, str]


class Unknown(Exception):
    """The value set rests on what is not kept."""


def is_ours(definition: Json) -> bool:
    """Whether HL7 itself owns the content, as the notice says."""
    return str(definition.get("copyright", "HL7 ")).startswith("HL7 ")


def is_kept(system: Json) -> bool:
    """Whether a code system may ship and is all there."""
    url = str(system["url"])
    return url.startswith(OURS) and url not in NOT_OURS and system["content"] == "complete" and is_ours(system)


def codes(concepts: Iterable[Json], above: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each code with the one that it stands under."""
    for concept in concepts:
        yield concept["code"], above
        yield from codes(concept.get("concept", ()), (concept["code"],))


def hierarchy(system: Json) -> Codes:
    """The codes of a system; one that stands in several places is under several codes."""
    found: dict[str, list[str]] = {}
    for code, above in codes(system.get("concept", ())):
        known = found.setdefault(code, [])
        known += [each for each in above if each not in known]
    return found


def below(system: Codes, top: str) -> set[str]:
    """The code and everything under it."""
    if top not in system:
        raise Unknown(top)
    found, fresh = {top}, {top}
    while fresh:
        fresh = {code for code, above in system.items() if not fresh.isdisjoint(above)} - found
        found |= fresh
    return found


class Expander:
    """Expands value sets over the kept systems."""

    def __init__(self, systems: dict[str, Codes], sets: dict[str, Json]) -> None:
        self._systems = systems
        self._sets = sets

    def expand(self, url: str, path: tuple[str, ...] = ()) -> set[Pair]:
        """All (system, code) of a value set. Raises Unknown."""
        definition = self._sets.get(url.partition("|")[0])
        if definition is None or not is_ours(definition) or url in path or "compose" not in definition:
            raise Unknown(url)
        compose = definition["compose"]
        found: set[Pair] = set().union(*(self._part(part, (*path, url)) for part in compose["include"]))
        return found.difference(*(self._part(part, (*path, url)) for part in compose.get("exclude", ())))

    def _part(self, part: Json, path: tuple[str, ...]) -> set[Pair]:
        """One include or exclude: what all its conditions leave."""
        chosen = [self.expand(url, path) for url in part.get("valueSet", ())]
        if "system" in part:
            chosen.append({(part["system"], code) for code in self._selected(part)})
        return set.intersection(*chosen)

    def _selected(self, part: Json) -> set[str]:
        system = self._systems.get(part["system"])
        if system is None:
            raise Unknown(part["system"])
        if "concept" in part:
            return {concept["code"] for concept in part["concept"]}
        return set(system).intersection(*(_filtered(system, each) for each in part.get("filter", ())))


def _filtered(system: Codes, condition: Json) -> set[str]:
    if (condition["property"], condition["op"]) == ("concept", "is-a"):
        return below(system, condition["value"])
    if (condition["property"], condition["op"]) == ("concept", "descendent-of"):
        return below(system, condition["value"]) - {condition["value"]}
    raise Unknown(condition["op"])


def table(definitions: Iterable[Json]) -> Json:
    """The whole content of the file, from every definition in the package."""
    found = list(definitions)
    systems = {each["url"]: hierarchy(each) for each in found if each["resourceType"] == "CodeSystem" and is_kept(each)}
    expander = Expander(systems, {each["url"]: each for each in found if each["resourceType"] == "ValueSet"})
    sets = {
        each["url"]: _written(expander, each["url"], systems) for each in found if each["resourceType"] == "ValueSet"
    }
    written = {url: [[code, *above] for code, above in of.items()] for url, of in systems.items()}
    return {"systems": written, "sets": {url: parts for url, parts in sets.items() if parts}}


def _written(expander: Expander, url: str, systems: dict[str, Codes]) -> list[list[Any]]:
    """A value set as [system, its codes] or, where it takes all of a system, [system]; empty when it is not kept."""
    try:
        pairs = expander.expand(url)
    except Unknown:
        return []
    by_system: dict[str, set[str]] = {}
    for system, code in pairs:
        by_system.setdefault(system, set()).add(code)
    if not 0 < len(pairs) <= CODES_MAX:
        return []
    return [
        [system] if chosen == set(systems[system]) else [system, sorted(chosen)]
        for system, chosen in sorted(by_system.items())
    ]


def render(content: Json) -> bytes:
    """The content as JSON with one spelling only."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def main() -> None:
    """Distil and write."""
    content = table(read_resources("CodeSystem", "ValueSet"))
    data = render(content)
    TARGET.write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
    counts = f"{len(content['systems'])} code systems, {len(content['sets'])} value sets"
    print(f"{TARGET.name}: {counts}, {len(data)} B of JSON in {TARGET.stat().st_size} B")


if __name__ == "__main__":
    main()
