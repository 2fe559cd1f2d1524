"""An app as its makers host it: two pages and a library on an origin of their own."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from clients.node import modules

LAUNCH = """<!doctype html><title>launch</title><script src="/fhir-client.js"></script>
<script>FHIR.oauth2.authorize({asked});</script>"""
HOME = """<!doctype html><title>app</title><pre id="told">waiting</pre><script src="/fhir-client.js"></script>
<script>
const told = document.getElementById("told");
FHIR.oauth2.ready().then(client => {{ window.client = client; return ({does})(client); }})
  .then(found => told.textContent = JSON.stringify(found)).catch(fault => told.textContent = "fault: " + fault.message);
</script>"""


@contextmanager
def hosted(does):
    """Serve an app that does something once it is let in: its address, and where to put what it asks for."""
    library = (modules() / "fhirclient/build/fhir-client.js").read_bytes()
    asked = {"options": "{}"}

    class Handler(BaseHTTPRequestHandler):
        wbufsize = 65_536

        def do_GET(self):
            """A page, or the library."""
            path = self.path.partition("?")[0]
            if path == "/fhir-client.js":
                self._answer(library, "text/javascript")
            elif path == "/launch":
                self._answer(LAUNCH.format(asked=asked["options"]).encode(), "text/html")
            else:
                self._answer(HOME.format(does=does).encode(), "text/html")

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
