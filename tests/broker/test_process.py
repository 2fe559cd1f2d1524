"""The broker as a process beside real workers: what they hold, what a kill costs, and who may ask."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from broker.world import PROGRAM
from medlock.clock import Clock
from medlock.crypto.kdf import derive
from medlock.settings import Settings
from medlock.store.broker.server import answers as answers_at
from medlock.store.epochs import Epoch, EpochState
from medlock.store.opening import open_keystore
from web.running import Server, environment, medlock, new_token, running

PATIENTS = [{"resourceType": "Patient", "id": f"p{number}", "active": True} for number in range(8)]


def named(parent: int) -> dict[str, list[int]]:
    """The processes started by one, by what they are."""
    found: dict[str, list[int]] = {"broker": [], "worker": []}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if not entry.name.isdigit() or int((entry / "stat").read_text().rpartition(")")[2].split()[1]) != parent:
                continue
            if (entry / "comm").read_text().strip() == "medlock-keys":
                found["broker"].append(int(entry.name))
            elif b"spawn_main" in (entry / "cmdline").read_bytes():
                found["worker"].append(int(entry.name))
    return found


def eventually(true, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def unwraps(directory):
    """What the log shows."""
    done = medlock(directory, "keys", "unwraps", "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def holds(pid: int, needle: bytes) -> bool:
    """Whether some bytes are anywhere in a process's memory."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            if not rights.startswith("rw") or "[v" in line:
                continue
            start, end = (int(edge, 16) for edge in span.split("-"))
            with suppress(OSError, ValueError, OverflowError):
                memory.seek(start)
                if needle in memory.read(end - start):
                    return True
    return False


def epoch_key(directory) -> bytes:
    """The key that must be in the broker only."""
    environ = environment(directory)
    settings = Settings(directory, passphrase_file=Path(environ["MEDLOCK_PASSPHRASE_FILE"]))
    with closing(open_keystore(settings, Clock())) as keystore:
        row = sqlite3.connect(directory / "keystore.db").execute(
            "SELECT number, under, made, state, wrapped FROM epoch"
        )
        number, under, made, state, wrapped = row.fetchone()
        return keystore._epochs.raw(Epoch(number, under, made, EpochState(state), wrapped))


def acknowledged(client, patient) -> bool:
    """Whether a patient was written; else the server said to come back."""
    answer = client.put(f"Patient/{patient['id']}", json=patient)
    assert answer.status_code in {200, 201, 503}
    return answer.status_code != 503


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """A data directory with eight patients and a token, and the passphrase beside it."""
    directory = tmp_path_factory.mktemp("pattern") / "data"
    with running(directory) as server:
        secret, _ = new_token(directory)
        with server.client(secret) as client:
            for patient in PATIENTS:
                assert client.put(f"Patient/{patient['id']}", json=patient).status_code == 201
    directory.with_name("token").write_text(secret)
    return directory.parent


@pytest.fixture
def data(pattern, tmp_path):
    """A copy of it."""
    return shutil.copytree(pattern, tmp_path / "copy") / "data"


@contextmanager
def apart(data, socket):
    """A broker of its own, killed at the end if it still runs."""
    command = [PROGRAM, "keys", "broker", "--socket", str(socket)]
    with subprocess.Popen(command, env=environment(data), stdout=subprocess.PIPE, text=True) as broker:
        try:
            assert json.loads(broker.stdout.readline()) == {"socket": str(socket)}
            yield broker
        finally:
            broker.kill()


def token(directory):
    return directory.with_name("token").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of other processes")
def test_only_the_broker_holds_the_epoch_key(data):
    """Looked for in the memory of all of them, after patients were opened, made and changed."""
    with running(data, "--workers", "2") as server:
        with server.client(token(data)) as client:
            for patient in PATIENTS:
                assert client.get(f"Patient/{patient['id']}").status_code == 200
            assert client.put("Patient/new", json={"resourceType": "Patient", "id": "new"}).status_code == 201
        kek = epoch_key(data)
        found = named(server.process.pid)
        assert len(found["broker"]) == 1
        assert len(found["worker"]) == 2
        assert holds(found["broker"][0], kek)
        assert not any(holds(pid, kek) for pid in (*found["worker"], server.process.pid))
        assert Path(f"/proc/{found['broker'][0]}/mem").stat().st_uid == 0  # not dumpable: nobody else may trace it
    seen = unwraps(data)
    assert {record["pid"] for record in seen if record["kind"] == "unwrap"} <= set(found["worker"])
    assert len({record["slot"] for record in seen if record["kind"] == "unwrap" and record["slot"]}) >= 8
    assert seen[0]["kind"] == "start"
    assert seen[-1]["kind"] == "stop"


