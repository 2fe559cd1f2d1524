"""The edge from bytes to bytes: what goes in is bounded and understood, what comes out says no more than it should."""

import gzip
import zlib

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlock.errors import (
    Conflict,
    Denied,
    Gone,
    NotFound,
    PreconditionFailed,
    Problem,
    SetupError,
    Tampered,
    Unavailable,
    Unprocessable,
)
from medlock.fhir.question import Interaction
from medlock.settings import Limits
from web.small_world import AUTH, BASE, TOKEN, SmallWorld

JSON = {"content-type": "application/fhir+json"}
SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "strict-transport-security": "max-age=31536000",
}


@pytest.fixture
def world():
    return SmallWorld()


@pytest.fixture
async def client(world):
    """A client that talks to the site without a socket."""
    transport = httpx.ASGITransport(app=world.site)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        client.headers = httpx.Headers({"accept": "application/fhir+json"})
        yield client


def issue(response):
    """The first issue of an OperationOutcome, after checking that it is one."""
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert response.headers["content-type"] == "application/fhir+json; fhirVersion=4.0"
    return outcome["issue"][0]


def check_security_headers(response):
    """Every security header, and no CORS."""
    for name, value in SECURITY_HEADERS.items():
        assert response.headers[name] == value
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert "server" not in response.headers


async def test_a_read_goes_through_all_stages(world, client):
    """A GET with a good token comes back as the door released it, with ETag and Last-Modified."""
    response = await client.get("Patient/1", headers=AUTH)
    assert response.status_code == 200
    assert response.content == world.door.kept["Patient/1"]
    assert response.headers["etag"] == 'W/"3"'
    assert response.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert response.headers["content-length"] == str(len(response.content))
    check_security_headers(response)


async def test_head_is_get_without_the_body(world, client):
    """HEAD asks the same question and sends the same headers."""
    got, head = await client.get("Patient/1", headers=AUTH), await client.head("Patient/1", headers=AUTH)
    assert (head.status_code, head.content) == (200, b"")
    names = got.headers.pop("x-request-id"), head.headers.pop("x-request-id")
    assert head.headers == got.headers
    assert names[0] != names[1]
    assert world.door.questions[0] == world.door.questions[1]


async def test_a_create_answers_with_an_absolute_location(client):
    """Location is the address of the new version under this server's base (R4 §3.1.0.8)."""
    response = await client.post("Patient", content=b'{"resourceType":"Patient"}', headers=AUTH | JSON)
    assert response.status_code == 201
    assert response.headers["location"] == f"{BASE}/Patient/2/_history/1"


async def test_no_content_has_neither_body_nor_length(client):
    """204 carries no content headers (RFC 9110 §8.6)."""
    response = await client.delete("Patient/1", headers=AUTH)
    assert response.status_code == 204
    assert "content-length" not in response.headers
    assert "content-type" not in response.headers


@pytest.mark.parametrize(
    ("since", "more", "status"),
    [
        ("Tue, 14 Nov 2023 22:13:20 GMT", {}, 304),
        ("Wed, 15 Nov 2023 00:00:00 GMT", {}, 304),
        ("Tuesday, 14-Nov-23 22:13:20 GMT", {}, 304),
        ("Tue, 14 Nov 2023 22:13:19 GMT", {}, 200),
        ("Tue, 14 Nov 2023 22:13:20 GMT", {"if-none-match": 'W/"2"'}, 200),
        ("Tue, 14 Nov 2023 22:13:19 GMT", {"if-none-match": 'W/"3"'}, 304),
        ("2023-11-14T22:13:20Z", {}, 400),
        ("yesterday", {}, 400),
    ],
)
async def test_a_version_that_is_not_newer(client, since, more, status):
    """If-Modified-Since gives 304 to the second; If-None-Match outranks it; what is no HTTP date is refused."""
    response = await client.get("Patient/1", headers=AUTH | {"if-modified-since": since} | more)
    assert response.status_code == status
    assert (response.content == b"") is (status == 304)


