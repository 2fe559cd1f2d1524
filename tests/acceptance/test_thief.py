"""Thief test: who steals the disk, running or stopped, finds none of ten thousand markers on it, in any spelling.

The markers are planted by a real client in a real server over TLS: in records, questions, refused and broken requests,
tokens, the passphrase. Two controls show that the search sees: an export holds every marker of a record, and the
officer's view of the audit log holds the questions.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import zstandard

from acceptance.markers import Json, Mint, record, transaction
from acceptance.needles import Needles, spellings
from acceptance.scene import DATA, SCALE
from medlock.store.tables import Table
from records.world import open_world
from web.running import Server, medlock, new_token

PATIENTS = 92 * SCALE
REQUESTS = 120
COPIES = 12  # of the disk, at most, while one transaction is written


@dataclass
class Theft:
    """A clinic with markers in every corner, and the places where a thief would look."""

    root: Path
    mint: Mint = field(default_factory=lambda: Mint(random.Random(20_260_101)))
    resources: list[Json] = field(default_factory=list)
    replies: list[tuple[set[str], bytes]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        """Where the server's stderr goes."""
        return self.root / "logs" / "server.log"

    def loot(self) -> list[Path]:
        """Everything that the server may write to: its data, temporary files, home, log."""
        return [self.data, self.root / "tmp", self.root / "home", self.root / "logs"]

    def refused(self, reply: httpx.Response, *sent: str) -> httpx.Response:
        """Remember what a refusal answered to these markers."""
        assert 400 <= reply.status_code < 500, reply.text
        self.replies.append((set(sent), reply.content))
        return reply

    def echoes(self) -> list[bytes]:
        """Refusals that repeat a marker which they were sent."""
        return [body for sent, body in self.replies if any(marker.encode() in body for marker in sent)]


@pytest.fixture
def theft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theft:
    """Directories under watch, and a passphrase that is a marker."""
    return watched(tmp_path, monkeypatch)


def watched(root: Path, monkeypatch: pytest.MonkeyPatch) -> Theft:
    """A clinic whose temporary files, home and log lie below `root`."""
    made = Theft(root)
    for name, variable in (("tmp", "TMPDIR"), ("home", "HOME")):
        (root / name).mkdir()
        monkeypatch.setenv(variable, str(root / name))
    made.log.parent.mkdir()
    passphrase = root / "data.passphrase"
    passphrase.write_text(made.mint.text("secret", 30) + "\n")
    passphrase.chmod(0o600)
    return made


def load(theft: Theft, client: httpx.Client) -> None:
    """The clinic, patient by patient."""
    for _ in range(PATIENTS):
        resources = record(theft.mint)
        theft.resources += resources
        reply = client.post("", json=transaction(resources))
        assert reply.status_code == 200, reply.text


def ask(theft: Theft, client: httpx.Client) -> None:
    """Questions whose values are markers, by GET and by POST."""
    for number in range(REQUESTS):
        name, code, identifier = (theft.mint.text("asked") for _ in range(3))
        query = {"name": name, "identifier": f"urn:clinic|{identifier}"}
        asked = client.get("/Patient", params=query) if number % 2 else client.post("/Patient/_search", data=query)
        assert asked.status_code == 200, asked.text
        observed = client.get(
            "/Observation", params={"code": f"urn:codes|{code}", "date": f"ge{theft.mint.day('asked')}"}
        )
        assert observed.status_code == 200, observed.text


def bring(theft: Theft, client: httpx.Client) -> None:
    """A large content with markers in each of its chunks, and one whose connection ends in the middle."""
    markers = [theft.mint.text("content") for _ in range(100)]
    content = "".join(f"{marker:<20000}" for marker in markers).encode()
    headers = {"content-type": "text/plain"}
    assert client.put("/Binary/long", content=content, headers=headers).status_code == 201
    assert client.get("/Binary/long", headers={"accept": "*/*"}).content == content

    def ending() -> Iterator[bytes]:
        yield content
        raise OSError

    with suppress(OSError):
        client.put("/Binary/half", content=ending(), headers=headers)