PSYCHIATRY = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F20.9"}
PROBLEM = {
    "resourceType": "Condition",
    "id": "c",
    "subject": {"reference": "Patient/p0"},
    "code": {"coding": [PSYCHIATRY]},
}


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of other processes")
def test_workers_without_clearance_never_have_the_key(data):
    """It is in the memory of workers with clearance and of none without; for these what it opens is not there."""
    with running(data, "--workers", "2") as server, server.client(token(data)) as client:
        assert client.put("Condition/c", json=PROBLEM).status_code == 201
        assert client.get("Condition/c").status_code == 200
        (slot,) = {each["slot"] for each in unwraps(data) if each["kind"] == "unwrap" and each["slot"]}
        key = patient_key(data, slot)
        assert any(holds(pid, key) for pid in named(server.process.pid)["worker"])
    with running(data, "--workers", "2", more={"MEDLOCK_CLEARANCE": "normal"}) as server:
        with server.client(token(data)) as client:
            for _ in range(8):  # whichever worker answers
                hidden, never = client.get("Condition/c"), client.get("Condition/never")
                assert (hidden.status_code, hidden.content) == (404, never.content)
                assert client.get("Patient/p0").status_code == 200
                assert client.get("Condition?patient=p0").json().get("total", 0) == 0
            assert client.put("Patient/new", json={"resourceType": "Patient", "id": "new"}).status_code == 201
        workers = named(server.process.pid)["worker"]
        for needle in (key, derive(key, "medlock/1/patient/sensitive")):
            assert not any(holds(pid, needle) for pid in (*workers, server.process.pid))
    given = [each for each in unwraps(data) if each["pid"] in workers]
    assert {each["slot"] for each in given if each["kind"] == "unwrap"} == {0}
    assert slot in {each["slot"] for each in given if each["kind"] == "unwrap_common"}
    refused = medlock(data, "export", str(data.with_name("out")), more={"MEDLOCK_CLEARANCE": "normal"})
    assert refused.returncode == 3
    assert "MEDLOCK_CLEARANCE" in refused.stderr


def patient_key(directory, slot) -> bytes:
    """The key of one patient, as the keystore has it."""
    settings = Settings(directory, passphrase_file=Path(environment(directory)["MEDLOCK_PASSPHRASE_FILE"]))
    with closing(open_keystore(settings, Clock())) as keystore:
        return keystore.secret(slot)[1][:32]


def test_a_killed_broker_loses_nothing_and_comes_back(data):
    """What was acknowledged is there; who asks meanwhile gets an answer or 503 with a time; its log is whole."""
    server = Server(data, "--workers", "2")
    made, answers = [], set()
    with server.client(token(data)) as client:
        for round_ in range(3):
            (broker,) = named(server.process.pid)["broker"]
            for number in range(5):
                name = f"r{round_}n{number}"
                patient = {"resourceType": "Patient", "id": name}
                assert eventually(lambda patient=patient: acknowledged(client, patient))
                made.append(name)
            os.kill(broker, signal.SIGKILL)
            for patient in PATIENTS:
                answer = client.get(f"Patient/{patient['id']}")
                answers.add(answer.status_code)
                assert answer.status_code == 200 or int(answer.headers["retry-after"]) > 0
            assert eventually(lambda killed=broker: named(server.process.pid)["broker"] not in ([], [killed]))
            assert eventually(lambda: answers_at(data / "keys.sock"))
        assert answers <= {200, 503}
        for name in made:
            assert eventually(lambda name=name: client.get(f"Patient/{name}").status_code == 200)
    code, errors = server.stop()
    assert code == 0
    assert errors.count('"event":"broker-died"') == 3
    kinds = [record["kind"] for record in unwraps(data)]
    assert kinds.count("start") == 4
    assert kinds.count("stop") == 1
    done = medlock(data, "verify", "--json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_broker_open_patients_are_read_and_others_wait(data, tmp_path):
    """One that runs apart is killed and not started again: 200 for opened patients, 503 with Retry-After for others."""
    socket = tmp_path / "apart.sock"
    with apart(data, socket):
        server = Server(data, "--broker", str(socket))
        with server.client(token(data)) as client:
            assert client.get("Patient/p1").status_code == 200
    with server.client(token(data)) as client:
        for _ in range(3):
            assert client.get("Patient/p1").status_code == 200
            answer = client.get("Patient/p2")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["issue"][0]["code"] == "transient"
            assert client.put("Patient/new", json={"resourceType": "Patient", "id": "new"}).status_code == 503
        with apart(data, socket) as again:
            assert eventually(lambda: client.get("Patient/p2").status_code == 200)
            assert eventually(lambda: acknowledged(client, {"resourceType": "Patient", "id": "new"}))
            server.stop()
            again.terminate()
            assert again.wait(30) == 0
    assert not socket.exists()
    assert [record["kind"] for record in unwraps(data)].count("start") == 2


def test_the_limit_answers_503_and_is_in_the_audit_log(data):
    """The fourth patient of a minute, for a caller who may read all of them."""
    server = Server(data, "--broker", "on", "--patients-per-minute", "3")
    with server.client(token(data)) as client:
        answers = [client.get(f"Patient/{patient['id']}") for patient in PATIENTS]
        assert [answer.status_code for answer in answers] == [200] * 3 + [503] * 5
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers[3:])
        assert client.get("Patient/p0").status_code == 200
    assert server.stop()[0] == 0
    assert [record["kind"] for record in unwraps(data)].count("capped") >= 1
    officer, _ = new_token(data, "--role", "privacy-officer")
    with running(data) as server, server.client(officer) as client:
        found = client.get("AuditEvent?_count=200").text
        assert "limit of patients a minute" in found