async def test_if_modified_since_is_for_reading(client):
    """A write that would not keep to it refuses it."""
    headers = AUTH | JSON | {"if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}
    assert (await client.put("Patient/1", content=b"{}", headers=headers)).status_code == 400


@pytest.mark.parametrize(("tag", "status"), [('W/"3"', 304), ("*", 304), ('"3"', 304), ('W/"2"', 200), (None, 200)])
async def test_a_known_version_is_not_sent_again(client, tag, status):
    """If-None-Match with the current version gives 304 without a body."""
    headers = AUTH | ({"if-none-match": tag} if tag else {})
    response = await client.get("Patient/1", headers=headers)
    assert response.status_code == status
    assert bool(response.content) is (status == 200)
    assert response.headers["etag"] == 'W/"3"'


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer  {TOKEN}"},
        {"authorization": f"Bearer {TOKEN} "[:-1] + "\t"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"authorization": f"Bearer {TOKEN}, Bearer {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer " + "x" * 600},
        {"authorization": "Bearer tökän".encode()},
        {"cookie": f"token={TOKEN}"},
    ],
)
@pytest.mark.parametrize("path", ["Patient/1", "Patient/none", "Nothing", "Patient/1/a/b/c", ""])
async def test_strangers_learn_one_thing(world, client, headers, path):
    """Without a good token every address answers alike, the log is told, and the door is not asked."""
    response = await client.get(path, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="medlock"'
    assert issue(response) == {
        "severity": "error",
        "code": "login",
        "diagnostics": "Send a valid token: Authorization: Bearer …",
    }
    check_security_headers(response)
    assert len(world.watch.reasons) == 1
    assert not world.door.questions


async def test_the_scheme_is_written_in_any_case(client):
    """Bearer and BEARER are the same scheme (RFC 9110 §11.1)."""
    for scheme in ("bearer", "BEARER"):
        response = await client.get("Patient/1", headers={"authorization": f"{scheme} {TOKEN}"})
        assert response.status_code == 200


async def test_two_authorization_headers_are_refused(world, client):
    """A second Authorization header is refused, whichever of them is good."""
    headers = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other")]
    for given_headers in (headers, headers[::-1]):
        assert (await client.get("Patient/1", headers=given_headers)).status_code == 400
    assert not world.door.questions


async def test_no_log_no_answer(world, client):
    """When a failed authentication cannot be written down, the answer is 503."""
    world.watch.fault = Unavailable("The log cannot be written.")
    response = await client.get("Patient/1")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"


async def test_a_stranger_does_not_have_a_body_read(world):
    """The token is checked before a single byte of the body is received."""
    received = []

    async def receive():
        received.append(1)
        return {"type": "http.request", "body": b"", "more_body": False}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": b"/fhir",
        "path": "/fhir",
        "query_string": b"",
        "headers": [(b"content-length", b"99999999999")],
    }
    await world.site(scope, receive, send)
    assert sent[0]["status"] == 401
    assert not received


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Denied("private reason"), 403, "forbidden"),
        (NotFound("Not here.", reason="private reason"), 404, "not-found"),
        (Gone("It was deleted.", reason="private reason"), 410, "deleted"),
        (Conflict("Somebody was first.", reason="private reason"), 409, "conflict"),
        (PreconditionFailed("Another version.", reason="private reason"), 412, "conflict"),
        (Unprocessable("It breaks a rule.", reason="private reason"), 422, "processing"),
        (Tampered("private reason"), 500, "exception"),
        (Unavailable("Try again.", reason="private reason"), 503, "transient"),
        (SetupError("The operator must act.", reason="private reason"), 500, "exception"),
        (ValueError("private reason"), 500, "exception"),
        (RecursionError("private reason"), 500, "exception"),
        (KeyError("private reason"), 500, "exception"),
        (MemoryError("private reason"), 500, "exception"),
        (AssertionError("private reason"), 500, "exception"),
    ],
)
async def test_every_error_is_an_operation_outcome(world, client, error, status, code):
    """Each kind of error has its status and code, and its private reason reaches neither caller nor operator."""
    world.door.fault = error
    response = await client.get("Patient/1", headers=AUTH)
    assert response.status_code == status
    assert issue(response)["code"] == code
    assert "private reason" not in response.text
    assert "private reason" not in "".join(world.lines)
    assert bool(world.lines) is (status >= 500)
    check_security_headers(response)


