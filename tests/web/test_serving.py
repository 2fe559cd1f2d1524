"""The server as a process: TLS, readiness, one per directory, graceful ends, several workers."""

import os
import signal
import socket
import ssl
import threading
import time
from contextlib import suppress

import httpx
import pytest

from medlock.settings import Settings
from web.running import Server, children, eventually, gone, medlock, new_token, running

PATIENT = {"resourceType": "Patient", "id": "p1", "active": True}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("serving") / "data"


@pytest.fixture(scope="module")
def server(directory):
    with running(directory) as server:
        yield server


@pytest.fixture(scope="module")
def token(server):
    """Made by a command beside the running server."""
    return new_token(server.directory)[0]


def test_a_record_over_tls_from_the_first_start(server, token):
    """A fresh directory serves TLS that the printed authority vouches for; a record goes in and comes out."""
    assert server.ready["url"].startswith("https://localhost:")
    with server.client(token) as client:
        put = client.put("Patient/p1", json=PATIENT)
        assert put.status_code == 201
        assert put.headers["location"] == f"{server.ready['url']}/fhir/Patient/p1/_history/1"
        got = client.get("Patient/p1")
        assert got.json()["active"] is True
        assert got.headers["etag"] == 'W/"1"'
        assert got.headers["strict-transport-security"]
        assert client.get("Patient/p1", headers={"if-none-match": 'W/"1"'}).status_code == 304


def test_nobody_else_vouches_for_it(server):
    """Without the local authority the certificate is not trusted."""
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.ready["url"] + "/healthz")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(server, version):
    """TLS 1.0 and 1.1 end in a failed handshake; 1.2 and 1.3 succeed (RFC 8996)."""
    port = int(server.ready["url"].rpartition(":")[2])
    old = ssl.create_default_context(cafile=server.ready["ca"])
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(plain, server_hostname="localhost")
    for good in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        new = ssl.create_default_context(cafile=server.ready["ca"])
        new.minimum_version = new.maximum_version = good
        plain = socket.create_connection(("127.0.0.1", port))
        with new.wrap_socket(plain, server_hostname="localhost") as secured:
            assert secured.version()


def test_secrets_are_for_their_owner_only(server, directory):
    """No file under the data directory but public certificates can be read by other users."""
    assert server.ready["ca"] == str(directory / "tls/ca.pem")
    for path in directory.rglob("*"):
        mode = path.stat().st_mode & 0o077
        assert mode == 0 or path.name == "ca.pem", path


def test_a_second_server_is_refused_in_one_sentence(server, directory):
    """The same data directory is served once; the refusal says what to do."""
    assert server.process.poll() is None
    done = medlock(directory, "serve", "--port", "0")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"medlock: Another medlock server is using {directory}: stop it first, or choose another --data-dir.\n"
    )


def test_a_taken_port_is_told(server, tmp_path):
    """Another directory on the same port is refused before anything is opened."""
    port = server.ready["url"].rpartition(":")[2]
    done = medlock(tmp_path / "other", "serve", "--port", port)
    assert done.returncode == 3
    assert "taken by another program" in done.stderr


def test_revocation_acts_on_the_next_request(server, directory):
    """A token revoked by a command is refused by the running server at once."""
    secret, token_id = new_token(directory)
    with server.client(secret) as client:
        assert client.get("Patient").status_code == 200
        assert medlock(directory, "token", "revoke", token_id).returncode == 0
        assert client.get("Patient").status_code == 401


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET /fhir/Patient HTTP/1.1\r\nhost: x\r\n" + b"x: " + b"y" * 100_000, b"400"),
        (b"GET /fhir/" + b"a" * 200_000, b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", b"400"),
        (b"GET /fhir/Pati\xc3\xa9nt HTTP/1.1\r\nhost: x\r\n\r\n", b"40"),
    ],
)
def test_broken_heads_are_refused(server, sent, answer):
    """Endless, malformed and ambiguous heads get a 4xx and the server lives on."""
    port = int(server.ready["url"].rpartition(":")[2])
    context = ssl.create_default_context(cafile=server.ready["ca"])
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as secured:
        with suppress(OSError):
            secured.sendall(sent)
        assert answer in secured.recv(20)
    assert server.healthy()


