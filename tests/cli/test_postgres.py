"""An operator whose records lie in PostgreSQL: every command works as on the file, and the refusals say what to do."""

import asyncio
import json
import subprocess
import sys

import pytest

from store.pgserver import ask, database, server

PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Marker-Family"}]}
WEIGHT = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "subject": {"reference": "Patient/p1"},
}


@pytest.fixture
def url(monkeypatch):
    """The address of an empty database, in the settings."""
    with asyncio.Runner() as runner:
        entered = database()
        address = runner.run(entered.__aenter__())
        monkeypatch.setenv("MEDLOCK_STORE", address)
        yield address
        runner.run(entered.__aexit__(None, None, None))


@pytest.fixture
def loaded(terminal, url, tmp_path):  # noqa: ARG001 - url is in the environment
    """A terminal with two resources in PostgreSQL."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in (PATIENT, WEIGHT)
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    done = terminal.type("load", path, "--json")
    assert (done.code, done.json["loaded"], done.json["refused"]) == (0, 2, [])
    return terminal


def test_all_commands_on_postgres(loaded, url, tmp_path):
    """Load, export, token, rotate, ratchet, verify and shred; no row lies in the data directory, no name in the database."""
    assert not (loaded.directory / "medlock.db").exists()
    assert loaded.type("export", tmp_path / "out", "--json").json["resources"] == {"Observation": 1, "Patient": 1}
    made = loaded.type("token", "create", "--role", "clinician", "--json").json
    assert [each["id"] for each in loaded.type("token", "list", "--json").json] == [made["id"]]
    assert loaded.type("keys", "rotate", "--all", "--json").code == 0
    assert loaded.type("keys", "ratchet", "--json").json["epoch"] == 2
    assert loaded.type("keys", "status", "--json").code == 0
    assert loaded.type("verify", "--json").json == {"well": True, "findings": []}
    rows = [bytes(ct) for (ct,) in asyncio.run(ask(url, "SELECT ct FROM body UNION ALL SELECT ct FROM directory"))]
    assert len(rows) == 3
    assert not any(b"Marker" in ct for ct in rows)
    assert loaded.type("shred", "p1", "--yes", "--json").json["resources"] == 2
    assert loaded.type("verify").code == 0
    assert asyncio.run(ask(url, "SELECT FROM body")) == []


def test_verify_names_what_an_administrator_did(loaded, url):
    """A row deleted, a body edited and a row inserted in the database are each named."""
    gone = asyncio.run(ask(url, "DELETE FROM directory RETURNING key"))[0]["key"]
    done = loaded.type("verify", "--json")
    assert (done.code, [finding["key"] for finding in done.json["findings"]]) == (1, [gone])
    key = asyncio.run(ask(url, "UPDATE body SET ct = set_byte(ct, 50, get_byte(ct, 50) # 1) RETURNING key"))[0]["key"]
    asyncio.run(ask(url, "INSERT INTO history VALUES (77, '\\x00')"))
    done = loaded.type("verify", "--json")
    assert done.code == 1
    assert {key, 77} <= {finding["key"] for finding in done.json["findings"]}


@pytest.mark.usefixtures("loaded")
def test_nothing_readable_lies_in_the_servers_files(url):
    """Tables, indexes, write-ahead log and the server's own log hold no name, no id and no code."""
    asyncio.run(ask(url, "CHECKPOINT"))
    files = [path for path in server().pgdata.rglob("*") if path.is_file()]
    assert any("pg_wal" in path.parts for path in files)
    for path in files:
        held = path.read_bytes()
        assert not any(word in held for word in (b"Marker-Family", b"Patient/p1", b"29463-7")), path.name


def test_a_database_put_back_is_found(loaded, url):
    """A log that is shorter than the keystore remembers is found: the database was rolled back."""
    for emptied in ("DELETE FROM log", "DELETE FROM tip", "DELETE FROM tile", "DELETE FROM logindex"):
        asyncio.run(ask(url, emptied))
    assert loaded.type("verify").code == 1
    refusal = loaded.type("token", "create", "--role", "clinician", "--json")
    assert refusal.code != 0
    assert refusal.out == ""


def test_two_keystores_on_one_database_are_refused(loaded, tmp_path):
    """Another data directory does not get at this database, and nothing in it changes."""
    done = loaded.type("token", "create", "--role", "clinician", "--data-dir", tmp_path / "other")
    assert done.code == 3
    assert "sealed under another keystore" in done.err
    assert loaded.type("verify").code == 0


def test_a_directory_that_has_a_store_is_not_given_a_second_one(terminal, url, monkeypatch):
    """Records in the file and MEDLOCK_STORE set: refused, or half of the records would seem to be gone."""
    monkeypatch.delenv("MEDLOCK_STORE")
    assert terminal.type("token", "create", "--role", "clinician").code == 0
    monkeypatch.setenv("MEDLOCK_STORE", url)
    done = terminal.type("token", "list")
    assert (done.code, "holds this keystore's records already" in done.err) == (3, True)


def test_a_server_that_forgot_the_address_begins_no_file(loaded, monkeypatch):
    """Without MEDLOCK_STORE the records seem to be gone: refused, and nothing is put in their place."""
    monkeypatch.delenv("MEDLOCK_STORE")
    for command in (("token", "list"), ("verify",)):
        done = loaded.type(*command)
        assert (done.code, done.out, "set MEDLOCK_STORE" in done.err) == (3, "", True)
    assert not (loaded.directory / "medlock.db").exists()


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        (lambda _: "mysql://x/y", 3, "postgresql://"),
        (lambda _: "postgresql:///nowhere?host=/nowhere-at-all", 4, "cannot be reached"),
        (lambda _: "postgresql:///x?host=/y&port=many", 3, "check MEDLOCK_STORE"),
        (lambda url: url.replace("?", "_absent?"), 3, "check MEDLOCK_STORE"),
    ],
)
def test_a_wrong_address_is_one_sentence(terminal, monkeypatch, address, code, words):
    """Wrong scheme, no server, no port, no such database: exit code and sentence say whose turn it is."""
    monkeypatch.setenv("MEDLOCK_STORE", address(server().get_uri("some")))
    done = terminal.type("token", "create", "--role", "clinician")
    assert (done.code, done.out) == (code, "")
    assert words in done.err


def test_asyncpg_is_not_needed_for_the_file(tmp_path):
    """Who keeps records in the file never imports the driver."""
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from medlock import cli\n"
        "from medlock.settings import Settings\n"
        "from medlock.store.backends import open_backend\n"
        "async def main(): await (await open_backend(Settings(Path(sys.argv[1])), None, b'')).close()\n"
        "asyncio.run(main())\n"
        "sys.exit('asyncpg' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)