async def test_a_fault_is_found_in_the_log_by_its_number(world, client):
    """The answer to a fault holds a number; the log line with it names the kind of fault and where it arose."""
    world.door.fault = ValueError("a patient's name")
    said = issue(await client.get("Patient/1", headers=AUTH))["diagnostics"]
    line = orjson.loads(world.lines[0])
    assert line["request"] in said
    assert line["kind"] == "ValueError"
    assert any("answer" in place for place in line["places"])
    assert "a patient's name" not in world.lines[0]


async def test_problems_keep_their_places(world, client):
    """Each problem of a refusal is one issue with its path."""
    problems = (Problem("required", "is missing", "Patient.name[0].use"), Problem("value", "is not a date"))
    world.door.fault = Unprocessable("Two rules are broken.", problems=problems)
    outcome = (await client.post("Patient", content=b"{}", headers=AUTH | JSON)).json()
    assert [one["code"] for one in outcome["issue"]] == ["required", "value"]
    assert outcome["issue"][0]["expression"] == ["Patient.name[0].use"]
    assert "expression" not in outcome["issue"][1]


async def test_a_method_that_is_not_offered(client):
    """405 lists the methods that are (RFC 9110 §15.5.6)."""
    response = await client.post("Patient/1", content=b"{}", headers=AUTH | JSON)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, PUT, PATCH, DELETE"


async def test_no_other_origin_without_being_registered(client):
    """A preflight is refused, with a token or without; no Access-Control header appears."""
    origin = {"origin": "https://evil.example", "access-control-request-method": "GET"}
    for headers in (origin, AUTH | origin):
        response = await client.options("Patient/1", headers=headers)
        assert response.status_code == 403
        check_security_headers(response)
    assert (await client.options("Patient/1", headers=AUTH)).status_code == 405


async def test_large_answers_are_deflated_for_those_who_take_it(client):
    """Gzip is used above the threshold, only when the caller takes it; small answers go as they are."""
    plain = await client.get("Patient", headers=AUTH | {"accept-encoding": "identity"})
    packed = await client.get("Patient", headers=AUTH | {"accept-encoding": "gzip"})
    assert plain.content == packed.content
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) < len(plain.content)
    small = await client.get("Patient/1", headers=AUTH | {"accept-encoding": "gzip"})
    assert "content-encoding" not in small.headers
    refused = await client.get("Patient", headers=AUTH | {"accept-encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in refused.headers


async def test_gzip_bodies_are_read(world, client):
    """A deflated body arrives at the door as it was."""
    packed = gzip.compress(b'{"resourceType":"Patient"}')
    headers = AUTH | JSON | {"content-encoding": "gzip"}
    assert (await client.post("Patient", content=packed, headers=headers)).status_code == 201
    assert world.door.questions[0].body == b'{"resourceType":"Patient"}'


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (gzip.compress(b"{}")[:-4], "gzip", 400),
        (gzip.compress(b"{}") + b"more", "gzip", 400),
        (gzip.compress(b"{}") * 2, "gzip", 400),
        (gzip.compress(b" " * 200_000_000), "gzip", 413),
        (zlib.compress(b"{}"), "deflate", 415),
        (b"{}", "br", 415),
        (gzip.compress(gzip.compress(b"{}")), "gzip, gzip", 415),
    ],
    ids=["text", "cut", "followed", "doubled", "exploding", "deflate", "br", "twice"],
)
async def test_bodies_that_do_not_inflate(world, client, body, coding, status):
    """Broken, doubled and exploding bodies are refused before the door."""
    headers = AUTH | JSON | {"content-encoding": coding}
    assert (await client.post("Patient", content=body, headers=headers)).status_code == status
    assert not world.door.questions


async def test_bodies_have_limits():
    """A resource has one limit, a bundle posted to the base another; one byte more is 413."""
    world = SmallWorld(limits=Limits(resource_bytes=100, bundle_bytes=1000))
    transport = httpx.ASGITransport(app=world.site)

    async def chunked(body):
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        for path, limit in (("Patient", 100), ("Patient/_search", 100), ("", 1000)):
            for size, status in ((limit, {201, 200, 400, 415}), (limit + 1, {413})):
                for content in (b"x" * size, chunked(b"x" * size)):
                    response = await client.post(path, content=content, headers=AUTH | JSON)
                    assert response.status_code in status, (path, size)


async def test_a_declared_length_beyond_the_limit_is_refused_unread(client):
    """Content-Length alone decides; nothing of the body has to arrive."""
    response = await client.post("Patient", content=b"{}", headers=AUTH | JSON | {"content-length": "999999999"})
    assert response.status_code == 413


