"""Conditional update, patch and delete, and both kinds of patch, alone and inside bundles: what is written, and when not."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.errors import (
    BadRequest,
    Denied,
    Gone,
    MedlockError,
    NotFound,
    PreconditionFailed,
    Throttled,
    TooLarge,
    Unprocessable,
)
from medlock.records.commit import Committer, Written
from medlock.records.drafts import Draft
from medlock.settings import Limits
from records.world import World, clinician, open_world, patient

JSON_PATCH = "application/json-patch+json"
MRN = "urn:mrn"


@pytest.fixture
async def world(tmp_path: Path, store: str) -> AsyncIterator[World]:
    """Two patients with numbers, an observation each."""
    made = await open_world(tmp_path / "data", Limits(resource_bytes=4_000), store)
    for who in ("ann", "bob"):
        name = {"resourceType": "Patient", "id": who, "identifier": [{"system": MRN, "value": who}], "gender": "female"}
        await made.put(name | {"name": [{"family": "Ångström"}]})
        await made.put(observation(f"o-{who}", who))
    yield made
    await made.close()


def observation(id_: str, who: str, **more: Any) -> dict[str, Any]:
    """A body weight whose digits count."""
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{who}"}, "identifier": [{"system": "urn:lab", "value": id_}], **more,
    }  # fmt: skip


def restricted(scopes: str, role: Role = Role.CLINICIAN) -> Principal:
    """Somebody with these scopes only."""
    return mint_principal("narrow", frozenset({role}), parse_scopes(scopes))


def replace(path: str, value: Any) -> bytes:
    """A JSON Patch of one replacement."""
    return json.dumps([{"op": "replace", "path": path, "value": value}]).encode()


async def patched(world: World, url: str, patch: bytes, who: Principal | None = None, **headers: str) -> dict[str, Any]:
    """PATCH; the resource that came back."""
    shown = await world.send(who or clinician(), f"PATCH /{url}", patch, content_type=JSON_PATCH, **headers)
    assert shown.status == 200
    return json.loads(shown.body)


async def versions(world: World) -> dict[str, str]:
    """The version of everything there is."""
    found = {}
    for type_ in ("Patient", "Observation"):
        bundle = await world.search(clinician(), type_, "_count=1000")
        for entry in bundle["entry"]:
            found[f"{type_}/{entry['resource']['id']}"] = entry["resource"]["meta"]["versionId"]
    return found


async def test_a_json_patch_makes_the_next_version(world: World) -> None:
    """The patched resource is what is read from then on; what was not touched stays to the digit."""
    body = (
        b'{"resourceType":"Observation","id":"w","status":"final","code":{"text":"w"},"valueQuantity":{"value":70.500}}'
    )
    await world.send(clinician(), "PUT /Observation/w", body)
    after = await patched(world, "Observation/w", replace("/status", "amended"))
    assert (after["status"], after["meta"]["versionId"]) == ("amended", "2")
    shown = await world.send(clinician(), "GET /Observation/w")
    assert b'"value":70.500' in shown.body
    assert json.loads(shown.body) == after
    found = await world.log.find(AuditQuery())
    assert [each.event.touched[0].crud for each in found if each.event.action is Action.PATCH] == ["U"]


async def test_a_fhirpath_patch_does_too(world: World) -> None:
    """Parameters are told from JSON Patch by the Content-Type."""
    part = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": "male"},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}
    after = json.loads((await world.send(clinician(), "PATCH /Patient/ann", parameters)).body)
    assert (after["gender"], after["meta"]["versionId"]) == ("male", "2")


@pytest.mark.parametrize(
    ("patch", "refusal"),
    [
        (replace("/nothing", 1), Unprocessable),
        (replace("/gender", "nonsense"), Unprocessable),
        (replace("/gender", 1), Unprocessable),
        (replace("/gender", "\x00"), BadRequest),
        (b'[{"op":"add","path":"/nickname","value":"x"}]', Unprocessable),
        (b'[{"op":"remove","path":"/resourceType"}]', Unprocessable),
        (replace("/id", "cat"), Unprocessable),
        (b'[{"op":"test","path":"/gender","value":"male"}]', Unprocessable),
        (b'[{"op":"add","path":"/generalPractitioner","value":[{"reference":"Practitioner/no"}]}]', Unprocessable),
        (replace("/name/0/family", "x" * 4_000), TooLarge),
        (b'[{"op":"spam"}]', BadRequest),
        (b"{}", BadRequest),
        (b"no json", BadRequest),
    ],
)
async def test_a_patch_that_is_refused_writes_nothing(world: World, patch: bytes, refusal: type[MedlockError]) -> None:
    """Bad paths, failed tests, invalid results: refused, and the resource is as before. No value is repeated."""
    before = await versions(world)
    with pytest.raises(refusal) as told:
        await patched(world, "Patient/ann", patch)
    assert "nonsense" not in str(told.value) + "".join(each.text for each in told.value.problems)
    assert await versions(world) == before


async def test_versions_are_heeded(world: World) -> None:
    """If-Match names the version that is patched; a deleted resource is gone, an unknown one not there."""
    with pytest.raises(PreconditionFailed):
        await patched(world, "Patient/ann", replace("/gender", "male"), if_match='W/"2"')
    assert (await patched(world, "Patient/ann", replace("/gender", "male"), if_match='W/"1"'))["gender"] == "male"
    await world.send(clinician(), "DELETE /Observation/o-ann")
    with pytest.raises(Gone):
        await patched(world, "Observation/o-ann", replace("/status", "amended"))
    with pytest.raises(NotFound) as unknown:
        await patched(world, "Observation/never", replace("/status", "amended"))
    assert not isinstance(unknown.value, Gone)


async def test_who_may_patch(world: World) -> None:
    """A patch needs to read as well as to update: its tests and its answer tell what is there."""
    for scopes in ("user/Patient.u", "user/Patient.rs", "user/Observation.cruds"):
        with pytest.raises(Denied):
            await patched(world, "Patient/ann", replace("/gender", "male"), restricted(scopes))
    with pytest.raises(Denied):
        await patched(world, "Patient/ann", replace("/gender", "male"), patient("ann"))
    assert await patched(world, "Patient/ann", replace("/gender", "male"), restricted("user/Patient.ru"))


async def test_a_patch_cannot_move_a_resource_out_of_sight(world: World) -> None:
    """A patch may hand a resource to another patient only as an update could: both are within reach."""
    after = await patched(world, "Observation/o-ann", replace("/subject/reference", "Patient/bob"))
    assert after["subject"]["reference"] == "Patient/bob"
    with pytest.raises(NotFound):
        await world.read(patient("ann"), "Observation/o-ann")


async def test_conditional_update(world: World) -> None:
    """Nothing found: created. One: updated, whatever id it has. An id that is another's: 400. Several: 412."""
    body = observation("", "ann", identifier=[{"system": "urn:lab", "value": "new"}])
    del body["id"]
    made = await world.send(clinician(), "PUT /Observation?identifier=urn:lab|new", body)
    assert made.status == 201
    id_ = json.loads(made.body)["id"]
    again = await world.send(clinician(), "PUT /Observation?identifier=urn:lab|new", body | {"status": "amended"})
    assert again.status == 200
    assert (json.loads(again.body)["id"], again.version) == (id_, "2")
    assert (await world.send(clinician(), "PUT /Observation?identifier=urn:lab|new", body | {"id": id_})).version == "3"
    with pytest.raises(BadRequest):
        await world.send(clinician(), "PUT /Observation?identifier=urn:lab|new", body | {"id": "o-bob"})
    with pytest.raises(PreconditionFailed):
        await world.send(clinician(), "PUT /Observation?status=final", body)
    with pytest.raises(PreconditionFailed):
        await world.send(clinician(), "PUT /Observation?identifier=urn:lab|no", body, if_match='W/"1"')
    chosen = await world.send(clinician(), "PUT /Observation?identifier=urn:lab|mine", body | {"id": "mine"})
    assert (chosen.status, json.loads(chosen.body)["id"]) == (201, "mine")


