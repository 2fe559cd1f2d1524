"""Chains, _has, several types and compartments through the door: bounds, refusals, the log, and what is left out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.audit.search import AuditQuery
from medlock.errors import BadRequest, Denied
from medlock.fhir.form import pairs
from medlock.fhir.grammar import parse_criteria
from medlock.fhir.question import Interaction, Preconditions
from medlock.records import chains, hits
from records.world import World, clinician, ids, open_world, patient


def person(id_: str, family: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "name": [{"family": family}], **more}


def weight(id_: str, whose: str, **more: Any) -> dict[str, Any]:
    subject = {"reference": f"Patient/{whose}"}
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"text": "w"},
        "subject": subject,
        **more,
    }


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[World]:
    """Two patients with some weights each, an encounter, an organization."""
    world = await open_world(tmp_path / "data")
    for each in (person("ann", "Ash"), person("bob", "Birch")):
        await world.put(each)
    await world.put({"resourceType": "Organization", "id": "org", "name": "North Clinic"})
    await world.put(
        {
            "resourceType": "Encounter",
            "id": "e1",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": "Patient/ann"},
            "serviceProvider": {"reference": "Organization/org"},
        }
    )
    await world.put(weight("a1", "ann", encounter={"reference": "Encounter/e1"}))
    await world.put(weight("a2", "ann"))
    await world.put(weight("b1", "bob"))
    yield world
    await world.close()


async def test_three_references_long(filled: World) -> None:
    """A chain follows references from resource to resource, through shared ones too, and nests with _has."""
    found = await filled.search(clinician(), "Observation", "encounter.service-provider.name=north")
    assert ids(found) == {"Observation/a1"}
    found = await filled.search(
        clinician(), "Organization", "_has:Encounter:service-provider:subject:Patient.family=ash"
    )
    assert ids(found) == {"Organization/org"}
    found = await filled.search(clinician(), "Organization", "_has:Encounter:service-provider:patient.family=birch")
    assert ids(found) == set()


async def test_what_is_deleted_leads_nowhere(filled: World) -> None:
    """A deleted resource is no link, in either direction."""
    await filled.ask(clinician(), Interaction.DELETE, "Observation", "a1")
    assert ids(await filled.search(clinician(), "Encounter", "_has:Observation:encounter:status=final")) == set()


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("subject:Patient.family=Ash", "user/Observation.rs"),
        ("subject:Patient.family=Ash", "user/Observation.rs user/Patient.r"),
        ("subject:Patient.family=Ash", "user/Observation.rs user/Patient.s"),
        ("encounter.service-provider.name=n", "user/Observation.rs user/Encounter.rs"),
        ("_has:Provenance:target:agent=Practitioner/x", "user/Observation.rs"),
        ("subject.identifier=x", "user/Observation.rs user/Patient.rs"),
        ("_list=x", "user/Observation.rs"),
    ],
)
async def test_every_type_on_the_way_must_be_allowed(filled: World, text: str, scopes: str) -> None:
    """A chain over a type that the caller may not both read and search is denied, and the log says why."""
    held = mint_principal("dr-x", frozenset({Role.CLINICIAN}), parse_scopes(scopes))
    with pytest.raises(Denied):
        await filled.search(held, "Observation", text)
    (newest,) = await filled.log.find(AuditQuery(limit=1))
    assert newest.event.outcome == "denied"
    assert newest.event.reason.startswith("denied: clinician may not")


async def test_conditions_for_writes_take_chains_and_are_decided_too(filled: World) -> None:
    """If-None-Exist with a chain finds what is there; whoever may not search the chain's type is denied."""
    query = parse_criteria("Observation", "encounter.service-provider.name=north", now_ms=0)
    body = b'{"resourceType":"Observation","status":"final","code":{"text":"w"},"subject":{"reference":"Patient/ann"}}'
    preconditions = Preconditions(if_none_exist=query)
    shown = await filled.ask(clinician(), Interaction.CREATE, "Observation", body=body, preconditions=preconditions)
    assert (shown.status, shown.version) == (200, "1")
    held = mint_principal(
        "dr-x", frozenset({Role.CLINICIAN}), parse_scopes("user/Observation.cruds user/Patient.rs user/Encounter.rs")
    )
    with pytest.raises(Denied):
        await filled.ask(held, Interaction.CREATE, "Observation", body=body, preconditions=preconditions)


