"""Granular scopes at the door: what a scope's query does not mean is as if it were not there, on every path."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from medlock.access.decide import decide
from medlock.access.grant import Rules
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.residual import AnyOf
from medlock.access.scopes import parse_scopes
from medlock.errors import BadRequest, Denied, Gone, MedlockError, NotFound, PreconditionFailed, Tampered, Unprocessable
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction, Question
from medlock.records import read
from medlock.records.commit import Committer
from medlock.records.exporting import export
from medlock.records.projects import Projects
from medlock.records.reach import Reach
from records.world import World, clinician, ids, open_world

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB = f"category={CATEGORY}|laboratory"
SOCIAL = f"category={CATEGORY}|social-history"


def holder(scopes: str, held: str = "", role: Role = Role.CLINICIAN) -> Principal:
    """A caller with these scopes, held to a patient or not."""
    return mint_principal("app", frozenset({role}), parse_scopes(scopes), patient=held)


def observation(id_: str, category: str, **more: Any) -> dict[str, Any]:
    """An observation of Ann in one category; laboratory results have the value 1, all others 2."""
    made = {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "1-1"}]},
        "subject": {"reference": "Patient/ann"},
        "effectiveDateTime": "2024-01-01",
        "valueQuantity": {"value": 1 if category == "laboratory" else 2},
    }
    return made | more


@pytest.fixture(params=[LAB, "value-quantity=1"], ids=["columns", "bodies"])
def lab(request: pytest.FixtureRequest) -> str:
    """Laboratory results, as a query that columns decide, and as one of which they know nothing."""
    return str(request.param)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Ann with two laboratory results, one social history and one survey; a report that points at two of them."""
    world = await open_world(tmp_path / "data")
    for patient in ("ann", "bob"):
        await world.put({"resourceType": "Patient", "id": patient, "name": [{"family": patient}]})
    await world.put(observation("oldest", "procedure", code={"text": "other"}))
    await world.put(observation("lab1", "laboratory"))
    await world.put(observation("lab2", "laboratory", status="preliminary", effectiveDateTime="2024-02-01"))
    await world.put(observation("soc", "social-history", effectiveDateTime="2024-03-01"))
    await world.put(observation("sur", "survey", hasMember=[{"reference": "Observation/lab1"}]))
    await world.put(observation("bobs", "laboratory", subject={"reference": "Patient/bob"}))
    report = {
        "resourceType": "DiagnosticReport",
        "id": "rep",
        "status": "final",
        "code": {"text": "all"},
        "subject": {"reference": "Patient/ann"},
        "result": [{"reference": f"Observation/{each}"} for each in ("lab1", "soc", "sur")],
    }
    await world.put(report)
    yield world
    await world.close()


LABS = {"Observation/lab1", "Observation/lab2"}


@pytest.mark.parametrize("held", ["ann", ""])
async def test_a_search_finds_what_the_scope_means_and_counts_nothing_else(world: World, lab: str, held: str) -> None:
    """Hits, totals, counts, pages: of laboratory results only."""
    kind = "patient" if held else "user"
    who = holder(f"{kind}/Observation.rs?{lab} {kind}/Patient.rs", held)
    found = await world.search(who, "Observation", "patient=ann")
    assert (ids(found), found["total"]) == (LABS, 2)
    assert (await world.search(who, "Observation", "patient=ann&_summary=count"))["total"] == 2
    assert (await world.search(who, "Observation", "patient=ann&status=final&_sort=-date"))["total"] == 1
    assert (await world.search(who, "Observation", f"patient=ann&{SOCIAL}"))["total"] == 0
    page = await world.search(who, "Observation", "patient=ann&_count=1")
    assert len(page["entry"]) == 1
    assert page["total"] == 2


async def test_several_scopes_are_a_union(world: World, lab: str) -> None:
    """Two granular scopes on one type show what either means (row S-08)."""
    who = holder(f"patient/Observation.rs?{lab} patient/Observation.rs?{SOCIAL}", "ann")
    assert ids(await world.search(who, "Observation", "")) == LABS | {"Observation/soc"}


