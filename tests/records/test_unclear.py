"""Consents that cannot be evaluated: they deny, the privacy officer is told once a day for each version, and nobody else."""

import asyncio
import json

import pytest

from acceptance.verifier import offline
from consent import form
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.audit.codings import UNCLEAR
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.errors import Denied, MedlockError
from medlock.records.consent_commands import notices
from medlock.records.shred import Shredder
from medlock.records.unclear import UNCLEAR as NOTE
from medlock.store.tables import Batch, Table
from records.world import ids, loader, notes_left, officer, open_world

SUBJECT = {"reference": "Patient/p"}
DAY = 86_400_000
DESCRIBED = form.consent(
    {"provision": {"type": "permit", "provision": [{"type": "deny", "actor": ["Group/described"]}]}}, 1
)
NAMED = form.consent({"provision": {"type": "permit", "provision": [{"type": "deny", "actor": ["CareTeam/t"]}]}}, 2)
QUESTION = f"AuditEvent?subtype={UNCLEAR['system']}|{UNCLEAR['code']}"
ann = mint_principal(
    "ann", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"), fhir_user="Practitioner/ann", purpose="TREAT"
)
nurse = mint_principal("n", frozenset({Role.NURSE}), parse_scopes("user/*.rs"), fhir_user="Practitioner/n")


def observation(id_, subject="Patient/p"):
    """A finding."""
    code = {"coding": [{"system": "http://loinc.org", "code": "56888-1"}], "text": "marker-of-hiv"}
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": code,
        "subject": {"reference": subject},
    }


@pytest.fixture
async def world(tmp_path, store):
    """A patient whose consent names a group of which nobody can tell who is in it, and one who has none."""
    (tmp_path / "data.store").write_text(store)  # for whoever opens it besides
    world = await open_world(tmp_path / "data", store=store)
    for id_ in ("p", "q"):
        await world.put({"resourceType": "Patient", "id": id_})
    for id_ in ("ann", "n"):
        await world.put({"resourceType": "Practitioner", "id": id_})
    group = {"resourceType": "Group", "id": "described", "type": "practitioner", "actual": False}
    await world.put(group)
    await world.put(observation("o1"))
    await world.put(observation("o2", "Patient/q"))
    await world.put(DESCRIBED)
    yield world
    await world.close()


async def told(world):
    """The events, oldest first."""
    found = await world.log.find(AuditQuery(action=Action.CONSENT_UNCLEAR))
    return [each.event for each in reversed(found)]


async def refused(world, who, line):
    """How a request was refused."""
    with pytest.raises(MedlockError) as fault:
        await world.send(who, line)
    return type(fault.value), str(fault.value), fault.value.problems


async def test_it_denies_and_is_told(world):
    """Patient, consent, version and what is wrong with it, beside who asked; nothing that the record says."""
    await refused(world, ann, "GET /Observation/o1")
    (event,) = await told(world)
    assert [(each.reference, each.version) for each in event.touched] == [("Consent/c1", 1)]
    assert (event.patient, event.account) == ("p", "ann")
    assert "Group/described" in event.reason
    denials = await world.log.find(AuditQuery(account="ann"))
    assert {each.event.request for each in denials if each.event.patient == "p"} == {event.request}


async def test_once_a_day_for_each_version(world):
    """However often it is met, on every path, by whichever process; again tomorrow, and for another version."""
    other = await open_world(world.directory)
    for line in ("/Observation/o1", "/Patient/p", "/Patient/p/$everything"):
        for each in (world, other, world):
            await refused(each, ann, f"GET {line}")
    assert ids(await world.search(ann, "Observation", "_sort=_id")) == {"Observation/o2"}
    assert len(await told(world)) == 1
    other.clock.ms = world.clock.ms = world.clock.ms + DAY
    await asyncio.gather(
        *(refused(each, who, "GET /Observation/o1") for each in (world, other) for who in (ann, nurse))
    )
    assert len(await told(world)) == 2
    await world.put(DESCRIBED, loader())
    await refused(other, ann, "GET /Observation/o1")
    assert [event.touched[0].version for event in await told(world)] == [1, 1, 2]
    assert len([name for name in await notes_left(world.vault) if name.startswith(NOTE)]) == 1
    await other.close()


async def test_nobody_who_asks_can_tell(world):
    """The refusal is that of an id that never was, and takes as many commits, told or not told."""
    commits, commit = [], world.backend.commit

    async def counted(batch):
        commits.append(len(batch.entries))
        return await commit(batch)

    world.backend.commit = counted
    first = await refused(world, ann, "GET /Observation/o1")
    second = await refused(world, ann, "GET /Observation/o1")
    assert first == second == await refused(world, ann, "GET /Observation/nobody")
    assert commits == [2, 1, 1]


async def test_an_answer_that_shows_something_else_tells_as_well(world):
    """A search that leaves the record out is an answer, not a refusal: what it met is told with it."""
    assert ids(await world.search(nurse, "Observation", "_sort=_id")) == {"Observation/o2"}
    assert len(await told(world)) == 1


async def test_a_team_that_was_erased_with_its_patient(world):
    """Who was in it cannot be told any more, so the consent that names it denies, and is told of."""
    await world.put({"resourceType": "CareTeam", "id": "t", "subject": {"reference": "Patient/q"}})
    await world.put({**DESCRIBED, "status": "inactive"}, loader())
    await world.put(NAMED)
    assert (await world.send(ann, "GET /Observation/o1")).status == 200
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "q")
    await refused(world, ann, "GET /Observation/o1")
    (event,) = await told(world)
    assert event.touched[0].reference == "Consent/c2"
    assert "CareTeam/t: no CareTeam of this name is there" in event.reason


