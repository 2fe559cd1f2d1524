"""Exports from the real program: a file that is cut off is seen to be, and a killed one has kept nothing of it."""

import base64
import json
import os
import signal
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from web.running import Server, children, eventually, medlock, new_token

LATER = {"prefer": "respond-async"}
MARK = "Qwzxjkvbmn"
PATIENTS, LONG = 300, 30_000


@pytest.fixture
def directory(tmp_path):
    """A store with more than connections buffer: 300 patients of 40 kB that do not compress."""
    lines = [
        json.dumps(
            {
                "resourceType": "Patient",
                "id": f"p{number}",
                "name": [{"family": MARK}],
                "photo": [{"contentType": "image/png", "data": base64.b64encode(os.urandom(LONG)).decode()}],
            }
        )
        for number in range(PATIENTS)
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/Patient.ndjson").write_text("\n".join(lines))
    done = medlock(tmp_path / "data", "load", str(tmp_path / "in"))
    assert done.returncode == 0, done.stderr
    return tmp_path / "data"


def output(client, path="$export?_type=Patient"):
    """Kick off; the status address and that of the one file."""
    begun = client.get(path, headers=LATER)
    assert begun.status_code == 202, begun.text
    where = begun.headers["content-location"]
    for _ in range(10_000):
        status = client.get(where)
        if status.status_code == 200:
            return where, status.json()["output"][0]["url"]
        assert status.status_code == 202
    raise AssertionError("it was never prepared")


def resident(process):
    """How much memory a process holds at the most, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def test_a_file_comes_whole_or_is_seen_to_be_cut(directory):
    """All lines, without the server growing by the file; after a revocation in the middle, an error of the transfer."""
    server = Server(directory)
    token, id_ = new_token(directory)
    try:
        with server.client(token) as client:
            where, file = output(client)
            before = resident(server.process)
            answer = client.get(file)
            assert answer.status_code == 200
            assert len({json.loads(line)["id"] for line in answer.content.splitlines()}) == PATIENTS
            assert resident(server.process) - before < len(answer.content) // 2**20
            with slow(server, token) as another, pytest.raises(httpx.RemoteProtocolError):
                revoked_on_the_way(another, file, directory, id_)
            assert client.get(where).status_code == 401
    finally:
        server.stop()


def slow(server, token):
    """A client whose connection buffers little, so that a file is not sent before it is read."""
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)]
    trust = ssl.create_default_context(cafile=server.ready["ca"])
    return server.client(token, transport=httpx.HTTPTransport(verify=trust, socket_options=options))


def revoked_on_the_way(client, file, directory, id_):
    """Fetch a file while somebody revokes the token."""
    with client.stream("GET", file) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_bytes(1_000)
        assert MARK.encode() in next(pieces)
        assert medlock(directory, "token", "revoke", id_).returncode == 0
        for _ in pieces:
            pass


def test_a_killed_server_leaves_an_export_to_the_next(directory):
    """SIGKILL of workers while a file is sent: no byte of it is on disk, and who comes after sends all of it."""
    server = Server(directory, "--workers", "2")
    token, _ = new_token(directory)
    with slow(server, token) as client:
        where, file = output(client)
        with client.stream("GET", file) as answer:
            assert MARK.encode() in next(answer.iter_bytes(1_000))
            for worker in children(server.process.pid):
                os.kill(worker, signal.SIGKILL)
            assert eventually(server.healthy)
    try:
        with server.client(token) as client:
            assert client.get(where).json()["output"][0]["url"] == file
            assert len(client.get(file).content.splitlines()) == PATIENTS
            assert client.delete(where).status_code == 202
            assert client.get(where).status_code == 404
    finally:
        server.stop()
    for path in directory.rglob("*"):
        assert not path.is_file() or MARK.encode() not in path.read_bytes(), path
    assert json.loads(medlock(directory, "verify", "--json").stdout) == {"well": True, "findings": []}
