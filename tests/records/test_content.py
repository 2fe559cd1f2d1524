"""Large contents: sealed as they arrive, readable when all is there, gone with their patient; found when tampered with."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from acceptance.scene import rotate
from acceptance.verifier import offline
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.audit.findings import Kind
from medlock.audit.search import AuditQuery
from medlock.errors import (
    BadRequest,
    Denied,
    MedlockError,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    Tampered,
    TooLarge,
    Unprocessable,
)
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction, Question
from medlock.fhir.request import Frame, Request, parse
from medlock.records import outflow
from medlock.records.disclosure import Disclosure
from medlock.records.export import Exporter
from medlock.records.inflow import STALE_MS, TOGETHER, sweep_uploads
from medlock.records.load import Loader, found_files
from medlock.records.shred import Shredder
from medlock.settings import Limits
from medlock.store.content import CHUNK, CHUNK_ROW
from medlock.store.tables import Batch, Table
from records.world import BASE, World, clinician, notes_left, officer, open_world, patient
from store.pgserver import database

LIMIT = 16 * CHUNK
SIZES = [1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 5 * CHUNK + 7]


def noise(size: int, seed: int = 7) -> bytes:
    """Bytes that repeat nowhere."""
    return Random(seed).randbytes(size)


async def coming(content: bytes, piece: int = 50_000) -> AsyncIterator[bytes]:
    """Content as a connection brings it."""
    for start in range(0, len(content), piece):
        yield content[start : start + piece]


class Lost(Exception):
    """The connection ended."""


async def breaking(content: bytes) -> AsyncIterator[bytes]:
    """A connection that ends before the content does."""
    async for piece in coming(content):
        yield piece
    raise Lost


def asked(world: World, line: str, **headers: str) -> Question:
    """The question that brings a content."""
    method, _, path = line.partition(" ")
    sent = {b"content-type": b"video/mp4"} | {
        name.replace("_", "-").encode(): value.encode() for name, value in headers.items()
    }
    frame = Frame(world.clock.now_ms(), 1_000, BASE)
    return parse(Request(method, path.encode(), b"", sent, flows=True), frame)


@dataclass
class Clinic:
    """A world with two patients in it."""

    world: World

    async def put(self, content: bytes, of: str = "ann", id_: str = "scan", who: Principal | None = None) -> Disclosure:
        """PUT a content that flows."""
        question = asked(self.world, f"PUT /Binary/{id_}", x_security_context=f"Patient/{of}")
        return await self.world.door.answer(who or clinician(), question, arriving=coming(content))

    async def get(self, line: str = "GET /Binary/scan", who: Principal | None = None) -> bytes:
        """The content as it is sent."""
        shown = await self.world.send(who or clinician(), line, accept="*/*")
        assert shown.outflow is not None
        return b"".join([each async for each in shown.outflow.pieces(0, shown.outflow.size)])

    async def chunks(self) -> dict[int, bytes]:
        """All rows of table chunk."""
        return dict(await self.world.backend.scan(Table.CHUNK, None, 1_000))


@pytest.fixture(params=["sqlite", "postgres"])
async def clinic(request: Any, tmp_path: Path) -> AsyncIterator[Clinic]:
    """On either back end."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(database()) if request.param == "postgres" else ""
        if store:
            (tmp_path / "data.store").write_text(store)
        world = await open_world(tmp_path / "data", Limits(binary_bytes=LIMIT))
        for who in ("ann", "bob"):
            await world.put({"resourceType": "Patient", "id": who})
        yield Clinic(world)
        await world.close()


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Clinic]:
    """On the embedded file."""
    world = await open_world(tmp_path / "data", Limits(binary_bytes=LIMIT))
    for who in ("ann", "bob"):
        await world.put({"resourceType": "Patient", "id": who})
    yield Clinic(world)
    await world.close()


