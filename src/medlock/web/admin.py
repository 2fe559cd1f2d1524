"""The administrator's port: `/metrics` for a Prometheus on the same machine. Off unless it is asked for.

It is a socket of its own, on loopback or in the file system, so that nothing of it can be reached through the port that
clients use. It answers one address with counts and knows nothing else. Where there are several workers the process that
watches them answers it, which holds no keys and sees no request.
"""

from __future__ import annotations

import socketserver
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from socket import AF_INET6, AF_UNIX
from threading import Thread

from medlock.errors import SetupError
from medlock.web.counts import Board
from medlock.web.tls import is_loopback

METRICS = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_UNIX = "unix:"
_SECONDS = 5  # somebody who sends half a request line is not waited for any longer
_FORM = "The administrator's address is host:port on loopback, such as 127.0.0.1:9464, or unix:/path/to/socket."


@contextmanager
def administered(address: str, board: Board) -> Iterator[None]:
    """Answer at `address` for the length of a block; an empty one means not at all. Raises SetupError."""
    if not address:
        yield
        return
    server = _bound(address, _handler(_exposition(board)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        if address.startswith(_UNIX):
            Path(address.removeprefix(_UNIX)).unlink(missing_ok=True)


def _exposition(board: Board) -> Callable[[], bytes]:
    """What makes the text. Raises SetupError where its library is not installed."""
    try:
        metrics = import_module("medlock.web.metrics")
    except ModuleNotFoundError as missing:
        raise SetupError("--admin needs the package prometheus-client: pip install 'medlock[metrics]'.") from missing
    text: Callable[[], bytes] = metrics.Exposition(board).text
    return text


def _handler(text: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    """One address, one method; no line in any log, no name of the software."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS
        server_version = "medlock"
        sys_version = ""

        def do_GET(self) -> None:
            body = text() if self.path == METRICS else b""
            self._answer(200 if body else 404, body)

        def send_error(self, code: int, _message: str | None = None, _explain: str | None = None) -> None:
            """Without a page that repeats what was asked; a method that is not there is 405 (RFC 9110 §15.5.6)."""
            self.close_connection = True
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else code)

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("content-type", CONTENT_TYPE)
            self.send_header("content-length", str(len(body)))
            if status == HTTPStatus.METHOD_NOT_ALLOWED:
                self.send_header("allow", "GET")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    return Handler


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    """On TCP."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Without asking the name service who we are."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, _request: object, _address: object) -> None:
        """Whoever hangs up is no news."""


class _ServerV6(_Server):
    """The same over IPv6."""

    address_family = AF_INET6


class _UnixServer(_Server):
    """In the file system, for the owner and the group."""

    address_family = AF_UNIX


def _bound(address: str, handler: type[BaseHTTPRequestHandler]) -> HTTPServer:
    """A socket that only this machine can reach. Raises SetupError."""
    try:
        if address.startswith(_UNIX):
            return _in_file_system(Path(address.removeprefix(_UNIX)), handler)
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not is_loopback(host) or not port.isdecimal() or int(port) > 65_535:
            raise SetupError(_FORM)
        return (_ServerV6 if ":" in host else _Server)((host, int(port)), handler)
    except OSError as fault:
        raise SetupError(f"The administrator's address {address} cannot be used: {fault.strerror}.") from fault


def _in_file_system(path: Path, handler: type[BaseHTTPRequestHandler]) -> HTTPServer:
    """A socket that a server before this one left behind is replaced; any other file is not."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    server = _UnixServer(str(path), handler)  # type: ignore[arg-type] # a path is an address, too
    path.chmod(0o660)
    return server
