"""respond-async: asked now, answered when it is fetched, once, to the one who asked; else as if it had never been."""

from dataclasses import replace

import httpx
import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.clock import Clock
from medlock.errors import NotFound, Tampered, Unavailable
from medlock.fhir.question import Interaction, Question
from medlock.fhir.request import Frame, Request, parse
from medlock.records.jobs import ASKED_BYTES, PLACES, JobBook, Kind
from medlock.records.notes import Notes
from medlock.store.keyring import TenantKeys
from medlock.store.memory import MemoryBackend
from medlock.store.tables import Table
from medlock.web.fhir_api import FhirApi
from medlock.web.later import CAN_WAIT, KEPT_SECONDS, Later
from medlock.web.pipeline import Site
from web.small_world import AUTH, BASE, SmallWorld

WAIT = AUTH | {"prefer": "respond-async"}
OTHERS = [
    mint_principal("someone", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds")),
    mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes("user/Patient.rs")),
    mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"), patient="p1"),
    mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"), client="another-app"),
    mint_principal("dr", frozenset({Role.FRONT_DESK}), parse_scopes("user/*.cruds")),
]


class World(SmallWorld):
    """The small world with a book of what waits, in memory; its clock can be moved on."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        clock = Clock()
        clock.now_ms = lambda now=clock.now_ms: now() + self.passed
        self.backend = MemoryBackend(None)
        self.book = JobBook(self.backend, Notes(TenantKeys(bytes(32))), clock)
        read = lambda request, now: parse(request, Frame(now, 1_000, BASE))  # noqa: E731 - one line
        self.later = Later(self.door, self.book, read, clock)
        self.site = Site(FhirApi(replace(self.parts, later=self.later)), self.site._outer)

    async def waiting(self):
        """How many wait."""
        return sum(each is not None for each in await self.book.of(Kind.LATER, "dr"))


@pytest.fixture
async def world():
    return World()


@pytest.fixture
async def client(world):
    """A client without a socket."""
    transport = httpx.ASGITransport(app=world.site)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


async def begin(client, path="Patient?family=x", **more):
    """Ask a question to be answered later; where."""
    asked = await client.get(path, headers=WAIT | more)
    assert (asked.status_code, asked.content) == (202, b"")
    return asked.headers["content-location"]


async def test_an_answer_is_made_when_it_is_fetched_and_given_once(world, client):
    """202 with the address, and the door is not asked; 200 with the answer in a batch-response, then nothing."""
    where = await begin(client)
    assert where.startswith(f"{BASE}/_async/")
    assert world.door.questions == []
    for _ in range(2):
        assert (await client.head(where, headers=AUTH)).status_code == 202
    assert world.door.questions == []
    bundle = (await client.get(where, headers=AUTH)).json()
    assert (bundle["type"], bundle["entry"][0]["response"]["status"]) == ("batch-response", "200")
    assert bundle["entry"][0]["resource"]["type"] == "searchset"
    (question,) = world.door.questions
    assert (question.interaction, question.type, question.query.text) == (Interaction.SEARCH, "Patient", "family=x")
    assert (await client.get(where, headers=AUTH)).status_code == 404
    assert await world.backend.last_key(Table.JOB) is None


async def test_a_posted_search_is_kept_with_its_body(world, client):
    """The form and its type come back as they were sent; the caller's credentials are not among what is kept."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    asked = await client.post("Patient/_search", content=b"family=y", headers=WAIT | form)
    where = asked.headers["content-location"]
    (held,) = [each for each in await world.book.of(Kind.LATER, "dr") if each is not None]
    assert {name for name, _ in held.job.asked.headers} == {b"accept", b"content-type", b"prefer"}
    assert (await client.get(where, headers=AUTH)).status_code == 200
    assert world.door.questions[0].query.text == "family=y"


async def test_it_is_for_the_one_who_asked(world, client):
    """Another account, app or role, the same with other scopes or patient, a stranger: as if it had never been."""
    where = await begin(client)
    mine, never = world.gate.principal, (await client.get(f"{BASE}/_async/x", headers=AUTH)).content
    for other in OTHERS:
        world.gate.principal = other
        for method in ("GET", "DELETE"):
            refused = await client.request(method, where, headers=AUTH)
            assert (refused.status_code, refused.content) == (404, never)
        assert (await client.head(where, headers=AUTH)).status_code == 404
    assert (await client.get(where)).status_code == 401
    world.gate.principal = mine
    assert world.door.questions == []
    assert (await client.get(where, headers=AUTH)).status_code == 200


