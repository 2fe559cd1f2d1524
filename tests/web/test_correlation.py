"""Names of requests: random ones are taken, everything that might mean something is not."""

import re

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.web.correlation import request_id, trace_of
from web.small_world import AUTH, BASE, SmallWorld

UUID = "0b8f7f0a-6b1e-4c7e-9a59-52f6cfd6a0d1"
HEX = UUID.replace("-", "")
TRACE = f"00-{HEX}-b7ad6b7169203331-01"
OURS = re.compile(r"[0-9a-f]{8}-[0-9a-f]+")


@pytest.fixture
async def world():
    return SmallWorld(requests=True)


async def ask(world, path="Patient/1", **headers):
    """One request; its answer and its line."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.site), base_url=BASE) as client:
        answer = await client.get(path, headers=AUTH | {name.replace("_", "-"): text for name, text in headers.items()})
    return answer, orjson.loads(world.lines[-1])


@pytest.mark.parametrize("name", [UUID, UUID.upper(), HEX])
async def test_a_random_name_is_taken(world, name):
    """It comes back on the answer and stands in the log."""
    answer, line = await ask(world, x_request_id=name)
    assert answer.headers["x-request-id"] == line["request"] == name


@pytest.mark.parametrize(
    "name",
    ["MRN-4711", "Jane Doe", "12345678", "", "a" * 31, "a" * 33, UUID + "\t", UUID + "x", "{}", f"{UUID},{UUID}"],
)
async def test_any_other_name_is_not(world, name):
    """The answer and the line have one of ours instead."""
    answer, line = await ask(world, x_request_id=name)
    assert OURS.fullmatch(answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] == line["request"]


ENCODED = "".join(f"%{ord(letter):02x}" for letter in UUID)


@pytest.mark.parametrize(
    "path", [f"Patient/{UUID}", f"Observation?patient={UUID.upper()}", f"Patient/{HEX}", f"Patient/{ENCODED}"]
)
async def test_a_name_that_stands_in_the_address_is_not_random(world, path):
    """Somebody who sends a record's id as the request's would have it logged: it is not taken, in any spelling."""
    answer, line = await ask(world, path, x_request_id=UUID, traceparent=TRACE)
    assert OURS.fullmatch(answer.headers["x-request-id"])
    assert "trace" not in line
    assert HEX not in orjson.dumps(line).decode().replace("-", "")


async def test_refusals_and_faults_have_a_name(world):
    """Whatever the status is; each answer has its own."""
    names = set()
    for path, fault, status in (
        ("Patient/1", None, 200),
        ("Patient/none", None, 404),
        ("Patient/1", ValueError("x"), 500),
    ):
        world.door.fault = fault
        answer, line = await ask(world, path)
        assert answer.status_code == line["status"] == status
        names.add(answer.headers["x-request-id"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.site), base_url=BASE) as client:
        answer = await client.get("Patient/1")
    assert (answer.status_code, orjson.loads(world.lines[-1])["interaction"]) == (401, "none")
    assert len(names | {answer.headers["x-request-id"]}) == 4


async def test_a_trace_is_taken_up(world):
    """Its id stands in the line; the parent is for spans."""
    _, line = await ask(world, traceparent=TRACE)
    assert line["trace"] == HEX
    assert trace_of({b"traceparent": TRACE.encode()}, b"") == (HEX, "b7ad6b7169203331")


@pytest.mark.parametrize(
    "given",
    [
        "",
        TRACE.upper(),
        "01" + TRACE[2:],
        TRACE + "-x",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{HEX}-{'0' * 16}-01",
        "00-patient-4711-01",
    ],
)
def test_other_traces_are_passed_over(given):
    """W3C Trace Context: a traceparent that does not follow the form is as none."""
    assert trace_of({b"traceparent": given.encode()}, b"") is None


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_nothing_else_gets_through(name, address):
    """Whatever bytes are sent: what is taken is hexadecimal, and not in the address."""
    taken = request_id({b"x-request-id": name}, address)
    assert taken is None or re.fullmatch(rb"[0-9A-Fa-f-]{32,36}", taken)


async def test_a_made_up_method_is_not_written_down(world):
    """A method is a word of the caller's choosing, too."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.site), base_url=BASE) as client:
        await client.request("JANEDOE", "Patient/1", headers=AUTH)
    assert orjson.loads(world.lines[-1])["method"] == "other"
