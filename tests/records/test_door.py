"""The door on a real store: what each interaction answers, to whom, and what is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from medlock.audit.events import Action, Outcome
from medlock.audit.search import AuditQuery
from medlock.errors import Denied, Gone, NotFound, PreconditionFailed, Unprocessable
from medlock.fhir.options import EverythingOptions
from medlock.fhir.question import Interaction
from medlock.records.disclosure import Disclosure
from medlock.store.tables import Table
from records.world import BASE, World, clinician, ids, officer, open_world, patient


@pytest.fixture
async def world(tmp_path: Path, store: str) -> AsyncIterator[World]:
    """A new clinic with two patients."""
    made = await open_world(tmp_path / "data", store=store)
    await made.put(
        {
            "resourceType": "Patient",
            "id": "ann",
            "name": [{"family": "Ångström", "given": ["Ann"]}],
            "birthDate": "1980-02-03",
        }
    )
    await made.put({"resourceType": "Patient", "id": "bob", "name": [{"family": "Builder"}], "gender": "male"})
    yield made
    await made.close()


def weight(id_: str, who: str, kilos: float, day: str, **more: object) -> dict[str, object]:
    """A body weight."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{who}"},
        "effectiveDateTime": day,
        "valueQuantity": {"value": kilos, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        **more,
    }


async def test_what_is_written_is_read(world: World) -> None:
    """A PUT creates, a second one makes version 2; both can be read, and history has both."""
    first = await world.put(weight("w1", "ann", 70.5, "2024-01-02"))
    second = await world.put(weight("w1", "ann", 71.0, "2024-01-02"))
    assert (first["meta"]["versionId"], second["meta"]["versionId"]) == ("1", "2")
    assert (await world.read(clinician(), "Observation/w1")) == second
    old = await world.ask(clinician(), Interaction.VREAD, "Observation", "w1", version="1")
    assert json.loads(old.body) == first
    history = json.loads((await world.ask(clinician(), Interaction.HISTORY, "Observation", "w1")).body)
    assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == ["2", "1"]


async def test_a_patient_sees_their_own_record_only(world: World) -> None:
    """For a token held to Ann, Bob's resources and resources that never were look the same."""
    await world.put(weight("w1", "ann", 70, "2024-01-02"))
    await world.put(weight("w2", "bob", 90, "2024-01-02"))
    assert (await world.read(patient("ann"), "Observation/w1"))["id"] == "w1"
    for foreign in ("Observation/w2", "Observation/never", "Patient/bob"):
        with pytest.raises(NotFound) as told:
            await world.read(patient("ann"), foreign)
        assert str(told.value) == "There is no such resource, or you may not see it."
    assert ids(await world.search(patient("ann"), "Observation", "")) == {"Observation/w1"}
    assert (await world.search(patient("ann"), "Observation", "patient=bob"))["total"] == 0
    assert ids(await world.search(patient("ann"), "Patient", "")) == {"Patient/ann"}


async def test_search_by_code_date_and_value(world: World) -> None:
    """Columns and bodies decide together: tokens, dates and quantities."""
    for at in range(1, 10):
        await world.put(weight(f"w{at}", "ann", 60 + at, f"2024-0{at}-01"))
    found = await world.search(
        clinician(), "Observation", "patient=Patient/ann&code=http://loinc.org|29463-7&date=ge2024-04&date=lt2024-07"
    )
    assert ids(found) == {"Observation/w4", "Observation/w5", "Observation/w6"}
    assert found["total"] == 3
    heavy = await world.search(
        clinician(), "Observation", "subject=Patient/ann&value-quantity=gt67|http://unitsofmeasure.org|kg"
    )
    assert ids(heavy) == {"Observation/w8", "Observation/w9"}


async def test_population_search(world: World) -> None:
    """Patients are found by folded name, birth date and gender."""
    assert ids(await world.search(clinician(), "Patient", "family=angstr")) == {"Patient/ann"}
    assert ids(await world.search(clinician(), "Patient", "birthdate=1980")) == {"Patient/ann"}
    assert ids(await world.search(clinician(), "Patient", "gender=male&name=build")) == {"Patient/bob"}
    assert (await world.search(clinician(), "Patient", "name:exact=angstrom"))["total"] == 0


