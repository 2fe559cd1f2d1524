"""Every bound on a request, from the outside: beyond it is a 4xx at once, and docs/protection.md has its number."""

import time
from pathlib import Path

import httpx
import pytest

from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.clock import Clock
from medlock.fhir import across, directives, fhirpathpatch, form, grammar, jsonpatch, links, operands
from medlock.fhir import parse as parsing
from medlock.fhir.searchparams import RESOURCE_TYPES
from medlock.oauth.requests import TokenRequest
from medlock.settings import MIB, Limits, Settings
from medlock.web.body import BODY_SECONDS
from medlock.web.costs import PAGE
from medlock.web.oplog import OpLog
from medlock.web.protocol import HEAD_BYTES, HEAD_SECONDS
from web.small_world import BASE, Lines

DOCS = (Path(__file__).parents[2] / "docs/protection.md").read_text()
JSON = {"content-type": "application/fhir+json"}
DEEP = parsing.DEPTH_MAX + 5


def nested(levels):
    """A resource with so many levels of lists in it."""
    return b'{"resourceType":"Patient","x":' + b"[" * levels + b"]" * levels + b"}"


TOO_MUCH = {
    "depth": ("POST", "Patient", nested(DEEP)),
    "depth beyond any parser": ("POST", "Patient", nested(200_000)),
    "depth of a bundle": ("POST", "", b'{"resourceType":"Bundle","type":"batch","entry":' + b"[" * 100_000),
    "depth of objects": ("POST", "Patient", b'{"a":' * 50_000),
    "body": ("POST", "Patient", b" " * (MIB + 1)),
    "bundle": ("POST", "", b" " * (16 * MIB + 1)),
    "parameters": ("GET", "Patient?" + "&".join(["_id=x"] * (form.PARAMETERS_MAX + 1)), b""),
    "conditions": ("GET", "Patient?" + "&".join(f"name=x{n}" for n in range(grammar.CONDITIONS_MAX + 1)), b""),
    "length": ("GET", "Patient?name=" + "x" * (grammar.TEXT_MAX + 1), b""),
    "values": ("GET", "Patient?name=" + ",".join(f"v{n}" for n in range(operands.OPERANDS_MAX + 1)), b""),
    "includes": ("GET", "Observation?" + "&".join(["_include=Observation:subject"] * (directives.INCLUDES_MAX + 1)), b""),
    "chain": ("GET", "Observation?subject:Patient.organization.partof.partof.partof.name=x", b""),
    "types": ("GET", "?_id=x&_type=" + ",".join(sorted(RESOURCE_TYPES)[: across.TYPES_MAX + 1]), b""),
    "count": ("GET", "Patient?_count=x" + "9" * 5_000, b""),
    "number": ("POST", "Patient", b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 100_000 + b"}"),
}  # fmt: skip


@pytest.fixture
async def client(tmp_path):
    """A clinician before the real site."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    lines = Lines()
    async with open_app(Settings(tmp_path / "data", passphrase), create=True) as app:
        issued = await app.tokens.create(TokenRequest(Role.CLINICIAN, "test", "user/*.cruds"))
        headers = {"authorization": f"Bearer {issued.secret}"} | JSON
        transport = httpx.ASGITransport(app=_site(app, OpLog(Clock(), lines)))
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
            yield client
    assert not lines


async def test_too_much_is_refused_at_once(client):
    """400, 413 or 422 as an OperationOutcome within a moment, and next to nothing of what was sent in it."""
    for what, (method, path, body) in TOO_MUCH.items():
        began = time.process_time()
        answer = await client.request(method, path, content=body)
        assert answer.status_code in {400, 413, 422}, (what, answer.text[:300])
        assert time.process_time() - began < 2, what
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert len(answer.content) < 20_000, what


async def test_a_number_of_any_length_is_a_number(client):
    """A count with thousands of digits means as many as the server gives, or is refused."""
    assert (await client.get("Patient?_count=" + "9" * 5_000)).status_code in {200, 400}


async def test_just_within_bounds_is_answered(client):
    """The same things one step smaller are taken."""
    for path in (
        "Patient?" + "&".join(f"name=x{n}" for n in range(grammar.CONDITIONS_MAX)),
        "Patient?name=" + ",".join(f"v{n}" for n in range(operands.OPERANDS_MAX)),
        "Observation?subject:Patient.organization.partof.name=x",
    ):
        assert (await client.get(path)).status_code == 200, path


def test_the_page_has_every_bound():
    """docs/protection.md says the numbers that the program has."""
    limits = Limits()
    for text in (
        f"{HEAD_BYTES // 1024} KiB, {HEAD_SECONDS} s",
        f"{limits.resource_bytes // MIB}, {limits.bundle_bytes // MIB}, {limits.binary_bytes // MIB} MiB, {BODY_SECONDS} s",
        f"| depth of JSON | {parsing.DEPTH_MAX} levels",
        f"| entries of a bundle | {limits.bundle_entries:,} |",
        f"| parameters of a request | {form.PARAMETERS_MAX} |",
        f"| conditions of a search, values of one | {grammar.CONDITIONS_MAX}, {operands.OPERANDS_MAX} |",
        f"| length of a search | {grammar.TEXT_MAX:,} characters |",
        f"| includes, each way | {directives.INCLUDES_MAX} |",
        f"| references in a chain, searches in all | {links.DEPTH_MAX}, {links.SEARCHES_MAX} |",
        f"| types in one search | {across.TYPES_MAX} |",
        f"| resources on a page | {limits.page_size} unless asked, {limits.page_size_max:,} at most |",
        f"| resources that includes bring | {limits.include_max:,} |",
        f"| operations of a patch | {jsonpatch.OPERATIONS_MAX:,} |",
        f"each {PAGE} on a page",
    ):
        assert text in DOCS, text
    assert jsonpatch.OPERATIONS_MAX == fhirpathpatch.OPERATIONS_MAX
