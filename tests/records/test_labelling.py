"""Labels on what is written: in the body, in the index, in the sealed header; on notes by their episode."""

import json

import pytest

from medlock.access.consent.codes import LABELLED, RESTRICTED, labels_of
from medlock.errors import Denied
from medlock.fhir.bundle import NOTICE
from medlock.records.relabel import Relabeller
from records.world import clinician, ids, officer, open_world

ANN = {"resourceType": "Patient", "id": "ann"}
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SUBJECT = {"subject": {"reference": "Patient/ann"}}
VISIT = {
    "resourceType": "Encounter",
    "id": "visit",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    **SUBJECT,
}
NOTE = {
    "resourceType": "DocumentReference",
    "id": "note",
    "status": "current",
    **SUBJECT,
    "content": [{"attachment": {"contentType": "text/plain", "data": "SGVsbG8="}}],
    "context": {"encounter": [{"reference": "Encounter/visit"}]},
}


def condition(code, id_="c", **more):
    """A problem by its ICD-10-CM code."""
    return {
        "resourceType": "Condition",
        "id": id_,
        **SUBJECT,
        "code": {"coding": [{"system": ICD, "code": code}]},
        **more,
    }


def security(resource):
    """The codes of its labels."""
    return [each["code"] for each in resource["meta"].get("security", [])]


@pytest.fixture
async def world(tmp_path):
    """A door with one patient and one visit."""
    world = await open_world(tmp_path / "data")
    for each in (ANN, VISIT):
        await world.put(each)
    yield world
    await world.close()


async def sealed(world, reference):
    """The labels in the sealed header."""
    return (await world.vault.current(*reference.split("/"))).meta.labels


async def test_a_sensitive_code_labels(world):
    """In what is answered, in what is read, in the header, and for a search by _security."""
    shown = await world.put(condition("B20"))
    assert security(shown) == ["HIV", "R"]
    assert security(await world.read(clinician(), "Condition/c")) == ["HIV", "R"]
    assert labels_of(await sealed(world, "Condition/c")).sensitivities == {"HIV"}
    assert ids(await world.search(clinician(), "Condition", f"_security={ACT}|HIV&patient=ann")) == {"Condition/c"}


async def test_labels_that_are_given_stay_and_are_not_doubled(world):
    """A writer may label as more, in any order; what is written back as it was read does not change."""
    given = {"meta": {"security": [{"system": ACT, "code": "PSY", "display": "psychiatry"}]}}
    shown = await world.put(condition("B20", **given))
    assert security(shown) == ["PSY", "HIV", "R"]
    assert shown["meta"]["security"][0]["display"] == "psychiatry"
    again = await world.put(shown)
    assert security(again) == ["PSY", "HIV", "R"]


async def test_what_is_not_sensitive_is_looked_at(world):
    """It bears no label, and its header says that it was looked at."""
    assert "security" not in (await world.put(condition("I10")))["meta"]
    assert await sealed(world, "Condition/c") == (LABELLED,)


async def test_a_change_of_code_labels_anew(world):
    """By update and by patch."""
    await world.put(condition("I10"))
    assert security(await world.put(condition("F20.9"))) == ["PSY", "R"]
    await world.put(condition("I10", "d"))
    patch = [{"op": "replace", "path": "/code/coding/0/code", "value": "B20"}]
    body = json.dumps(patch).encode()
    await world.send(clinician(), "PATCH /Condition/d", body, content_type="application/json-patch+json")
    assert security(await world.read(clinician(), "Condition/d")) == ["HIV", "R"]


async def test_shared_resources_are_not_labelled(world):
    """A code system or a medication says nothing of any patient."""
    coding = {"coding": [{"system": "http://www.whocc.no/atc", "code": "N06AB06"}]}
    shown = await world.put({"resourceType": "Medication", "id": "m", "code": coding})
    assert "security" not in shown["meta"]


async def test_a_note_written_after_is_labelled_by_its_episode(world):
    """A note of a visit for which something sensitive is on record."""
    await world.put(condition("F20.9", encounter={"reference": "Encounter/visit"}))
    assert security(await world.put(NOTE)) == ["PSY", "R"]