def test_a_broker_does_not_outlive_its_server(data):
    """Killed without a word, the server leaves nothing behind that holds keys, and can start again."""
    server = Server(data, "--workers", "2")
    (broker,) = named(server.process.pid)["broker"]
    server.process.kill()
    server.process.communicate()

    def ended():
        with suppress(OSError):
            return Path(f"/proc/{broker}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return True

    assert eventually(ended)
    with running(data, "--workers", "2") as again:
        assert again.healthy()


def test_a_second_broker_is_refused(data, tmp_path):
    """One at a time holds the log and the socket."""
    with running(data, "--broker", "on"):
        done = medlock(data, "keys", "broker", "--socket", str(tmp_path / "second.sock"))
    assert done.returncode == 5
    assert "running" in done.stderr


def test_a_server_whose_broker_is_missing_says_so(data, tmp_path):
    """With a code that means: try again."""
    done = medlock(data, "serve", "--port", "0", "--broker", str(tmp_path / "none.sock"))
    assert done.returncode == 4
    assert "No key broker answers" in done.stderr


def test_signals_to_all_leave_the_broker_for_last(data):
    """A service manager may signal every process: workers still find their keys, and all end with 0."""
    server = Server(data, "--workers", "2")
    (broker,) = named(server.process.pid)["broker"]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(broker, number)
    with server.client(token(data)) as client:
        assert [client.get(f"Patient/{each['id']}").status_code for each in PATIENTS] == [200] * 8
        os.kill(broker, signal.SIGTERM)
    assert server.stop() == (0, "")
    assert [record["kind"] for record in unwraps(data)].count("stop") == 1


def test_off_means_none(data):
    """Workers then hold the keys themselves, as before."""
    with running(data, "--workers", "2", "--broker", "off") as server:
        assert named(server.process.pid)["broker"] == []
        with server.client(token(data)) as client:
            assert client.get("Patient/p1").status_code == 200


def test_a_changed_log_is_found(data):
    """`keys unwraps` ends with 1 and names the file."""
    with running(data, "--broker", "on") as server, server.client(token(data)) as client:
        client.get("Patient/p1")
    path = next((data / "unwraps").iterdir())
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    done = medlock(data, "keys", "unwraps")
    assert done.returncode == 1
    assert path.name in done.stdout


def test_a_reload_takes_another_provider(data, tmp_path):
    """`keys move` beside a server, then SIGHUP with the new settings: the broker is another one, nothing is lost."""
    variables = tmp_path / "medlock.env"
    variables.write_text("")
    server = Server(data, "--workers", "2", more={"MEDLOCK_ENV_FILE": str(variables)})
    new = tmp_path / "new-passphrase"
    new.write_text("another horse another battery\n")
    new.chmod(0o600)
    with server.client(token(data)) as client:
        assert client.get("Patient/p1").status_code == 200
        assert medlock(data, "keys", "move", "--to-passphrase-file", str(new)).returncode == 0
        assert client.get("Patient/p1").status_code in {200, 503}  # the other worker may not have opened it
        (former,) = named(server.process.pid)["broker"]
        variables.write_text(f"MEDLOCK_PASSPHRASE_FILE={new}\n")
        server.tell(signal.SIGHUP)
        assert eventually(lambda: named(server.process.pid)["broker"] not in ([], [former]))
        for patient in PATIENTS:
            assert eventually(lambda patient=patient: client.get(f"Patient/{patient['id']}").status_code == 200)
        assert eventually(lambda: acknowledged(client, {"resourceType": "Patient", "id": "new"}))
    assert server.stop()[0] == 0