def test_sigterm_lets_a_running_request_finish(tmp_path):
    """A request whose body is still arriving is answered; then the server ends with 0 and an empty stderr."""
    server = Server(tmp_path / "data")
    secret, _ = new_token(tmp_path / "data")
    body = b'{"resourceType":"Patient"}'

    def slowly():
        yield body[:10]
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        yield body[10:]

    with server.client(secret) as client:
        made = client.post("Patient", content=slowly(), headers={"content-type": "application/json"})
    assert made.status_code == 201
    assert server.stop() == (0, "")
    with running(tmp_path / "data") as again, again.client(secret) as client:
        assert client.get(made.headers["location"].partition("/fhir/")[2]).status_code == 200


def test_an_idle_client_does_not_hold_up_the_end(tmp_path):
    """A client that keeps its connection open and says nothing delays the end by a second or so, not by the drain."""
    server = Server(tmp_path / "data")
    with server.client(new_token(tmp_path / "data")[0]) as client:
        assert client.get("Patient").status_code == 200
        began = time.monotonic()
        assert server.stop() == (0, "")
    assert time.monotonic() - began < Settings(tmp_path).drain_seconds / 2


def test_plain_http_only_on_loopback(tmp_path):
    """--no-tls is refused on any address that others can reach, and serves without HSTS on loopback."""
    for host in ("0.0.0.0", "::"):  # noqa: S104 - the refusal is what is tested
        done = medlock(tmp_path / "data", "serve", "--no-tls", "--host", host)
        assert done.returncode == 3
        assert "loopback" in done.stderr
    with running(tmp_path / "data", "--no-tls") as server, server.client() as client:
        assert server.ready["ca"] is None
        response = client.get("metadata")
        assert response.status_code == 200
        assert "strict-transport-security" not in response.headers


def test_your_own_certificate(tmp_path, server, directory):
    """A given certificate and key are served; one without the other is refused."""
    assert server.process.poll() is None
    own = str(directory / "tls/server.pem")
    with running(tmp_path / "data", "--tls-cert", own, "--tls-key", own) as other:
        assert other.ready["ca"] is None
        context = ssl.create_default_context(cafile=server.ready["ca"])
        assert httpx.get(other.ready["url"] + "/healthz", verify=context).status_code == 200
    done = medlock(tmp_path / "data", "serve", "--tls-cert", own)
    assert (done.returncode, "both" in done.stderr) == (3, True)
    (tmp_path / "broken.pem").write_text("no certificate")
    done = medlock(tmp_path / "data", "serve", "--tls-cert", str(tmp_path / "broken.pem"), "--tls-key", own)
    assert done.returncode == 3


def test_several_workers_serve_one_directory(tmp_path):
    """Two workers answer; one that dies is replaced; what one wrote, the others read; SIGTERM ends all with 0."""
    server = Server(tmp_path / "data", "--workers", "2")
    secret, token_id = new_token(tmp_path / "data")
    first = children(server.process.pid)
    assert len(first) == 2
    with server.client(secret) as client:
        assert client.put("Patient/p1", json=PATIENT).status_code == 201
    os.kill(first[0], signal.SIGKILL)
    assert eventually(lambda: len(children(server.process.pid)) == 2 and first[0] not in children(server.process.pid))
    statuses = []

    def ask():
        with server.client(secret) as client:
            statuses.append(client.get("Patient/p1").status_code)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 12
    assert medlock(tmp_path / "data", "token", "revoke", token_id).returncode == 0
    for _ in range(6):
        with server.client(secret) as client:
            assert client.get("Patient/p1").status_code == 401
    code, errors = server.stop()
    assert code == 0
    assert errors.count("\n") == 1
    assert "worker-died" in errors


def test_workers_do_not_outlive_their_parent(tmp_path):
    """When the watching process is killed, its workers end, so the directory can be served again."""
    server = Server(tmp_path / "data", "--workers", "2")
    workers = children(server.process.pid)
    server.process.kill()
    server.process.communicate()
    assert eventually(lambda: all(gone(pid) for pid in workers))
    with running(tmp_path / "data") as again:
        assert again.healthy()
