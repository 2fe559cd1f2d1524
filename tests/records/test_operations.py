"""$everything with limits, $validate, $docref, $lastn, $match: what each brings, to whom, and what is written down."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.errors import BadRequest, Denied, MedlockError, NotFound
from records.world import World, clinician, ids, officer, open_world, patient

LOINC = "http://loinc.org"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two patients and a doctor."""
    made = await open_world(tmp_path / "data")
    await made.put({"resourceType": "Practitioner", "id": "doc"})
    for who in ("ann", "bob"):
        await made.put(
            {"resourceType": "Patient", "id": who, "generalPractitioner": [{"reference": "Practitioner/doc"}]}
        )
    yield made
    await made.close()


def observation(
    id_: str, who: str, when: str = "", codes: tuple[str, ...] = ("8867-4",), **more: Any
) -> dict[str, Any]:
    """A measurement."""
    coding = [{"system": LOINC, "code": code} for code in codes]
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "subject": {"reference": f"Patient/{who}"},
        "code": {"coding": coding} if codes else {"text": "free"},
    } | ({"effectiveDateTime": when} if when else {}) | more  # fmt: skip


def document(id_: str, who: str, type_: str, date: str, **more: Any) -> dict[str, Any]:
    """A document."""
    return {
        "resourceType": "DocumentReference", "id": id_, "status": "current", "date": date,
        "subject": {"reference": f"Patient/{who}"}, "type": {"coding": [{"system": LOINC, "code": type_}]},
        "content": [{"attachment": {"contentType": "text/plain", "url": "https://elsewhere.example/1"}}],
    } | more  # fmt: skip


async def told(world: World, who: Principal, line: str, body: Any = b"") -> dict[str, Any]:
    """The answer to a request."""
    return json.loads((await world.send(who, line, body)).body)


async def every_page(world: World, who: Principal, line: str) -> list[str]:
    """References on all pages, in order."""
    found: list[str] = []
    bundle = await told(world, who, line)
    while True:
        found += [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle.get("entry", ())]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        if "next" not in links:
            return found
        bundle = await told(world, who, "GET " + links["next"].partition("/fhir")[2])


async def test_everything_can_be_narrowed(world: World) -> None:
    """_type, _since and the dates of care each leave out what they should, on every page, shared resources too."""
    await world.put(observation("old", "ann", "2019-05-01"))
    await world.put(observation("new", "ann", "2024-05-01"))
    await world.put(observation("dateless", "ann"))
    await world.put({"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/ann"},
                     "onsetPeriod": {"start": "2018-01-01", "end": "2020-01-01"}})  # fmt: skip
    ask = "GET /Patient/ann/$everything"
    observations = {"Observation/old", "Observation/new", "Observation/dateless"}
    whole = observations | {"Patient/ann", "Condition/c", "Practitioner/doc"}
    assert ids(await told(world, clinician(), ask)) == whole
    assert ids(await told(world, clinician(), f"{ask}?_type=Observation")) == observations
    assert ids(await told(world, clinician(), f"{ask}?_type=Condition,Practitioner,Patient")) == whole - observations
    in_2019 = whole - {"Observation/new"}
    assert ids(await told(world, clinician(), f"{ask}?start=2019&end=2019-12-31")) == in_2019
    assert ids(await told(world, clinician(), f"{ask}?start=2024")) == whole - {"Observation/old", "Condition/c"}
    assert ids(await told(world, clinician(), f"{ask}?end=2018-06")) == whole - {"Observation/old", "Observation/new"}
    changed = await world.put(observation("old", "ann", "2019-05-02"))
    since = changed["meta"]["lastUpdated"]
    assert ids(await told(world, clinician(), f"{ask}?_since={since}")) == {"Observation/old"}
    paged = await every_page(world, clinician(), f"{ask}?_type=Observation&_count=1")
    assert sorted(paged) == sorted(observations)
    with pytest.raises(NotFound):
        await told(world, patient("bob"), f"{ask}?_type=Observation")


async def test_validate_judges_a_resource(world: World) -> None:
    """Problems with their paths, or one information; nothing is stored; what is stored can be judged as well."""
    bad = await told(world, clinician(), "POST /Patient/$validate", {"resourceType": "Patient", "gender": "nonsense"})
    assert bad["resourceType"] == "OperationOutcome"
    assert (bad["issue"][0]["severity"], bad["issue"][0]["expression"]) == ("error", ["Patient.gender"])
    assert "nonsense" not in json.dumps(bad)
    good = await told(world, clinician(), "POST /Patient/$validate", {"resourceType": "Patient", "gender": "male"})
    assert [each["severity"] for each in good["issue"]] == ["information"]
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {"resourceType": "Patient",
               "gendre": "male"}}, {"name": "mode", "valueCode": "create"}]}  # fmt: skip
    assert (await told(world, clinician(), "POST /Patient/$validate", wrapped))["issue"][0]["severity"] == "error"
    assert (await told(world, clinician(), "GET /Patient/ann/$validate"))["issue"][0]["severity"] == "information"
    assert ids(await world.search(clinician(), "Patient", "")) == {"Patient/ann", "Patient/bob"}


