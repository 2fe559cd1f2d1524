"""Starts and stops what is measured: servers on the first core, the load client on the last.

The product is started as an operator starts it: `medlock serve` and `medlock token create`. Everything lies under one
temporary directory that goes away with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from machine import CLIENT_CORE, SERVER_CORE, children, pinned

_HERE = Path(__file__).parent
_MEDLOCK = Path(sys.executable).with_name("medlock")
_STOP_SECONDS = 60
_VARIABLE = "MEDLOCK_PASSPHRASE_FILE"
# counted like anybody's, but never refused: what counting costs is in every figure
RATES = " ".join(f"{name}=999999999/h" for name in (
    "user", "backend", "loader", "app", "patient", "anonymous", "address", "people_patients", "program_patients",
    "token",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it is, a token it accepts, and its process."""

    name: str
    host: str
    port: int
    ca: str | None
    token: str
    pid: int

    def get(self, target: str) -> bytes:
        """The request for a path below /fhir."""
        return self._head("GET", target) + b"\r\n"

    def post(self, target: str, body: bytes) -> bytes:
        """The request that sends a resource or Bundle and wants nothing back."""
        head = f"content-type: application/fhir+json\r\nprefer: return=minimal\r\ncontent-length: {len(body)}\r\n\r\n"
        return self._head("POST", target) + head.encode() + body

    def _head(self, method: str, target: str) -> bytes:
        slash = "/" if target else ""
        return (
            f"{method} /fhir{slash}{target} HTTP/1.1\r\nhost: localhost:{self.port}\r\n"
            f"accept: application/fhir+json\r\nauthorization: Bearer {self.token}\r\n"
        ).encode()


class Bench:
    """A temporary directory with a passphrase, the load client, and servers as they are needed."""

    def __init__(self, directory: Path, client: subprocess.Popen[str]) -> None:
        self.directory = directory
        self._client = client
        self._made = 0

    def fresh(self, name: str) -> Path:
        """A path nobody used before."""
        self._made += 1
        return self.directory / f"{name}-{self._made}"

    @contextmanager
    def medlock(
        self,
        data_dir: Path,
        *,
        tls: bool = False,
        name: str = "protected",
        token: str = "",
        workers: int = 1,
        cores: tuple[int, ...] = (SERVER_CORE,),
    ) -> Iterator[Server]:
        """The product on a data directory, made when it is new; with a new token unless one is given."""
        flags = ["--tls" if tls else "--no-tls", "--port", "0", "--data-dir", str(data_dir)]
        flags += ["--workers", str(workers)]
        with _running([str(_MEDLOCK), "serve", *flags], cores) as (process, ready):
            yield _server(name, ready, token or make_token(data_dir), process.pid)

    @contextmanager
    def variant(self, name: str, *, tls: bool = False, bodies: Path | None = None) -> Iterator[Server]:
        """A server to compare with."""
        command = [sys.executable, str(_HERE / "variant.py"), name, "--data-dir", str(self.fresh(name))]
        command += ["--tls"] if tls else []
        command += ["--bodies", str(bodies)] if bodies else []
        with _running(command) as (process, ready):
            yield _server(name, ready, ready["token"], process.pid)

    def ask(
        self,
        server: Server,
        requests: Sequence[bytes],
        *,
        seconds: float = 0.0,
        connections: int = 16,
        once: bool = False,
    ) -> dict[str, Any]:
        """Have the client send requests, around and around for `seconds` (or each once); its counts."""
        path = self.directory / "requests.msgpack"
        path.write_bytes(msgspec.msgpack.encode(list(requests)))
        job = {
            "host": server.host,
            "port": server.port,
            "ca": server.ca,
            "pids": [server.pid, *children(server.pid)],
            "requests": str(path),
            "connections": min(connections, len(requests)),
            "seconds": seconds,
            "warm": 0.0 if once else min(0.3, seconds / 4),
            "once": once,
        }
        stdin, stdout = self._client.stdin, self._client.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the client has pipes")
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        result: dict[str, Any] = json.loads(stdout.readline() or "null")
        if result is None or result["failed"]:
            raise RuntimeError(f"{server.name}: requests failed: {result}")
        return result


@contextmanager
def open_bench(directory: Path) -> Iterator[Bench]:
    """A bench in an empty directory."""
    with pinned(CLIENT_CORE):
        client = subprocess.Popen(
            [sys.executable, str(_HERE / "client.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    os.environ.setdefault("MEDLOCK_RATES", RATES)
    try:
        with passphrase(directory):
            yield Bench(directory, client)
    finally:
        client.terminate()
        client.wait()


@contextmanager
def passphrase(directory: Path) -> Iterator[None]:
    """Guard keystores with the passphrase in this directory, made when it is not there."""
    path = directory / "passphrase"
    if not path.exists():
        path.write_text("a passphrase for a benchmark\n")
        path.chmod(0o600)
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(path)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE)
        if before is not None:
            os.environ[_VARIABLE] = before


def make_token(data_dir: Path, *role: str) -> str:
    """A token from the command line; a clinician's unless a role and scopes are given."""
    whose = role or ("--role", "clinician")
    command = [str(_MEDLOCK), "token", "create", *whose, "--json", "--data-dir", str(data_dir)]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    token: str = json.loads(made)["token"]
    return token


@contextmanager
def _running(
    command: list[str], cores: tuple[int, ...] = (SERVER_CORE,)
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A server process on its cores, once it has printed its JSON line; ended with SIGTERM."""
    with pinned(*cores):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield process, json.loads(line)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def _server(name: str, ready: dict[str, Any], token: str, pid: int) -> Server:
    address = urlsplit(ready["url"])
    return Server(name, "127.0.0.1", address.port or 0, ready["ca"], token, pid)