async def test_parameters_are_anded_and_values_ored(world: World) -> None:
    """`a&b` asks for both, `a,b` for either."""
    both = holder(f"patient/Observation.rs?{LAB}&status=final", "ann")
    assert ids(await world.search(both, "Observation", "")) == {"Observation/lab1"}
    either = holder("patient/Observation.rs?category=survey,social-history", "ann")
    assert ids(await world.search(either, "Observation", "")) == {"Observation/soc", "Observation/sur"}


async def test_what_columns_cannot_decide_is_decided_on_bodies(world: World) -> None:
    """`system|` stands in no column: totals and pages are exact all the same."""
    await world.put(observation("odd", "") | {"category": [{"coding": [{"system": "http://x", "code": "1"}]}]})
    who = holder(f"patient/Observation.rs?category={CATEGORY}|", "ann")
    found = await world.search(who, "Observation", "_count=10")
    assert (len(ids(found)), found["total"]) == (5, 5)
    assert "Observation/odd" not in ids(found)


@pytest.mark.parametrize("hidden", ["soc", "sur", "nothing-by-this-id"])
async def test_a_hidden_resource_reads_like_a_missing_one(world: World, lab: str, hidden: str) -> None:
    """read, vread, history, patch, delete, update and $validate answer alike: not found (rows S-06, X-S11)."""
    who = holder(f"user/Observation.cruds?{lab}")
    lines = (
        "GET /Observation/{}",
        "GET /Observation/{}/_history",
        "GET /Observation/{}/_history/1",
        "DELETE /Observation/{}",
        "GET /Observation/{}/$validate",
        "POST /Observation/{}/$validate?mode=delete",
    )
    refusals = [await refused(world, who, line.format(hidden)) for line in lines]
    refusals += [await refused(world, who, f"PUT /Observation/{hidden}", observation(hidden, "laboratory"))]
    add = [{"op": "add", "path": "/note", "value": [{"text": "x"}]}]
    patch = json.dumps(add).encode()
    refusals += [
        await refused(world, who, f"PATCH /Observation/{hidden}", patch, content_type="application/json-patch+json")
    ]
    assert {(type(each), str(each)) for each in refusals} == {(NotFound, str(refusals[0]))}


async def refused(world: World, who: Principal, line: str, body: Any = b"", **headers: str) -> MedlockError:
    """The refusal that a request meets."""
    with pytest.raises(MedlockError) as refusal:
        await world.send(who, line, body, **headers)
    return refusal.value


async def test_writes_stay_within_the_scope(world: World, lab: str) -> None:
    """A create outside is refused; so is an update that leads out; one within works (rows X-S16, X-S17)."""
    who = holder(f"user/Observation.cruds?{lab}")
    fresh = {name: value for name, value in observation("x", "survey").items() if name != "id"}
    assert isinstance(await refused(world, who, "POST /Observation", fresh), Denied)
    assert isinstance(await refused(world, who, "PUT /Observation/lab1", observation("lab1", "survey")), Denied)
    assert (await world.send(who, "PUT /Observation/lab1", observation("lab1", "laboratory"))).status == 200
    within = {name: value for name, value in observation("x", "laboratory").items() if name != "id"}
    assert (await world.send(who, "POST /Observation", within)).status == 201
    out = {"/category/0/coding/0/code": "survey", "/valueQuantity/value": 2}
    move = json.dumps([{"op": "replace", "path": path, "value": value} for path, value in out.items()]).encode()
    patched = await refused(world, who, "PATCH /Observation/lab1", move, content_type="application/json-patch+json")
    assert isinstance(patched, Denied)
    assert (await world.send(who, "DELETE /Observation/lab1")).status == 204
    assert isinstance(await refused(world, who, "GET /Observation/lab1"), Gone)


async def test_letters_of_different_scopes_do_not_mix(world: World, lab: str) -> None:
    """With r on one category and s on another each right is only where its own scope speaks."""
    who = holder(f"user/Observation.r?{lab} user/Observation.s?{SOCIAL}")
    assert (await world.send(who, "GET /Observation/lab1")).status == 200
    assert isinstance(await refused(world, who, "GET /Observation/soc"), NotFound)
    assert ids(await world.search(who, "Observation", "")) == {"Observation/soc"}
    history = json.loads((await world.send(who, "GET /Observation/_history")).body)
    assert (history.get("entry", []), history["total"]) == ([], 0)
    only_read = holder(f"user/Observation.r?{lab}")
    assert isinstance(await refused(world, only_read, "GET /Observation?code=1-1"), Denied)


