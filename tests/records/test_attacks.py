"""What an attacker with a valid token tries: to learn of others, to hide, to escape a compartment, to exhaust."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from medlock.access import decide
from medlock.access.grant import Grant, Rules
from medlock.access.principal import Principal
from medlock.audit.search import AuditQuery
from medlock.errors import BadRequest, Unprocessable
from medlock.fhir.question import Interaction, Question
from medlock.fhir.request import Request, parse
from medlock.records import hits
from medlock.settings import Limits
from records.world import BASE, World, clinician, ids, officer, open_world, patient


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two patients with a weight each, behind small limits."""
    made = await open_world(tmp_path / "data", Limits(include_max=5))
    for who in ("ann", "bob"):
        await made.put({"resourceType": "Patient", "id": who, "name": [{"family": who}]})
        await made.put(weight(f"w-{who}", who))
    yield made
    await made.close()


def weight(id_: str, who: str) -> dict[str, object]:
    """An Observation of a patient."""
    subject = {"reference": f"Patient/{who}"}
    return {"resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "weight"}, "subject": subject}


async def test_a_patient_does_not_learn_who_else_was_asked_for(world: World) -> None:
    """What was searched for names other people: the patient's own view of the log leaves it out, the officer's has it."""
    await world.search(clinician(), "Observation", "patient=ann,bob")
    await world.search(clinician(), "Patient", "name=ann,bob")
    for who in (patient("ann"), officer()):
        events = (await world.search(who, "AuditEvent", "patient=ann"))["entry"]
        shown = json.dumps(events)
        queries = [
            base64.b64decode(entity["query"]).decode()
            for event in events
            for entity in event["resource"]["entity"]
            if "query" in entity
        ]
        assert "w-ann" in shown
        assert ("bob" in shown + "".join(queries)) is (who.patient == "")
        for event in events:
            read = await world.read(who, f"AuditEvent/{event['resource']['id']}")
            assert read == event["resource"]


@pytest.mark.parametrize(
    "shape", ["_summary=count", "_count=0", "_elements=id", "_total=accurate", "_sort=date", "_summary=true"]
)
async def test_the_audit_view_has_one_shape(world: World, shape: str) -> None:
    """A directive that the view does not follow is refused: _count=0 once brought a whole stretch of the log."""
    with pytest.raises(BadRequest):
        await world.search(officer(), "AuditEvent", shape)
    assert len((await world.search(officer(), "AuditEvent", "_count=2"))["entry"]) == 2


@pytest.mark.parametrize(
    "spelling",
    [
        BASE.replace("/", r"\/") + r"\/Patient\/ann",
        BASE + r"/Pati\u0065nt/ann",
        r"Pati\u0065nt/ann",
        BASE.replace("https", r"\u0068ttps") + "/Patient/ann",
        BASE + "/Patient/ann/_history/1",
    ],
)
async def test_no_spelling_of_a_reference_escapes_the_compartment(world: World, spelling: str) -> None:
    """A reference to a patient is one however it is escaped: what it stands in is that patient's, or refused."""
    plain = json.dumps(weight("x", "?")).replace("Patient/?", spelling)
    asked = Question(Interaction.UPDATE, "Observation", "x", body=plain.encode())
    with suppress(Unprocessable):
        await world.door.answer(clinician(), asked)
        assert ids(await world.search(clinician(), "Observation", "patient=ann")) == {
            "Observation/w-ann",
            "Observation/x",
        }
        assert (await world.read(patient("ann"), "Observation/x"))["id"] == "x"


async def test_everybody_a_resource_names_owns_it(world: World) -> None:
    """A type outside the compartment that names two patients under one parameter is found by either of them."""
    subjects = [{"reference": "Patient/ann"}, {"reference": "Patient/bob"}]
    await world.put({"resourceType": "Contract", "id": "c", "subject": subjects})
    for who in ("ann", "bob"):
        assert ids(await world.search(clinician(), "Contract", f"subject=Patient/{who}")) == {"Contract/c"}


async def test_an_include_stops_where_its_bound_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many included resources are refused before they are all opened."""
    for number in range(40):
        await world.put(weight(f"many-{number}", "ann"))
    opened = []
    fetch = world.vault.fetch

    async def counted(rows):
        opened.extend(rows)
        return await fetch(rows)

    monkeypatch.setattr(type(world.vault), "fetch", lambda _, rows, _unproven=(): counted(rows))
    with pytest.raises(BadRequest):
        await world.search(clinician(), "Patient", "_id=ann&_revinclude=Observation:subject")
    assert len(opened) <= 2 * 5 + 1


async def test_a_page_link_always_works(world: World) -> None:
    """However long a question is, it is refused, or its next link can be followed."""
    for count in (10, 100, 400):
        values = ",".join(f"{'v' * 64}-{number}" for number in range(count))
        text = f"subject=Patient/ann,Patient/bob&identifier:not={values}&_count=1"
        try:
            bundle = await world.search(clinician(), "Observation", text)
        except BadRequest:
            continue
        link = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
        path, _, query = link.removeprefix(BASE).partition("?")
        question = parse(Request("GET", path.encode(), query.encode()), world.door.frame())
        assert json.loads((await world.door.answer(clinician(), question)).body)["entry"]
    assert count == 400


NOTED = weight("noted", "ann") | {
    "note": [{"text": "said in confidence"}],
    "identifier": [{"system": "u", "value": "1"}],
}
PATHS = (
    "GET /Observation/noted",
    "GET /Observation/noted/_history/1",
    "GET /Observation/noted/_history",
    "GET /Observation/_history",
    "GET /_history",
    "GET /Observation?identifier=u|1",
    "GET /Observation?_elements=note",
    "GET /?_type=Observation,Patient",
    "GET /Patient?_id=ann&_revinclude=Observation:subject",
    "GET /Patient/ann/Observation",
    "GET /Patient/ann/$everything",
    "GET /Observation/$lastn?patient=ann",
    "POST /Observation",
)


@pytest.mark.parametrize("line", PATHS)
async def test_what_is_masked_leaves_on_no_path(world: World, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Whatever way a resource comes back, a member that the Grant masks is not in it."""
    await world.put(NOTED)
    body, more = (NOTED, {"if_none_exist": "identifier=u|1"}) if line.startswith("POST") else (b"", {})
    assert b"in confidence" in (await world.send(clinician(), line, body, **more)).body
    reach = decide._reach

    def masked(principal: Principal, types: frozenset[str], needed: int, *looked: frozenset[str]) -> Grant:
        given = reach(principal, types, needed, *looked)
        return replace(given, everyone=Rules(types, {"Observation": frozenset({"note"})}))

    monkeypatch.setattr(decide, "_reach", masked)
    decide._decide_read.cache_clear()
    shown = await world.send(clinician(), line, body, **more)
    decide._decide_read.cache_clear()
    assert b"noted" in shown.body
    assert b"in confidence" not in shown.body


@pytest.mark.parametrize(
    "asked", ["_id=ann&family=ann", "_id=ann&family=nobody", "_id=ann&_has:Observation:subject:_id=w-ann"]
)
async def test_a_count_of_one_patient_is_in_their_log(world: World, asked: str) -> None:
    """How many of one are so and so is what that one is like, whether or not a resource comes back."""
    for text in (f"{asked}&_summary=count", asked):
        await world.search(clinician(), "Patient", text)
        (event, *_) = [each.event for each in await world.log.find(AuditQuery())]
        assert event.patient == "ann"
    await world.search(clinician(), "Patient", "_id=nobody&_summary=count")
    (event, *_) = [each.event for each in await world.log.find(AuditQuery())]
    assert event.patient == ""


async def test_how_much_is_compared_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many values, each compared with many bodies, are refused; the same values in fewer bodies are not."""
    monkeypatch.setattr(hits, "COMPARED_MAX", 100)
    text = "code:text=" + ",".join(f"{number}x" for number in range(60))
    assert (await world.search(clinician(), "Observation", f"patient=ann&{text}"))["total"] == 0
    with pytest.raises(BadRequest, match="compare more than 100 values"):
        await world.search(clinician(), "Observation", text)
