"""Binary: content in and out as itself, whose it is, and that it dies with its patient. And Subscriptions that are off."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from acceptance.scene import rotate
from acceptance.verifier import offline
from medlock.errors import BadRequest, MedlockError, NotFound, Tampered, Unprocessable, UnsupportedMedia
from medlock.fhir.binary import content_of
from medlock.records.shred import Shredder
from medlock.store.bodies import ROW
from medlock.store.tables import Batch, Table
from records.world import BASE, World, clinician, officer, open_world, patient

PNG = bytes(range(256)) * 40


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two patients, a document of Ann's."""
    made = await open_world(tmp_path / "data")
    for who in ("ann", "bob"):
        await made.put({"resourceType": "Patient", "id": who})
    await made.put(
        {"resourceType": "DocumentReference", "id": "doc", "status": "current", "subject": {"reference": "Patient/ann"},
         "content": [{"attachment": {"url": "Binary/scan"}}]}
    )  # fmt: skip
    yield made
    await made.close()


async def put(world: World, id_: str, context: str = "", **headers: str) -> dict[str, Any]:
    """PUT content as itself; the resource that came back."""
    more = {"x_security_context": context} if context else {}
    shown = await world.send(clinician(), f"PUT /Binary/{id_}", PNG, content_type="image/png", **more, **headers)
    return json.loads(shown.body)


async def test_content_becomes_a_resource_and_content_again(world: World) -> None:
    """What came in as bytes is a Binary to whoever asks for FHIR, and the same bytes to whoever does not."""
    made = await put(world, "scan")
    assert (made["resourceType"], made["contentType"]) == ("Binary", "image/png")
    assert made["data"] == b64encode(PNG).decode()
    shown = await world.send(clinician(), "GET /Binary/scan", accept="image/*")
    assert content_of(shown.body).data == PNG
    created = await world.send(clinician(), "POST /Binary", b'{"a":1}', content_type="application/json")
    assert json.loads(created.body)["contentType"] == "application/json"
    resource = {"resourceType": "Binary", "id": "r", "contentType": "text/plain", "data": "YQ=="}
    assert json.loads((await world.send(clinician(), "PUT /Binary/r", resource)).body)["contentType"] == "text/plain"


@pytest.mark.parametrize("context", ["Patient/ann", "DocumentReference/doc"])
async def test_the_security_context_says_whose_it_is(world: World, context: str) -> None:
    """With Ann's record as its context Ann may read it, Bob may not; in her record it is found and is erased with it."""
    await put(world, "scan", context)
    assert content_of((await world.send(patient("ann"), "GET /Binary/scan")).body).data == PNG
    with pytest.raises(NotFound):
        await world.send(patient("bob"), "GET /Binary/scan")
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "ann")
    with pytest.raises(NotFound):
        await world.send(clinician(), "GET /Binary/scan")


async def test_without_a_context_no_patient_sees_it(world: World) -> None:
    """A Binary of nobody is for those who may see everybody's."""
    await put(world, "scan")
    for who in ("ann", "bob"):
        with pytest.raises(NotFound):
            await world.send(patient(who), "GET /Binary/scan")


@pytest.mark.parametrize(
    "context",
    [
        {"reference": BASE.replace("https", "http") + "/Patient/ann"},
        {"reference": "https://elsewhere.example/fhir/Patient/ann"},
        {"type": "Patient", "identifier": {"system": "urn:mrn", "value": "ann"}},
        {"display": "Ann"},
    ],
)
async def test_a_context_that_is_not_here_is_refused(world: World, context: dict[str, Any]) -> None:
    """Whose it is cannot be told: it would lie among what belongs to nobody, and outlive the erasure of whom it is of."""
    binary = {"resourceType": "Binary", "id": "scan", "contentType": "text/plain", "data": "YQ=="}
    with pytest.raises(Unprocessable) as refusal:
        await world.put(binary | {"securityContext": context})
    assert refusal.value.problems[0].path == "Binary.securityContext"
    with pytest.raises(NotFound):
        await world.send(clinician(), "GET /Binary/scan")


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"x_security_context": "Patient/nobody"}, Unprocessable),
        ({"x_security_context": "nobody"}, BadRequest),
        ({"x_security_context": "Patient/ann Patient/bob"}, BadRequest),
        ({"content_type": ""}, UnsupportedMedia),
        ({"content_type": "text/html\r\nx: y"}, UnsupportedMedia),
        ({"content_type": "application/fhir+json", "x_security_context": "Patient/ann"}, BadRequest),
        ({"accept": "application/fhir+xml"}, MedlockError),
    ],
)
async def test_content_that_is_refused(world: World, headers: dict[str, str], refusal: type[MedlockError]) -> None:
    """No context that is not there or not one, no content without a type, no two sayings of whose it is."""
    sent = {"content_type": "image/png"} | headers
    with pytest.raises(refusal):
        await world.send(clinician(), "PUT /Binary/scan", PNG, **sent)
    with pytest.raises(NotFound):
        await world.send(clinician(), "GET /Binary/scan")


