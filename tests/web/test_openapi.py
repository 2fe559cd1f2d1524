"""docs/openapi.json against the running server, by schemathesis: every address outside /fhir, every method, any input."""

import json
import socket
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings

from medlock.web.admin import METRICS
from medlock.web.routes import HEALTH, READY
from web.running import Server

PAGE = Path(__file__).parents[2] / "docs" / "openapi.json"
SCHEMA = schemathesis.openapi.from_path(PAGE)


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """Where each path is served."""
    port = free_port()
    server = Server(tmp_path_factory.mktemp("openapi") / "data", "--no-tls", "--admin", f"127.0.0.1:{port}")
    yield {HEALTH: server.ready["url"], READY: server.ready["url"], METRICS: f"http://127.0.0.1:{port}"}
    assert server.stop() == (0, "")


def test_the_page_has_every_address():
    """What is described is what there is."""
    assert set(json.loads(PAGE.read_text())["paths"]) == {HEALTH, READY, METRICS}


@SCHEMA.parametrize()
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case, addresses):
    """Status, content and headers are those of the page; a method that is not there is refused, and nothing fails."""
    with requests.Session() as session:
        case.call_and_validate(base_url=addresses[case.path], session=session)
