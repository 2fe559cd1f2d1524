"""A small HTTP service in this process, for fakes of key services: JSON in, JSON out, and moods in which it misbehaves."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Refusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, body: object = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}


class HttpService:
    """Serves `answer(method, path, body, headers)` on a free port of the loopback.

    mood   None, or the Refusal that every request gets; `cut` closes the connection without a word
    calls  method and path of what was asked
    """

    def __init__(self) -> None:
        self.mood: Refusal | str | None = None
        self.calls: list[tuple[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def handle_any(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                content = self.rfile.read(size)
                if service.mood == "cut":
                    self.close_connection = True
                    return
                status, body, headers = 200, None, {}
                try:
                    if isinstance(service.mood, Refusal):
                        raise service.mood
                    path = self.path.partition("?")[0]
                    service.calls.append((self.command, path))
                    body = service.answer(self.command, path, json.loads(content or b"{}"), self.headers)
                except Refusal as refusal:
                    status, body, headers = refusal.status, refusal.body, refusal.headers
                encoded = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            def __getattr__(self, name: str):
                if name.startswith("do_"):
                    return self.handle_any
                raise AttributeError(name)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, method: str, path: str, body: dict, headers: object) -> object:
        raise NotImplementedError

    @contextmanager
    def moody(self, mood: Refusal | str):
        """Misbehave for the length of a block."""
        self.mood = mood
        try:
            yield
        finally:
            self.mood = None

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