async def test_pages_follow_one_another(world: World) -> None:
    """Next links lead through every match once; a token belongs to one account and grants nothing."""
    for at in range(25):
        await world.put(weight(f"w{at}", "ann", 60 + at, "2024-01-01"))
    seen: list[str] = []
    bundle = await world.search(clinician(), "Observation", "patient=ann&_count=10")
    while True:
        seen += sorted(ids(bundle))
        link = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), None)
        if link is None:
            break
        token = link.partition("_page=")[2]
        with pytest.raises(Exception, match="no longer valid"):
            await world.ask(patient("ann"), Interaction.SEARCH, "Observation", page=token)
        bundle = json.loads((await world.ask(clinician(), Interaction.SEARCH, "Observation", page=token)).body)
    assert len(seen) == len(set(seen)) == 25


async def test_a_later_page_may_be_smaller(world: World) -> None:
    """A _count beside the token makes a page smaller, never larger than the first; nothing comes twice or is left out."""
    for at in range(12):
        await world.put(weight(f"w{at}", "ann", 60 + at, "2024-01-01"))
    bundle, seen, sizes = await world.search(clinician(), "Observation", "patient=ann&_count=5"), [], []
    for size in (2, 99, 99, 99):
        seen += ids(bundle)
        sizes.append(len(bundle["entry"]))
        link = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), None)
        if link is None:
            break
        more = {"page": link.partition("_page=")[2], "page_size": size}
        bundle = json.loads((await world.ask(clinician(), Interaction.SEARCH, "Observation", **more)).body)
    assert sizes == [5, 2, 5]
    assert len(set(seen)) == 12


async def test_deletes(world: World) -> None:
    """After a delete: 410 by id, gone from searches, history kept; deleting again is no error."""
    await world.put(weight("w1", "ann", 70, "2024-01-02"))
    assert (await world.ask(clinician(), Interaction.DELETE, "Observation", "w1")).status == 204
    assert (await world.ask(clinician(), Interaction.DELETE, "Observation", "w1")).status == 204
    with pytest.raises(Gone):
        await world.read(clinician(), "Observation/w1")
    with pytest.raises(NotFound) as told:
        await world.read(patient("bob"), "Observation/w1")
    assert not isinstance(told.value, Gone)
    assert (await world.search(clinician(), "Observation", "patient=ann"))["total"] == 0
    revived = await world.put(weight("w1", "ann", 70, "2024-01-02"))
    assert revived["meta"]["versionId"] == "3"


async def test_versions_are_guarded(world: World) -> None:
    """If-Match on a stale version is refused and nothing is written."""
    await world.put(weight("w1", "ann", 70, "2024-01-02"))
    await world.put(weight("w1", "ann", 71, "2024-01-02"), if_match="1")
    with pytest.raises(PreconditionFailed):
        await world.put(weight("w1", "ann", 72, "2024-01-02"), if_match="1")
    assert (await world.read(clinician(), "Observation/w1"))["valueQuantity"]["value"] == 71


async def test_references_must_lead_somewhere(world: World) -> None:
    """A reference to nothing, and one to a record out of reach, are refused in the same words."""
    with pytest.raises(Unprocessable) as nothing:
        await world.put(weight("w1", "nobody", 70, "2024-01-02"))
    writer = patient("ann", "patient/*.cruds")
    with pytest.raises((Denied, NotFound)):
        await world.ask(
            writer, Interaction.CREATE, "Observation", body=json.dumps(weight("x", "bob", 1, "2024-01-01")).encode()
        )
    assert nothing.value.problems[0].path == "Observation.subject.reference"
    assert (await world.search(clinician(), "Observation", ""))["total"] == 0


async def test_a_transaction_is_all_or_nothing(world: World) -> None:
    """urn:uuid references inside a transaction resolve; one bad entry and nothing is there."""
    new = {"resourceType": "Patient", "name": [{"family": "New"}]}
    urn = "urn:uuid:11111111-1111-4111-8111-111111111111"
    obs = weight("ignored", "x", 50, "2024-05-05") | {"subject": {"reference": urn}}
    entries = [
        {
            "fullUrl": "urn:uuid:22222222-2222-4222-8222-222222222222",
            "resource": obs,
            "request": {"method": "POST", "url": "Observation"},
        },
        {"fullUrl": urn, "resource": new, "request": {"method": "POST", "url": "Patient"}},
    ]
    answer = await world.transact(entries)
    made = [entry["response"]["location"].split("/_history")[0] for entry in answer["entry"]]
    stored = await world.read(clinician(), made[0])
    assert stored["subject"]["reference"] == made[1]
    bad = [
        *entries,
        {
            "resource": {"resourceType": "Observation", "status": "wrong"},
            "request": {"method": "POST", "url": "Observation"},
        },
    ]
    before = (await world.search(clinician(), "Patient", ""))["total"]
    with pytest.raises(Unprocessable) as told:
        await world.transact(bad)
    assert all(problem.path.startswith("Bundle.entry[2]") for problem in told.value.problems)
    assert (await world.search(clinician(), "Patient", ""))["total"] == before