def offend(theft: Theft, client: httpx.Client, patient: httpx.Client, stranger: httpx.Client) -> None:
    """Requests that are refused, each with markers of its own: in address, query, headers and body."""
    for _ in range(REQUESTS):
        one, other, third, secret = (theft.mint.text("refused") for _ in range(4))
        theft.refused(patient.get(f"/Observation/{one}"), one)
        theft.refused(patient.get("/Patient", params={"name": other, "_sort": third}), other, third)
        theft.refused(stranger.get("/Patient", headers={"authorization": f"Bearer {secret}"}), secret)
    for body, marker in broken(theft.mint, REQUESTS):
        headers = {"content-type": "application/fhir+json"}
        theft.refused(client.post("/Observation", content=body, headers=headers), marker)
    for path in (
        "/{}",
        "/Patient/{}/_history/x",
        "/Observation?birthdate={}",
        "/Patient?birthdate={}",
        "/Patient?_count={}",
    ):
        marker = theft.mint.text("refused")
        theft.refused(client.get(path.format(marker)), marker)


def broken(mint: Mint, count: int) -> Iterator[tuple[bytes, str]]:
    """Bodies that cannot be stored, each holding a marker as a value."""
    for number in range(count):
        marker = mint.text("refused")
        sound = {"resourceType": "Observation", "status": "final", "code": {"text": marker}}
        wrong = [
            json.dumps(sound)[:-1],
            json.dumps(sound | {"status": marker}),
            json.dumps(sound | {"subject": {"reference": f"Patient/{marker}"}}),
            json.dumps(sound | {"effectiveDateTime": marker}),
            json.dumps(sound | {"valueQuantity": {"value": marker}}),
            json.dumps(sound | {"unheardOf": marker}),
            json.dumps(sound | {"text": {"status": "generated", "div": f"<script>{marker}</script>"}}),
            json.dumps(sound | {"resourceType": marker}),
            json.dumps(sound | {"code": [marker]}),
            f'{{"resourceType":"Observation","resourceType":"{marker}"}}',
            f'{{"resourceType":"Observation","status":"{marker}\udcff"}}',
            "[" * 300 + f'"{marker}"',
        ]
        yield wrong[number % len(wrong)].encode("utf-8", "surrogatepass"), marker


def stolen_meanwhile(theft: Theft, client: httpx.Client) -> list[Path]:
    """Write the whole clinic again in one transaction, and copy the disk as often as possible until it is done."""
    replies: list[httpx.Response] = []
    writing = threading.Thread(target=lambda: replies.append(client.post("", json=transaction(theft.resources))))
    writing.start()
    copies: list[Path] = []
    while writing.is_alive() and len(copies) < COPIES:
        copies.append(theft.root / f"copy-{len(copies)}")
        shutil.copytree(theft.data, copies[-1])
    writing.join()
    assert replies[0].status_code == 200, replies[0].text
    return copies


def spoil(data: Path) -> None:
    """Flip a byte of every body, so that whoever asks for one meets a fault."""
    with closing(sqlite3.connect(data / DATA)) as db, db:
        rows = db.execute(f"SELECT key, ct FROM {Table.BODY}").fetchall()  # noqa: S608 - enum
        spoilt = [(ct[:60] + bytes([ct[60] ^ 1]) + ct[61:], key) for key, ct in rows]
        db.executemany(f"UPDATE {Table.BODY} SET ct = ? WHERE key = ?", spoilt)  # noqa: S608 - enum