async def test_validate_asks_what_a_write_would(world: World) -> None:
    """With a mode: references, id, rights and what still hangs on a resource, as the write would find them."""
    astray = observation("x", "nobody")
    issues = (await told(world, clinician(), "POST /Observation/$validate?mode=create", astray))["issue"]
    assert issues[0]["expression"] == ["Observation.subject.reference"]
    assert (await told(world, clinician(), "POST /Observation/$validate", astray))["issue"][0][
        "severity"
    ] == "information"
    other = await told(
        world, clinician(), "POST /Patient/ann/$validate?mode=update", {"resourceType": "Patient", "id": "bob"}
    )
    assert other["issue"][0]["severity"] == "error"
    await world.put(observation("o", "ann"))
    assert (await told(world, clinician(), "POST /Patient/ann/$validate?mode=delete"))["issue"][0][
        "severity"
    ] == "error"
    free = await told(world, clinician(), "POST /Observation/o/$validate?mode=delete")
    assert free["issue"][0]["severity"] == "information"
    assert (await world.read(clinician(), "Observation/o"))["id"] == "o"


async def test_validate_tells_nobody_more_than_a_write_would(world: World) -> None:
    """Each mode needs the rights of what it asks about; what is out of reach is not there."""
    await world.put(observation("o", "bob"))
    reader = patient("ann")
    body = observation("x", "bob")
    for line, sent in (
        ("POST /Observation/$validate?mode=create", body),
        ("POST /Observation/o/$validate?mode=update", body | {"id": "o"}),
        ("POST /Observation/o/$validate?mode=delete", b""),
    ):
        with pytest.raises(Denied):
            await world.send(reader, line, sent)
    for line in ("GET /Observation/o/$validate", "GET /Observation/never/$validate"):
        with pytest.raises(NotFound):
            await world.send(reader, line)
    writer = mint_principal("w", frozenset({Role.CLINICIAN}), parse_scopes("user/Observation.c"))
    with pytest.raises(Denied):
        await world.send(writer, "POST /Patient/$validate", {"resourceType": "Patient"})


async def test_docref_brings_the_latest_of_each_type(world: World) -> None:
    """Without dates the current document of each type that is newest; with dates those about care in that time."""
    await world.put(document("ccd1", "ann", "34133-9", "2023-01-01T00:00:00Z"))
    await world.put(document("ccd2", "ann", "34133-9", "2024-01-01T00:00:00Z"))
    await world.put(document("ccd3", "ann", "34133-9", "2025-01-01T00:00:00Z", status="superseded"))
    period = {"context": {"period": {"start": "2020-01-01", "end": "2020-02-01"}}}
    await world.put(document("note", "ann", "11506-3", "2024-06-01T00:00:00Z", **period))
    await world.put(document("foreign", "bob", "34133-9", "2024-06-01T00:00:00Z"))
    ask = "GET /DocumentReference/$docref?patient=ann"
    assert ids(await told(world, patient("ann"), ask)) == {"DocumentReference/ccd2", "DocumentReference/note"}
    typed = await told(world, clinician(), f"{ask}&type={LOINC}|34133-9")
    assert ids(typed) == {"DocumentReference/ccd2"}
    assert ids(await told(world, clinician(), f"{ask}&start=2020&end=2020")) == {"DocumentReference/note"}
    assert ids(await told(world, clinician(), f"{ask}&end=2023")) == {
        "DocumentReference/ccd1",
        "DocumentReference/note",
    }
    assert ids(await told(world, clinician(), f"{ask}&on-demand=true")) == set()
    pages = await every_page(world, clinician(), f"{ask}&start=2000&_count=1")
    assert pages == [f"DocumentReference/{each}" for each in ("ccd3", "note", "ccd2", "ccd1")]
    posted = {"resourceType": "Parameters", "parameter": [{"name": "patient", "valueId": "ann"}]}
    assert ids(await told(world, clinician(), "POST /DocumentReference/$docref", posted)) == ids(
        await told(world, clinician(), ask)
    )


async def test_a_patient_gets_their_own_documents_only(world: World) -> None:
    """Another patient's documents are an empty answer, and the search of a type without rights is refused."""
    await world.put(document("foreign", "bob", "34133-9", "2024-06-01T00:00:00Z"))
    assert ids(await told(world, patient("ann"), "GET /DocumentReference/$docref?patient=bob")) == set()
    with pytest.raises(Denied):
        await told(world, patient("ann", "patient/Observation.rs"), "GET /DocumentReference/$docref?patient=ann")
    with pytest.raises(Denied):
        await told(world, officer(), "GET /DocumentReference/$docref?patient=ann")