async def test_metadata_needs_no_token(world, client):
    """The CapabilityStatement is open to everybody and asks neither gate nor door."""
    response = await client.get("metadata")
    assert response.json()["resourceType"] == "CapabilityStatement"
    check_security_headers(response)
    assert (await client.post("metadata", json={})).status_code == 405
    assert (await client.get("metadata?x=1")).status_code == 400
    assert (await client.get("metadata", headers={"accept": "application/fhir+xml"})).status_code == 406
    assert (await client.head("metadata")).content == b""
    assert world.gate.asked == 0


async def test_readiness_says_one_word(world, client):
    """/readyz is 200 while the store answers and 503 when it does not, and holds no data; /healthz stays 200."""
    response = await client.get("https://localhost:8443/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    check_security_headers(response)
    world.probe.fault = Unavailable("The store is not there.", reason="private reason")
    response = await client.get("https://localhost:8443/readyz")
    assert (response.status_code, response.json()) == (503, {"status": "unavailable"})
    check_security_headers(response)
    assert (await client.get("https://localhost:8443/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/fhirx", 404),
        ("GET", "/FHIR/Patient/1", 404),
        ("GET", "/.well-known/smart-configuration", 404),
        ("POST", "/healthz", 405),
        ("GET", "/healthz/", 404),
        ("GET", "/../fhir/Patient/1", 404),
        ("GET", "//fhir/Patient/1", 404),
    ],
)
async def test_nothing_else_is_offered(world, method, path, status):
    """Every other address is an OperationOutcome with the same headers, and reaches no door."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    raw = path.encode()
    scope = {"type": "http", "method": method, "path": path, "raw_path": raw, "query_string": b"", "headers": []}
    await world.site(scope, receive, send)
    assert sent[0]["status"] == status
    assert orjson.loads(sent[1]["body"])["resourceType"] == "OperationOutcome"
    assert (b"x-frame-options", b"DENY") in sent[0]["headers"]
    assert not world.door.questions


async def test_hsts_only_over_tls():
    """Plain HTTP, on loopback, sends no HSTS: browsers must ignore it there."""
    world = SmallWorld(tls=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.site), base_url=BASE) as client:
        response = await client.get("Patient/1", headers=AUTH)
    assert "strict-transport-security" not in response.headers


async def test_the_request_log_holds_templates_only():
    """With the request log on, a line shows method, template, status and time, and nothing of address or query."""
    world = SmallWorld(requests=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.site), base_url=BASE) as client:
        await client.get("Patient/1", headers=AUTH)
        await client.get("Patient?family=Chalmers", headers=AUTH)
        await client.post("Patient/_search", data={"family": "Chalmers"}, headers=AUTH)
        await client.get("metadata")
        await client.get("Patient/secret/none", headers=AUTH)
    lines = [orjson.loads(line) for line in world.lines]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/fhir/{type}/{id}", 200),
        ("GET", "/fhir/{type}", 200),
        ("POST", "/fhir/{type}/_search", 200),
        ("GET", "/fhir/metadata", 200),
        ("GET", "unknown", 404),
    ]
    assert len({line["request"] for line in lines}) == 5
    assert not any(word in "".join(world.lines) for word in ("Chalmers", "secret", "Patient/1", TOKEN))


async def test_without_the_request_log_nothing_is_written(world, client):
    """Requests leave no line unless the operator asks for them."""
    await client.get("Patient/1", headers=AUTH)
    assert not world.lines


@given(st.binary(max_size=64), st.binary(max_size=32), st.sampled_from(["GET", "POST", "PUT", "DELETE", "X"]))
@settings(max_examples=300)
async def test_any_bytes_get_an_answer(path, query, method):
    """Whatever address and query come in, the answer is 2xx or 4xx with the security headers, never a fault."""
    world = SmallWorld()
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/fhir/…",
        "raw_path": b"/fhir/" + path,
        "query_string": query,
        "headers": [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", b"application/json")],
    }
    await world.site(scope, receive, send)
    assert 200 <= sent[0]["status"] < 500
    assert (b"x-content-type-options", b"nosniff") in sent[0]["headers"]
    assert not world.lines


@pytest.mark.parametrize(
    ("prefer", "shows"),
    [("return=minimal", ""), ("return=representation", "Patient"), ("return=OperationOutcome", "OperationOutcome")],
)
async def test_a_write_brings_back_what_is_preferred(client, prefer, shows):
    """Prefer: return chooses the body of a write, and nothing else of the answer (R4 §3.1.0.1.6)."""
    body = b'{"resourceType":"Patient"}'
    response = await client.post("Patient", content=body, headers=AUTH | JSON | {"prefer": prefer})
    assert response.status_code == 201
    assert response.headers["etag"] == 'W/"1"'
    assert response.headers["location"].endswith("Patient/2/_history/1")
    assert (response.json()["resourceType"] if shows else response.text) == shows
    read = await client.get("Patient/1", headers=AUTH | {"prefer": prefer})
    assert read.json()["resourceType"] == "Patient"


async def test_pages_and_preferences_reach_the_door(world, client):
    """The door sees the Question as parsed: page token, preference and precondition."""
    await client.get("Patient?_page=abc", headers=AUTH)
    await client.put(
        "Patient/1", content=b"{}", headers=AUTH | JSON | {"if-match": 'W/"3"', "prefer": "return=minimal"}
    )
    search, update = world.door.questions
    assert (search.interaction, search.page) == (Interaction.SEARCH, "abc")
    assert (update.interaction, update.preconditions.if_match, update.prefer) == (Interaction.UPDATE, "3", "minimal")


CONTENT = {"contentType": "text/html", "data": "PGI+aGk8L2I+", "securityContext": {"reference": "Patient/1"}}


@pytest.mark.parametrize(
    ("accept", "raw"),
    [(None, True), ("*/*", True), ("text/html", True), ("application/json", True), ("application/fhir+json", False),
     ("application/fhir+json;q=0.9, */*", False)],
)  # fmt: skip
async def test_a_binary_is_given_as_what_it_holds(world, client, accept, raw):
    """Raw unless FHIR JSON is named; always as an attachment with nothing that a browser would run."""
    world.door.kept["Binary/1"] = orjson.dumps({"resourceType": "Binary", "id": "1"} | CONTENT)
    headers = AUTH | ({"accept": accept} if accept else {"accept": ""})
    response = await client.get("Binary/1", headers=headers)
    assert response.status_code == 200
    if not raw:
        assert response.json()["data"] == CONTENT["data"]
        return
    assert response.content == b"<b>hi</b>"
    assert response.headers["content-type"] == "text/html"
    assert response.headers["content-disposition"] == "attachment"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert response.headers["x-security-context"] == "Patient/1"
    assert response.headers["etag"] == 'W/"3"'


async def test_a_type_that_no_header_can_carry(world, client):
    """A media type with a line break in it, stored long ago, is given as octets."""
    world.door.kept["Binary/1"] = orjson.dumps({"resourceType": "Binary", "contentType": "a/b\r\nx: y", "data": "YQ=="})
    response = await client.get("Binary/1", headers=AUTH | {"accept": "*/*"})
    assert (response.headers["content-type"], response.content) == ("application/octet-stream", b"a")
    assert "x" not in response.headers


async def test_content_goes_in_as_a_resource(world, client):
    """A body of another type becomes a Binary before anybody decides about it; its limits are its own."""
    headers = AUTH | {"content-type": "image/png", "x-security-context": "Patient/1"}
    response = await client.post("Binary", content=b"\x89PNG", headers=headers)
    assert response.status_code == 201
    sent = orjson.loads(world.door.questions[-1].body)
    assert sent == {"resourceType": "Binary", "contentType": "image/png", "data": "iVBORw==",
                    "securityContext": {"reference": "Patient/1"}}  # fmt: skip
    small = SmallWorld(limits=Limits(resource_bytes=100, binary_json_bytes=300, binary_bytes=1_000))
    transport = httpx.ASGITransport(app=small.site)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as other:
        assert (await other.post("Binary", content=b"x" * 1_000, headers=headers)).status_code == 201
        assert (await other.post("Binary", content=b"x" * 1_001, headers=headers)).status_code == 413
        assert (await other.post("Binary", content=b"x" * 301, headers=AUTH | JSON)).status_code == 413
        assert (await other.post("Patient", content=b"x" * 101, headers=AUTH | JSON)).status_code == 413