async def test_includes_and_chains_follow_only_what_may_be_seen(world: World, lab: str) -> None:
    """_include, _revinclude, _has and chains pass over hidden resources: nothing of them can be inferred."""
    who = holder(f"user/Observation.rs?{lab} user/DiagnosticReport.rs user/Patient.rs")
    assert ids(await world.search(who, "DiagnosticReport", "_include=DiagnosticReport:result")) == {
        "DiagnosticReport/rep", "Observation/lab1"}  # fmt: skip
    every = "_id=ann&_revinclude=Observation:subject"
    assert ids(await world.search(who, "Patient", every)) == {"Patient/ann", *LABS}
    assert (await world.search(who, "DiagnosticReport", "result.category=survey"))["total"] == 0
    assert (await world.search(who, "DiagnosticReport", "result.category=laboratory"))["total"] == 1
    assert (await world.search(who, "Patient", "_has:Observation:subject:category=survey"))["total"] == 0
    assert (await world.search(who, "Patient", "_has:Observation:subject:category=laboratory"))["total"] == 2
    assert (await world.search(who, "Observation", "_id=lab1&_has:Observation:has-member:_id=sur"))["total"] == 0


async def test_everything_history_and_compartment_hold_no_more(world: World, lab: str) -> None:
    """$everything, histories of a type and of all, a compartment, $lastn: with exact totals and no empty next page."""
    who = holder(f"patient/*.rs?_tag=none patient/Patient.rs patient/Observation.rs?{lab}", "ann")
    shown = json.loads((await world.send(who, "GET /Patient/ann/$everything")).body)
    assert (ids(shown), shown["total"]) == ({"Patient/ann", *LABS}, 3)
    assert ids(await world.search_across(who, "", "ann")) == {"Patient/ann", *LABS}
    for line in ("GET /_history", "GET /Observation/_history?_count=2"):
        history = json.loads((await world.send(who, line)).body)
        assert {each for each in ids(history) if "Obs" in each} == LABS
        assert all(link["relation"] != "next" for link in history["link"])
    lastn = json.loads((await world.send(who, "GET /Observation/$lastn?patient=ann&max=9")).body)
    assert ids(lastn) == LABS


async def test_what_became_visible_shows_nothing_of_before(world: World, lab: str) -> None:
    """A resource that moved into the scope shows its later versions; one that moved out, or was deleted there, none."""
    await world.put(observation("soc", "laboratory"))
    await world.put(observation("lab1", "survey"))
    await world.ask(clinician(), "delete", "Observation", "sur")
    await world.ask(clinician(), "delete", "Observation", "lab2")
    who = holder(f"user/Observation.rs?{lab}")
    history = json.loads((await world.send(who, "GET /Observation/soc/_history")).body)
    assert [each["resource"]["meta"]["versionId"] for each in history["entry"]] == ["2"]
    assert isinstance(await refused(world, who, "GET /Observation/soc/_history/1"), NotFound)
    assert isinstance(await refused(world, who, "GET /Observation/lab1/_history/1"), NotFound)
    assert isinstance(await refused(world, who, "GET /Observation/sur"), NotFound)
    assert isinstance(await refused(world, who, "GET /Observation/lab2"), Gone)
    all_of_them = json.loads((await world.send(who, "GET /Observation/_history")).body)
    told = {each["fullUrl"].rpartition("/")[2] for each in all_of_them["entry"]}
    assert told == {"soc", "lab2", "bobs"}


LOOKS = (
    "GET /Observation?_count=50",
    "GET /Observation?_sort=code",
    "GET /Patient?_revinclude=Observation:subject",
    "GET /DiagnosticReport?_include=DiagnosticReport:result",
    "GET /DiagnosticReport?result.category=survey",
    "GET /Patient?_has:Observation:subject:category=survey",
    "GET /Patient/ann/$everything",
    "GET /Patient/ann/Observation",
    "GET /Observation/_history",
    "GET /_history",
    "GET /Observation/$lastn?patient=ann&max=9",
    "DELETE /Observation?category=survey",
    "PATCH /Observation?category=survey",
)


