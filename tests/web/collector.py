"""A collector of traces that keeps what it is sent, and can send callers elsewhere."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """`bodies` are the requests as they came, `headers` theirs."""

    def __init__(self, elsewhere=""):
        self.bodies = []
        self.headers = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                collector.headers.append(str(self.headers))
                collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(307 if elsewhere else 200)
                if elsewhere:
                    self.send_header("location", elsewhere)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    @contextmanager
    def listening(self):
        """For the length of a block."""
        thread = Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def spans(self):
        """Every span that arrived."""
        return [
            span
            for body in list(self.bodies)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
