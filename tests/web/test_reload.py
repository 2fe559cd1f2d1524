"""SIGHUP and SIGTERM under load: no request is lost, what takes too long is told so, what is told to a manager."""

import json
import os
import signal
import socket
import ssl
import threading
import time
from contextlib import closing

import pytest

from web.running import Server, children, eventually, gone, new_token
from web.traffic import Traffic, all_there


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "data"


def lines_of(path, event):
    """The lines of a log that tell one kind of event."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in found if line["event"] == event]


def served_certificate(server):
    """What a new connection is shown."""
    port = int(server.ready["url"].rpartition(":")[2])
    context = ssl.create_default_context(cafile=server.ready["ca"])
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return secured.getpeercert(binary_form=True)


def test_a_reload_under_load_loses_no_request(directory, tmp_path):
    """New workers take over with a new certificate and new settings while callers go on; nobody notices."""
    variables, log = tmp_path / "medlock.env", tmp_path / "log"
    variables.write_text("MEDLOCK_DRAIN_SECONDS=15\n")
    server = Server(directory, "--workers", "2", log=log, more={"MEDLOCK_ENV_FILE": str(variables)})
    token, _ = new_token(directory)
    before, shown = children(server.process.pid), served_certificate(server)
    with Traffic(server, token).flowing() as traffic:
        traffic.until(60)
        (directory / "tls/server.pem").unlink()  # so that it is made anew
        variables.write_text("# as of today\nMEDLOCK_PUBLIC_URL=https://fhir.example.org\n")
        server.tell(signal.SIGHUP)
        assert eventually(lambda: lines_of(log, "reloaded"))
        assert eventually(lambda: all(gone(pid) for pid in before))
        traffic.until(60)
        assert len(children(server.process.pid)) == 2
        assert served_certificate(server) != shown
    assert traffic.lost == []
    assert set(traffic.statuses) <= {200, 201}
    with server.client(token) as client:
        named = client.get("metadata").json()["implementation"]["url"]
    assert named == "https://fhir.example.org/fhir"
    assert all_there(server, token, traffic.acknowledged) == []
    assert server.stop()[0] == 0


def test_a_reload_that_fails_changes_nothing(directory, tmp_path):
    """Settings that cannot be read, and ones that new workers die of, leave the former workers in their place."""
    variables, log = tmp_path / "medlock.env", tmp_path / "log"
    variables.write_text("")
    server = Server(directory, "--workers", "2", log=log, more={"MEDLOCK_ENV_FILE": str(variables)})
    before = children(server.process.pid)
    for text in ("nonsense: a secret\n", 'MEDLOCK_PASSPHRASE_FILE="/nowhere"\n'):
        failed = len(lines_of(log, "reload-failed")) if '"event"' in log.read_text() else 0
        variables.write_text(text)
        server.tell(signal.SIGHUP)
        assert eventually(lambda failed=failed: log.read_text().count('"reload-failed"') > failed)
        assert set(before) <= set(children(server.process.pid))
        assert server.healthy()
    assert eventually(lambda: set(children(server.process.pid)) == set(before))
    assert "a secret" not in log.read_text()
    variables.write_text("")
    server.tell(signal.SIGHUP)
    assert eventually(lambda: '"reloaded"' in log.read_text())
    assert server.stop()[0] == 0


def test_one_process_takes_a_new_certificate(directory):
    """Without a crew SIGHUP renews what new connections are shown, and the process goes on."""
    server = Server(directory)
    shown = served_certificate(server)
    (directory / "tls/server.pem").unlink()
    server.tell(signal.SIGHUP)
    assert eventually(lambda: served_certificate(server) != shown)
    code, errors = server.stop()
    assert (code, json.loads(errors)["event"]) == (0, "reloaded")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_answers_what_it_took(directory, workers):
    """Each answer before the end is whole and true; afterwards connections are refused, and nothing acknowledged is lost."""
    server = Server(directory, "--workers", workers)
    token, _ = new_token(directory)
    with Traffic(server, token).flowing() as traffic:
        traffic.until(40)
        assert server.stop() == (0, "")
    assert set(traffic.statuses) <= {200, 201}
    again = Server(directory)
    assert all_there(again, token, traffic.acknowledged) == []
    assert again.stop()[0] == 0


def test_a_request_that_outlives_the_drain_is_told_so(directory):
    """A body that does not arrive in time is answered with 503 and a closed connection, not with silence."""
    server = Server(directory, more={"MEDLOCK_DRAIN_SECONDS": "1"})
    token, _ = new_token(directory)
    port = int(server.ready["url"].rpartition(":")[2])
    context = ssl.create_default_context(cafile=server.ready["ca"])
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    with closing(context.wrap_socket(plain, server_hostname="localhost")) as secured:
        secured.sendall(
            b"POST /fhir/Patient HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/fhir+json\r\n"
            b"content-length: 50\r\nauthorization: Bearer " + token.encode() + b"\r\n\r\n{"
        )
        time.sleep(0.3)
        server.tell(signal.SIGTERM)
        answer = b""
        while part := secured.recv(65_536):  # ends with a close_notify: a cut without one raises SSLEOFError
            answer += part
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: " in answer
    assert b"connection: close" in answer
    assert b"OperationOutcome" in answer
    code, errors = server.stop()
    assert code == 0
    assert "Cancel" in errors
    assert errors.count("\n") == 1


def test_the_service_manager_hears(directory, tmp_path):
    """READY when requests are answered, RELOADING with a time and READY again, STOPPING at the end (sd_notify)."""
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0.1)
        ended = threading.Event()

        def listen():
            while not ended.is_set():
                try:
                    heard.extend(manager.recv(4096).decode().splitlines())
                except TimeoutError:
                    continue

        listener = threading.Thread(target=listen)
        listener.start()
        server = Server(directory, "--workers", "2", more={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert eventually(lambda: heard.count("READY=1") == 1)
        server.tell(signal.SIGHUP)
        assert eventually(lambda: heard.count("READY=1") == 2)
        assert server.stop()[0] == 0
        time.sleep(0.3)
        ended.set()
        listener.join()
    said = [line.partition("=")[0] for line in heard if not line.startswith("STATUS")]
    assert said == ["READY", "RELOADING", "MONOTONIC_USEC", "READY", "STOPPING"]


def test_workers_that_keep_dying_are_told(directory, tmp_path):
    """Three deaths in a row are a crash loop in the log; the other worker goes on answering meanwhile."""
    log = tmp_path / "log"
    server = Server(directory, "--workers", "2", log=log)
    kept = children(server.process.pid)[0]
    for deaths in range(1, 4):
        assert eventually(lambda: len(children(server.process.pid)) == 2)
        for pid in children(server.process.pid):
            if pid != kept:
                os.kill(pid, signal.SIGKILL)
        assert eventually(lambda deaths=deaths: len(lines_of(log, "worker-died")) == deaths)
        assert server.healthy()
    (loop,) = lines_of(log, "crash-loop")
    assert loop["deaths"] == 3
    assert {line["code"] for line in lines_of(log, "worker-died")} == {-9}
    assert server.stop()[0] == 0