async def test_conditional_changes_and_operations_decide_chains_too(filled: World) -> None:
    """Whatever takes search conditions takes chains, and needs the rights that they need."""
    narrow = mint_principal(
        "dr-x", frozenset({Role.CLINICIAN}), parse_scopes("user/Observation.cruds user/Encounter.rs")
    )
    for line, count in (
        ("GET Observation/$lastn?patient=ann&encounter.service-provider.name=north", 1),
        ("GET Observation?patient=ann&encounter.service-provider.name=north", 1),
        ("DELETE Observation?encounter.service-provider.name=north", 0),
    ):
        with pytest.raises(Denied):
            await filled.send(narrow, line.replace(" ", " /"))
        shown = await filled.send(clinician(), line.replace(" ", " /"))
        assert count == 0 or json.loads(shown.body)["total"] == count
    assert ids(await filled.search(clinician(), "Observation", "patient=ann")) == {"Observation/a2"}


async def test_too_many_on_the_way_is_refused(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More resources than a step may lead over, or targets than it may leave, are 400 too-costly."""
    monkeypatch.setattr(chains, "VALUES_MAX", 1)
    for type_, text in (
        ("Observation", "subject:Patient._id=ann,bob"),
        ("Encounter", "_has:Observation:encounter:_id=a1,a2"),
    ):
        if type_ == "Encounter":
            assert ids(await filled.search(clinician(), type_, text)) == {"Encounter/e1"}
            monkeypatch.setattr(chains, "LINKED_MAX", 1)
        with pytest.raises(BadRequest) as refused:
            await filled.search(clinician(), type_, text)
        assert [each.code for each in refused.value.problems] == ["too-costly"]


async def test_a_bound_counts_only_what_the_caller_may_see(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is no oracle: hidden resources do not count towards it."""
    monkeypatch.setattr(chains, "LINKED_MAX", 2)
    found = await filled.search(patient("ann"), "Patient", "_has:Observation:patient:status=final")
    assert ids(found) == {"Patient/ann"}
    with pytest.raises(BadRequest):
        await filled.search(clinician(), "Patient", "_has:Observation:patient:status=final")


async def test_several_types_are_bounded_together(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More hits of several types than can be put into one order are refused; of one type they are not."""
    monkeypatch.setattr(hits, "MERGED_MAX", 3)
    with pytest.raises(BadRequest) as refused:
        await filled.search_across(clinician(), "_type=Observation,Patient")
    assert [each.code for each in refused.value.problems] == ["too-costly"]
    assert len(ids(await filled.search_across(clinician(), "_type=Observation"))) == 3


async def test_a_compartment_search_is_written_down_for_its_patient(filled: World) -> None:
    """Also when nothing was found: the log of the patient has what was asked, in whose record."""
    await filled.search_across(clinician(), "code=nothing", "bob", "Condition")
    (newest,) = await filled.log.find(AuditQuery(limit=1))
    assert (newest.event.patient, newest.event.query) == ("bob", "Patient/bob/Condition?code=nothing")


async def test_links_of_several_types_and_compartments_lead_back(filled: World) -> None:
    """The self link of each form is its address, and the next link goes on at the same one."""
    for asked, within, type_, address in (
        ("_type=Observation,Patient&_count=2", "", "", "https://localhost:8443/fhir?"),
        ("_count=1", "ann", "", "https://localhost:8443/fhir/Patient/ann/*?"),
        ("_count=1", "ann", "Observation", "https://localhost:8443/fhir/Patient/ann/Observation?"),
    ):
        bundle = await filled.search_across(clinician(), asked, within, type_)
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        assert links["self"].startswith(address)
        assert links["next"].startswith(f"{address}_page=")
        token = links["next"].partition("_page=")[2]
        interaction = Interaction.SEARCH if type_ else Interaction.SEARCH_SYSTEM
        for elsewhere in ((interaction, type_, "bob"), (Interaction.SEARCH, "Condition", within)):
            with pytest.raises(BadRequest):
                await filled.ask(clinician(), *elsewhere, page=token)


async def test_the_audit_log_of_a_compartment(filled: World) -> None:
    """Patient/ann/AuditEvent is the view of her log, and of nobody else's."""
    found = await filled.search_across(patient("ann"), "_count=100", "ann", "AuditEvent")
    assert found["entry"]
    assert "Patient/bob" not in str(found)
    assert (await filled.search_across(patient("ann"), "_count=100", "bob", "AuditEvent")).get("entry", []) == []


async def test_composites_join_in_one_place(filled: World) -> None:
    """Through the index and the door as well: parts of two components do not join, and order does not matter."""
    pressure = [
        {"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value}}
        for code, value in (("s", 120), ("d", 80))
    ]
    await filled.put(weight("bp", "ann", component=pressure))
    for text, expected in (("s$gt100", {"Observation/bp"}), ("d$gt100", set()), ("d$gt100,d$lt90", {"Observation/bp"})):
        assert ids(await filled.search(clinician(), "Observation", f"component-code-value-quantity={text}")) == expected


async def test_near_a_place(filled: World) -> None:
    """Locations by distance, through the door."""
    for id_, latitude in (("here", 48.2), ("there", 49.2)):
        position = {"latitude": latitude, "longitude": 16.4}
        await filled.put({"resourceType": "Location", "id": id_, "position": position})
    await filled.put({"resourceType": "Location", "id": "nowhere"})
    for text, expected in (("48.2|16.4", {"here"}), ("48.2|16.4|120|km", {"here", "there"}), ("0|0|5", set())):
        found = await filled.search(clinician(), "Location", f"near={text}")
        assert ids(found) == {f"Location/{each}" for each in expected}


async def test_identifiers_by_type(filled: World) -> None:
    """:of-type finds the one identifier that has both."""
    kind = {"coding": [{"system": "urn:t", "code": "MR"}]}
    await filled.put(person("cat", "C", identifier=[{"type": kind, "value": "1"}, {"value": "2"}]))
    assert ids(await filled.search(clinician(), "Patient", "identifier:of-type=urn:t|MR|1")) == {"Patient/cat"}
    assert ids(await filled.search(clinician(), "Patient", "identifier:of-type=urn:t|MR|2")) == set()


async def test_shaping_over_several_types(filled: World) -> None:
    """Sorting, counting, elements and includes work on several types as on one; each resource keeps its own elements."""
    asked = "_type=Patient,Observation&_sort=_id&_elements=name,status"
    bundle = await filled.search_across(clinician(), asked)
    shown = [entry["resource"] for entry in bundle["entry"]]
    assert [each["id"] for each in shown] == ["a1", "a2", "ann", "b1", "bob"]
    assert all(("name" in each) is (each["resourceType"] == "Patient") for each in shown)
    assert all(("status" in each) is (each["resourceType"] == "Observation") for each in shown)
    counted = await filled.search_across(clinician(), "_type=Patient,Observation&_summary=count")
    assert (counted["total"], counted.get("entry")) == (5, None)
    included = await filled.search_across(clinician(), "_type=Encounter&_revinclude=Observation:encounter")
    assert ids(included) == {"Encounter/e1", "Observation/a1"}
    ordered = await filled.search_across(clinician(), "_type=Observation,Encounter&_sort=-_lastUpdated")
    assert [entry["resource"]["id"] for entry in ordered["entry"]] == ["b1", "a2", "a1", "e1"]


async def test_entries_of_a_bundle_ask_the_same(filled: World) -> None:
    """A batch takes chains, several types and compartments; each entry is decided by itself."""
    urls = ("Observation?subject:Patient.family=Ash", "?_type=Encounter", "Patient/bob/Observation", "Patient/bob/*")
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}).encode()
    for who, totals in ((clinician(), [2, 1, 1, 2]), (patient("ann"), [2, 1, 0, 0])):
        answer = json.loads((await filled.ask(who, Interaction.BATCH, body=body)).body)
        assert [each["resource"]["total"] for each in answer["entry"]] == totals


async def test_a_search_over_types_needs_each_of_them(filled: World) -> None:
    """One type that the caller may not search refuses the whole; in a compartment only what is left to the server is cut."""
    held = patient("ann", "patient/Observation.rs")
    with pytest.raises(Denied):
        await filled.search_across(held, "_type=Observation,Encounter")
    with pytest.raises(Denied):
        await filled.search_across(held, "_type=Observation,Encounter", "ann")
    with pytest.raises(Denied):
        await filled.search_across(held, "_has:Provenance:target:_id=x", "ann")
    assert ids(await filled.search_across(held, "", "ann")) == {"Observation/a1", "Observation/a2"}
    with pytest.raises(Denied):
        await filled.search_across(patient("ann", "patient/Practitioner.rs"), "", "ann")


def test_pairs_keep_their_order() -> None:
    """A chain's text survives the canonical form that links carry."""
    assert pairs(b"subject%3APatient.name=x") == (("subject:Patient.name", "x"),)
