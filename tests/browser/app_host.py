"""An app as its makers host it: two pages and a library on an origin of their own."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ASKED = "ASKED"
"""In a page: what its app asks for, as JSON, which is known only once the app has an address and is registered."""


@contextmanager
def hosted(library, launch, home):
    """Serve an app: a page that launches it at /launch, one that it comes back to, its library at /library.js.

    Its address, and where to put what it asks for.
    """
    library = library.read_bytes()
    asked = {"options": "{}"}

    class Handler(BaseHTTPRequestHandler):
        wbufsize = 65_536

        def do_GET(self):
            """A page, or the library."""
            path = self.path.partition("?")[0]
            if path == "/library.js":
                self._answer(library, "text/javascript")
            else:
                page = launch if path == "/launch" else home
                self._answer(page.replace(ASKED, asked["options"]).encode(), "text/html")

        def _answer(self, body, kind):
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
