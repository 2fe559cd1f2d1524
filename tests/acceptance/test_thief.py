"""The thief test: 10,000 words planted in records, questions, refusals and secrets are in no file of a data directory.

The server runs as an operator runs it; a thief copies everything it writes: tables, journals, keystore, TLS files,
temporary files, its log. Searched while it runs, in the middle of a transaction, and after it stopped.
"""

from __future__ import annotations

import base64
import json
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from acceptance.markers import Planter, Seeker, files_below, spellings
from web.running import Server, new_token

PATIENTS = 40
PER_PATIENT = 24


def patient(plant: Planter) -> dict[str, Any]:
    """A Patient whose every text is a marker."""
    word = plant.word
    return {
        "resourceType": "Patient",
        "id": word(),
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{word()} {word()}</div>'},
        "identifier": [{"system": f"urn:{word()}", "value": word()}],
        "name": [{"family": word(), "given": [word(), word()]}],
        "telecom": [{"system": "email", "value": f"{word()}@example.org"}],
        "address": [{"line": [word()], "city": word(), "postalCode": word()}],
        "contact": [{"name": {"text": word()}}],
        "extension": [{"url": f"http://example.org/{word()}", "valueString": word()}],
    }


def observation(plant: Planter, who: str) -> dict[str, Any]:
    """An Observation with markers as code, value, note and id."""
    word = plant.word
    return {
        "resourceType": "Observation",
        "id": word(),
        "meta": {"security": [{"system": f"urn:{word()}", "code": word()}], "tag": [{"code": word()}]},
        "status": "final",
        "code": {"coding": [{"system": f"urn:{word()}", "code": word(), "display": word()}]},
        "subject": {"reference": f"Patient/{who}"},
        "valueString": word(),
        "note": [{"text": word()}],
    }


def document(plant: Planter, who: str) -> dict[str, Any]:
    """A note as an attachment."""
    return {
        "resourceType": "DocumentReference",
        "id": plant.word(),
        "status": "current",
        "description": plant.word(),
        "subject": {"reference": f"Patient/{who}"},
        "content": [{"attachment": {"contentType": "text/plain", "data": plant.attachment(), "title": plant.word()}}],
    }


def transaction(resources: list[dict[str, Any]]) -> bytes:
    """PUTs of all of them."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


FHIR = {"content-type": "application/fhir+json"}


def fill(client: httpx.Client, plant: Planter) -> list[dict[str, Any]]:
    """Records of all kinds, with updates and deletes; the patients."""
    people = [patient(plant) for _ in range(PATIENTS)]
    for who in people:
        record = [observation(plant, who["id"]) for _ in range(PER_PATIENT)] + [document(plant, who["id"])]
        assert client.post("", content=transaction([who, *record]), headers=FHIR).status_code == 200
        changed = record[0] | {"valueString": plant.word()}
        assert client.put(f"Observation/{changed['id']}", json=changed, headers=FHIR).status_code == 200
        assert client.delete(f"Observation/{record[1]['id']}").status_code == 204
    return people


def ask(client: httpx.Client, plant: Planter, people: list[dict[str, Any]]) -> Iterator[httpx.Response]:
    """Questions that carry markers: answered, empty, refused, broken.

    Refusals name parameters and elements that they do not know, so those names are no markers here.
    """
    for who in people:
        yield client.get("Observation", params={"patient": who["id"], "code": plant.word(), "_count": "5"})
        yield client.get("Patient", params={"family": who["name"][0]["family"]})
        yield client.post("Patient/_search", data={"identifier": f"urn:x|{plant.word()}"})
        yield client.get("Observation", params={"colour": plant.word()})
        yield client.get(f"{plant.word()}/{plant.word()}")
        yield client.get(f"Observation/{plant.word()}")
        yield client.put(f"Patient/{plant.word()}", content=f'{{"{plant.word()}": "{plant.word()}', headers=FHIR)
        yield client.post("Observation", json={"resourceType": "Observation", "colour": plant.word()}, headers=FHIR)
        bad = observation(plant, plant.word())
        yield client.put(f"Observation/{bad['id']}", json=bad, headers=FHIR)
        yield client.get("Patient", headers={"authorization": f"Bearer {plant.word()}"})


def searched(seeker: Seeker, *directories: Path) -> dict[str, set[bytes]]:
    """What a thief finds, by file. A file that goes away meanwhile is passed over: journals come and go."""
    found = {}
    for path in files_below(*directories):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        if hits := seeker.found(data) | seeker.found(path.name.encode()):
            found[path.name] = hits
    return found


def test_a_thief_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 markers, 0 found: running, in mid-transaction, stopped, in the log; refusals repeat none of them."""
    directory, temporary, log = tmp_path / "data", tmp_path / "tmp", tmp_path / "server.log"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("SQLITE_TMPDIR", str(temporary))
    plant = Planter(2026)
    server = Server(directory, "--log-requests", log=log)
    try:
        token, _ = new_token(directory)
        plant.planted.add(token)
        with server.client(token) as client:
            people = fill(client, plant)
            answers = list(ask(client, plant, people))
            words = Seeker(plant.planted)
            for answer in answers:
                if answer.status_code >= 400:
                    assert not words.found(answer.content), answer.status_code
            more = transaction([observation(plant, people[0]["id"]) for _ in range(400)])
            assert len(plant.planted) >= 10_000
            seeker = Seeker(plant.planted)
            writing = threading.Thread(target=lambda: client.post("", content=more, headers=FHIR, timeout=60))
            writing.start()
            while writing.is_alive():
                assert searched(seeker, directory, temporary) == {}
            assert searched(seeker, directory, temporary) == {}
    finally:
        code, _ = server.stop()
    assert code == 0
    assert log.read_text().count("\n") > PATIENTS, "the log was on"
    assert not seeker.found(log.read_bytes())
    assert searched(seeker, directory, temporary) == {}
    passphrase = directory.with_name("data.passphrase").read_text().strip()
    assert searched(Seeker([passphrase]), directory, temporary) == {}


def test_the_seeker_finds_what_is_there(tmp_path: Path) -> None:
    """The search itself can fail: each spelling, and each plainly compressed stream, is found in a file."""
    plant = Planter(1)
    for number in range(50):
        word = plant.word()
        seeker = Seeker([word])
        noise = bytes(number % 256 for number in range(1000))
        for spelling in spellings(word):
            assert seeker.found(noise + spelling + noise) == {spelling}
        for shift in range(3):
            assert seeker.found(noise + base64.b64encode(b"x" * shift + word.encode() + b"y" * 5) + noise)
        assert seeker.found(noise + zstandard.compress(word.encode() * 3) + noise)
        packer = zlib.compressobj(wbits=31)
        assert seeker.found(noise + packer.compress(word.encode() * 3) + packer.flush() + noise)
        assert not seeker.found(noise * 3)
    (tmp_path / "a").write_text(f"before {word} after")
    assert searched(seeker, tmp_path) == {"a": {word.encode()}}
