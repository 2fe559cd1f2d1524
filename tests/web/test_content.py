"""Large contents over HTTP: in as they come, out in chunks or in part, cut off when a right ends, nothing left of a half."""

import asyncio
import json
import os
import signal
from base64 import b64decode
from pathlib import Path

import httpx
import pytest

from medlock.access.principal import Role
from medlock.settings import MIB, Limits
from medlock.store.content import CHUNK
from medlock.store.tables import Table
from records.world import notes_left
from web.exporting import place
from web.running import Server, children, eventually, medlock, new_token

JSON = {"content-type": "application/fhir+json"}
CONTENT = os.urandom(2 * MIB + 12_345)
VIDEO = {"content-type": "video/mp4", "x-security-context": "Patient/ann"}


@pytest.fixture
async def site(tmp_path):
    """A site with one patient and a clinician; contents have 4 MiB."""
    async with place(tmp_path, limits=Limits(binary_bytes=4 * MIB)) as made:
        made.dr = await made.token(Role.CLINICIAN, account="dr")
        patient = {"resourceType": "Patient", "id": "ann"}
        await made.client.put("Patient/ann", content=json.dumps(patient), headers=made.dr | JSON)
        yield made


async def pieces(content, size=70_000):
    """A body whose length is not told."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("told", [True, False])
async def test_in_and_out(site, told):
    """With a length and without one; created or written over; the same bytes come back, as an attachment."""
    for method, path, status in (("PUT", "Binary/x", 201), ("PUT", "Binary/x", 200), ("POST", "Binary", 201)):
        body = CONTENT if told else pieces(CONTENT)
        written = await site.client.request(method, path, content=body, headers=site.dr | VIDEO)
        assert (written.status_code, "data" in written.json()) == (status, False), written.text
        where = written.headers["location"].partition("/_history")[0]
        answer = await site.client.get(where, headers=site.dr | {"accept": "video/*"})
        assert answer.content == CONTENT
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-disposition"] == "attachment"
        assert answer.headers["content-length"] == str(len(CONTENT))
        assert answer.headers["x-security-context"] == "Patient/ann"
    head = await site.client.head("Binary/x", headers=site.dr | {"accept": "*/*"})
    assert (head.headers["content-length"], head.content) == (str(len(CONTENT)), b"")
    etag = {"if-none-match": answer.headers["etag"], "accept": "*/*"}
    assert (await site.client.get(where, headers=site.dr | etag)).status_code == 304


@pytest.mark.parametrize("length", [100, len(CONTENT)])
async def test_ranges(site, length):
    """One range is given as it is asked for, of short and long contents; one beyond the end is 416; others bring all."""
    content = CONTENT[:length]
    await site.client.put("Binary/x", content=content, headers=site.dr | VIDEO)
    headers = site.dr | {"accept": "*/*"}
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-", 10, length),
        ("bytes=-7", length - 7, length),
        (f"bytes=5-{10**17}", 5, length),
        (f"bytes=-{10**17}", 0, length),
        (f"bytes={length - 20}-{length - 1}", length - 20, length),
    ):
        answer = await site.client.get("Binary/x", headers=headers | {"range": asked})
        assert (answer.status_code, answer.content) == (206, content[start:stop]), asked
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{length}"
        assert answer.headers["content-length"] == str(stop - start)
    for asked in (f"bytes={length}-", "bytes=-0"):
        answer = await site.client.get("Binary/x", headers=headers | {"range": asked})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{length}")
    for asked in ("bytes=0-1,3-4", "bytes=9-3", "bytes=-", "lines=1-2", "bytes=a-b", ""):
        answer = await site.client.get("Binary/x", headers=headers | {"range": asked})
        assert (answer.status_code, answer.content) == (200, content), asked
    strong = {"range": "bytes=0-1", "if-range": 'W/"1"'}
    assert (await site.client.get("Binary/x", headers=headers | strong)).status_code == 200


async def test_short_content_of_a_length_not_told(site):
    """It is like any other short one: with its data in FHIR JSON, and no chunk."""
    written = await site.client.put("Binary/x", content=pieces(CONTENT[:MIB]), headers=site.dr | VIDEO)
    assert b64decode(written.json()["data"]) == CONTENT[:MIB]
    assert await site.app.records.backend.last_key(Table.CHUNK) is None


async def test_too_much(site):
    """By its length before a byte is taken, by its bytes when it does not tell; nothing is left of either."""
    large = os.urandom(4 * MIB + 1)
    for body in (large, pieces(large)):
        answer = await site.client.put("Binary/x", content=body, headers=site.dr | VIDEO)
        assert answer.status_code == 413
    backend = site.app.records.backend
    assert await backend.last_key(Table.CHUNK) is None
    assert await notes_left(site.app.records.vault) == []
    assert (await site.client.get("Binary/x", headers=site.dr)).status_code == 404


@pytest.mark.parametrize("who", ["stranger", "patient"])
async def test_nothing_is_taken_from_who_may_not_write(site, who):
    """Neither without a token nor without the right: not one piece of the body is asked for."""
    taken = []

    async def body():
        taken.append(1)
        yield CONTENT

    headers = {} if who == "stranger" else await site.token(Role.PATIENT, "patient/*.rs", patient="ann")
    told = {"content-length": str(len(CONTENT))}
    answer = await site.client.post("Binary", content=body(), headers=headers | VIDEO | told)
    assert answer.status_code == (401 if who == "stranger" else 403)
    assert not taken


async def test_a_right_that_ends_cuts_it_off(site):
    """The token is revoked when the first chunk has left: no second one leaves."""
    await site.client.put("Binary/x", content=CONTENT, headers=site.dr | VIDEO)
    messages = []

    async def send(message):
        messages.append(message)
        if message["type"] == "http.response.body" and message.get("body"):
            for each in site.issued:
                await site.app.tokens.revoke(each, "test")

    async def receive():
        if not messages:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    asked = {"type": "http", "method": "GET", "path": "/fhir/Binary/x", "raw_path": b"/fhir/Binary/x",
             "query_string": b"", "headers": [(b"authorization", site.dr["authorization"].encode()), (b"accept", b"*/*")]}  # fmt: skip
    await site.client._transport.app(asked, receive, send)
    bodies = [each["body"] for each in messages if each["type"] == "http.response.body"]
    assert b"".join(bodies) == CONTENT[:CHUNK]


async def test_a_sender_who_stops_is_let_go(site, monkeypatch):
    """A body that does not come in time is 400, and what came of it is taken away."""
    monkeypatch.setattr("medlock.web.body.BODY_SECONDS", 0.05)
    first = [{"type": "http.request", "body": CONTENT[: 6 * CHUNK], "more_body": True}]
    messages = []

    async def receive():
        return first.pop() if first else await asyncio.Event().wait()

    async def send(message):
        messages.append(message)

    sent = {"authorization": site.dr["authorization"], **VIDEO}
    asked = {"type": "http", "method": "PUT", "path": "/fhir/Binary/x", "raw_path": b"/fhir/Binary/x",
             "query_string": b"", "headers": [(name.encode(), value.encode()) for name, value in sent.items()]}  # fmt: skip
    await site.client._transport.app(asked, receive, send)
    assert messages[0]["status"] == 400
    assert await site.app.records.backend.last_key(Table.CHUNK) is None


def peak(pid):
    """The most memory that a process has held since `rest`, in MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