def live(theft: Theft, server: Server) -> Needles:
    """Everything that a clinic does in a day, and a thief who comes by twice; what was planted."""
    tokens = [new_token(theft.data)[0], *(new_token(theft.data, "--role", role, *more)[0] for role, more in (
        ("patient", ("--patient", "nobody")), ("privacy-officer", ())))]  # fmt: skip
    with server.client(tokens[0]) as client, server.client(tokens[1]) as patient, server.client() as stranger:
        load(theft, client)
        ask(theft, client)
        bring(theft, client)
        offend(theft, client, patient, stranger)
        theft.mint.minted["secret"] += tokens
        needles = Needles(theft.mint.all())
        assert needles.in_tree(*theft.loot()) == {}
        copies = stolen_meanwhile(theft, client)
    assert copies
    assert needles.in_tree(*copies) == {}
    with server.client(tokens[2]) as officer:
        seen = needles.in_bytes(officer.get("/AuditEvent", params={"_count": 1000}).content)
    assert len(seen & set(theft.mint.minted["asked"])) > REQUESTS
    return needles


def test_ten_thousand_markers_are_nowhere(theft: Theft) -> None:
    """Running, in the middle of a transaction, stopped, and faulty: 0 found in data, keys, journals, logs, temp files."""
    server = Server(theft.data, "--log-requests", log=theft.log)
    try:
        needles = live(theft, server)
        exported = medlock(theft.data, "export", str(theft.root / "export"))
        assert exported.returncode == 0, exported.stderr
    finally:
        server.stop()
    assert len(set(theft.mint.all())) >= 10_000
    assert needles.in_tree(*theft.loot()) == {}
    held = set().union(*needles.in_tree(theft.root / "export").values())
    assert held >= set(theft.mint.minted["stored"])
    assert theft.echoes() == []
    assert len(theft.log.read_text().splitlines()) > 3 * REQUESTS


def test_faults_tell_nothing(theft: Theft) -> None:
    """Records that do not open give 500s: neither answers nor log lines hold what was asked for, nor tracebacks values."""
    server = Server(theft.data, log=theft.log)
    secret, _ = new_token(theft.data)
    with server.client(secret) as client:
        load(theft, client)
    server.stop()
    spoil(theft.data)
    server = Server(theft.data, "--log-requests", log=theft.log)
    with server.client(secret) as client:
        replies = [client.get(f"/{each['resourceType']}/{each['id']}") for each in theft.resources[:60]]
        replies.append(client.get("/Observation", params={"_count": 5}))
    server.stop()
    theft.mint.minted["secret"].append(secret)
    needles = Needles(theft.mint.all())
    assert {reply.status_code for reply in replies} == {500}
    assert needles.in_bytes(b"".join(reply.content for reply in replies)) == set()
    assert theft.log.read_text().count("fault") >= 60
    assert needles.in_tree(*theft.loot()) == {}


@pytest.mark.parametrize("pack", [bytes, zlib.compress, gzip.compress, zstandard.compress, bz2.compress, lzma.compress])
def test_the_search_sees(pack: Callable[[bytes], bytes]) -> None:
    """Every spelling of a marker is found at any offset, packed or plain, among noise; noise alone holds none."""
    mint = Mint(random.Random(1))
    texts = [mint.text("x"), mint.name("x"), mint.instant("x"), mint.day("x")]
    needles, noise = Needles(texts + [mint.text("other") for _ in range(1_000)]), random.Random(2)
    assert needles.in_bytes(noise.randbytes(1_000_000)) == set()
    for text in texts:
        for at, spelling in enumerate(set(spellings(text))):
            if len(spelling) >= 8:
                hidden = noise.randbytes(40 + at) + pack(b"-" * 9 + spelling + b"-") + noise.randbytes(30)
                assert text in needles.in_bytes(hidden), spelling


async def test_no_key_lies_open(tmp_path: Path) -> None:
    """Neither the store's key nor any patient's is in a file of the directory, also while it is in use."""
    world = await open_world(tmp_path / "data")
    for number in range(20):
        await world.put({"resourceType": "Patient", "id": f"p{number}"})
    every = [world.keystore._root, *(keys._key for keys in world.keystore.every())]
    assert len(every) > 20
    lying = b"".join(path.read_bytes() for path in world.directory.iterdir())
    assert [key for key in every if key in lying or key.hex().encode() in lying] == []
    await world.close()