async def test_lastn_takes_the_latest_of_each_code(world: World) -> None:
    """By the time of effect, not of writing; codes that stand together are one; those of nobody else."""
    for at, day in enumerate(("2024-03-01", "2024-01-01", "2024-02-01")):
        await world.put(observation(f"pulse{at}", "ann", day))
    await world.put(observation("both", "ann", "2024-02-15", ("8867-4", "x-pulse")))
    await world.put(observation("local", "ann", "2024-04-01", ("x-pulse",)))
    await world.put(observation("weight", "ann", "2020-01-01", ("29463-7",)))
    await world.put(observation("free", "ann", codes=()))
    await world.put(observation("foreign", "bob", "2024-12-01"))
    ask = "GET /Observation/$lastn?patient=ann"
    assert await every_page(world, patient("ann"), ask) == [f"Observation/{e}" for e in ("local", "weight", "free")]
    three = await every_page(world, clinician(), f"{ask}&max=3&_count=2")
    assert three == [f"Observation/{e}" for e in ("local", "pulse0", "both", "weight", "free")]
    assert await every_page(world, clinician(), f"{ask}&code={LOINC}|29463-7") == ["Observation/weight"]
    assert await every_page(world, patient("bob"), ask) == []
    with pytest.raises(Denied):
        await told(world, patient("ann", "patient/Condition.rs"), ask)


PEOPLE = (
    {"id": "kim1", "name": [{"family": "Kim", "given": ["Hana"]}], "birthDate": "1980-02-03", "gender": "female",
     "identifier": [{"system": "urn:mrn", "value": "17"}], "telecom": [{"system": "phone", "value": "+49 30 1"}]},
    {"id": "kim2", "name": [{"family": "Kim", "given": ["Hana"]}], "birthDate": "1991-12-12", "gender": "female"},
    {"id": "kin", "name": [{"family": "Kin", "given": ["Hana"]}], "birthDate": "1980-02-03", "gender": "female"},
    {"id": "lee", "name": [{"family": "Lee", "given": ["Sam"]}], "birthDate": "1980-02-03", "gender": "male"},
)  # fmt: skip


async def match(
    world: World, who: Principal, sought: dict[str, Any], **parameters: Any
) -> list[tuple[str, str, float]]:
    """Id, grade and score of what $match brings, in order."""
    given = [{"name": "resource", "resource": {"resourceType": "Patient"} | sought}]
    for name, value in parameters.items():
        given.append({"name": name, "valueBoolean" if isinstance(value, bool) else "valueInteger": value})
    bundle = await told(world, who, "POST /Patient/$match", {"resourceType": "Parameters", "parameter": given})
    return [
        (e["resource"]["id"], e["search"]["extension"][0]["valueCode"], e["search"]["score"])
        for e in bundle.get("entry", ())
    ]


@pytest.fixture
async def people(world: World) -> World:
    """Namesakes."""
    for each in PEOPLE:
        await world.put({"resourceType": "Patient"} | each)
    return world


async def test_match_orders_by_probability(people: World) -> None:
    """All agrees: certain and first. A letter or a date that differs: less so. Who shares nothing much is not shown."""
    known = {name: PEOPLE[0][name] for name in ("name", "birthDate", "gender")}
    found = await match(people, clinician(), known)
    assert found[0][:2] == ("kim1", "certain")
    assert {each for each, _, _ in found} <= {"kim1", "kin", "kim2"}
    assert [score for _, _, score in found] == sorted((score for _, _, score in found), reverse=True)
    assert all(0 < score <= 1 for _, _, score in found)
    assert (await match(people, clinician(), known, count=1)) == found[:1]
    assert [each for each, _, _ in await match(people, clinician(), known, onlyCertainMatches=True)] == ["kim1"]
    number = {"identifier": [{"system": "urn:mrn", "value": "17"}]}
    assert [(each, grade) for each, grade, _ in await match(people, clinician(), number)] == [("kim1", "certain")]
    assert await match(people, clinician(), {"identifier": [{"system": "urn:other", "value": "17"}]}) == []
    by_phone = await match(people, clinician(), {"telecom": [{"system": "phone", "value": "+49 30 1"}]})
    assert [each for each, _, _ in by_phone] == ["kim1"]


async def test_match_needs_something_to_go_by(people: World) -> None:
    """A name alone, a gender, an invalid Patient are refused: they would list the directory."""
    for sought in ({"gender": "female"}, {"name": [{"family": "Kim"}]}, {"birthDate": "1980-02-03"}, {},
                   {"name": [{"family": ","}], "birthDate": "1980"}, {"gendre": "x"}):  # fmt: skip
        with pytest.raises(BadRequest):
            await match(people, clinician(), sought)


