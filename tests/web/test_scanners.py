"""What scanners send: every route with every method, bodies that are none, and words that must not come back."""

import httpx
import pytest

from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.clock import Clock
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings
from medlock.web.declared import Face, Permission
from medlock.web.inventory import rows
from medlock.web.oplog import OpLog
from web.small_world import Lines

ROOT = "https://localhost:8443"
MARK = "zq7marker"
FORM = "application/x-www-form-urlencoded"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X" * 200)
BODIES = {
    "deep": ("application/json", b'{"%b":' % MARK.encode() + b"[" * 50_000),
    "no utf-8": ("application/json", b'{"a":"\xff\xfe"}'),
    "no form": (FORM, b"%zz=%" + MARK.encode() + b"&&&=&\xff"),
    "many fields": (FORM, b"&".join(b"a%d=1" % n for n in range(9_000))),
    "nul": (FORM, b"client_id=\0&grant_type=%00" + MARK.encode()),
    "parts": ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data\r\n\r\n" + MARK.encode()),
    "xml": ("application/fhir+xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    "script": (FORM, b"state=<script>" + MARK.encode() + b"</script>&client_id=<script>"),
    "nothing": ("", b""),
}
PROBES = (
    "/.env", "/.git/config", "/wp-login.php", "/actuator/env", "/server-status", "/fhir/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
    "//evil.example/%2f..", "/fhir/.well-known/%00", "/fhir/.well-known/nothing", "/.well-known/security.txt", "/oauth/token/",
    "/oauth/authorize/x", "/static/..%2f..%2fapp.py", "/" + "a" * 5_000, "/?" + "a=1&" * 500, "/fhir;x=y/metadata", "/FHIR/metadata",
)  # fmt: skip


@pytest.fixture
async def site(tmp_path):
    """The real site, a client, a clinician's token, and what was written into the operator's log."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    lines = Lines()
    async with open_app(Settings(tmp_path / "data", passphrase), create=True) as app:
        transport = httpx.ASGITransport(app=_site(app, OpLog(Clock(), lines)), raise_app_exceptions=False)
        issued = await app.tokens.create(TokenRequest(Role.CLINICIAN, "test", "user/*.cruds"))
        async with httpx.AsyncClient(transport=transport, base_url=ROOT) as client:
            yield client, f"Bearer {issued.secret}", lines


def addresses():
    """Each address of the inventory with its rows by method."""
    found = {}
    for row in rows(Settings("x").limits):
        if row.permission is not Permission.LOCAL:
            path = row.path.format(
                type="Patient", id="1", version="1", answer="x", export="x", file="x", name="x", ticket="x"
            )
            found.setdefault(path, {})[row.method] = row
    return found


def check(answer, face):
    """No fault, no trace, nothing repeated, in the declared form if there is one."""
    assert answer.status_code < 500, answer.text[:500]
    for word in ("Traceback", 'File "', "medlock/web", "starlette", "uvicorn", MARK, "<script>"):
        assert word not in answer.text, word
    assert "server" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in answer.headers
    if answer.status_code < 400 or not answer.content or face is None:
        return
    kind = answer.headers["content-type"]
    if face is Face.FHIR:
        assert answer.json()["resourceType"] == "OperationOutcome"
    elif face is Face.OAUTH:
        assert kind == "application/json"
        assert "error" in answer.json()
    else:
        assert kind.startswith("text/html")


async def test_every_route_with_every_method_and_body(site):
    """Whatever is sent where, with and without a token: a refusal in the declared form; the operator's log stays empty."""
    client, token, lines = site
    for path, by_method in addresses().items():
        face = next(iter(by_method.values())).face
        if path.startswith("/shl/"):  # SMART Health Links has a form of its own for a wrong passcode
            face = None
        for method in METHODS:
            check(await client.request(method, path), face)
        for kind, body in BODIES.values():
            for method in ("POST", "PUT"):
                for headers in ({}, {"authorization": token}):
                    sent = headers | ({"content-type": kind} if kind else {})
                    check(await client.request(method, path, content=body, headers=sent), face)
    assert not lines


async def test_addresses_that_scanners_try(site):
    """Nothing is there but what is declared; a refusal repeats nothing of the address."""
    client, token, lines = site
    for path in PROBES:
        for headers in ({}, {"authorization": token}):
            for method in ("GET", "POST"):
                answer = await client.request(method, httpx.URL(ROOT + path), headers=headers)
                assert answer.status_code in {400, 401, 404, 405}, path
                check(answer, None)
    assert not lines


async def test_headers_that_scanners_send(site):
    """Headers twice, endless, or that ask for another method, host or address change nothing."""
    client, token, _ = site
    tricks = (
        [("host", "evil.example")],
        [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http"), ("forwarded", "host=evil.example")],
        [("x-http-method-override", "DELETE"), ("x-original-url", "/fhir/metadata"), ("x-rewrite-url", "/healthz")],
        [("authorization", token), ("authorization", token)],
        [("authorization", "Bearer " + "a" * 20_000)],
        [("accept", "*/*;q=" + "9" * 9_000)],
        [("content-type", "application/json; charset=" + MARK)],
        [("cookie", "__Host-session=" + MARK)],
        [("range", "bytes=0-,0-,0-")],
        [("if-match", MARK), ("if-none-match", MARK)],
        [("traceparent", MARK), ("x-request-id", MARK)],
        [("origin", "https://evil.example\x00")],
    )
    for path in ("/fhir/Patient/1", "/fhir/metadata", "/healthz", "/oauth/token", "/oauth/jwks", "/nowhere"):
        for headers in tricks:
            for method in ("GET", "POST"):
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code < 500, (path, headers)
                assert MARK not in answer.text
                assert "evil.example" not in answer.text + str(answer.headers)