async def test_conditional_patch_and_delete(world: World) -> None:
    """One is patched or deleted; nothing to patch is 404, nothing to delete is done; several are 412."""
    assert (await patched(world, "Patient?identifier=urn:mrn|ann", replace("/gender", "male")))["id"] == "ann"
    with pytest.raises(NotFound):
        await patched(world, "Patient?identifier=urn:mrn|no", replace("/gender", "male"))
    with pytest.raises(PreconditionFailed):
        await patched(world, "Observation?status=final", replace("/status", "amended"))
    with pytest.raises(PreconditionFailed):
        await world.send(clinician(), "DELETE /Observation?status=final")
    with pytest.raises(PreconditionFailed):
        await world.send(clinician(), "DELETE /Observation?identifier=urn:lab|o-ann", if_match='W/"7"')
    assert (await world.send(clinician(), "DELETE /Observation?identifier=urn:lab|o-ann")).status == 204
    assert (await world.send(clinician(), "DELETE /Observation?identifier=urn:lab|o-ann")).status == 204
    assert "Observation/o-ann" not in await versions(world)


@pytest.mark.parametrize("line", ["DELETE /Observation", "PUT /Observation", "DELETE /Observation?_count=1",
                                  "DELETE /Observation?_format=json", "DELETE /Observation?nonsense=1"])  # fmt: skip
