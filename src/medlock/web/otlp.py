"""Traces to an OpenTelemetry collector (OTLP over HTTP): the one outbound connection beside `partners.egress`.

It is made only where the operator named an endpoint, goes there and nowhere else (no redirect is followed, no proxy of
the environment is used), and carries spans whose names and attributes are members of closed sets: `Stage`,
`Interaction`, a status. Nothing of a question, a record, a caller or an exception is ever set on a span. docs/adr/0012
has the reasons.

Spans are queued and sent by a thread of the SDK. A collector that is away costs spans, never an answer. A request has
at most `SPANS_MAX` of them: bundles repeat their stages for each entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import urlsplit

import requests
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from medlock import __version__
from medlock.errors import SetupError
from medlock.records.traced import Stage
from medlock.web.tls import is_loopback

SPANS_MAX = 64
_TIMEOUT_SECONDS = 5
_FORM = "MEDLOCK_OTLP_ENDPOINT is where traces go: https://collector.example.org/v1/traces (http: on loopback only)."


class Otlp:
    """`traced.Tracer` over the SDK."""

    def __init__(self, endpoint: str, worker: int) -> None:
        """Raises SetupError for an endpoint that is not https, or http on this machine."""
        exporter = OTLPSpanExporter(_checked(endpoint), timeout=_TIMEOUT_SECONDS, session=_direct())
        resource = Resource({"service.name": "medlock", "service.version": __version__, "medlock.worker": worker})
        limits = SpanLimits(max_events=0, max_links=0)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, span_limits=limits, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, export_timeout_millis=_TIMEOUT_SECONDS * 1000))
        self._tracer = self._provider.get_tracer("medlock", __version__)
        self._request: ContextVar[tuple[trace.Span, list[int]]] = ContextVar("request")

    @contextmanager
    def request(self, parent: tuple[str, str] | None) -> Iterator[None]:
        """Time a block as one request."""
        with self._tracer.start_as_current_span(
            "request",
            context=_under(parent),
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            self._request.set((span, [SPANS_MAX]))
            yield

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Time a block as a part of it; beyond the limit, and outside of a request, just do it."""
        _, left = self._request.get((trace.INVALID_SPAN, [0]))
        if left[0] <= 0:
            yield
            return
        left[0] -= 1
        with self._tracer.start_as_current_span(stage.value, record_exception=False, set_status_on_exception=False):
            yield

    def answered(self, interaction: str, status: int) -> str:
        """Set the two attributes of a request; the id of its trace."""
        span, _ = self._request.get((trace.INVALID_SPAN, [0]))
        span.set_attribute("medlock.interaction", interaction)
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        return trace.format_trace_id(span.get_span_context().trace_id)

    def close(self) -> None:
        """Send what is queued, as far as that takes seconds."""
        self._provider.shutdown()


def _under(parent: tuple[str, str] | None) -> contexts.Context:
    """A context of its own for each request: a root, or a part of the caller's trace."""
    if parent is None:
        return contexts.Context()
    above = SpanContext(int(parent[0], 16), int(parent[1], 16), is_remote=True, trace_flags=TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(above), contexts.Context())


def _checked(endpoint: str) -> str:
    """The endpoint, if traces may go there. Raises SetupError."""
    parts = urlsplit(endpoint)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
        raise SetupError(_FORM)
    return endpoint


def _direct() -> requests.Session:
    """A session that goes to the address it is given."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    return session