async def test_a_note_written_before_is_labelled_with_its_episode(world):
    """It becomes a new version in the same commit; another visit's note stays as it is."""
    await world.put({**VISIT, "id": "other"})
    await world.put(NOTE)
    await world.put({**NOTE, "id": "else", "context": {"encounter": [{"reference": "Encounter/other"}]}})
    await world.put(condition("F20.9", encounter={"reference": "Encounter/visit"}))
    note = await world.read(clinician(), "DocumentReference/note")
    assert (security(note), note["meta"]["versionId"]) == (["PSY", "R"], "2")
    assert security(await world.read(clinician(), "DocumentReference/else")) == []


async def test_a_sensitive_visit_labels_its_notes(world):
    """The reason of the Encounter itself counts."""
    await world.put(NOTE)
    await world.put({**VISIT, "reasonCode": [{"coding": [{"system": ICD, "code": "F10.20"}]}]})
    assert security(await world.read(clinician(), "DocumentReference/note")) == ["ETHUD", "NORDSCLCD", "R"]


async def test_a_transaction_labels_across_its_entries(world):
    """Whatever order they come in."""
    for order in ([0, 1, 2], [2, 1, 0]):
        visit = {**VISIT, "id": f"v{order[0]}"}
        at = {"reference": f"Encounter/{visit['id']}"}
        parts = [
            visit,
            condition("F20.9", f"c{order[0]}", encounter=at),
            {**NOTE, "id": f"n{order[0]}", "context": {"encounter": [at]}},
        ]
        await world.transact(
            [
                {
                    "resource": parts[n],
                    "request": {"method": "PUT", "url": f"{parts[n]['resourceType']}/{parts[n]['id']}"},
                }
                for n in order
            ]
        )
        assert security(await world.read(clinician(), f"DocumentReference/n{order[0]}")) == ["PSY", "R"]
        assert security(await world.read(clinician(), f"Encounter/{visit['id']}")) == []


async def test_bundles_with_part_2_records_carry_the_notice(world):
    """42 CFR 2.32: a search, an everything and a history that show such a record say so; others do not."""
    await world.put(condition("I10", "plain"))
    found = await world.search(clinician(), "Condition", "patient=ann")
    assert "meta" not in found
    await world.put(condition("F11.20", "opioids"))
    found = await world.search(clinician(), "Condition", "patient=ann")
    assert found["meta"]["security"][0]["display"] == NOTICE
    every = json.loads((await world.send(clinician(), "GET /Patient/ann/$everything")).body)
    assert every["meta"]["security"][0]["code"] == "NORDSCLCD"
    past = json.loads((await world.send(clinician(), "GET /Condition/opioids/_history")).body)
    assert past["meta"]["security"][0]["display"] == NOTICE
    assert "meta" not in await world.search(clinician(), "Condition", "patient=ann&_security:not=NORDSCLCD")


async def test_a_store_from_before_is_labelled_anew(world, monkeypatch):
    """What no labeller has seen is looked at once; notes follow their episode; a second look changes nothing."""
    with monkeypatch.context() as patch:
        patch.setattr("medlock.records.write.label", lambda *_: None)
        patch.setattr("medlock.records.write.label_episodes", none_further)
        await world.put(condition("F20.9", encounter={"reference": "Encounter/visit"}))
        await world.put(condition("I10", "plain"))
        await world.put(NOTE)
    assert labels_of(await sealed(world, "Condition/plain")) is None
    relabeller = Relabeller(world.vault, world.log, world.clock, officer())
    assert (await relabeller.relabel())[1] == 3
    assert security(await world.read(clinician(), "Condition/c")) == ["PSY", "R"]
    assert security(await world.read(clinician(), "DocumentReference/note")) == ["PSY", "R"]
    assert labels_of(await sealed(world, "Condition/plain")).level < RESTRICTED
    assert (await relabeller.relabel())[1] == 0


async def none_further(*_):
    """No notes."""
    return []


def test_only_a_privacy_officer_labels_anew():
    """A clinician does not."""
    with pytest.raises(Denied):
        Relabeller(None, None, None, clinician())
