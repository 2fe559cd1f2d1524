"""What outside scripts rely on: options, JSON, exit codes, one sentence for every error."""

import json
import re
import sqlite3

import pytest

from medlock.app import open_app
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.console import run, settings_for
from medlock.oauth.commands import operator_name
from medlock.records.rotate import LOCK
from medlock.store.opening import DATA, KEYS, alone

ONE_SENTENCE = re.compile(r"medlock: [A-Z][^\n]+[.!]\n")
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Marker"}]}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/p1"},
}


def write(path, *resources):
    """A transaction bundle in a file."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    return path


def refused(done, code):
    """A refusal in one sentence, with nothing on stdout."""
    assert (done.code, done.out) == (code, "")
    assert ONE_SENTENCE.fullmatch(done.err), done.err


def test_a_token_for_programs(terminal):
    """Token create --json gives token, expires and id; an empty directory is made."""
    made = terminal.type("token", "create", "--role", "clinician", "--json")
    assert made.code == 0
    assert set(made.json) == {"token", "expires", "id"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made.json["expires"])
    listed = terminal.type("token", "list", "--json").json
    assert [each["id"] for each in listed] == [made.json["id"]]
    assert made.json["token"] not in json.dumps(listed)
    assert terminal.type("token", "revoke", made.json["id"]).code == 0
    assert terminal.type("token", "list", "--json").json[0]["revoked"]
    shown = terminal.type("token", "list")
    assert made.json["id"] in shown.out
    refused(terminal.type("token", "revoke", "x"), 2)
    refused(terminal.type("token", "revoke", "0" * 16), 5)
    refused(terminal.type("shred", "nobody", "--yes"), 5)


def test_data_dir_by_option_and_by_variable(terminal, tmp_path):
    """--data-dir outranks MEDLOCK_DATA_DIR."""
    other = tmp_path / "elsewhere"
    assert terminal.type("token", "create", "--role", "clinician", "--data-dir", other, "--json").code == 0
    assert (other / DATA).exists()
    assert not terminal.directory.exists()


def test_load_export_verify_shred(terminal, tmp_path):
    """Records go in, come out the same, verify, and are gone after shred; each step exits 0."""
    file = write(tmp_path / "a.json", PATIENT, OBSERVATION)
    loaded = terminal.type("load", file, "--json")
    assert (loaded.code, loaded.json["loaded"], loaded.json["refused"]) == (0, 2, [])
    again = terminal.type("load", file, "--json")
    assert (again.code, again.json["skipped_files"]) == (0, 1)
    assert terminal.type("export", tmp_path / "out", "--json").json["resources"] == {"Observation": 1, "Patient": 1}
    assert json.loads((tmp_path / "out/Patient.ndjson").read_text())["name"] == PATIENT["name"]
    assert terminal.type("verify", "--json").json == {"well": True, "findings": []}
    assert "All is well" in terminal.type("verify").out
    erased = terminal.type("shred", "p1", "--yes", "--json")
    assert (erased.code, erased.json["resources"]) == (0, 2)
    assert terminal.type("verify").code == 0
    refused(terminal.type("shred", "p1", "--yes"), 5)
    assert terminal.type("keys", "ratchet", "--json").json["epoch"] == 2


def test_refused_resources_are_reported_and_do_not_hinder_others(terminal, tmp_path):
    """Exit code 1, each refusal with file, place and problems and without values; good files are loaded."""
    bad = {"resourceType": "Patient", "id": "p2", "gender": "marker-value"}
    (tmp_path / "in").mkdir()
    write(tmp_path / "in/bad.json", bad)
    write(tmp_path / "in/good.json", PATIENT)
    done = terminal.type("load", tmp_path / "in", "--json")
    assert (done.code, done.json["loaded"]) == (1, 1)
    refusal = done.json["refused"][0]
    assert refusal["file"] == "bad.json"
    assert "gender" in json.dumps(refusal["problems"])
    assert "marker-value" not in done.out + done.err
    shown = terminal.type("load", tmp_path / "in")
    assert (shown.code, "refused: bad.json" in shown.out) == (1, True)


def test_verify_finds_an_edited_row(terminal, tmp_path):
    """One flipped byte in a body gives exit code 1 and a finding that names the row."""
    terminal.type("load", write(tmp_path / "a.json", PATIENT), "--json")
    with sqlite3.connect(terminal.directory / DATA) as db:
        key, ct = db.execute("SELECT key, ct FROM body").fetchone()
        db.execute("UPDATE body SET ct = ? WHERE key = ?", (ct[:-1] + bytes([ct[-1] ^ 1]), key))
    db.close()
    done = terminal.type("verify", "--json")
    assert (done.code, done.json["well"]) == (1, False)
    assert key in [finding["key"] for finding in done.json["findings"]]
    assert terminal.type("verify").code == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("verify",), 3),
        (("keys", "status"), 3),
        (("keys", "ratchet"), 3),
        (("load", "/nowhere"), 3),
        (("load", "/etc/hostname"), 1),
        (("token", "create", "--role", "patient"), 2),
        (("token", "create", "--role", "backend"), 2),
        (("token", "create", "--role", "clinician", "--scope", "everything"), 2),
        (("token", "create", "--role", "clinician", "--expires-in", "soon"), 2),
        (("token", "create", "--role", "clinician", "--expires-in", "91d"), 2),
        (("token", "list"), 3),
        (("token", "revoke", "0" * 16), 3),
        (("shred", "nobody", "--yes"), 3),
        (("export", "never-made"), 3),
        (("serve", "--host", "no such host"), 3),
        (("serve", "--no-tls", "--host", "0.0.0.0"), 3),  # noqa: S104 - the refusal is what is tested
    ],
)
def test_what_cannot_be_done_is_one_sentence(terminal, arguments, code):
    """Each refusal has its exit code and one sentence, or a report."""
    done = terminal.type(*arguments)
    if code == 1:
        assert (done.code, done.err) == (1, "")
    else:
        refused(done, code)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("serve", "--port", "70000"),
        ("serve", "--workers", "0"),
        ("load",),
        ("token", "create"),
        ("token", "create", "--role", "king"),
        ("verify", "--fix"),
        ("keys", "move"),
    ],
)
def test_a_command_line_that_is_not_understood(terminal, arguments):
    """Usage errors exit with 2 and touch nothing."""
    done = terminal.type(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert not terminal.directory.exists()


def begun(terminal):
    """A data directory that is in use."""
    assert terminal.type("token", "create", "--role", "clinician", "--json").code == 0
    return terminal


def no_passphrase(_terminal, monkeypatch):
    monkeypatch.delenv("MEDLOCK_PASSPHRASE_FILE")


def missing_passphrase(terminal, _monkeypatch):
    terminal.passphrase.unlink()


def wrong_passphrase(terminal, _monkeypatch):
    terminal.passphrase.write_text("another passphrase altogether\n")


def short_passphrase(terminal, _monkeypatch):
    terminal.passphrase.write_text("short\n")


def missing_keystore(terminal, _monkeypatch):
    (terminal.directory / KEYS).unlink()


def damaged_keystore(terminal, _monkeypatch):
    (terminal.directory / KEYS).write_bytes(b"rubbish" * 1000)


def another_keystore(terminal, _monkeypatch):
    (terminal.directory / "store.id").write_text("00" * 16)


def newer_store(terminal, _monkeypatch):
    with sqlite3.connect(terminal.directory / DATA) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def newer_keystore(terminal, _monkeypatch):
    with sqlite3.connect(terminal.directory / KEYS) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def damaged_store(terminal, _monkeypatch):
    (terminal.directory / DATA).write_bytes(b"rubbish" * 1000)


def missing_store(terminal, _monkeypatch):
    assert terminal.type("verify").code == 0
    (terminal.directory / DATA).unlink()


def unknown_provider(_terminal, monkeypatch):
    monkeypatch.setenv("MEDLOCK_KEY_PROVIDER", "crystal-ball")


def a_file_in_the_way(terminal, monkeypatch):
    monkeypatch.setenv("MEDLOCK_DATA_DIR", str(terminal.passphrase / "data"))


@pytest.mark.parametrize(
    "trouble",
    [
        no_passphrase,
        missing_passphrase,
        wrong_passphrase,
        short_passphrase,
        missing_keystore,
        damaged_keystore,
        another_keystore,
        newer_store,
        newer_keystore,
        damaged_store,
        missing_store,
        unknown_provider,
        a_file_in_the_way,
    ],
)
def test_a_directory_that_cannot_be_opened(terminal, monkeypatch, trouble):
    """Each trouble is one sentence with exit code 3, for a server as for a command."""
    begun(terminal)
    trouble(terminal, monkeypatch)
    refused(terminal.type("token", "create", "--role", "clinician"), 3)
    refused(terminal.type("serve", "--port", "0"), 3)


def test_without_a_passphrase_an_empty_directory_stays_empty(terminal, monkeypatch):
    """The first start without a passphrase says how to set one, and makes nothing."""
    monkeypatch.delenv("MEDLOCK_PASSPHRASE_FILE")
    done = terminal.type("token", "create", "--role", "clinician")
    refused(done, 3)
    assert "MEDLOCK_PASSPHRASE_FILE" in done.err
    assert not terminal.directory.exists()


def test_the_passphrase_can_be_changed(terminal, tmp_path, monkeypatch):
    """After keys move only the new passphrase opens the data."""
    begun(terminal)
    new = tmp_path / "new-passphrase"
    new.write_text("a different and better passphrase\n")
    new.chmod(0o600)
    assert terminal.type("keys", "move", "--to-passphrase-file", new, "--json").code == 0
    refused(terminal.type("keys", "status"), 3)
    monkeypatch.setenv("MEDLOCK_PASSPHRASE_FILE", str(new))
    status = terminal.type("keys", "status", "--json")
    assert status.code == 0
    assert status.json["breach_safe"] in {True, False}
    assert "Breach-safe: " in terminal.type("keys", "status").out


def test_the_operators_acts_are_in_the_audit_log(terminal):
    """Making and revoking tokens and renewing keys are events by the person at the keyboard."""
    token_id = terminal.type("token", "create", "--role", "clinician", "--json").json["id"]
    terminal.type("token", "revoke", token_id)
    terminal.type("keys", "ratchet")

    async def events():
        async with open_app(settings_for(terminal.directory)) as app:
            return [found.event for found in await app.records.log.find(AuditQuery())]

    found = run(events())
    assert {event.action for event in found} == {Action.TOKEN_CREATE, Action.TOKEN_REVOKE, Action.KEY_RATCHET}
    assert {event.account for event in found} == {operator_name()}


def test_keys_are_rotated(terminal, tmp_path):
    """One patient's or everybody's: what was done as JSON, all is well afterwards, and the acts are in the log."""
    terminal.type("load", write(tmp_path / "a.json", PATIENT, OBSERVATION), "--json")
    one = terminal.type("keys", "rotate", "--patient", "p1", "--json")
    assert (one.code, one.json) == (0, {"patients": 1, "rows": 2, "destroyed": 1, "resumed": False})
    everybody = terminal.type("keys", "rotate", "--all")
    assert everybody.code == 0
    assert "2 records of 1 patients" in everybody.out
    assert terminal.type("verify", "--json").json == {"well": True, "findings": []}
    assert terminal.type("export", tmp_path / "out", "--json").json["resources"] == {"Observation": 1, "Patient": 1}
    assert terminal.type("keys", "status", "--json").json["superseded"] == 0

    async def events():
        async with open_app(settings_for(terminal.directory)) as app:
            return [found.event for found in await app.records.log.find(AuditQuery(action=Action.KEY_ROTATE))]

    found = run(events())
    assert {event.patient for event in found} == {"", "p1"}
    assert {event.account for event in found} == {operator_name()}


def test_what_cannot_be_rotated(terminal, tmp_path):
    """Nothing to go on with, both scopes at once, nobody by that id, somebody else at it: each with its code."""
    terminal.type("load", write(tmp_path / "a.json", PATIENT), "--json")
    for arguments in ((), ("--all", "--patient", "p1")):
        assert terminal.type("keys", "rotate", *arguments).code == 2
    refused(terminal.type("keys", "rotate", "--patient", "nobody"), 5)
    with alone(terminal.directory / LOCK, "-"):
        refused(terminal.type("keys", "rotate", "--all"), 5)
    with sqlite3.connect(terminal.directory / DATA) as db:
        key, ct = db.execute("SELECT key, ct FROM body").fetchone()
        db.execute("UPDATE body SET ct = ? WHERE key = ?", (ct[:-1] + bytes([ct[-1] ^ 1]), key))
    db.close()
    stopped = terminal.type("keys", "rotate", "--all")
    assert stopped.code != 0
    assert "medlock verify" in stopped.err
    assert any("keys rotate" in reason for reason in terminal.type("keys", "status", "--json").json["reasons"])
    with sqlite3.connect(terminal.directory / DATA) as db:
        db.execute("UPDATE body SET ct = ? WHERE key = ?", (ct, key))
    db.close()
    again = terminal.type("keys", "rotate", "--json")
    assert (again.code, again.json["resumed"], again.json["destroyed"]) == (0, True, 1)


def test_a_fault_says_where_and_not_what(terminal, monkeypatch):
    """An unexpected exception exits with 70; neither its message nor a traceback is shown."""

    def broken(**_):
        raise ValueError("a patient's name")

    monkeypatch.setattr("medlock.cli.make_cli", lambda: broken)
    done = terminal.type("verify")
    assert done.code == 70
    assert "a patient's name" not in done.err
    assert "Traceback" not in done.err
    assert json.loads(done.err.splitlines()[0])["kind"] == "ValueError"


def test_an_interrupt_is_not_a_fault(terminal, monkeypatch):
    """Ctrl-C exits with 130 and says that it stopped."""

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("medlock.cli.make_cli", lambda: interrupted)
    assert (terminal.type("verify").code, terminal.type("verify").err) == (130, "medlock: Stopped.\n")


def test_shell_completion(terminal):
    """The program prints a completion script for the shell."""
    done = terminal.type("--show-completion", "bash")
    assert done.code == 0
    assert "_MEDLOCK_COMPLETE" in done.out


def test_version(terminal):
    """The version, and nothing opened."""
    done = terminal.type("--version")
    assert (done.code, done.out.startswith("medlock ")) == (0, True)
    assert not terminal.directory.exists()
