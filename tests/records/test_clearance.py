"""A process without clearance: it never has the key to sensitive classes, and answers as if nothing of them were there."""

import json
import os
import threading
import time
from contextlib import closing, contextmanager

import pytest

from consent import form
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.clock import Clock
from medlock.errors import Denied, MedlockError, NotFound, SetupError
from medlock.records.consent_commands import notices
from medlock.settings import NORMAL, Settings, from_environment
from medlock.store.broker.allowance import Allowance
from medlock.store.broker.beside import OFF, keys_held
from medlock.store.broker.channel import Channel
from medlock.store.broker.desk import Desk
from medlock.store.broker.frames import Operation
from medlock.store.broker.keys import BrokeredKeys
from medlock.store.broker.server import Server, listen
from medlock.store.broker.unwraplog import UnwrapLog
from medlock.store.keyring import CommonKeys, NotCleared, PatientKeys
from medlock.store.keystore import Keystore
from medlock.store.opening import open_keys
from records.world import clinician, ids, loader, officer, open_world, patient, provider
from store import naive

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SUBJECT = {"subject": {"reference": "Patient/p"}}
VISIT = {
    "resourceType": "Encounter",
    "id": "visit",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    **SUBJECT,
}
NOTE = {"resourceType": "DocumentReference", "id": "note", "status": "current", **SUBJECT, "content": [{"attachment": {"contentType": "text/plain", "data": "SGVsbG8="}}]}  # fmt: skip
ONE = mint_principal("dr-one", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"), patient="p")
BACKEND = mint_principal("sys", frozenset({Role.BACKEND}), parse_scopes("system/*.cruds"))


def condition(code, id_, **more):
    """A problem by its ICD-10-CM code."""
    return {
        "resourceType": "Condition",
        "id": id_,
        **SUBJECT,
        "code": {"coding": [{"system": ICD, "code": code}]},
    } | more


def observation(id_, focus=None):
    """A finding, about a problem if that is said."""
    return {"resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "x"}, **SUBJECT} | (
        {"focus": [{"reference": focus}]} if focus else {}
    )


@contextmanager
def broker(directory, *, cleared):
    """A key broker on the keystore of a data directory, in a thread."""
    socket = directory.parent / f"{'full' if cleared else 'normal'}.sock"
    with (
        closing(Keystore.open(directory / "keystore.db", provider(directory))) as keystore,
        closing(UnwrapLog(directory.parent / socket.stem, keystore.tenant.unwraps, keystore.store_id)) as log,
        listen(socket) as listener,
    ):
        desk = Desk(keystore, Allowance(1_000, 2, time.monotonic), log, Clock(), time.monotonic, cleared=cleared)
        server = Server(desk, listener, {os.geteuid()}, [].append)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield socket
        server.stop()
        thread.join()


@pytest.fixture
async def world(tmp_path, store):
    """A record with something sensitive and something that is not, and history of both kinds."""
    (tmp_path / "data.store").write_text(store)  # for whoever opens it besides
    world = await open_world(tmp_path / "data", store=store)
    for each in ({"resourceType": "Patient", "id": "p"}, {"resourceType": "Patient", "id": "q"}, VISIT):
        await world.put(each)
    await world.put(condition("F20.9", "sensitive", encounter={"reference": "Encounter/visit"}))
    await world.put(condition("I10", "plain"))
    await world.put(observation("about", "Condition/sensitive"))
    await world.put(observation("alone"))
    await world.put(condition("B20", "was"))
    await world.put(condition("I10", "was"))
    await world.put(condition("B20", "gone"))
    await world.send(clinician(), "DELETE /Condition/gone")
    await world.put({**NOTE, "context": {"encounter": [{"reference": "Encounter/visit"}]}})
    yield world
    await world.close()


@pytest.fixture
async def normal(world):
    """A process without clearance on the same records."""
    with broker(world.directory, cleared=False) as socket:
        keys = BrokeredKeys(socket, cleared=False)
        found = await open_world(world.directory, keys=keys)
        yield found
        await found.close()


async def answered(world, who, line, body=b"", **headers):
    """What a caller sees of an answer, or of a refusal."""
    try:
        shown = await world.send(who, line, body, **headers)
    except MedlockError as fault:
        return type(fault).__name__, fault.http_status, str(fault), fault.problems
    return shown.status, shown.body


HIDDEN = {"sensitive": "Condition", "gone": "Condition", "note": "DocumentReference"}
READER = patient("p", "patient/*.rs")


@pytest.mark.parametrize("who", [clinician(), ONE, READER, BACKEND], ids=lambda who: who.account)
async def test_what_is_sensitive_is_as_if_it_had_never_been(normal, who):
    """By id, version and history: the words, status and problems of an id that never was, for everybody, the patient too."""
    for id_, type_ in HIDDEN.items():
        for tail in ("", "/_history/1", "/_history"):
            there = await answered(normal, who, f"GET /{type_}/{id_}{tail}")
            assert there == await answered(normal, who, f"GET /{type_}/never{tail}")
            assert there[1] == 404
    assert json.loads((await normal.send(who, "GET /Condition/plain")).body)["id"] == "plain"


@pytest.mark.parametrize("who", [clinician(), ONE, READER, BACKEND], ids=lambda who: who.account)
@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("Condition?_total=accurate&_sort=_id", {"Condition/plain", "Condition/was"}),
        ("Condition?patient=p&_total=accurate", {"Condition/plain", "Condition/was"}),
        ("Condition?_id=sensitive", set()),
        ("Condition?code=http://hl7.org/fhir/sid/icd-10-cm|F20.9", set()),
        ("Condition?_security=PSY", set()),
        ("Condition?encounter=Encounter/visit", set()),
        ("DocumentReference", set()),
        ("Observation?_id=about&_include=Observation:focus", {"Observation/about"}),
        ("Observation?focus:Condition.code=http://hl7.org/fhir/sid/icd-10-cm|F20.9", set()),
        ("Encounter?_revinclude=Condition:encounter", {"Encounter/visit"}),
        ("Encounter?_has:Condition:encounter:code=F20.9", set()),
        ("Patient?_id=p&_has:Condition:subject:code=http://hl7.org/fhir/sid/icd-10-cm|F20.9", set()),
    ],
)
async def test_searches_do_not_know_of_it(normal, who, query, shown):
    """Hits, totals, includes, chains and _has."""
    type_, _, text = query.partition("?")
    found = await normal.search(who, type_, text)
    assert ids(found) == shown
    assert found.get("total", len(shown)) == len(shown)