async def test_conditional_create(world: World) -> None:
    """If-None-Exist finds the one that is there; several are 412."""
    who = {
        "resourceType": "Practitioner",
        "identifier": [{"system": "urn:x", "value": "7"}],
        "name": [{"family": "House"}],
    }
    entry = {"resource": who, "request": {"method": "POST", "url": "Practitioner", "ifNoneExist": "identifier=urn:x|7"}}
    first = await world.transact([entry])
    again = await world.transact([entry])
    assert first["entry"][0]["response"]["status"].startswith("201")
    assert again["entry"][0]["response"]["status"].startswith("200")
    assert (await world.search(clinician(), "Practitioner", "identifier=urn:x|7"))["total"] == 1
    report = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/ann"},
              "performer": [{"reference": "Practitioner?identifier=urn:x|7"}]}  # fmt: skip
    made = await world.transact([{"resource": report, "request": {"method": "POST", "url": "Observation"}}])
    stored = await world.read(clinician(), made["entry"][0]["response"]["location"].split("/_history")[0])
    assert stored["performer"][0]["reference"].startswith("Practitioner/")


async def test_includes(world: World) -> None:
    """_include and _revinclude bring what is within reach, marked as included."""
    await world.put({"resourceType": "Practitioner", "id": "doc"})
    await world.put(weight("w1", "ann", 70, "2024-01-02", performer=[{"reference": "Practitioner/doc"}]))
    found = await world.search(
        clinician(), "Observation", "patient=ann&_include=Observation:performer&_include=Observation:subject"
    )
    assert ids(found) == {"Observation/w1", "Practitioner/doc", "Patient/ann"}
    assert {e["search"]["mode"] for e in found["entry"]} == {"match", "include"}
    back = await world.search(clinician(), "Patient", "_id=ann&_revinclude=Observation:subject")
    assert ids(back) == {"Patient/ann", "Observation/w1"}


async def test_everything(world: World) -> None:
    """$everything walks one record in pages; nobody else's resource is in it."""
    for at in range(12):
        await world.put(weight(f"a{at}", "ann", 60, "2024-01-01"))
        await world.put(weight(f"b{at}", "bob", 60, "2024-01-01"))
    bundle = json.loads((await world.ask(patient("ann"), Interaction.EVERYTHING, "Patient", "ann")).body)
    assert ids(bundle) == {"Patient/ann"} | {f"Observation/a{at}" for at in range(12)}
    assert bundle["entry"][0]["resource"]["resourceType"] == "Patient"
    with pytest.raises(NotFound):
        await world.ask(patient("ann"), Interaction.EVERYTHING, "Patient", "bob")


async def test_everything_goes_on(world: World) -> None:
    """A long record comes in pages whose links lead back to the operation; together they are the record."""
    for at in range(12):
        await world.put(weight(f"a{at}", "ann", 60, "2024-01-01"))
    options = EverythingOptions(count=5, text="_count=5")
    asked = world.ask(patient("ann"), Interaction.EVERYTHING, "Patient", "ann", options=options)
    bundle = json.loads((await asked).body)
    seen = ids(bundle)
    pages = 1
    while link := next((each["url"] for each in bundle["link"] if each["relation"] == "next"), ""):
        address, _, token = link.partition("?_page=")
        assert address == f"{BASE}/Patient/ann/$everything"
        shown = await world.ask(patient("ann"), Interaction.EVERYTHING, "Patient", "ann", page=token)
        bundle = json.loads(shown.body)
        assert not seen & ids(bundle)
        seen |= ids(bundle)
        pages += 1
    assert seen == {"Patient/ann"} | {f"Observation/a{at}" for at in range(12)}
    assert pages == 3


async def test_everything_brings_who_treated(world: World) -> None:
    """Shared resources that the record refers to come along, marked as included, also for the patient."""
    await world.put({"resourceType": "Practitioner", "id": "doc"})
    await world.put({"resourceType": "Practitioner", "id": "other"})
    await world.put(weight("w1", "ann", 70, "2024-01-02", performer=[{"reference": f"{BASE}/Practitioner/doc"}]))
    bundle = json.loads((await world.ask(patient("ann"), Interaction.EVERYTHING, "Patient", "ann")).body)
    modes = {f"{e['resource']['resourceType']}/{e['resource']['id']}": e["search"]["mode"] for e in bundle["entry"]}
    assert modes == {"Patient/ann": "match", "Observation/w1": "match", "Practitioner/doc": "include"}


