"""Every search of US Core 7.0.0 over the synthetic clinic, from raw request to Bundle, against a naive second opinion.

tests/vectors/search/us_core.json holds the guide's 110 combinations over 24 types as facts. Each is asked as the test kits
ask it: by GET and as POST _search, with `patient=id` and `patient=Patient/id`, tokens as `system|code` and bare, dates with
each comparator, statuses with commas, with the Provenance of what was found, page by page. The clinic has no deceased
patient of every kind, so one is added, and a Provenance for each type.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

import pytest

from fhir_search import oracle, oracle_links
from fhir_search.definitions import definitions, select
from fhir_search.readings import texts, tokens
from fhir_search.vectors import load
from medlock.fhir.clinic import clinic
from medlock.fhir.request import Frame, Request, parse
from records.world import BASE, World, clinician, open_world

Resource = dict[str, Any]
Params = list[tuple[str, str]]
FACTS = load("us_core")
SEARCHES = [(type_, names.split()) for type_, names, _ in FACTS["searches"]]
NAMES = [f"{type_}?{'&'.join(names)}" for type_, names in SEARCHES]
COMPARATORS = ("", "gt", "ge", "lt", "le", "ne", "sa", "eb")
FORM = {b"content-type": b"application/x-www-form-urlencoded"}
DEAD = {
    "resourceType": "Patient",
    "id": "late",
    "name": [{"family": "Ashgrove", "given": ["Wilma"]}],
    "gender": "female",
    "birthDate": "1931-02-03",
    "deceasedDateTime": "2024-05-06T07:08:00Z",
    "identifier": [{"system": "urn:clinic:mrn", "value": "late-1"}],
}


@dataclass(frozen=True)
class Clinic:
    """The world, its loop, and every resource in it as the server tells it, by type."""

    world: World
    loop: asyncio.AbstractEventLoop
    by_type: dict[str, list[Resource]]

    def ask(self, method: str, address: str, params: Params) -> list[Resource]:
        """Every page of a request, all entries."""
        text = urlencode(params)
        asked = (text, b"") if method == "GET" else ("", text.encode())
        path = address if method == "GET" else f"{address}/_search"
        bundle = self._told(Request(method, path.encode(), asked[0].encode(), FORM if asked[1] else {}, asked[1]))
        entries = list(bundle.get("entry", []))
        total = bundle["total"]
        while link := next((each["url"] for each in bundle["link"] if each["relation"] == "next"), ""):
            path, _, query = link.removeprefix(BASE).partition("?")
            bundle = self._told(Request("GET", path.encode(), query.encode()))
            entries += bundle["entry"]
        assert total == sum(each["search"]["mode"] == "match" for each in entries)
        return entries

    def _told(self, request: Request) -> dict[str, Any]:
        question = parse(request, Frame(self.world.clock.now_ms(), 1000, BASE))
        shown = self.loop.run_until_complete(self.world.door.answer(clinician(), question))
        found: dict[str, Any] = json.loads(shown.body)
        return found

    def matches(self, type_: str, params: Params, method: str = "GET") -> set[str]:
        """Ids of the matches, each once."""
        entries = self.ask(method, f"/{type_}", params)
        found = [each["resource"]["id"] for each in entries if each["search"]["mode"] == "match"]
        assert len(found) == len(set(found))
        return set(found)

    def expected(self, type_: str, params: Params) -> set[str]:
        """What the naive search finds."""
        world = [each for kind in self.by_type.values() for each in kind] if is_chained(params) else None
        return {each["id"] for each in oracle.search(self.by_type[type_], type_, params, base_url=BASE, world=world)}


def is_chained(params: Params) -> bool:
    """Whether any parameter leads elsewhere."""
    return any(oracle_links.is_link(name) for name, _ in params)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Twelve patients with their charts, loaded bundle by bundle through the door."""
    loop = asyncio.new_event_loop()
    world = loop.run_until_complete(open_world(tmp_path_factory.mktemp("uscore") / "data"))
    bundles = list(clinic(12, 12, today=date(2026, 11, 23)))
    for entry in (entry for bundle in bundles for entry in bundle["entry"]):
        if entry["resource"]["resourceType"] == "Consent":  # nobody withholds anything: what is shown is what is there
            entry["resource"]["provision"].pop("provision", None)
    for bundle in bundles:
        loop.run_until_complete(world.transact(bundle["entry"]))
    loop.run_until_complete(world.put(DEAD))
    written = [entry["resource"] for bundle in bundles for entry in bundle["entry"]] + [DEAD]
    for resource in {each["resourceType"]: each for each in written}.values():
        loop.run_until_complete(world.put(_provenance(resource)))
    by_type: dict[str, list[Resource]] = defaultdict(list)
    made = Clinic(world, loop, by_type)
    for type_ in sorted({each["resourceType"] for each in written} | {"Provenance"}):
        by_type[type_] = [each["resource"] for each in made.ask("GET", f"/{type_}", [("_count", "1000")])]
    assert {type_ for type_, _ in SEARCHES} <= set(by_type)
    yield made
    loop.run_until_complete(world.close())
    loop.close()


