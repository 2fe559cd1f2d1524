"""Bodies of sensitive classes lie under a sub-key of their own, with their past, whatever happens to their rows."""

import json
from itertools import count

import pytest

from acceptance.verifier import offline
from consent import form
from medlock.clock import Clock
from medlock.crypto.kdf import derive
from medlock.errors import MedlockError, Tampered
from medlock.records.relabel import Relabeller
from medlock.records.rotate import Rotator
from medlock.records.shred import Shredder
from medlock.records.verify_bodies import scan
from medlock.store.bodies import ROW, tag_of
from medlock.store.keyring import PatientKeys
from medlock.store.tables import Batch, Table
from records.world import clinician, officer, open_world, patient, store_of
from store import naive

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
DENIES = form.consent({"provision": {"type": "permit", "provision": [{"type": "deny", "securityLabel": ["HIV"]}]}}, 1)
DENIES["patient"] = {"reference": "Patient/ann"}
NOISE = "".join(f"{each * 2_654_435_761 % 2**32:08x}" for each in range(600))


def condition(code, id_="c", **more):
    """A problem by its ICD-10-CM code."""
    return {
        "resourceType": "Condition",
        "id": id_,
        **SUBJECT,
        "code": {"coding": [{"system": ICD, "code": code}]},
    } | more


@pytest.fixture
async def world(tmp_path, store):
    """A door with one patient and one visit."""
    (tmp_path / "data.store").write_text(store)  # for whoever opens it besides
    world = await open_world(tmp_path / "data", store=store)
    for each in ({"resourceType": "Patient", "id": "ann"}, VISIT):
        await world.put(each)
    yield world
    await world.close()


@pytest.fixture
def formerly(monkeypatch):
    """A program from before there was a sub-key, while this lasts: a way to end it comes back."""
    for place in ("vault", "commit"):
        monkeypatch.setattr(f"medlock.records.{place}.sealed_apart", lambda *_: False)
    return monkeypatch.undo


async def rows(world, reference):
    """Every version's row of a resource, oldest first."""
    current = await world.backend.get(Table.BODY, world.vault.rid(reference))
    keys = (world.vault.history_key(reference, n) for n in count(1))
    older = []
    while (row := await world.backend.get(Table.HISTORY, next(keys))) is not None:
        older.append(row)
    return [*older, current]


async def apart(world, reference):
    """Of every version, whether it lies under the sub-key."""
    return [world.vault.bodies.header(row).apart for row in await rows(world, reference)]


async def versions(world, reference):
    """Every version as a clinician reads it, oldest first."""
    found = json.loads((await world.send(clinician(), f"GET /{reference}/_history")).body)
    return [each["resource"] for each in reversed(found["entry"])]


async def relabelled(world):
    """The operator's command."""
    return await Relabeller(world.vault, world.log, world.clock, officer()).relabel()


async def well(world):
    """Whether verification finds nothing; of a file, which it opens by itself."""
    return bool(store_of(world.directory)) or await offline(world.directory).verify() == []


async def test_what_is_sensitive_lies_under_its_own_key(world):
    """A second reader opens it with the sub-key and with no other; what is not sensitive is as it was."""
    await world.put(condition("F20.9"))
    await world.put(condition("I10", "plain"))
    await world.put(DENIES)
    assert [await apart(world, each) for each in ("Condition/c", "Condition/plain")] == [[True], [False]]
    tenant, slot = world.keystore.secret(0, 0)[1], await world.vault.patient_slot("ann")
    secret = world.keystore.secret(slot)[1][:32]
    (row,), rid = await rows(world, "Condition/c"), world.vault.rid("Condition/c")
    meta, body = naive.open_body(tenant, (secret, slot, 0), rid, [row])
    assert meta[:2] == ["Condition", "c"]
    assert "F20.9" in body
    aad = world.vault.bodies.header(row).raw + rid.to_bytes(8, "big")
    opened = naive.unseal(derive(secret, "medlock/1/patient/sensitive"), row[:12] + row[28:], aad)
    assert len(opened) == 640
    for use in ("body", "capsule", "directory", "audit", "labels"):
        with pytest.raises(naive.Bad):
            naive.unseal(derive(secret, f"medlock/1/patient/{use}"), row[:12] + row[28:], aad)
    assert (await versions(world, "Condition/c"))[0]["code"]["coding"][0]["code"] == "F20.9"