@pytest.mark.parametrize("size", SIZES)
async def test_every_length_comes_back(small: Clinic, size: int) -> None:
    """To the byte, from rows of one length; the whole store verifies, and no note of the upload is left."""
    content = noise(size)
    shown = await small.put(content)
    made = json.loads(shown.body)
    assert (shown.status, made["contentType"], "data" in made) == (201, "video/mp4", False)
    assert made["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert await small.get() == content
    rows = await small.chunks()
    assert len(rows) == max(1, -(-size // CHUNK))
    assert {len(ct) for ct in rows.values()} == {CHUNK_ROW}
    assert await notes_left(small.world.vault) == []
    assert await offline(small.world.directory).verify() == []


async def test_parts_of_it(small: Clinic) -> None:
    """Any stretch of bytes, within a chunk and over the edges of some, is what stands there."""
    content = noise(3 * CHUNK + 11)
    await small.put(content)
    shown = await small.world.send(clinician(), "GET /Binary/scan", accept="*/*")
    assert shown.outflow is not None
    edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, len(content) - 1, len(content)]
    for start in edges:
        for stop in (each for each in edges if each > start):
            found = b"".join([each async for each in shown.outflow.pieces(start, stop)])
            assert found == content[start:stop], (start, stop)


async def test_on_either_back_end(clinic: Clinic) -> None:
    """Written, replaced, deleted, read by version, found in the record, erased: chunks are there as long as a version is."""
    first, second = noise(5 * CHUNK + 3), noise(2 * CHUNK, 8)
    await clinic.put(first)
    await clinic.put(second)
    assert await clinic.get() == second
    assert await clinic.get("GET /Binary/scan/_history/1") == first
    world = clinic.world
    await world.send(clinician(), "DELETE /Binary/scan")
    assert await clinic.get("GET /Binary/scan/_history/2", patient("ann")) == second
    assert len(await clinic.chunks()) == 8
    assert await offline(world.directory).verify() == []
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "ann")
    assert await clinic.chunks() == {}
    assert await offline(world.directory).verify() == []


async def test_whose_it_is(small: Clinic) -> None:
    """Ann reads hers and Bob does not; who may not write brings nothing in, not even for a moment."""
    await small.put(noise(CHUNK))
    assert await small.get(who=patient("ann")) == noise(CHUNK)
    with pytest.raises(NotFound):
        await small.get(who=patient("bob"))
    taken = []

    async def never() -> AsyncIterator[bytes]:
        taken.append(1)
        yield b"x"

    with pytest.raises(Denied):
        await small.world.door.answer(patient("ann"), asked(small.world, "POST /Binary"), arriving=never())
    assert not taken
    outcomes = [each.event.outcome for each in await small.world.log.find(AuditQuery())]
    assert outcomes[0] == "denied"


async def test_the_entry_is_durable_before_the_first_byte(small: Clinic) -> None:
    """When the answer is there, the log has it, and nothing was fetched yet of what it will send."""
    await small.put(noise(3 * CHUNK))
    shown = await small.world.send(patient("ann"), "GET /Binary/scan", accept="*/*")
    newest = (await small.world.log.find(AuditQuery()))[0]
    assert newest.seq == shown.sequence
    assert [each.reference for each in newest.event.touched] == ["Binary/scan"]


@pytest.mark.parametrize("how", ["broken", "long", "empty", "unresolved", "condition", "id"])
async def test_what_is_not_written_leaves_nothing(small: Clinic, how: str) -> None:
    """A connection that ends, too much, nothing, a context that is not there, a version that is not: no row is left."""
    await small.put(noise(10), id_="other")
    before = await small.chunks()
    content = noise(6 * CHUNK)
    line, headers, arriving = "PUT /Binary/scan", {}, coming(content)
    wanted: type[Exception] = MedlockError
    if how == "broken":
        arriving, wanted = breaking(content), Lost
    elif how == "long":
        arriving, wanted = coming(noise(LIMIT + 1)), TooLarge
    elif how == "empty":
        arriving, wanted = coming(b""), BadRequest
    elif how == "unresolved":
        headers, wanted = {"x_security_context": "Patient/nobody"}, Unprocessable
    elif how == "condition":
        line, headers, wanted = "PUT /Binary/other", {"if_match": 'W/"7"'}, PreconditionFailed
    else:
        line, wanted = "PUT /Binary/sc_an", BadRequest
    with pytest.raises(wanted):
        await small.world.door.answer(clinician(), asked(small.world, line, **headers), arriving=arriving)
    assert await small.chunks() == before
    assert await notes_left(small.world.vault) == []
    assert await offline(small.world.directory).verify() == []


async def test_a_crash_in_the_middle_is_swept(small: Clinic) -> None:
    """Nothing of it can be read, verification accepts it as under way, and after ten minutes it is taken away."""
    world = small.world
    await small.put(noise(CHUNK), id_="kept")
    kept = await small.chunks()

    class Crash(BaseException):
        """The process is gone: nothing is taken away."""

    async def crashing() -> AsyncIterator[bytes]:
        async for piece in coming(noise(9 * CHUNK)):
            yield piece
        world.backend.commit = gone  # type: ignore[method-assign]
        raise Crash

    async def gone(_batch: Batch) -> int:
        raise Crash

    commit = world.backend.commit
    with pytest.raises(Crash):
        await world.door.answer(clinician(), asked(world, "PUT /Binary/scan"), arriving=crashing())
    world.backend.commit = commit  # type: ignore[method-assign]
    assert len(await small.chunks()) == len(kept) + 8
    with pytest.raises(NotFound):
        await small.get()
    assert await offline(world.directory).verify() == []
    await sweep_uploads(world.vault, world.clock.now_ms())
    assert len(await small.chunks()) == len(kept) + 8
    await sweep_uploads(world.vault, world.clock.now_ms() + STALE_MS)
    assert await small.chunks() == kept
    assert await notes_left(world.vault) == []
    assert await offline(world.directory).verify() == []


async def test_an_upload_that_was_swept_is_not_committed(small: Clinic) -> None:
    """It was so slow that its chunks were taken away: its Binary is refused and names nothing that is not there."""
    world = small.world

    async def slow() -> AsyncIterator[bytes]:
        async for piece in coming(noise(TOGETHER * CHUNK + 1)):
            yield piece
        await sweep_uploads(world.vault, world.clock.now_ms() + 2 * STALE_MS)

    with pytest.raises(MedlockError):
        await world.door.answer(clinician(), asked(world, "PUT /Binary/scan"), arriving=slow())
    assert await small.chunks() == {}
    with pytest.raises(NotFound):
        await small.get()
    assert await offline(world.directory).verify() == []


async def test_in_json_up_to_a_bound(small: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for as FHIR it comes with its data and whole; a longer one is 406 there. Among others it comes without data."""
    content = noise(CHUNK + 5)
    await small.put(content)
    shown = json.loads((await small.world.send(clinician(), "GET /Binary/scan", accept="application/fhir+json")).body)
    assert (len(shown["data"]), "tag" in shown["meta"]) == (-(-len(content) // 3) * 4, False)
    everything = json.loads((await small.world.send(clinician(), "GET /Patient/ann/$everything")).body)
    (entry,) = [each["resource"] for each in everything["entry"] if each["resource"]["resourceType"] == "Binary"]
    history = json.loads((await small.world.send(clinician(), "GET /Binary/scan/_history")).body)
    for each in (entry, history["entry"][0]["resource"]):
        assert "data" not in each
        assert each["meta"]["tag"][0]["code"] == "SUBSETTED"
    monkeypatch.setattr(outflow, "WHOLE_BYTES", CHUNK)
    with pytest.raises(NotAcceptable):
        await small.world.send(clinician(), "GET /Binary/scan", accept="application/fhir+json")


async def test_it_is_not_patched(small: Clinic) -> None:
    """A patch would make a version without the content: it is refused."""
    await small.put(noise(CHUNK))
    patch = b'[{"op":"replace","path":"/contentType","value":"text/plain"}]'
    with pytest.raises(Unprocessable):
        await small.world.send(clinician(), "PATCH /Binary/scan", patch, content_type="application/json-patch+json")


async def test_new_keys_leave_the_chunks_where_they_are(small: Clinic) -> None:
    """A rotation seals the bodies anew, versions included; contents are read as before, and die with the new key."""
    world = small.world
    for seed in (1, 2):
        await small.put(noise(2 * CHUNK, seed))
    before = await small.chunks()
    await rotate(world, "ann")
    assert await small.chunks() == before
    assert await small.get() == noise(2 * CHUNK, 2)
    assert await small.get("GET /Binary/scan/_history/1") == noise(2 * CHUNK, 1)
    assert await offline(world.directory).verify() == []
    shown = await world.send(clinician(), "GET /Binary/scan", accept="*/*")
    assert shown.outflow is not None
    pieces = shown.outflow.pieces(0, shown.outflow.size)
    await anext(pieces)
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "ann")
    with pytest.raises(NotFound):
        await anext(pieces)


@pytest.mark.parametrize("how", ["edited", "cut", "long", "gone", "swapped", "doubled", "of another", "strange"])
async def test_chunks_that_were_tampered_with(small: Clinic, how: str) -> None:
    """Verification names each row that is not as it was written, and no byte of such a chunk is given out."""
    world = small.world
    await small.put(noise(3 * CHUNK, 1))
    await small.put(noise(3 * CHUNK, 2), id_="other")
    opened, other = await world.vault.current("Binary", "scan"), await world.vault.current("Binary", "other")
    assert opened is not None
    assert other is not None
    assert opened.content is not None
    assert other.content is not None
    keys = world.vault.chunk_keys(opened.content.stream, 3)
    rows = await small.chunks()
    first, second, last = (rows[key] for key in keys)
    theirs = rows[world.vault.chunk_key(other.content.stream, 0)]
    puts: dict[int, bytes] = {
        "edited": {keys[1]: second[:100] + bytes([second[100] ^ 1]) + second[101:]},
        "cut": {keys[1]: second[:-1]},
        "long": {keys[1]: second + b"\0"},
        "swapped": {keys[0]: second, keys[1]: first},
        "doubled": {keys[2]: second},
        "of another": {keys[0]: theirs},
        "strange": {12_345: last},
        "gone": {},
    }[how]
    deletes = [(Table.CHUNK, keys[2])] if how == "gone" else []
    await world.backend.commit(Batch(puts=[(Table.CHUNK, key, ct) for key, ct in puts.items()], deletes=deletes))
    kind = {"gone": Kind.DELETED, "strange": Kind.INSERTED}.get(how, Kind.EDITED)
    wanted = {(Table.CHUNK, key, kind) for key in puts or [keys[2]]}
    assert {(each.table, each.key, each.kind) for each in await offline(world.directory).verify()} == wanted
    if how == "strange":
        assert await small.get() == noise(3 * CHUNK, 1)
        return
    with pytest.raises(Tampered):
        await small.get()
    assert await small.get("GET /Binary/other") == noise(3 * CHUNK, 2)


async def test_a_content_moves_with_its_binary(small: Clinic) -> None:
    """Bob's now, it lies under Bob's key; the version that was Ann's goes with Ann, chunks and all."""
    world = small.world
    await small.put(noise(2 * CHUNK, 1))
    await small.put(noise(3 * CHUNK, 2), of="bob")
    assert await small.get(who=patient("bob")) == noise(3 * CHUNK, 2)
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "ann")
    assert len(await small.chunks()) == 3
    assert await small.get(who=patient("bob")) == noise(3 * CHUNK, 2)
    with pytest.raises(NotFound):
        await small.get("GET /Binary/scan/_history/1")
    assert await offline(world.directory).verify() == []


async def exported(small: Clinic) -> list[dict[str, Any]]:
    """The Binaries of a bulk export, piece after piece."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        slot, _, rid = after.partition(".")
        part = ExportPart("Binary", int(slot or 0), int(rid or 0))
        shown = await small.world.ask(clinician(), Interaction.EXPORT, options=ExportOptions(part=part))
        found += [json.loads(line) for line in shown.body.splitlines()]
        after = shown.after
        if not after:
            return found


async def test_in_an_export(small: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line has the data as long as it can be held whole; a longer one is marked, and fetched from its address."""
    monkeypatch.setattr(outflow, "WHOLE_BYTES", 2 * CHUNK)
    contents = {f"x{size}": noise(size * CHUNK) for size in (1, 2, 3)}
    for name, content in contents.items():
        await small.put(content, id_=name)
    found = {each["id"]: each for each in await exported(small)}
    assert {name: b64decode(each["data"]) for name, each in found.items() if "data" in each} == {
        name: contents[name] for name in ("x1", "x2")
    }
    assert found["x3"]["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_exported_to_files_and_loaded_again(small: Clinic, tmp_path: Path) -> None:
    """`medlock export` writes all of a content into its line, and `medlock load` takes it in as it was, tags included."""
    contents = {f"x{size}": noise(size) for size in (4 * CHUNK + 1, 4 * CHUNK + 2, 9 * CHUNK)}
    for name, content in contents.items():
        await small.put(content, id_=name)
    loader = mint_principal("loader", frozenset({Role.LOADER}), parse_scopes("system/*.cruds"), purpose="HOPERAT")
    await Exporter(small.world.door, loader).export(tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out/Binary.ndjson").read_text().splitlines()]
    assert {each["id"]: b64decode(each["data"]) for each in lines} == contents
    assert not any("tag" in each["meta"] for each in lines)
    lines[0]["meta"]["tag"] = [{"system": "urn:x", "code": "mine"}]
    (tmp_path / "out/Binary.ndjson").write_text("\n".join(map(json.dumps, lines)))
    other = await open_world(tmp_path / "other", Limits(binary_bytes=LIMIT))
    report = await Loader(other.door, loader).load(found_files(tmp_path / "out"))
    assert report.well, report.refused
    again = Clinic(other)
    for name, content in contents.items():
        assert await again.get(f"GET /Binary/{name}", patient("ann")) == content
    shown = await other.send(clinician(), f"GET /Binary/{lines[0]['id']}", accept="application/fhir+json")
    tagged = json.loads(shown.body)
    assert tagged["meta"]["tag"] == [{"system": "urn:x", "code": "mine"}]
    assert await offline(other.directory).verify() == []
    await other.close()