async def test_match_compares_no_more_than_tells_people_apart(people: World) -> None:
    """A megabyte of names would be compared with every candidate's, and everybody else would wait."""
    known = {"birthDate": "1970-01-01", "name": [{"family": "Kim", "given": [f"a{number}" for number in range(600)]}]}
    with pytest.raises(BadRequest, match="tells people apart"):
        await match(people, clinician(), known)


async def test_who_may_match(people: World) -> None:
    """Only who may search and read any patient; each that is shown is in the log."""
    known = {name: PEOPLE[0][name] for name in ("name", "birthDate")}
    for who in (
        patient("ann"),
        officer(),
        mint_principal("n", frozenset({Role.CLINICIAN}), parse_scopes("user/Patient.r")),
    ):
        with pytest.raises(Denied):
            await match(people, who, known)
    desk = mint_principal("desk", frozenset({Role.FRONT_DESK}), parse_scopes("user/*.crus"))
    shown = {each for each, _, _ in await match(people, desk, known)}
    events = [each.event for each in await people.log.find(AuditQuery()) if each.event.action is Action.MATCH]
    noted = {touched.reference for event in events if event.outcome == "success" for touched in event.touched}
    assert noted == {f"Patient/{each}" for each in shown}
    assert sum(event.outcome == "denied" for event in events) == 3


async def test_operations_in_a_batch(people: World) -> None:
    """What is asked by GET can be an entry, what is posted cannot."""
    await people.put(observation("o", "ann", "2024-01-01"))
    urls = ("Observation/$lastn?patient=ann", "DocumentReference/$docref?patient=ann", "Patient/ann/$everything",
            "Patient/_history", "_history?_count=1", "Patient/ann/$validate")  # fmt: skip
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    entries.append({"request": {"method": "POST", "url": "Patient/$match"}, "resource": {"resourceType": "Parameters"}})
    body = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = await told(people, clinician(), "POST /", body)
    assert [each["response"]["status"] for each in answer["entry"]] == ["200"] * 6 + ["400"]
    with pytest.raises(MedlockError):
        await told(people, clinician(), "POST /", body | {"type": "transaction"})


async def test_chains_in_operations_and_criteria(world: World) -> None:
    """What an operation or criteria search for may be chained, and then needs the rights on every type it names."""
    await world.put(observation("o", "ann", "2024-01-01", performer=[{"reference": "Practitioner/doc"}]))
    await world.put({"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Roe"}]})
    ask = "GET /Observation/$lastn?patient=ann&performer:Practitioner.name"
    assert await every_page(world, clinician(), f"{ask}=roe") == ["Observation/o"]
    assert await every_page(world, clinician(), f"{ask}=doe") == []
    narrow = mint_principal("n", frozenset({Role.CLINICIAN}), parse_scopes("user/Observation.cruds"))
    with pytest.raises(Denied):
        await told(world, narrow, f"{ask}=roe")
    url = "/Observation?performer:Practitioner.name=roe"
    patch, kind = b'[{"op":"replace","path":"/status","value":"amended"}]', "application/json-patch+json"
    with pytest.raises(Denied):
        await world.send(narrow, f"PATCH {url}", patch, content_type=kind)
    assert (await world.send(clinician(), f"PATCH {url}", patch, content_type=kind)).version == "2"
    with pytest.raises(BadRequest):
        await told(world, clinician(), "GET /Observation/$lastn?patient.name=x")


async def test_a_patient_does_not_learn_of_others_from_criteria(world: World) -> None:
    """What an act on Ann's record was selected by can name Bob: Ann sees the act, not that; an officer sees both."""
    await world.put(observation("o", "ann", "2024-01-01"))
    url = "/Observation?patient=ann,bob&code=8867-4"
    patch, kind = b'[{"op":"replace","path":"/status","value":"amended"}]', "application/json-patch+json"
    await world.send(clinician(), f"PATCH {url}", patch, content_type=kind)
    await world.send(clinician(), f"DELETE {url}")

    def asked(bundle: dict[str, Any]) -> list[str]:
        return [
            b64decode(entity["query"]).decode()
            for each in bundle["entry"] for entity in each["resource"].get("entity", ()) if "query" in entity
        ]  # fmt: skip

    own = await world.search(patient("ann"), "AuditEvent", "_count=500")
    touched = json.dumps(own)
    assert "Observation/o/_history/2" in touched
    assert "Observation/o/_history/3" in touched
    assert not any("bob" in text for text in asked(own))
    everybody = await world.search(officer(), "AuditEvent", "_count=500")
    assert sum("patient=ann,bob" in text for text in asked(everybody)) == 2