async def test_absolute_references_to_ourselves_become_relative(world: World) -> None:
    """An app may write our own address out; search finds it either way."""
    obs = weight("w1", "ann", 70, "2024-01-02") | {"subject": {"reference": f"{BASE}/Patient/ann"}}
    assert (await world.put(obs))["subject"]["reference"] == "Patient/ann"
    assert ids(await world.search(clinician(), "Observation", f"patient={BASE}/Patient/ann")) == {"Observation/w1"}


async def test_a_search_that_finds_nothing_is_noted_with_its_patient(world: World) -> None:
    """Looking into Ann's record and finding nothing is an event of Ann's."""
    await world.search(clinician(), "Observation", "patient=ann&code=nothing")
    (recorded,) = await world.log.find(AuditQuery(limit=1))
    assert recorded.event.patient == "ann"
    assert "code=nothing" in recorded.event.query


async def test_every_visit_is_in_the_log(world: World) -> None:
    """Reads, searches, writes and refusals leave an event; a refusal's private reason is there too."""
    await world.put(weight("w1", "ann", 70, "2024-01-02"))
    await world.read(clinician(), "Observation/w1")
    await world.search(clinician(), "Observation", "patient=ann")
    with pytest.raises(Denied):
        await world.read(officer(), "Observation/w1")
    events = [each.event for each in await world.log.find(AuditQuery(limit=4))]
    assert [(each.action, each.outcome) for each in events] == [
        (Action.READ, Outcome.DENIED), (Action.SEARCH, Outcome.SUCCESS), (Action.READ, Outcome.SUCCESS), (Action.UPDATE, Outcome.SUCCESS),
    ]  # fmt: skip
    assert events[0].reason.startswith("denied: ")
    assert [touched.reference for touched in events[1].touched] == ["Observation/w1"]
    assert events[3].position is not None


async def test_the_log_is_a_searchable_view(world: World) -> None:
    """An officer sees all events, a patient their own, a clinician none."""
    await world.put(weight("w1", "ann", 70, "2024-01-02"))
    await world.put(weight("w2", "bob", 70, "2024-01-02"))
    everything = await world.search(officer(), "AuditEvent", "_count=100")
    assert len(everything["entry"]) >= 4
    own = await world.search(patient("ann", "patient/*.rs"), "AuditEvent", "")
    assert own["entry"]
    assert "bob" not in json.dumps(own)
    with pytest.raises(Denied):
        await world.search(clinician(), "AuditEvent", "")


async def test_two_processes_do_not_lose_an_update(tmp_path: Path, store: str) -> None:
    """Two processes that write the same patient at once: every write is there, each version once."""
    one = await open_world(tmp_path / "data", store=store)
    await one.put({"resourceType": "Patient", "id": "ann"})
    other = await open_world(tmp_path / "data", store=store)
    await asyncio.gather(*(each.put(weight("w", "ann", n, "2024-01-01")) for n in range(10) for each in (one, other)))
    versions = json.loads((await one.ask(clinician(), Interaction.HISTORY, "Observation", "w")).body)
    assert [e["resource"]["meta"]["versionId"] for e in versions["entry"]] == [str(n) for n in range(20, 0, -1)]
    assert (await other.search(clinician(), "Observation", "patient=ann"))["total"] == 1
    await one.close()
    await other.close()


def test_disclosures_and_grants_have_one_maker() -> None:
    """Nobody but the door makes a Disclosure."""
    with pytest.raises(TypeError):
        Disclosure(200, b"{}")


async def test_the_directory_counts_each_change_once(world: World) -> None:
    """Searches that read the directory's log while patients are written do not make the next change skip numbers."""

    async def look() -> None:
        for _ in range(20):
            await world.search(clinician(), "Patient", "gender=female")

    async def write(number: int) -> None:
        await world.put({"resourceType": "Patient", "id": f"n{number}", "gender": "female"})

    await asyncio.gather(*(write(number) for number in range(30)), look(), look())
    numbers = [number for number, _ in await world.backend.scan(Table.DIROP, None, 99)]
    assert numbers == list(range(1, 33))
    assert world.vault.directory.number == 32
