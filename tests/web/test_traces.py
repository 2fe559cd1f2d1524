"""Traces: a span for each stage, nothing on them but closed sets, to one address only, and nothing at all when off."""

import subprocess
import sys

import pytest

from medlock.errors import SetupError
from medlock.records.traced import Stage
from medlock.web.otlp import SPANS_MAX, Otlp
from web.collector import Collector
from web.running import Server, medlock, new_token

PATIENT = {"resourceType": "Patient", "id": "p1", "active": True}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def attributes(span):
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def children_of(spans, parent):
    return [span.name for span in spans if span.parent_span_id == parent.span_id]


def test_a_span_for_each_stage(tmp_path):
    """Of a write, a read, a refusal and a stranger; each in a trace of its own, or in the caller's."""
    with Collector().listening() as collector:
        server = Server(tmp_path / "data", more={"MEDLOCK_OTLP_ENDPOINT": collector.endpoint})
        token, _ = new_token(tmp_path / "data")
        with server.client(token) as client:
            assert client.put("Patient/p1", json=PATIENT).status_code == 201
            client.get("Patient/p1", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
            assert client.get("Patient/none").status_code == 404
        with server.client("of-nobody") as client:
            assert client.get("Patient/p1").status_code == 401
        assert server.stop() == (0, "")
    spans = collector.spans()
    roots = {
        (attributes(span)["medlock.interaction"], attributes(span)["http.response.status_code"]): span
        for span in spans
        if span.name == "request"
    }
    assert set(roots) == {("update", 201), ("read", 200), ("read", 404), ("none", 401)}
    assert children_of(spans, roots["update", 201]) == ["authenticate", "parse", "decide", "write", "respond"]
    assert children_of(spans, roots["read", 200]) == ["authenticate", "parse", "decide", "fetch", "audit", "respond"]
    assert children_of(spans, roots["read", 404]) == ["authenticate", "parse", "decide", "fetch", "audit"]
    assert children_of(spans, roots["none", 401]) == ["authenticate"]
    assert (roots["read", 200].trace_id.hex(), roots["read", 200].parent_span_id.hex()) == (TRACE, PARENT)
    assert len({span.trace_id for span in roots.values()}) == 4
    for span in spans:
        assert span.name in {*Stage, "request"}
        assert set(attributes(span)) == (
            {"medlock.interaction", "http.response.status_code"} if span.name == "request" else set()
        )
        assert not span.events
        assert not span.status.message


def test_a_bundle_does_not_flood_the_collector(tmp_path):
    """However many entries there are, a request has a bounded number of spans."""
    entries = [{"request": {"method": "GET", "url": f"Patient/p{number}"}} for number in range(200)]
    with Collector().listening() as collector:
        server = Server(tmp_path / "data", more={"MEDLOCK_OTLP_ENDPOINT": collector.endpoint})
        token, _ = new_token(tmp_path / "data")
        with server.client(token) as client:
            answer = client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
            assert len(answer.json()["entry"]) == 200
        assert server.stop() == (0, "")
    assert len(collector.spans()) == SPANS_MAX + 1


def test_spans_are_not_redirected():
    """A collector that sends us elsewhere is not followed."""
    with Collector().listening() as other, Collector(elsewhere=other.endpoint).listening() as collector:
        otlp = Otlp(collector.endpoint, 1)
        with otlp.request(None):
            pass
        otlp.close()
    assert collector.bodies
    assert not other.bodies


def test_a_collector_that_is_away_costs_no_answer(tmp_path):
    """Requests are answered and the server ends; the log has the kind of fault only."""
    with Collector().listening() as collector:
        endpoint = collector.endpoint
    server = Server(tmp_path / "data", more={"MEDLOCK_OTLP_ENDPOINT": endpoint})
    token, _ = new_token(tmp_path / "data")
    with server.client(token) as client:
        assert client.put("Patient/p1", json=PATIENT).status_code == 201
    code, errors = server.stop()
    assert code == 0
    assert "p1" not in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "endpoint", ["http://collector.example.org/v1/traces", "ftp://x", "collector:4318", "https://", "x"]
)
def test_an_endpoint_that_is_not_safe_is_refused(endpoint):
    """Plain HTTP leaves this machine never."""
    with pytest.raises(SetupError):
        Otlp(endpoint, 1)


def test_a_bad_endpoint_is_told_at_the_start(tmp_path):
    """As a sentence, with code 3."""
    (tmp_path / "env").write_text("MEDLOCK_OTLP_ENDPOINT=http://collector.example.org/v1/traces\n")
    done = medlock(tmp_path / "data", "serve", "--port", "0", more={"MEDLOCK_ENV_FILE": str(tmp_path / "env")})
    assert done.returncode == 3
    assert "MEDLOCK_OTLP_ENDPOINT" in done.stderr


def test_nothing_of_it_is_there_when_it_is_off():
    """A server without an endpoint imports neither the SDK nor what sends."""
    program = (
        "import sys, medlock.cli, medlock.web.crew, medlock.web.server\n"
        "sys.exit(any(name.split('.')[0] in {'opentelemetry', 'requests', 'prometheus_client'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
