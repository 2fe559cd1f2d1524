"""An operator backs up, practises, loses the machine, and restores; the page's commands are run as they stand there."""

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from acceptance.needles import spellings

PAGE = (Path(__file__).parents[2] / "docs/backup.md").read_text()
SECRET = "Marker-Family-Quellwasser"


def bundle(path, *patients):
    """A file with these patients and a weight each."""
    entries = []
    for name in patients:
        person = {"resourceType": "Patient", "id": name, "name": [{"family": SECRET}]}
        kilos = {"resourceType": "Observation", "id": f"{name}-o", "status": "final",
                 "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
                 "subject": {"reference": f"Patient/{name}"}}  # fmt: skip
        entries += [{"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
                    for each in (person, kilos)]  # fmt: skip
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    return path


@pytest.fixture
def loaded(terminal, tmp_path):
    """A terminal with two patients."""
    assert terminal.type("load", bundle(tmp_path / "a.json", "p1", "p2"), "--json").code == 0
    return terminal


def shares_into(directory, done):
    """Each share in a file of its own."""
    paths = [directory / f"share{number}" for number, _ in enumerate(done.json["shares"])]
    for path, share in zip(paths, done.json["shares"], strict=True):
        path.write_text(share + "\n")
    return paths


def test_yesterdays_backup_on_a_clean_machine(loaded, tmp_path, monkeypatch):
    """One command; verified row by row; a patient shredded since stays unreadable. The old machine and passphrase are gone."""
    shelf, new = tmp_path / "shelf", tmp_path / "new"
    assert loaded.type("backup", "create", shelf, "--json").json["parent"] == ""
    loaded.type("load", bundle(tmp_path / "b.json", "p3"))
    assert loaded.type("backup", "create", shelf, "--incremental", "--json").json["parent"]
    assert loaded.type("shred", "p1", "--yes").code == 0
    copied = loaded.type("keys", "backup", "--out", tmp_path / "keys", "--shares", "5", "--threshold", "3", "--json")
    shares = shares_into(tmp_path, copied)
    shutil.rmtree(loaded.directory)
    for path in tmp_path.glob("passphrase*"):
        path.unlink()
    fresh = tmp_path / "fresh"
    fresh.write_text("another passphrase altogether\n")
    fresh.chmod(0o600)
    monkeypatch.setenv("MEDLOCK_PASSPHRASE_FILE", str(fresh))
    options = ["--keystore-backup", tmp_path / "keys", "--data-dir", new, "--json"]
    some = [word for path in (shares[4], shares[0], shares[2]) for word in ("--share", path)]
    refused = loaded.type("backup", "restore", shelf, *options, *some[:4])
    assert (refused.code, new.exists()) == (3, False)
    assert "3 of the 5 shares" in refused.err
    done = loaded.type("backup", "restore", shelf, *options, *some)
    assert done.code == 0, done.err
    assert (done.json["well"], done.json["erased"]) == (True, 1)
    assert loaded.type("verify", "--data-dir", new, "--json").json["well"]
    found = loaded.type("export", tmp_path / "out", "--data-dir", new, "--json").json["resources"]
    assert found == {"Observation": 2, "Patient": 2}
    assert '"p1"' not in (tmp_path / "out" / "Patient.ndjson").read_text()


def test_a_drill_says_what_it_found_and_leaves_nothing(loaded, tmp_path):
    """Well or not, in JSON and in words; exit codes 0 and 1; the data directory is as before."""
    shelf = tmp_path / "shelf"
    loaded.type("backup", "create", shelf)
    before = sorted(path.name for path in loaded.directory.iterdir())
    done = loaded.type("backup", "drill", shelf, "--json")
    assert (done.code, done.json["well"], done.json["erased"]) == (0, True, 0)
    assert done.json["rows"] > 10
    assert "verify finds nothing" in loaded.type("backup", "drill", shelf).out
    assert sorted(path.name for path in loaded.directory.iterdir()) == before
    (victim,) = shelf.glob("*/rows-00000")
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    bad = loaded.type("backup", "drill", shelf, "--json")
    assert (bad.code, bad.json["well"]) == (1, False)
    assert "rows-00000" in bad.json["fault"]
    assert sorted(path.name for path in loaded.directory.iterdir()) == before
    checked = loaded.type("backup", "verify", shelf, "--json")
    assert checked.code == 1
    assert "rows-00000" in checked.json["faults"][0]


def test_a_drill_does_not_touch_the_living_keys(loaded, tmp_path):
    """Even when the copy of the keystore is from the middle of a ratchet; afterwards the store serves and ratchets as before."""
    shelf = tmp_path / "shelf"
    loaded.type("backup", "create", shelf)
    loaded.type("keys", "backup", "--out", tmp_path / "copy", "--shares", "0")
    before = loaded.type("keys", "status", "--json").json
    assert loaded.type("backup", "drill", shelf, "--keystore-backup", tmp_path / "copy").code == 0
    after = loaded.type("keys", "status", "--json").json
    assert (before["epoch"], before["keys"]) == (after["epoch"], after["keys"])
    assert loaded.type("keys", "ratchet", "--json").json["epoch"] == before["epoch"] + 1
    stale = loaded.type("backup", "drill", shelf, "--keystore-backup", tmp_path / "copy", "--json")
    assert stale.code == 1
    assert "old copy" in stale.json["fault"]
    assert loaded.type("verify").code == 0


def test_a_thief_of_the_backups_finds_nothing_readable(loaded, tmp_path):
    """No name in any spelling, no row, no key, no share: neither in the backups nor in the copy of the keys."""
    shelf = tmp_path / "shelf"
    loaded.type("backup", "create", shelf)
    copied = loaded.type("keys", "backup", "--out", tmp_path / "keys", "--json").json
    files = [path for path in [*shelf.rglob("*"), tmp_path / "keys"] if path.is_file()]
    blob = b"".join(path.read_bytes() for path in files)
    assert len(files) > 10
    needles = {SECRET.encode(), *spellings(SECRET)} | {share[9:40].encode() for share in copied["shares"]}
    needles |= {b"29463-7", b"Patient", loaded.passphrase.read_bytes().strip()}
    with closing(sqlite3.connect(loaded.directory / "medlock.db")) as db:
        for table in ("body", "delta", "log", "directory"):
            needles |= {row[0][:32] for row in db.execute(f"SELECT ct FROM {table}")}  # noqa: S608 - a list of ours
        needles |= {row[0].to_bytes(8, "big") for row in db.execute("SELECT key FROM body")}
    with closing(sqlite3.connect(loaded.directory / "keystore.db")) as db:
        needles |= {row[0] for row in db.execute("SELECT wrapped FROM key")}
    assert not [needle for needle in needles if needle in blob]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_acts_are_in_the_log(loaded, tmp_path):
    """A backup, a copy of the keys, and a restore in the restored store's own log, each by name."""
    shelf = tmp_path / "shelf"
    made = loaded.type("backup", "create", shelf, "--json").json
    shares = shares_into(tmp_path, loaded.type("keys", "backup", "--out", tmp_path / "keys", "--json"))
    words = [word for path in shares[:2] for word in ("--share", path)]
    place = ["--data-dir", tmp_path / "new"]
    assert loaded.type("backup", "restore", shelf, "--keystore-backup", tmp_path / "keys", *words, *place).code == 0
    program = (
        "import asyncio, sys; from pathlib import Path; from medlock.clock import Clock\n"
        "from medlock.settings import from_environment; from medlock.records.opening import open_tables\n"
        "from medlock.audit.search import AuditQuery; from dataclasses import replace\n"
        "async def main():\n"
        "    async with open_tables(replace(from_environment(), data_dir=Path(sys.argv[1])), Clock()) as records:\n"
        "        for each in await records.log.find(AuditQuery()): print(each.event.action, each.event.request)\n"
        "asyncio.run(main())"
    )
    there = {
        where: subprocess.run(
            [sys.executable, "-c", program, str(where)], capture_output=True, text=True, check=True
        ).stdout
        for where in (loaded.directory, tmp_path / "new")
    }
    assert f"admin:store:backup {made['id']}" in there[loaded.directory]
    assert "admin:key:backup" in there[loaded.directory]
    assert f"admin:store:restore {made['id']}" in there[tmp_path / "new"]


def test_a_copy_of_the_keys_overwrites_nothing(loaded, tmp_path):
    """A file that is there may be the only good copy; numbers that make no sense are refused."""
    (tmp_path / "keys").write_text("precious")
    assert loaded.type("keys", "backup", "--out", tmp_path / "keys").code == 3
    assert (tmp_path / "keys").read_text() == "precious"
    assert loaded.type("keys", "backup", "--out", tmp_path / "x", "--shares", "2", "--threshold", "3").code == 2
    assert loaded.type("backup", "restore", tmp_path, "--data-dir", tmp_path / "new").code == 2


def test_the_commands_of_the_page_run(loaded, tmp_path, monkeypatch):
    """Every line of docs/backup.md that begins with medlock, in its order, ends with code 0."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    lines = [
        line.split("#")[0].split() for block in blocks for line in block.splitlines() if line.startswith("medlock ")
    ]
    assert len(lines) >= 8
    for words in lines:
        done = loaded.type(*(word.replace("PATIENT", "p1") for word in words[1:]))
        assert done.code == 0, (words, done.err)
        shares = re.findall(r"^ +(ml1\w+)$", done.out, flags=re.MULTILINE)
        for number, share in enumerate(shares, 1):
            (tmp_path / f"share-{number}").write_text(share)


def test_beside_a_server_that_is_killed(loaded, tmp_path):
    """A backup is taken while a server serves; the server's kill -9 afterwards leaves both sound."""
    command = [Path(sys.executable).with_name("medlock"), "serve", "--no-tls", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert json.loads(process.stdout.readline())["url"]
            made = loaded.type("backup", "create", tmp_path / "shelf", "--json")
            assert made.code == 0, made.err
        finally:
            process.send_signal(signal.SIGKILL)
    assert loaded.type("verify").code == 0
    assert loaded.type("backup", "drill", tmp_path / "shelf").code == 0