async def test_who_is_in_a_team_that_is_clear_is_not_doubted(world):
    """Somebody who is named in a group belongs to it, whatever other groups inside describe."""
    members = [{"entity": {"reference": each}} for each in ("Group/described", "Practitioner/ann")]
    await world.put({"resourceType": "Group", "id": "g", "type": "practitioner", "actual": True, "member": members})
    consent = {"provision": {"type": "deny", "provision": [{"type": "permit", "actor": ["Group/g"]}]}}
    await world.put({**form.consent(consent, 1)}, loader())
    assert (await world.send(ann, "GET /Observation/o1")).status == 200
    await refused(world, nurse, "GET /Observation/o1")
    assert len(await told(world)) == 1


async def test_one_that_cannot_be_read(world, monkeypatch):
    """Of an older store: the path of what is not understood is told, not what it says."""
    monkeypatch.setattr("medlock.records.recording.refusals", lambda *_args, **_more: [])
    consent = json.loads(json.dumps(DESCRIBED))
    consent["provision"]["provision"][0] = {"type": "deny", "purpose": [{"system": "urn:marker", "code": "secret"}]}
    await world.put(consent, loader())
    await refused(world, ann, "GET /Observation/o1")
    (event,) = await told(world)
    assert event.reason == "consent: Consent.provision.provision[0].purpose[0]"


async def test_the_privacy_officer_finds_it_and_nobody_else(world):
    """By AuditEvent search and by the list of the command line, page after page; no word of the record in either."""
    await refused(world, ann, "GET /Observation/o1")
    found = await world.search(officer(), *QUESTION.split("?"))
    assert len(found["entry"]) == 1
    assert "marker" not in json.dumps(found)
    (notice,) = await notices(world.door, officer(), 30)
    assert (notice["patient"], notice["consent"]) == ("Patient/p", "Consent/c1/_history/1")
    assert notice["why"].startswith("consent: Group/described")
    assert notice["event"] == found["entry"][0]["resource"]["id"]
    world.clock.ms += 40 * DAY
    assert not await notices(world.door, officer(), 30)
    for who in (ann, nurse):
        with pytest.raises(Denied):
            await notices(world.door, who, 30)


async def test_a_note_that_was_tampered_with_hides_nothing(world):
    """Edited: it is told again and the note made good; verification names it while it lasts, and nothing afterwards."""
    await refused(world, ann, "GET /Observation/o1")
    key = world.vault.notes.key(NOTE + world.vault.rid("Consent/c1").to_bytes(8, "big"))
    await world.backend.commit(Batch(puts=[(Table.JOB, key, b"x" * 128)]))
    other = await open_world(world.directory)
    await refused(other, ann, "GET /Observation/o1")
    assert len(await told(world)) == 2
    await other.close()


async def test_verification_knows_the_notes(tmp_path):
    """A store with such a note is well."""
    world = await open_world(tmp_path / "data")
    await world.put({"resourceType": "Patient", "id": "p"})
    await world.put({"resourceType": "Practitioner", "id": "ann"})
    await world.put({"resourceType": "Group", "id": "described", "type": "practitioner", "actual": False})
    await world.put(DESCRIBED)
    await refused(world, ann, "GET /Patient/p")
    assert await told(world)
    await world.close()
    assert await offline(world.directory).verify() == []


@pytest.mark.parametrize("transaction", [False, True])
async def test_it_is_told_of_whoever_met_it(world, transaction):
    """Whose write met it in its criteria stands in the log of the patient, in the write's own commit; nobody else does."""
    commits, commit = [], world.backend.commit

    async def counted(batch):
        commits.append(len(batch.entries))
        return await commit(batch)

    world.backend.commit = counted
    criteria = "code=http://loinc.org|56888-1&subject=Patient/p"
    made = {key: value for key, value in observation("", "Patient/q").items() if key != "id"}
    if transaction:
        request = {"method": "POST", "url": "Observation", "ifNoneExist": criteria}
        body = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": made, "request": request}]}
        assert b'"201' in (await world.send(ann, "POST /", body)).body
    else:
        assert (await world.send(ann, "POST /Observation", made, if_none_exist=criteria)).status == 201
    assert commits == [2]
    other = mint_principal("other", frozenset({Role.CLINICIAN}), parse_scopes("user/*.rs"), client="elsewhere")
    await world.send(other, "GET /Patient/q")
    (event,) = await told(world)
    assert (event.patient, event.account, event.purpose) == ("p", "ann", "TREAT")
    written = [each.event for each in await world.log.find(AuditQuery(account="ann")) if each.event.patient == "q"]
    assert event.request in {each.request for each in written}
    assert "other" not in {
        each.event.account for each in await world.log.find(AuditQuery()) if each.event.patient == "p"
    }


async def test_a_read_inside_a_transaction_tells(world):
    """In the commit that writes the read down: nothing waits for somebody else's request."""
    entry = {"request": {"method": "GET", "url": "Observation?_sort=_id"}}
    body = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    await world.send(ann, "POST /", body)
    (event,) = await told(world)
    assert event.account == "ann"