async def test_everything_and_histories_leave_it_out(normal, world):
    """$everything, the history of a type and of a resource that is not sensitive any more."""
    found = json.loads((await normal.send(READER, "GET /Patient/p/$everything")).body)
    assert ids(found) == {"Patient/p", "Encounter/visit", "Condition/plain", "Condition/was", "Observation/about", "Observation/alone"}  # fmt: skip
    history = json.loads((await normal.send(clinician(), "GET /Condition/_history")).body)
    assert {each["fullUrl"].rpartition("/")[2] for each in history["entry"]} == {"plain", "was"}
    past = json.loads((await normal.send(clinician(), "GET /Condition/was/_history")).body)
    assert [each["resource"]["meta"]["versionId"] for each in past["entry"]] == ["2"]
    assert (await answered(normal, clinician(), "GET /Condition/was/_history/1"))[1] == 404
    whole = json.loads((await world.send(READER, "GET /Patient/p/$everything")).body)
    assert {"Condition/sensitive", "DocumentReference/note"} <= ids(whole)


async def test_writes_see_nothing_there(normal, world):
    """References to it lead nowhere; it is not replaced, patched or deleted; and it stays what it was."""
    before = await world.read(clinician(), "Condition/sensitive")
    about = lambda id_: {**observation("x", f"Condition/{id_}"), "id": "x"}  # noqa: E731
    refused = await answered(normal, clinician(), "PUT /Observation/x", about("sensitive"))
    never = await answered(normal, clinician(), "PUT /Observation/x", about("never"))
    assert refused == never
    assert refused[1] == 422
    for method, body in (("DELETE", b""), ("PATCH", [{"op": "remove", "path": "/code"}])):
        type_ = {"content_type": "application/json-patch+json"} if method == "PATCH" else {}
        sent = json.dumps(body).encode() if body else b""
        there = await answered(normal, clinician(), f"{method} /Condition/sensitive", sent, **type_)
        assert there == await answered(normal, clinician(), f"{method} /Condition/never", sent, **type_)
    assert (await answered(normal, clinician(), "PUT /Condition/sensitive", condition("I10", "sensitive")))[1] == 404
    assert (await answered(normal, ONE, "PUT /Condition/sensitive", condition("I10", "sensitive"))) == (
        await answered(normal, ONE, "PUT /Condition/never", condition("I10", "never"))
    )
    assert await world.read(clinician(), "Condition/sensitive") == before