async def test_what_every_process_must_open_does_not(world):
    """Who a patient is and what they allow must be known to answer anything: those lie under the common key."""
    label = {"meta": {"security": [form.label("HIV"), form.label("R")]}}
    await world.put({"resourceType": "Patient", "id": "ann", **label})
    await world.put(DENIES)
    assert (await world.read(patient("ann"), "Consent/c1"))["meta"]["security"]
    assert await apart(world, "Consent/c1") == [False]
    assert await apart(world, "Patient/ann") == [False, False]


async def test_lengths_tell_nothing(world):
    """Every row of a body, sensitive or not, long or short, is of one length, and no byte of it says which it is."""
    for at in range(12):
        await world.put(condition("F20.9" if at % 2 else "I10", f"c{at}"))
        await world.put(condition("B20" if at % 2 else "I10", f"l{at}", note=[{"text": NOISE}]))
    found = {len(row) async for _, row in scan(world.backend, Table.BODY)}
    assert found == {ROW}


async def test_a_resource_that_becomes_sensitive_takes_its_past_with_it(world):
    """By its own codes: versions before are sealed anew in the same commit, further rows as well; and read as they were."""
    said = []
    for at, code in enumerate(("I10", "I11", "I12", "F20.9", "I10", "F20.9")):
        said.append(await world.put(condition(code, note=[{"text": NOISE[at:]}])))
        past = [at >= 3] * min(at, 4) + [at == 5] * (at > 4)
        assert await apart(world, "Condition/c") == [*past, code == "F20.9"]
    assert await versions(world, "Condition/c") == said
    world.vault.opened.clear()
    assert await versions(world, "Condition/c") == said
    assert await well(world)


async def test_a_note_goes_with_its_episode(world):
    """When something sensitive joins it: the note's new version and the one before are sealed apart in that commit."""
    await world.put(NOTE)
    assert await apart(world, "DocumentReference/note") == [False]
    await world.put(condition("F20.9", encounter={"reference": "Encounter/visit"}))
    assert await apart(world, "DocumentReference/note") == [True, True]
    assert len(await versions(world, "DocumentReference/note")) == 2
    await world.send(clinician(), "DELETE /DocumentReference/note")
    assert await apart(world, "DocumentReference/note") == [True] * 3
    assert await well(world)


async def test_a_store_from_before_is_moved(world, formerly):
    """Read as it is; relabelling seals apart what belongs so, without a version, once; after being killed it goes on."""
    await world.put(condition("I10"))
    await world.put(condition("F20.9", note=[{"text": NOISE}]))
    await world.put(condition("I10", "plain"))
    for at in range(40):
        await world.put(condition("B20", f"many{at}"))
    formerly()
    before = await versions(world, "Condition/c")
    assert await apart(world, "Condition/c") == [False, False]
    commit, commits = world.backend.commit, count()

    async def dies(batch):
        if next(commits) == 1:
            raise MedlockError("killed")
        return await commit(batch)

    world.backend.commit = dies
    with pytest.raises(MedlockError, match="killed"):
        await relabelled(world)
    world.backend.commit = commit
    some = sum([(await apart(world, f"Condition/many{at}"))[0] for at in range(40)])
    assert 0 < some < 40
    done = await relabelled(world)
    assert done.changed == 0
    assert done.moved >= 40 - some
    assert await apart(world, "Condition/c") == [True, True]
    assert await apart(world, "Condition/plain") == [False]
    assert all([(await apart(world, f"Condition/many{at}"))[0] for at in range(40)])
    assert (await relabelled(world))[1:] == (0, 0)
    assert await versions(world, "Condition/c") == before
    assert await well(world)
    other = await open_world(world.directory)
    assert await versions(other, "Condition/c") == before
    await other.close()


async def test_somebody_writes_while_it_is_moved(world, formerly):
    """The page is done again with what is there then: nothing is lost, and both are sealed apart."""
    for at in range(3):
        await world.put(condition("F20.9", f"c{at}"))
    formerly()
    other, commit = await open_world(world.directory), world.backend.commit

    async def interrupted(batch):
        world.backend.commit = commit
        await other.put(condition("F20.0", "c1"))
        return await commit(batch)

    world.backend.commit = interrupted
    await relabelled(world)
    assert [await apart(world, f"Condition/c{at}") for at in range(3)] == [[True], [True, True], [True]]
    assert (await world.read(clinician(), "Condition/c1"))["code"]["coding"][0]["code"] == "F20.0"
    assert await well(world)
    await other.close()