def _provenance(resource: Resource) -> Resource:
    name = f"{resource['resourceType']}/{resource['id']}"
    return {
        "resourceType": "Provenance",
        "id": f"of-{resource['resourceType']}",
        "target": [{"reference": name}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"display": "somebody"}}],
    }


def values_of(resource: Resource, name: str) -> Iterator[str]:
    """What a resource says under a search parameter, each as one would type it."""
    definition = definitions().parameter(resource["resourceType"], name)
    assert definition is not None
    for node in select(resource, definition["expression"]):
        if definition["type"] == "token":
            yield from (f"{system}|{code}" if system else code for system, code in tokens(node))
        elif definition["type"] == "date":
            at = node.value.get("start") if isinstance(node.value, dict) else node.value
            yield str(at) if name == "_lastUpdated" else str(at)[:10]
        elif definition["type"] == "reference":
            yield node.value["reference"] if isinstance(node.value, dict) else node.value
        else:
            yield from (text.replace(",", "\\,") for text in texts(node))


def kind_of(type_: str, name: str) -> str:
    """The type of a search parameter, as its definition says."""
    definition = definitions().parameter(type_, name)
    assert definition is not None
    return str(definition["type"])


def sample(clinic: Clinic, type_: str, names: list[str]) -> Params:
    """Parameters taken from the last resource of the type that has a value for each."""
    for resource in reversed(clinic.by_type[type_]):
        params = [(name, next(iter(values_of(resource, name)), "")) for name in names]
        if all(value for _, value in params):
            return params
    raise AssertionError(f"the clinic has no {type_} with {names}")


def respelled(params: Params) -> Iterator[Params]:
    """The other spellings of the same question."""
    yield [(name, text.removeprefix("Patient/") if name == "patient" else text) for name, text in params]
    yield [(name, f"{BASE}/{text}" if name == "patient" else text) for name, text in params]


def test_the_facts_are_whole() -> None:
    """110 combinations over 24 types, 51 of them SHALL; 12 parameters whose values may be or-ed."""
    assert len(SEARCHES) == len(set(NAMES)) == 110
    assert len({type_ for type_, _ in SEARCHES}) == 24
    assert sum(conformance == "SHALL" for *_, conformance in FACTS["searches"]) == 51
    assert len(FACTS["multiple_or"]) == 12


@pytest.mark.parametrize(("type_", "names"), SEARCHES, ids=NAMES)
def test_each_combination(loaded: Clinic, type_: str, names: list[str]) -> None:
    """GET, POST and each spelling of the patient find exactly what the naive search finds, and something."""
    params = [
        (name, f"ge{text}" if kind_of(type_, name) == "date" else text) for name, text in sample(loaded, type_, names)
    ]
    expected = loaded.expected(type_, params)
    assert expected
    assert loaded.matches(type_, params) == expected
    assert loaded.matches(type_, params, "POST") == expected
    for other in respelled(params) if "patient" in names else ():
        assert loaded.matches(type_, other) == expected
        assert loaded.matches(type_, other, "POST") == expected
    assert loaded.matches(type_, [*params, ("_count", "2")]) == expected


TOKENS = [
    (type_, names)
    for type_, names in SEARCHES
    if any(kind_of(type_, name) == "token" and name != "_id" for name in names)
]


@pytest.mark.parametrize(("type_", "names"), TOKENS, ids=[f"{type_}?{'&'.join(names)}" for type_, names in TOKENS])
def test_tokens_with_and_without_their_system(loaded: Clinic, type_: str, names: list[str]) -> None:
    """`system|code` and `code` both find something, the former never more, each what the naive search finds."""
    params = sample(loaded, type_, names)
    bare = [(name, text.rpartition("|")[2] if kind_of(type_, name) == "token" else text) for name, text in params]
    found = loaded.matches(type_, params)
    assert found == loaded.expected(type_, params)
    assert found <= loaded.matches(type_, bare) == loaded.expected(type_, bare)


DATED = [(type_, names) for type_, names in SEARCHES if any(kind_of(type_, name) == "date" for name in names)]