def rest(pid):
    """Measure from here on; what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def test_memory_does_not_grow_with_the_content(tmp_path):
    """64 MiB in and out again (200 MiB where it is thorough): the server holds no more than 32 MiB above idle."""
    size = 200 if os.environ.get("MEDLOCK_THOROUGH") else 64
    block, server = os.urandom(MIB), Server(tmp_path / "data")
    token, _ = new_token(tmp_path / "data")
    pid = server.process.pid
    try:
        with server.client(token) as client:
            client.get("Patient?_count=1")
            idle = rest(pid)
            written = client.put(
                "Binary/x", content=(block for _ in range(size)), headers={"content-type": "video/mp4"}
            )
            assert written.status_code == 201, written.text
            assert rest(pid) - idle < 32
            with client.stream("GET", "Binary/x", headers={"accept": "*/*"}) as answer:
                count = sum(piece == block for piece in answer.iter_bytes(MIB))
            assert count == size
            assert peak(pid) - idle < 32
    finally:
        server.stop()


def test_a_worker_killed_in_the_middle(tmp_path):
    """SIGKILL while a content arrives: nothing of it can be read or stands on disk in clear; others are whole; all verifies."""
    directory = tmp_path / "data"
    server = Server(directory, "--workers", "2")
    token, _ = new_token(directory)
    marked = b"Zqxjvkwyrplaintext" * 60_000
    try:
        with server.client(token) as client:
            assert client.put("Binary/whole", content=marked, headers={"content-type": "text/plain"}).status_code == 201

            def dying():
                for at in range(40):
                    if at == 30:
                        for worker in children(server.process.pid):
                            os.kill(worker, signal.SIGKILL)
                    yield marked[:100_000]

            with pytest.raises(httpx.TransportError):
                client.put("Binary/half", content=dying(), headers={"content-type": "text/plain"})
        assert eventually(server.healthy)
        with server.client(token) as client:
            assert client.get("Binary/half").status_code == 404
            assert client.get("Binary/whole", headers={"accept": "*/*"}).content == marked
    finally:
        server.stop()
    for path in directory.rglob("*"):
        assert not path.is_file() or marked[:40] not in path.read_bytes(), path
    assert json.loads(medlock(directory, "verify", "--json").stdout) == {"well": True, "findings": []}
