"""`medlock leaktest` as an operator runs it: over HTTPS, with tokens of a file, and against a server that leaks."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from medlock.defence.leaktest.attempts import get
from medlock.errors import BadRequest, Unavailable
from medlock.partners import tested
from web.running import medlock, new_token, running


def leaktest(directory, *words):
    """Run it; what it printed, and its code."""
    done = medlock(directory, "leaktest", *words, "--json")
    return done, json.loads(done.stdout) if done.stdout else None


def test_a_running_server_gives_nothing_away(tmp_path):
    """Two actors with tokens of a file; the family is gone afterwards."""
    directory = tmp_path / "data"
    with running(directory) as server:
        writer, _ = new_token(directory, "--role", "backend", "--scope", "system/*.cruds")
        security, _ = new_token(directory, "--role", "security-admin", "--scope", "user/*.rs")
        file = tmp_path / "tokens.json"
        file.write_text(json.dumps({"writer": writer, "security": security}))
        ca, base = server.ready["ca"], server.ready["fhir"]
        done, found = leaktest(directory, base, "--ca", ca, "--tokens", str(file), "--timing", "0")
        assert done.returncode == 0, done.stderr + done.stdout
        assert found["leaks"] == []
        assert found["actors"] == ["nobody", "security"]
        assert found["attempts"] > 1_000
        assert writer not in done.stdout + done.stderr
        with server.client(writer) as client:
            assert client.get(f"{base}/Patient?_summary=count").json()["total"] == 0


class Leaky(BaseHTTPRequestHandler):
    """A server that takes everything and gives everything to everybody."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # headers and body in one packet
    kept: dict[str, bytes] = {}  # noqa: RUF012 - one server

    def do_POST(self):
        """Keep a transaction's resources."""
        sent = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(sent) if sent.startswith(b"{") else {}
        for entry in body.get("entry", []):
            if "resource" in entry:
                self.kept[entry["request"]["url"]] = json.dumps(entry["resource"]).encode()
        self._answer(200, b"{}")

    def do_GET(self):
        """Whatever is asked for by its address."""
        found = self.kept.get(self.path.removeprefix("/fhir/"))
        self._answer(200 if found else 404, found or b"{}")

    def do_OTHER(self):
        """Anything else is not understood."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer(405, b"{}")

    do_PUT = do_PATCH = do_DELETE = do_OTHER  # noqa: N815 - their names there

    def do_HEAD(self):
        """As GET without the body."""
        self._answer(404, b"")

    def _answer(self, code, body):
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


def test_a_server_that_leaks_is_shown_with_the_request(tmp_path):
    """Code 1, and for each leak a curl line whose token is left to a variable."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Leaky)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        file = tmp_path / "tokens.json"
        file.write_text(json.dumps({"writer": "w-secret", "dot": "d-secret"}))
        base = f"http://127.0.0.1:{server.server_port}/fhir"
        done, found = leaktest(tmp_path / "data", base, "--tokens", str(file), "--timing", "0")
        shown = medlock(tmp_path / "data", "leaktest", base, "--tokens", str(file), "--timing", "0")
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 1
    assert shown.returncode == 1
    assert {each["actor"] for each in found["leaks"]} == {"nobody", "dot"}
    first = next(each for each in found["leaks"] if each["actor"] == "dot")
    assert '"Authorization: Bearer $TOKEN_DOT"' in first["reproduce"]
    assert "curl" in shown.stdout
    assert "secret" not in done.stdout + shown.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["https://localhost:1/fhir"], "--tokens"),
        (["http://example.org/fhir", "--tokens", "T"], "https://"),
        (["https://u:p@example.org/fhir", "--tokens", "T"], "alone"),
        (["https://localhost:1/fhir", "--tokens", "missing"], "missing"),
        (["https://localhost:1/fhir", "--tokens", "no-writer"], "writer"),
        (["https://localhost:1/fhir", "--tokens", "stranger"], "no actor"),
        (["https://localhost:1/fhir", "--tokens", "T"], "does not answer"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, words, sentence):
    """One sentence, and no traceback."""
    (tmp_path / "T").write_text('{"writer": "x"}')
    (tmp_path / "no-writer").write_text('{"dot": "x"}')
    (tmp_path / "stranger").write_text('{"writer": "x", "somebody": "x"}')
    done = medlock(tmp_path / "data", "leaktest", *words, cwd=tmp_path)
    assert done.returncode in {2, 3, 4}
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


class Impatient(Leaky):
    """A server that is asked too much every other time."""

    asked = 0

    def do_GET(self):
        """429, then an answer."""
        type(self).asked += 1
        if self.asked % 2:
            self.send_response(429)
            self.send_header("retry-after", "0")
            self.send_header("content-length", "0")
            self.end_headers()
        else:
            self._answer(200, b"{}")


class Tireless(Impatient):
    """A server that is always asked too much."""

    def do_GET(self):
        """429."""
        type(self).asked = 0
        super().do_GET()


async def test_a_server_that_asks_for_patience_is_waited_for():
    """429 is no answer to judge: the request is sent again; one that never answers ends the test with a sentence."""
    for kind, ends in ((Impatient, False), (Tireless, True)):
        server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            async with tested.tested_server(f"http://127.0.0.1:{server.server_port}/fhir", None) as client:
                if ends:
                    with pytest.raises(Unavailable, match="limiting"):
                        await client.call(get("/Patient"), "")
                else:
                    assert [(await client.call(get("/Patient"), "")).status for _ in range(3)] == [200] * 3
        finally:
            server.shutdown()
            server.server_close()


async def test_no_token_goes_to_another_server():
    """A link to elsewhere is not followed."""
    async with tested.tested_server("https://localhost:1/fhir", None) as server:
        with pytest.raises(BadRequest):
            await server.call(get("https://elsewhere.example/fhir/Patient?page=2"), "secret")
        with pytest.raises(BadRequest):
            await server.call(get("https://localhost:2/fhir/Patient?page=2"), "secret")