@pytest.mark.parametrize("line", LOOKS)
async def test_columns_that_lie_let_nothing_out(
    world: World, lab: str, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """Were the columns to hide nothing at all, bodies are asked before anything is shown, followed or changed."""
    monkeypatch.setattr(Reach, "narrowed", lambda _self, seen, *_: seen)
    monkeypatch.setattr(Reach, "undecided", lambda *_: False)
    who = holder(f"user/*.s?_tag=none user/Observation.cruds?{lab} user/Patient.rs user/DiagnosticReport.rs")
    before = await world.read(clinician(), "Observation/sur")
    body = b'[{"op":"add","path":"/note","value":[{"text":"x"}]}]' if line.startswith("PATCH") else b""
    try:
        shown = (await world.send(who, line, body, content_type="application/json-patch+json")).body
    except NotFound:
        shown = b""
    entries = json.loads(shown or b"{}").get("entry", [])
    names = {each["fullUrl"].partition("/fhir/")[2] for each in entries}
    assert names <= {*LABS, "Observation/bobs", "Patient/ann", "Patient/bob", "DiagnosticReport/rep"}
    assert not names or "survey" not in line
    assert await world.read(clinician(), "Observation/sur") == before


async def test_criteria_find_what_may_be_searched_and_read(world: World) -> None:
    """What is found by criteria is told of: both rights are asked of it; and what it may not create, nobody is given."""
    plain = {name: value for name, value in observation("x", "laboratory").items() if name != "id"}
    apart = holder(f"user/Observation.cr?{LAB} user/Observation.s?{SOCIAL}")
    made = await world.send(apart, "POST /Observation", plain, if_none_exist="category=social-history&patient=ann")
    assert made.status == 201
    creating = holder(f"user/Observation.rs user/Observation.c?{LAB}")
    found = await refused(world, creating, "POST /Observation", plain, if_none_exist="category=survey&code=1-1")
    assert isinstance(found, Denied)


async def test_a_right_to_write_is_asked_as_the_write_would(world: World, lab: str) -> None:
    """$validate asks u of what would be changed, and r only of the type; a researcher is given nothing by a query."""
    who = holder(f"user/Observation.u?{lab} user/Observation.r?{SOCIAL}")
    sent = observation("lab1", "laboratory")
    assert (await world.send(who, "PUT /Observation/lab1", sent)).status == 200
    assert (await world.send(who, "POST /Observation/lab1/$validate?mode=update", sent)).status == 200
    researcher = holder(f"user/Observation.rs?{lab}", role=Role.RESEARCHER)
    assert isinstance(
        await refused(world, researcher, "GET /$export?_type=Observation", prefer="respond-async"), Denied
    )


async def test_columns_that_lie_find_nothing_by_criteria(
    world: World, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of criteria: in If-None-Exist, in a reference, and of an update that would create."""
    monkeypatch.setattr(Reach, "narrowed", lambda _self, seen, *_: seen)
    monkeypatch.setattr(Reach, "undecided", lambda *_: False)
    who = holder(f"user/Observation.cruds?{lab}")
    plain = {name: value for name, value in observation("x", "laboratory").items() if name != "id"}
    assert (await world.send(who, "POST /Observation", plain, if_none_exist="category=survey")).status == 201
    assert (await world.send(who, "PUT /Observation?category=survey", plain)).status == 201
    pointing = plain | {"hasMember": [{"reference": "Observation?category=survey"}]}
    assert isinstance(await refused(world, who, "POST /Observation", pointing), Unprocessable)


async def test_a_handler_that_forgets_is_stopped_at_the_door(
    world: World, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a handler to bring what no scope means, the door would not let it go."""

    async def forgetful(*_: object) -> bool:
        return True

    monkeypatch.setattr(read, "told", forgetful)
    with pytest.raises(Tampered):
        await world.send(holder(f"user/Observation.rs?{lab}"), "GET /Observation/sur")


async def test_a_file_of_an_export_and_its_count(world: World, lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file holds what the scope means, its count is that of the file; columns that lie add nothing to the file."""
    who = holder(f"user/Observation.rs?{lab}")

    async def piece(file: str) -> bytes:
        options = ExportOptions(types=frozenset({"Observation"}), part=ExportPart(file=file))
        return (await world.door.answer(who, Question(Interaction.EXPORT, options=options))).body

    wanted = {"lab1", "lab2", "bobs"}
    assert {json.loads(line)["id"] for line in (await piece("Observation")).splitlines()} == wanted
    assert json.loads(await piece(""))["types"] == {"Observation": 3}
    for active in (True, False):
        await world.put({"resourceType": "Practitioner", "id": f"p-{active}", "active": active})
    monkeypatch.setattr(Reach, "narrowed", lambda _self, seen, *_: seen)
    assert {json.loads(line)["id"] for line in (await piece("Observation")).splitlines()} == wanted
    options = ExportOptions(types=frozenset({"Practitioner"}), part=ExportPart(file="Practitioner"))
    asked = Question(Interaction.EXPORT, options=options)
    (line,) = (await world.door.answer(holder("user/Practitioner.rs?active=true"), asked)).body.splitlines()
    assert json.loads(line)["id"] == "p-True"


async def test_of_two_patients_the_one_who_shows_it(world: World) -> None:
    """An appointment of two patients comes with the one whose rules admit it, in an export too."""
    both = [{"actor": {"reference": f"Patient/{each}"}, "status": "accepted"} for each in ("ann", "bob")]
    await world.put({"resourceType": "Appointment", "id": "app", "status": "proposed", "participant": both})
    options = ExportOptions(types=frozenset({"Appointment"}), part=ExportPart(file="Appointment"))
    grant = decide(clinician(), Question(Interaction.EXPORT, options=options))
    refusing = Rules(frozenset({"Appointment"}), residuals={"Appointment": AnyOf(())})
    shown = structs.replace(grant, rules={"ann": refusing}, everyone=Rules(frozenset({"Appointment"})))
    question = Question(Interaction.EXPORT, options=options)
    found = await export(world.vault, shown, question, Projects(), world.clock.now_ms())
    assert [each.meta.id for each in found.disclosed] == ["app"]
    hidden = structs.replace(shown, rules={"ann": refusing, "bob": refusing})
    assert not (await export(world.vault, hidden, question, Projects(), world.clock.now_ms())).disclosed


async def test_a_race_does_not_slip_between_look_and_write(
    world: World, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resource that leaves the scope between the look and the commit is not changed: the question starts over."""
    who = holder(f"user/Observation.cruds?{lab}")
    stage, moved = Committer._slots, []

    async def late(self: Committer, *given: Any) -> list[int]:
        if not moved:
            moved.append(True)
            await world.put(observation("lab1", "survey"))
        return await stage(self, *given)

    for line, body in (("PUT /Observation/lab1", observation("lab1", "laboratory")), ("DELETE /Observation/lab1", b"")):
        await world.put(observation("lab1", "laboratory"))
        moved.clear()
        monkeypatch.setattr(Committer, "_slots", late)
        assert isinstance(await refused(world, who, line, body), NotFound)
        monkeypatch.setattr(Committer, "_slots", stage)
        assert (await world.read(clinician(), "Observation/lab1"))["category"] == observation("", "survey")["category"]


async def test_events_of_the_log_are_within_a_scope_too(world: World) -> None:
    """A granular scope on AuditEvent shows the events that it means, by search and by id."""
    role = Role.PRIVACY_OFFICER
    every = await world.search(holder("user/AuditEvent.rs", role=role), "AuditEvent", "_count=500")
    updates = [each["resource"]["id"] for each in every["entry"] if each["resource"]["action"] in "CU"]
    who = holder("user/AuditEvent.rs?action=C,U", role=role)
    found = await world.search(who, "AuditEvent", "_count=500")
    assert {each["resource"]["id"] for each in found["entry"]} == set(updates)
    others = [each["resource"]["id"] for each in every["entry"] if each["resource"]["action"] not in "CU"]
    await world.read(clinician(), "Patient/ann")
    later = await world.search(holder("user/AuditEvent.rs", role=role), "AuditEvent", "action=R&_count=1")
    others.append(later["entry"][0]["resource"]["id"])
    for id_ in others:
        assert isinstance(await refused(world, who, f"GET /AuditEvent/{id_}"), NotFound)


async def test_a_group_outside_the_scope_is_exported_by_nobody(world: World) -> None:
    """The members of a Group are read within the scopes: one that they do not mean is not there."""
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True}
    await world.put(group | {"member": [{"entity": {"reference": "Patient/ann"}}]})
    options = ExportOptions(types=frozenset({"Patient"}), part=ExportPart(file="Patient"))
    for scope, there in (("user/Group.rs?type=person", True), ("user/Group.rs?type=animal", False)):
        asked = world.ask(holder(f"{scope} user/Patient.rs"), Interaction.EXPORT, "Group", "g", options=options)
        if there:
            assert json.loads((await asked).body)["id"] == "ann"
        else:
            with pytest.raises(NotFound):
                await asked


async def test_references_and_criteria_do_not_tell_of_hidden_resources(world: World, lab: str) -> None:
    """Whoever names a hidden resource, by reference or by criteria, is answered as if it were not there."""
    who = holder(f"user/Observation.cruds?{lab}")
    plain = {name: value for name, value in observation("x", "laboratory").items() if name != "id"}
    for target in ("Observation/sur", "Observation/nobody", "Observation?category=survey&patient=ann"):
        pointing = plain | {"hasMember": [{"reference": target}]}
        refusal = await refused(world, who, "POST /Observation", pointing)
        assert "does not lead to a resource" in "".join(each.text for each in refusal.problems)
    assert (
        await world.send(who, "POST /Observation", plain | {"hasMember": [{"reference": "Observation/lab1"}]})
    ).status == 201
    made = await world.send(who, "POST /Observation", plain, if_none_exist="category=survey&patient=ann")
    assert made.status == 201
    assert (await world.send(who, "DELETE /Observation?category=survey")).status == 204
    assert (await world.read(clinician(), "Observation/sur"))["id"] == "sur"
    several = await refused(world, who, "DELETE /Observation?patient=ann&code=1-1")
    assert isinstance(several, PreconditionFailed)


async def test_bundles_are_no_way_round(world: World, lab: str) -> None:
    """In a batch each entry is decided by itself; a transaction with one forbidden entry writes nothing (X-S21)."""
    who = holder(f"user/Observation.cruds?{lab}")
    entries = [{"request": {"method": "GET", "url": f"Observation/{each}"}} for each in ("lab1", "sur", "nobody")]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answers = json.loads((await world.send(who, "POST /", batch)).body)["entry"]
    assert [each["response"]["status"][:3] for each in answers] == ["200", "404", "404"]
    writes = [
        {"resource": observation("lab1", "laboratory"), "request": {"method": "PUT", "url": "Observation/lab1"}},
        {"request": {"method": "DELETE", "url": "Observation/sur"}},
    ]
    with pytest.raises(NotFound):
        await world.transact(writes, who)
    assert (await world.read(clinician(), "Observation/lab1"))["meta"]["versionId"] == "1"


async def test_a_question_to_the_whole_server_needs_a_scope_on_every_type(world: World) -> None:
    """System-level search and history need `*.s` (row X-S22)."""
    narrow = holder("user/Observation.rs user/Patient.rs")
    for line in ("GET /_history", "GET /?_type=Observation"):
        assert isinstance(await refused(world, narrow, line), Denied)
    assert (await world.send(holder("user/*.rs"), "GET /?_type=Observation")).status == 200


async def test_an_update_that_creates_needs_u_and_no_more(world: World, lab: str) -> None:
    """`.u` covers an upsert (row X-S15), but not where some are hidden: that an id is free would tell of others."""
    assert (
        await world.send(holder("user/Observation.u"), "PUT /Observation/new", observation("new", "survey"))
    ).status == 201
    assert isinstance(await refused(world, holder("user/Observation.u"), "DELETE /Observation/new"), Denied)
    narrow = holder(f"user/Observation.u?{lab}")
    assert isinstance(
        await refused(world, narrow, "PUT /Observation/other", observation("other", "laboratory")), NotFound
    )


async def test_too_little_is_refused_before_anything_is_fetched(world: World) -> None:
    """A type without any scope is denied whatever other types have."""
    who = holder(f"user/Observation.rs?{LAB}")
    for line in ("GET /Patient/ann", "GET /Observation?subject:Patient.name=ann", "GET /Patient?_id=ann"):
        assert isinstance(await refused(world, who, line), Denied)
    with pytest.raises(BadRequest):
        parse_scopes("user/Observation.rs?code:in=http://x")