@pytest.mark.parametrize("name", ["0", "", "9abc", "0abc", "\u00e4", "0" * 500, "1/x"])
async def test_names_that_never_were(client, name):
    """404, whatever they look like."""
    await begin(client)
    assert (await client.get(f"{BASE}/_async/{name}", headers=AUTH)).status_code == 404


async def test_a_delete_lets_go(world, client):
    """Nothing is asked of the door any more, and no row is left."""
    where = await begin(client)
    assert (await client.delete(where, headers=AUTH)).status_code == 202
    for method in ("GET", "DELETE"):
        assert (await client.request(method, where, headers=AUTH)).status_code == 404
    assert (await client.post(where, headers=AUTH, content=b"")).status_code == 405
    assert world.door.questions == []
    assert await world.backend.last_key(Table.JOB) is None


async def test_a_refusal_is_an_answer_and_a_fault_is_none(world, client):
    """What the door refuses has its status and outcome in the entry. While it cannot answer, the question waits on."""
    for fault, status in ((NotFound("Not here.", reason="private"), "404"), (Tampered("private"), "500")):
        where = await begin(client)
        world.door.fault = fault
        answer = await client.get(where, headers=AUTH)
        assert answer.json()["entry"][0]["response"]["status"] == status
        assert "private" not in answer.text
        assert (await client.get(where, headers=AUTH)).status_code == 404
        world.door.fault = None
    where = await begin(client)
    world.door.fault = Unavailable("Not now.")
    assert (await client.get(where, headers=AUTH)).status_code == 503
    world.door.fault = None
    assert (await client.get(where, headers=AUTH)).status_code == 200


@pytest.mark.parametrize("prefer", ["return=minimal", "respond-asynchronously", ""])
async def test_only_who_asks_for_it_waits(client, prefer):
    """Other preferences are answered at once, as are interactions that are not worth it."""
    assert (await client.get("Patient?family=x", headers=AUTH | {"prefer": prefer})).status_code == 200
    assert (await client.get("Patient/1", headers=WAIT)).status_code == 200
    both = AUTH | {"prefer": "return=minimal, Respond-Async"}
    assert (await client.get("Patient?family=x", headers=both)).status_code == 202
    assert (await client.get("Patient?family", headers=WAIT)).status_code == 400


def test_nothing_that_writes_waits():
    """A batch or a write would be done at a moment at which nobody is told of it."""
    assert not CAN_WAIT & {Interaction.BATCH, Interaction.TRANSACTION, Interaction.CREATE, Interaction.UPDATE}


async def test_what_waits_is_bounded(world, client):
    """Four for an account, and no long question; beyond that the answer comes at once."""
    kept = [await begin(client) for _ in range(PLACES)]
    assert (await client.get("Patient?family=x", headers=WAIT)).status_code == 200
    assert await world.waiting() == PLACES
    await client.delete(kept[1], headers=AUTH)
    await begin(client)
    await client.delete(kept[2], headers=AUTH)
    question, request = Question(Interaction.SEARCH, "Patient"), Request("GET", b"/Patient", b"x" * ASKED_BYTES)
    assert await world.later.begin(world.gate.principal, question, request) == ""


async def test_head_asks_for_nothing_later(world, client):
    """HEAD leaves nothing behind that waits: it is answered at once, whatever it prefers."""
    answer = await client.head("Patient?family=x", headers=WAIT)
    assert (answer.status_code, "content-location" in answer.headers) == (200, False)
    assert await world.waiting() == 0


async def test_it_does_not_wait_for_ever(world, client):
    """After its time a question that nobody fetched is gone: its place is free, and housekeeping takes its row."""
    where = await begin(client)
    world.passed = (KEPT_SECONDS + 1) * 1000
    assert (await client.get(where, headers=AUTH)).status_code == 404
    again = await begin(client)
    world.passed += 1_000
    await world.book.sweep()
    assert (await client.head(again, headers=AUTH)).status_code == 202
    world.passed *= 2
    await world.book.sweep()
    assert await world.backend.last_key(Table.JOB) is None


async def test_without_it_the_preference_is_passed_over():
    """Where nothing keeps questions answers come at once, and there is no address."""
    small = SmallWorld()
    transport = httpx.ASGITransport(app=small.site)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        assert (await client.get("Patient?family=x", headers=WAIT)).status_code == 200
        assert (await client.get(f"{BASE}/_async/x", headers=AUTH)).status_code == 404