@pytest.mark.parametrize("prefix", COMPARATORS)
@pytest.mark.parametrize(("type_", "names"), DATED, ids=[f"{type_}?{'&'.join(names)}" for type_, names in DATED])
def test_comparators(loaded: Clinic, type_: str, names: list[str], prefix: str) -> None:
    """Each comparator on each date, by day and to the second, and a range of two."""
    params = sample(loaded, type_, names)
    (at,) = [index for index, name in enumerate(names) if kind_of(type_, name) == "date"]
    name, text = params[at]
    for moment in (text, f"{text[:10]}T12:00:00-05:00"):
        asked = [*params[:at], (name, prefix + moment), *params[at + 1 :]]
        assert loaded.matches(type_, asked) == loaded.expected(type_, asked), asked
    if prefix in {"ge", "gt"}:
        asked.append((name, f"le{int(text[:4]) + 1}"))
        assert loaded.matches(type_, asked) == loaded.expected(type_, asked), asked


@pytest.mark.parametrize(("type_", "name"), FACTS["multiple_or"])
def test_values_with_commas(loaded: Clinic, type_: str, name: str) -> None:
    """Values with commas are or-ed: what each finds alone, and no more."""
    values = sorted({value for each in loaded.by_type[type_] for value in values_of(each, name)})[:3]
    alone = [loaded.matches(type_, [(name, value)]) for value in [*values, "unknown"]]
    assert set().union(*alone) == loaded.matches(type_, [(name, ",".join([*values, "unknown"]))]) != set()


@pytest.mark.parametrize("type_", sorted({type_ for type_, _ in SEARCHES}))
def test_provenance_of_what_was_found(loaded: Clinic, type_: str) -> None:
    """_revinclude=Provenance:target brings the Provenance of each match, and of nothing else."""
    (about,) = [each["target"][0]["reference"] for each in loaded.by_type["Provenance"] if each["id"] == f"of-{type_}"]
    entries = loaded.ask("GET", f"/{type_}", [("_id", about.partition("/")[2]), ("_revinclude", "Provenance:target")])
    included = {each["resource"]["id"] for each in entries if each["search"]["mode"] == "include"}
    every = loaded.by_type["Provenance"]
    assert included == {each["id"] for each in every if about in oracle_links.references(each, "target", BASE)}
    assert f"of-{type_}" in included


@pytest.mark.parametrize(("type_", "include"), FACTS["includes"], ids=[text for _, text in FACTS["includes"]])
def test_includes(loaded: Clinic, type_: str, include: str) -> None:
    """_include brings what the matches refer to, each once, and nothing else."""
    _, param, target = f"{include}:".split(":")[:3]
    named = {name for each in loaded.by_type[type_] for name in oracle_links.references(each, param, BASE)}
    entries = loaded.ask("GET", f"/{type_}", [("_include", include), ("_count", "1000")])
    included = [each["resource"] for each in entries if each["search"]["mode"] == "include"]
    found = [oracle_links.name_of(each) for each in included]
    assert sorted(found) == sorted(name for name in named if name.startswith(target)) != []


@pytest.mark.parametrize("param", ["identifier", "name"])
def test_roles_by_their_practitioner(loaded: Clinic, param: str) -> None:
    """The guide's one chain: PractitionerRole?practitioner.identifier and .name."""
    for person in loaded.by_type["Practitioner"][::6]:
        params = [(f"practitioner.{param}", next(iter(values_of(person, param))))]
        expected = loaded.expected("PractitionerRole", params)
        assert loaded.matches("PractitionerRole", params) == expected != set()
        assert loaded.matches("PractitionerRole", params, "POST") == expected


def test_other_chains_over_the_clinic(loaded: Clinic) -> None:
    """Chains, _has and composites find the same over thousands of records as the naive search."""
    patient = loaded.by_type["Patient"][0]
    family = patient["name"][0]["family"]
    asked: list[tuple[str, Params]] = [
        ("Observation", [("subject:Patient.family", family), ("code", "8867-4")]),
        ("Encounter", [("patient.birthdate", patient["birthDate"]), ("class", "AMB")]),
        ("Encounter", [("service-provider.name", "a"), ("patient", patient["id"])]),
        ("MedicationRequest", [("encounter.class", "AMB"), ("patient", patient["id"])]),
        ("Patient", [("_has:Condition:patient:clinical-status", "active")]),
        ("Patient", [("_has:MedicationRequest:patient:status", "active"), ("gender", "female")]),
        ("Practitioner", [("_has:PractitionerRole:practitioner:specialty:missing", "false"), ("active", "true")]),
        ("Specimen", [("_has:Provenance:target:_id", "of-Specimen")]),
        ("Observation", [("component-code-value-quantity", "8480-6$gt130")]),
        ("Observation", [("combo-code-value-quantity", "8867-4$lt70,8480-6$gt140"), ("patient", patient["id"])]),
        ("Condition", [("clinical-status:in", "http://hl7.org/fhir/ValueSet/condition-clinical")]),
        ("Encounter", [("class:below", "http://terminology.hl7.org/CodeSystem/v3-ActCode|_ActEncounterCode")]),
    ]
    for type_, params in asked:
        assert loaded.matches(type_, params) == loaded.expected(type_, params), (type_, params)
