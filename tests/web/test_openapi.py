"""docs/openapi.json: it is the route table, and the running server answers as it says, to whatever it is asked."""

import json
import runpy
import socket
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from medlock.settings import Limits
from medlock.web.admin import METRICS
from medlock.web.inventory import rows
from medlock.web.routes import HEALTH, READY
from web.running import Server

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "openapi.json"
DOCUMENT = json.loads(PAGE.read_text())
PLAIN = [HEALTH, READY, METRICS]
SMALL = schemathesis.openapi.from_path(PAGE).include(path=PLAIN)
WHOLE = schemathesis.openapi.from_path(PAGE)
WHOLE.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE])  # what is refused has tests of its own
REST = WHOLE.exclude(path=PLAIN)
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
QUIET = list(HealthCheck)


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """Where each path is served; most are where the program listens."""
    port = free_port()
    server = Server(tmp_path_factory.mktemp("openapi") / "data", "--no-tls", "--admin", f"127.0.0.1:{port}")
    yield {METRICS: f"http://127.0.0.1:{port}", "": server.ready["url"]}
    assert server.stop() == (0, "")


def test_the_page_is_the_route_table(monkeypatch):
    """It is what scripts/openapi_page.py makes of the declared routes; run that after declaring one."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    made = runpy.run_path(str(ROOT / "scripts/openapi_page.py"))["page"]()
    assert json.loads(json.dumps(made)) == DOCUMENT


def test_every_declared_route_is_described_or_fhir():
    """Nothing is left out: an address is in this page, or below /fhir, where the CapabilityStatement describes it."""
    described = {(path, method.upper()) for path, here in DOCUMENT["paths"].items() for method in here} - {
        (path, name) for path in DOCUMENT["paths"] for name in ("SERVERS", "PARAMETERS")
    }
    found = rows(Limits())
    assert described <= {(row.path, row.method) for row in found}
    for row in found:
        fhir = row.path.startswith("/fhir") and "/.well-known/" not in row.path
        assert ((row.path, row.method) in described) is not fhir, row
    names = [
        each["operationId"] for here in DOCUMENT["paths"].values() for each in here.values() if "responses" in each
    ]
    assert len(names) == len(set(names)) == len(described)


@SMALL.parametrize()
@settings(max_examples=100, suppress_health_check=QUIET)
def test_answers_are_as_described(case, addresses):
    """Status, content and headers are those of the page; a method that is not there is refused, and nothing fails."""
    with requests.Session() as session:
        case.call_and_validate(base_url=addresses.get(case.path, addresses[""]), session=session)


@REST.parametrize()
@settings(max_examples=15, suppress_health_check=QUIET)
def test_apps_pages_and_administration_answer_as_described(case, addresses):
    """A stranger who sends what is described gets a described status and form from every address, and no fault."""
    with requests.Session() as session:
        case.call_and_validate(base_url=addresses[""], session=session, checks=CHECKS, allow_redirects=False)