async def test_criteria_are_demanded(world: World, line: str) -> None:
    """Without a condition, or with one that is not understood, nothing is changed."""
    with pytest.raises(BadRequest):
        await world.send(clinician(), line, observation("x", "ann") if line.startswith("PUT") else b"")
    assert len(await versions(world)) == 4


async def test_criteria_are_a_search_of_the_callers(world: World) -> None:
    """Who may not search may not use criteria: whether they match would tell."""
    blind = restricted("user/Observation.crud")
    for line in ("PUT /Observation?status=final", "DELETE /Observation?status=final"):
        with pytest.raises(Denied):
            await world.send(blind, line, observation("x", "ann"))
    with pytest.raises(Denied):
        await patched(world, "Observation?status=final", replace("/status", "amended"), blind)


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: str) -> dict[str, Any]:
    """One entry."""
    made: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    return made if resource is None else made | {"resource": resource}


def binary(patch: bytes) -> dict[str, Any]:
    """A JSON Patch as an entry's resource."""
    return {"resourceType": "Binary", "contentType": JSON_PATCH, "data": b64encode(patch).decode()}


async def test_all_of_it_in_a_transaction(world: World) -> None:
    """Patches, conditional updates and deletes of one transaction, with references to what it makes."""
    made = observation("", "ann", identifier=[{"system": "urn:lab", "value": "new"}])
    del made["id"]
    focus = b'[{"op":"add","path":"/focus","value":[{"reference":"urn:uuid:0b0d8f5c-3b5a-4d8e-9a43-7b1d2f3c4d5e"}]}]'
    answer = await world.transact(
        [
            entry("PATCH", "Observation/o-bob", binary(focus), ifMatch='W/"1"'),
            entry("PUT", "Observation?identifier=urn:lab|new", made)
            | {"fullUrl": "urn:uuid:0b0d8f5c-3b5a-4d8e-9a43-7b1d2f3c4d5e"},
            entry("DELETE", "Observation?identifier=urn:lab|o-ann"),
            entry("DELETE", "Observation?identifier=urn:lab|never"),
            entry("PATCH", "Patient?identifier=urn:mrn|ann", binary(replace("/gender", "male"))),
        ]
    )
    assert [each["response"]["status"] for each in answer["entry"]] == ["200", "201", "204", "204", "200"]
    new = answer["entry"][1]["response"]["location"].split("/_history")[0]
    assert (await world.read(clinician(), "Observation/o-bob"))["focus"] == [{"reference": new}]
    assert (await world.read(clinician(), "Patient/ann"))["gender"] == "male"
    assert set(await versions(world)) == {"Patient/ann", "Patient/bob", "Observation/o-bob", new}


@pytest.mark.parametrize(
    "last",
    [
        entry("PATCH", "Observation/o-bob", binary(replace("/status", "nonsense"))),
        entry("PATCH", "Observation/o-bob", binary(replace("/nothing", 1))),
        entry("PATCH", "Observation/o-bob", binary(b"{}")),
        entry("PATCH", "Observation/o-bob", {"resourceType": "Patient"}),
        entry("PATCH", "Observation/o-bob", binary(replace("/status", "amended")), ifMatch='W/"7"'),
        entry("PATCH", "Patient?identifier=urn:mrn|ann", binary(replace("/gender", "other"))),
        entry("PUT", "Patient?identifier=urn:mrn|ann", {"resourceType": "Patient"}),
        entry("DELETE", "Observation?status=final"),
        entry("PUT", "Observation?status=final", observation("x", "ann")),
    ],
)
async def test_one_entry_that_fails_stops_the_transaction(world: World, last: dict[str, Any]) -> None:
    """Also when two entries mean one resource, by id and by criteria. Nothing is written."""
    before = await versions(world)
    first = entry("PATCH", "Patient/ann", binary(replace("/gender", "male")))
    with pytest.raises(MedlockError) as told:
        await world.transact([first, last])
    assert told.value.http_status < 500
    assert told.value.problems[0].path.startswith("Bundle.entry[1]")
    assert await versions(world) == before


async def test_two_entries_that_create_by_the_same_criteria(world: World) -> None:
    """What the first would make, the second would make again: refused whole."""
    made = observation("", "ann", identifier=[{"system": "urn:lab", "value": "new"}])
    del made["id"]
    twice = [entry("PUT", "Observation?identifier=urn:lab|new", made)] * 2
    before = await versions(world)
    with pytest.raises(Unprocessable):
        await world.transact(twice)
    assert await versions(world) == before