async def test_a_row_that_was_tampered_with_is_not_made_good(world, formerly):
    """Relabelling stops at a body that its index does not name."""
    await world.put(condition("F20.9"))
    (first,) = await rows(world, "Condition/c")
    await world.put(condition("F20.0"))
    formerly()
    await world.backend.commit(Batch(puts=[(Table.BODY, world.vault.rid("Condition/c"), first)]))
    with pytest.raises(Tampered):
        await relabelled(world)


async def test_attacks_on_stored_bytes(world, formerly):
    """A sensitive body exchanged with a normal one, put back as it was under the common key, or made to look like one."""
    await world.put(condition("F20.9"))
    (former,) = await rows(world, "Condition/c")
    formerly()
    await relabelled(world)
    (row,), rid = await rows(world, "Condition/c"), world.vault.rid("Condition/c")
    await world.put(condition("I10", "plain"))
    (normal,), other = await rows(world, "Condition/plain"), world.vault.rid("Condition/plain")
    header = world.vault.bodies.header(row)
    disguised = bytearray(header.raw)
    disguised[11] -= 2  # form 3 said to be form 1
    hidden = world.keystore.tenant.header.hide(row[:12], bytes(disguised))
    for at, bad in (
        (rid, normal),
        (other, row),
        (rid, former),
        (rid, row[:12] + hidden + row[28:]),
        (rid, row[:28] + former[28:]),
        (rid, row[:23] + bytes([row[23] ^ 2]) + row[24:]),
    ):
        await world.backend.commit(Batch(puts=[(Table.BODY, at, bad)]))
        for reference in ("Condition/c", "Condition/plain"):
            if world.vault.rid(reference) == at:
                with pytest.raises(MedlockError) as fault:
                    await world.read(clinician(), reference)
                assert fault.value.http_status >= 500
        good = row if at == rid else normal
        await world.backend.commit(Batch(puts=[(Table.BODY, at, good)]))
    assert tag_of(row) != tag_of(former)
    assert (await world.read(clinician(), "Condition/c"))["id"] == "c"


async def test_an_older_version_put_back_under_the_common_key_opens_as_itself_only(world):
    """History is bound to its place: the row of another version, or of another resource, does not open there."""
    await world.put(condition("I10"))
    await world.put(condition("I11", "plain"))
    await world.put(condition("F20.9"))
    (first, now), key = await rows(world, "Condition/c"), world.vault.history_key("Condition/c", 1)
    (plain,) = await rows(world, "Condition/plain")
    for bad in (now, plain):
        await world.backend.commit(Batch(puts=[(Table.HISTORY, key, bad)]))
        with pytest.raises(MedlockError) as fault:
            await world.send(clinician(), "GET /Condition/c/_history/1")
        assert fault.value.http_status >= 500
    await world.backend.commit(Batch(puts=[(Table.HISTORY, key, first)]))
    assert (await world.send(clinician(), "GET /Condition/c/_history/1")).status == 200


async def test_a_rotation_keeps_it_apart(world):
    """New data keys: under the new generation's sub-key, current and past; and normal bodies under the common one."""
    await world.put(condition("I10"))
    await world.put(condition("F20.9"))
    await world.put(condition("I10", "plain"))
    before = await versions(world, "Condition/c")
    slot = await world.vault.patient_slot("ann")
    await Rotator(world.vault, world.log, Clock(), world.directory, "operator", drain=0).rotate(slot, lambda *_: None)
    headers = [world.vault.bodies.header(row) for row in await rows(world, "Condition/c")]
    assert [(each.generation, each.apart) for each in headers] == [(1, True), (1, True)]
    assert await apart(world, "Condition/plain") == [False]
    assert await versions(world, "Condition/c") == before
    assert await well(world)


async def test_the_sub_key_dies_with_the_patients(world):
    """An erasure destroys one key; a copy of the rows made before opens with nothing that is left."""
    await world.put(condition("F20.9"))
    (row,), rid = await rows(world, "Condition/c"), world.vault.rid("Condition/c")
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "ann")
    with pytest.raises(MedlockError):
        await world.vault.open(rid, row)
    assert await well(world)


def test_no_two_uses_share_a_key():
    """The sub-key is none of the others, and none of another patient or generation."""
    keys = [PatientKeys(7, 0, bytes([each]) * 32) for each in (1, 2)]
    sealed = [each.apart.seal(b"x", b"") for each in keys]
    for at, each in enumerate(keys):
        for aead in (each.body, each.capsule, each.directory, each.audit, keys[1 - at].apart):
            with pytest.raises(Tampered):
                aead.open(sealed[at], b"")
        assert each.apart.open(sealed[at], b"") == b"x"