async def test_what_can_be_written(normal, world):
    """What is normal, of old patients and new ones, and everybody reads it; nothing sensitive, and no notes at all."""
    await normal.put(condition("I11", "plain"))
    await normal.put({"resourceType": "Patient", "id": "new"})
    await normal.put(condition("I10", "of-new", subject={"reference": "Patient/new"}))
    assert (await world.read(clinician(), "Condition/plain"))["code"]["coding"][0]["code"] == "I11"
    assert (await world.read(clinician(), "Condition/of-new"))["id"] == "of-new"
    await world.put(condition("F20.9", "secret-of-new", subject={"reference": "Patient/new"}))
    assert (await answered(normal, clinician(), "GET /Condition/secret-of-new"))[1] == 404
    for each in (condition("F20.9", "plain"), condition("F20.9", "c2")):
        with pytest.raises(Denied):
            await normal.put(each)
    for context in ({}, {"context": {"encounter": [{"reference": "Encounter/visit"}]}}):
        with pytest.raises(Denied):
            await normal.put({**NOTE, "id": "n2", **context})
    with pytest.raises(Denied):
        await normal.transact([{"resource": NOTE, "request": {"method": "PUT", "url": "DocumentReference/n2"}}])
    assert (await world.read(clinician(), "Condition/plain"))["meta"]["versionId"] == "2"


async def test_consents_are_evaluated_all_the_same(normal, world):
    """One that speaks of a sensitive class binds a process without clearance, which is never told that it is unclear."""
    deny = {"provision": {"type": "permit", "provision": [{"type": "deny", "securityLabel": ["HIV"]}, {"type": "deny", "data": [{"meaning": "instance", "ref": "Encounter/visit"}]}]}}  # fmt: skip
    await world.put({**form.consent(deny, 1)}, loader())
    assert ids(await normal.search(clinician(), "Condition", "_sort=_id")) == {"Condition/plain", "Condition/was"}
    assert not ids(await normal.search(clinician(), "Encounter", "_sort=_id"))
    assert not await notices(world.door, officer(), 1)


async def test_a_store_from_before_shows_no_more(tmp_path, monkeypatch):
    """What is labelled and not sealed apart yet, or not labelled at all, is left out all the same."""
    with monkeypatch.context() as patch:
        patch.setattr("medlock.records.vault.sealed_apart", lambda *_: False)
        patch.setattr("medlock.records.commit.sealed_apart", lambda *_: False)
        old = await open_world(tmp_path / "data")
        await old.put({"resourceType": "Patient", "id": "p"})
        await old.put(condition("F20.9", "labelled"))
        patch.setattr("medlock.records.write.label", lambda *_: None)
        await old.put(condition("F20.9", "unseen"))
    with broker(old.directory, cleared=False) as socket:
        normal = await open_world(old.directory, keys=BrokeredKeys(socket, cleared=False))
        assert not ids(await normal.search(clinician(), "Condition", "_sort=_id"))
        for id_ in ("labelled", "unseen"):
            assert (await answered(normal, clinician(), f"GET /Condition/{id_}"))[1] == 404
            refused = await answered(normal, clinician(), "PUT /Observation/x", observation("x", f"Condition/{id_}"))
            assert refused[1] == 422
        await normal.close()
    await old.close()