async def test_a_batch_takes_each_by_itself(world: World) -> None:
    """One patch fails, the others are written."""
    entries = [
        entry("PATCH", "Patient/ann", binary(replace("/gender", "male"))),
        entry("PATCH", "Patient/bob", binary(replace("/gender", "nonsense"))),
        entry("DELETE", "Observation?identifier=urn:lab|o-ann"),
    ]
    body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}).encode()
    answer = json.loads((await world.send(clinician(), "POST /", body)).body)
    assert [each["response"]["status"] for each in answer["entry"]] == ["200", "422", "204"]
    assert not any("resource" in each for each in answer["entry"])


async def test_patches_at_the_same_time(world: World) -> None:
    """Many patches of one resource at once: each is applied to what the one before made, none is lost."""
    add = [f'[{{"op":"add","path":"/name/-","value":{{"text":"n{number}"}}}}]'.encode() for number in range(6)]
    await asyncio.gather(*(patched(world, "Patient/ann", each) for each in add))
    found = await world.read(clinician(), "Patient/ann")
    assert {each["text"] for each in found["name"][1:]} == {f"n{number}" for number in range(6)}
    assert found["meta"]["versionId"] == "7"


async def test_criteria_tell_a_held_caller_nothing_of_others(world: World) -> None:
    """For a caller held to Ann, Bob's resources and none at all make the same answers, and nothing of Bob's changes."""
    held = mint_principal("aide", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"), patient="ann")
    before = await versions(world)
    for number in ("o-bob", "never"):
        url = f"Observation?identifier=urn:lab|{number}"
        assert (await world.send(held, f"DELETE /{url}")).status == 204
        for headers in ({}, {"if_match": 'W/"1"'}):
            with pytest.raises((NotFound, PreconditionFailed)) as told:
                await patched(world, url, replace("/status", "amended"), held, **headers)
            assert isinstance(told.value, PreconditionFailed) is bool(headers)
        with pytest.raises(NotFound):  # an id of their own choice, whether it is free or not
            await world.send(held, f"PUT /{url}", observation(number, "ann"))
        with pytest.raises(PreconditionFailed):
            await world.send(held, f"PUT /{url}", observation("", "ann"), if_match='W/"1"')
    assert await versions(world) == before
    for number in ("o-bob", "never"):
        made = observation("", "ann", identifier=[{"system": "urn:lab", "value": "mine"}])
        del made["id"]
        shown = await world.send(held, f"PUT /Observation?identifier=urn:lab|{number}", made)
        assert (shown.status, shown.version) == (201, "1")


async def test_a_held_caller_cannot_give_a_resource_away(world: World) -> None:
    """A patch that would hand Ann's observation to Bob is refused, in the words for any reference out of reach."""
    held = mint_principal("aide", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"), patient="ann")
    refused = []
    for who in ("bob", "nobody"):
        with pytest.raises(Unprocessable) as told:
            await patched(world, "Observation/o-ann", replace("/subject/reference", f"Patient/{who}"), held)
        refused.append((str(told.value), told.value.problems))
    assert refused[0] == refused[1]
    with pytest.raises(NotFound):
        await patched(world, "Observation/o-bob", replace("/status", "amended"), held)


REFUSED = [[{"op": "test", "path": "/status", "value": "amended"}], [{"op": "add", "path": "/status", "value": "x"}]]


@pytest.mark.parametrize("patch", REFUSED)
@pytest.mark.parametrize("way", ["PATCH /Observation/o-ann", "PATCH /Observation?identifier=urn:lab|o-ann", "POST /"])
async def test_a_refused_patch_is_in_the_patients_log(world: World, way: str, patch: list[dict[str, str]]) -> None:
    """A test that fails tells what is not there, so a test for each guess reads the record: each is one who looked."""
    body, headers = json.dumps(patch).encode(), {"content_type": JSON_PATCH}
    if way == "POST /":
        parts = [entry("PATCH", "Observation/o-ann", binary(body))]
        body, headers = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": parts}).encode(), {}
    with pytest.raises(Unprocessable):
        await world.send(clinician(), way, body, **headers)
    (event, *_) = [each.event for each in await world.log.find(AuditQuery())]
    assert (event.outcome, event.patient, [each.reference for each in event.touched]) == (
        "failed", "ann", ["Observation/o-ann"])  # fmt: skip


async def test_a_test_that_passed_in_a_refused_transaction_is_in_the_log(world: World) -> None:
    """That another entry is what failed tells as much: the patch before it fits what is there."""
    test = binary(b'[{"op":"test","path":"/status","value":"final"}]')
    for other in (entry("GET", "Patient/nobody"), entry("PUT", "Patient/ann", {"resourceType": "Patient"})):
        with pytest.raises(MedlockError):
            await world.transact([entry("PATCH", "Observation/o-ann", test), other])
        (event, *_) = [each.event for each in await world.log.find(AuditQuery())]
        assert (event.patient, [each.reference for each in event.touched]) == ("ann", ["Observation/o-ann"])


async def test_a_repeated_request_makes_one_resource(world: World) -> None:
    """Sent several times at once, conditional creates, updates and transactions by the same criteria make one."""
    made = observation("", "ann", identifier=[{"system": "urn:lab", "value": "once"}])
    del made["id"]
    url = "Observation?identifier=urn:lab|once"
    line, condition = "POST /Observation", {"if_none_exist": "identifier=urn:lab|once"}
    shown = await asyncio.gather(*(world.send(clinician(), line, made, **condition) for _ in range(5)))
    assert sorted(each.status for each in shown) == [200] * 4 + [201]
    bundles = [
        [entry("PUT", url, made), entry("PUT", "Observation?identifier=urn:lab|other", made)],
        [entry("PUT", "Observation?identifier=urn:lab|other", made), entry("PUT", url, made)],
    ]
    other = [
        [each | {"resource": made | {"identifier": [{"system": "urn:lab", "value": each["request"]["url"][31:]}]}}
         for each in bundle] for bundle in bundles
    ]  # fmt: skip
    await asyncio.gather(*(world.transact(each) for each in other * 3), *(
        world.send(clinician(), f"PUT /{url}", made) for _ in range(3)))  # fmt: skip
    for number in ("once", "other"):
        assert (await world.search(clinician(), "Observation", f"identifier=urn:lab|{number}"))["total"] == 1


async def test_a_conditional_create_shows_what_the_caller_may_write_only(world: World) -> None:
    """Held to a patient, a caller may not create what is shared: whether it is there already makes no difference."""
    held = mint_principal("held", frozenset({Role.CLINICIAN}), parse_scopes("patient/*.cruds"), patient="ann")
    clinic = {"resourceType": "Organization", "name": "Clinic", "identifier": [{"system": MRN, "value": "c"}]}
    await world.put(clinic | {"id": "c"})
    for value in ("c", "d"):
        with pytest.raises(Denied):
            await world.send(held, "POST /Organization", clinic, if_none_exist=f"identifier={MRN}|{value}")


async def test_who_is_held_to_a_patient_waits_for_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """That somebody else is writing by the same criteria would show in how long it takes; nor can they be made to wait."""
    held = mint_principal("held", frozenset({Role.CLINICIAN}), parse_scopes("patient/*.cruds"), patient="ann")
    made = observation("", "ann", identifier=[{"system": "urn:lab", "value": "new"}])
    del made["id"]
    reached, go, commit = asyncio.Event(), asyncio.Event(), Committer.commit

    async def slowly(committer: Committer, drafts: Sequence[Draft]) -> Sequence[Written]:
        if not reached.is_set():
            reached.set()
            await go.wait()
        return await commit(committer, drafts)

    monkeypatch.setattr(Committer, "commit", slowly)
    line, condition = "POST /Observation", {"if_none_exist": "identifier=urn:lab|new"}
    first = asyncio.create_task(world.send(clinician(), line, made, **condition))
    await reached.wait()
    try:
        async with asyncio.timeout(60):
            assert (await world.send(held, line, made, **condition)).status == 201
    finally:
        go.set()
        await first


class Guard:
    """Lets somebody see one patient."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def saw(self, _principal: Principal, slots: Collection[int]) -> None:
        """Refuse the second."""
        if len(self.seen | set(slots)) > 1:
            raise Throttled(60, "people_patients")
        self.seen |= set(slots)


async def test_what_a_patch_shows_is_counted(world: World) -> None:
    """A patch that changes nothing is a read: alone, by criteria and in a transaction it counts whose record it shows."""
    world.door.watched_by(Guard())
    await patched(world, "Patient/ann", b"[]")
    for url in ("Patient/bob", "Patient?identifier=urn:mrn|bob", "Observation/o-bob"):
        with pytest.raises(Throttled):
            await patched(world, url, b"[]")
    binary = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": b64encode(b"[]").decode()}
    with pytest.raises(Throttled):
        await world.transact([{"request": {"method": "PATCH", "url": "Patient/bob"}, "resource": binary}])
    bob = await world.vault.current("Patient", "bob")
    assert bob is not None
    assert bob.meta.version == 1