async def test_a_context_made_in_the_same_transaction(world: World) -> None:
    """The Binary of a document that comes with it belongs to that document's patient, in whatever order."""
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "YQ==",
              "securityContext": {"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"}}  # fmt: skip
    document = {"resourceType": "DocumentReference", "status": "current", "subject": {"reference": "Patient/ann"},
                "content": [{"attachment": {"title": "x"}}]}  # fmt: skip
    answer = await world.transact(
        [
            {"request": {"method": "POST", "url": "Binary"}, "resource": binary},
            {"fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111", "resource": document,
             "request": {"method": "POST", "url": "DocumentReference"}},
        ]
    )  # fmt: skip
    name = answer["entry"][0]["response"]["location"].split("/_history")[0]
    assert (await world.read(patient("ann"), name))["contentType"] == "text/plain"
    with pytest.raises(NotFound):
        await world.read(patient("bob"), name)


async def test_long_content(world: World) -> None:
    """Megabytes that no compression helps come back to the byte, from rows of one length like all others."""
    content = Random(7).randbytes(3 * 1024 * 1024)
    await world.send(
        clinician(), "PUT /Binary/long", content, content_type="video/mp4", x_security_context="Patient/ann"
    )
    assert content_of((await world.send(patient("ann"), "GET /Binary/long")).body).data == content
    rows = await world.backend.scan(Table.BODY, None, 100_000)
    assert {len(ct) for _, ct in rows} == {ROW}
    assert len(rows) > 3 * 1024 * 1024 // ROW


async def test_long_content_is_rotated_and_verified(world: World) -> None:
    """New keys for its patient leave it as it was; a piece of it that is changed is found, and opens no more."""
    content = Random(8).randbytes(300_000)
    await world.send(
        clinician(), "PUT /Binary/long", content, content_type="video/mp4", x_security_context="Patient/ann"
    )
    await rotate(world, "ann")
    assert content_of((await world.send(clinician(), "GET /Binary/long")).body).data == content
    assert await offline(world.directory).verify() == []
    opened = await world.vault.current("Binary", "long")
    assert opened is not None
    key = world.vault.further_key(opened.rid, opened.meta.version, 7)
    ct = (await world.backend.get_many(Table.BODY, [key]))[key]
    await world.backend.commit(Batch(puts=[(Table.BODY, key, ct[:-1] + bytes([ct[-1] ^ 1]))]))
    assert await offline(world.directory).verify() != []
    with pytest.raises(Tampered):
        await world.send(clinician(), "GET /Binary/long")


@pytest.mark.parametrize("status", ["requested", "active", "error"])
async def test_a_subscription_that_expects_to_be_told(world: World, status: str) -> None:
    """Only one that is off can be stored: nothing sends yet."""
    made = {"resourceType": "Subscription", "id": "s", "status": "off", "reason": "x", "criteria": "Observation?",
            "channel": {"type": "rest-hook", "endpoint": "https://elsewhere.example/"}}  # fmt: skip
    with pytest.raises(Unprocessable) as told:
        await world.put(made | {"status": status})
    assert told.value.problems[0].path == "Subscription.status"
    assert (await world.put(made))["status"] == "off"
    patch = b'[{"op":"replace","path":"/status","value":"active"}]'
    with pytest.raises(Unprocessable):
        await world.send(clinician(), "PATCH /Subscription/s", patch, content_type="application/json-patch+json")