async def test_no_key_of_it_is_in_the_process(normal, world):
    """What the broker gave derives it in no way, and opens no sensitive body; the process asks for it and gets nothing."""
    slot = await world.vault.patient_slot("p")
    whole, given = world.keystore.keys(slot), normal.keystore.keys(slot)
    assert isinstance(given, CommonKeys)
    secret = world.keystore.secret(slot)[1][:32]
    held = repr([vars(given), given.succession().hex()])
    assert secret.hex() not in held
    assert repr(secret) not in held
    sealed = whole.apart.seal(b"x", b"")
    with pytest.raises(NotCleared):
        given.apart.open(sealed, b"")
    for use in ("body", "capsule", "directory", "audit"):
        assert getattr(given, use).open(getattr(whole, use).seal(b"x", b""), b"") == b"x"
    assert given.labels.label(b"x") == whole.labels.label(b"x")
    with pytest.raises(NotFound):
        given._sub("sensitive")


async def test_the_broker_hands_out_no_more_whatever_is_asked(normal, world):
    """A worker that was taken over asks for whole keys: refused; with clearance both kinds are given."""
    slot = await world.vault.patient_slot("p")
    asked = ((Operation.OPEN, slot.to_bytes(8, "big") + b"\xff" * 4), (Operation.ALLOT, b"\0\1"))
    with broker(world.directory, cleared=True) as full:
        channels = Channel(normal.keystore._channel._path), Channel(full)
        for operation, body in asked:
            with pytest.raises(SetupError):
                channels[0].ask(operation, body)
            assert len(channels[1].ask(operation, body)) in {36, 40}
        common = [each.ask(Operation.OPEN_COMMON, asked[0][1]) for each in channels]
        assert common[0] == common[1]
        assert world.keystore.secret(slot)[1][:32] not in common[0]
        for each in channels:
            each.close()


def test_succession_is_handed_on():
    """After rotations: audit copies of every generation open, and names of index rows are those of the first."""
    first = PatientKeys(7, 0, bytes([1]) * 32)
    second = PatientKeys(7, 1, bytes([2]) * 32 + first.succession())
    third = PatientKeys(7, 2, bytes([3]) * 32 + second.succession())
    uses = ("body", "capsule", "directory")
    handed = [naive.derive(bytes([3]) * 32, f"patient/{use}") for use in uses]
    handed += [naive.derive(bytes([1]) * 32, "patient/labels")]
    handed += [naive.derive(bytes([each]) * 32, "patient/audit") for each in (3, 2, 1)]
    assert third.common() == b"".join(handed)
    given = CommonKeys(7, 2, third.common())
    assert given.common() == third.common()
    assert given.labels.label(b"x") == first.labels.label(b"x")
    for each, opens in zip((third, second, first), given.audits, strict=True):
        assert opens.open(each.audit.seal(b"x", b""), b"") == b"x"


@pytest.mark.parametrize("word", ["", "Normal", "none", "restricted"])
def test_a_word_that_is_none_stops_the_start(word):
    """It is never taken for one of the two."""
    with pytest.raises(SetupError):
        from_environment({"MEDLOCK_CLEARANCE": word})


def test_without_a_broker_it_does_not_start(tmp_path):
    """A process that opens the keystore itself has every key, so it refuses to say that it has not."""
    settings = Settings(tmp_path, clearance=NORMAL)
    with pytest.raises(SetupError, match="MEDLOCK_CLEARANCE"):
        open_keys(settings, Clock(), create=True)
    with pytest.raises(SetupError, match="MEDLOCK_CLEARANCE"), keys_held(settings, OFF, 1, lambda *_: None):
        pass
    assert from_environment({"MEDLOCK_CLEARANCE": "normal"}).cleared is False
