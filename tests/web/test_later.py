"""respond-async: asked now, fetched later, once, by the one who asked; else as if it had never been."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.errors import NotFound, Tampered, TooLarge
from medlock.fhir.question import Interaction, Question
from medlock.records.disclosure import _RELEASED, Disclosure
from medlock.web import later as module
from medlock.web.fhir_api import FhirApi
from medlock.web.later import ALL, KEPT_SECONDS, PER_ACCOUNT, Later
from medlock.web.pipeline import Site
from web.small_world import AUTH, BASE, SmallWorld

WAIT = AUTH | {"prefer": "respond-async"}
OTHERS = [
    mint_principal("someone", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds")),
    mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes("user/Patient.rs")),
    mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"), patient="p1"),
]


class World(SmallWorld):
    """The small world, whose door answers searches when it is let."""

    def __init__(self):
        super().__init__()
        self.erased = 0
        self.faults = []
        self.go = asyncio.Event()
        answer = self.door.answer

        async def slowly(principal, question):
            if question.interaction in {Interaction.SEARCH, Interaction.BATCH}:
                await self.go.wait()
            return await answer(principal, question)

        self.door.answer = slowly
        self.later = Later(self.door, lambda: self.erased, self.faults.append)
        self.site = Site(FhirApi(replace(self.parts, later=self.later)), self.site._outer)


@pytest.fixture
async def world():
    return World()


@pytest.fixture
async def client(world):
    """A client without a socket."""
    transport = httpx.ASGITransport(app=world.site)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


async def begin(client, **more):
    """Ask a search to be answered later; where."""
    asked = await client.get("Patient?family=x", headers=WAIT | more)
    assert (asked.status_code, asked.content) == (202, b"")
    return asked.headers["content-location"]


async def finished(world):
    """Let the door answer, and wait until it has."""
    world.go.set()
    await asyncio.gather(*(job.task for job in world.later._jobs.values()), return_exceptions=True)
    await asyncio.sleep(0)


async def test_an_answer_waits_and_is_given_once(world, client):
    """202 with the address, 202 until it is there, 200 with the answer in a batch-response, then nothing."""
    where = await begin(client)
    assert where.startswith(f"{BASE}/_async/")
    waiting = await client.get(where, headers=AUTH)
    assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "1")
    await finished(world)
    assert (await client.head(where, headers=AUTH)).status_code == 202
    bundle = (await client.get(where, headers=AUTH)).json()
    assert (bundle["type"], bundle["entry"][0]["response"]["status"]) == ("batch-response", "200")
    assert bundle["entry"][0]["resource"]["type"] == "searchset"
    assert (await client.get(where, headers=AUTH)).status_code == 404


async def test_it_is_for_the_one_who_asked(world, client):
    """Another account, the same one with other scopes or another patient, a stranger: as if it had never been."""
    where = await begin(client)
    await finished(world)
    mine, never = world.gate.principal, (await client.get(f"{BASE}/_async/x", headers=AUTH)).content
    for other in OTHERS:
        world.gate.principal = other
        for method in ("GET", "DELETE"):
            refused = await client.request(method, where, headers=AUTH)
            assert (refused.status_code, refused.content) == (404, never)
    assert (await client.get(where)).status_code == 401
    world.gate.principal = mine
    assert (await client.get(where, headers=AUTH)).status_code == 200


async def test_a_delete_lets_go(world, client):
    """Also of an answer that is still to come; the work itself is not cut off."""
    where = await begin(client)
    (job,) = world.later._jobs.values()
    assert (await client.delete(where, headers=AUTH)).status_code == 202
    for method in ("GET", "DELETE"):
        assert (await client.request(method, where, headers=AUTH)).status_code == 404
    world.go.set()
    assert (await job.task).status == 200
    assert (await client.post(where, headers=AUTH, content=b"")).status_code == 405


async def test_an_erasure_takes_what_waits(world, client):
    """An answer may hold what was erased after it was made, so it is not given."""
    where = await begin(client)
    await finished(world)
    world.erased += 1
    assert (await client.get(where, headers=AUTH)).status_code == 404
    assert not world.later._jobs


async def test_a_refusal_and_a_fault_wait_as_well(world, client):
    """What the door refuses has its status and outcome in the entry; a fault says nothing and is reported."""
    for fault, status in (
        (NotFound("Not here.", reason="private"), "404"),
        (Tampered("private"), "500"),
        (KeyError("x"), "500"),
    ):
        where = await begin(client)
        world.door.fault = fault
        await finished(world)
        answer = await client.get(where, headers=AUTH)
        assert answer.json()["entry"][0]["response"]["status"] == status
        assert "private" not in answer.text
        world.door.fault = None
        world.go.clear()
    assert [type(each) for each in world.faults] == [KeyError]


@pytest.mark.parametrize("prefer", ["return=minimal", "respond-asynchronously", ""])
async def test_only_who_asks_for_it_waits(world, client, prefer):
    """Other preferences are answered at once, as are interactions that are not worth it."""
    world.go.set()
    assert (await client.get("Patient?family=x", headers=AUTH | {"prefer": prefer})).status_code == 200
    assert (await client.get("Patient/1", headers=WAIT)).status_code == 200
    assert (
        await client.get("Patient?family=x", headers=AUTH | {"prefer": "return=minimal, Respond-Async"})
    ).status_code == 202
    assert (await client.get("Patient?family", headers=WAIT)).status_code == 400


async def test_what_waits_is_bounded(world, monkeypatch):
    """So many for one account and so many in all, so many bytes; beyond that the answer comes at once."""
    mine, other = world.gate.principal, OTHERS[0]
    question = Question(Interaction.SEARCH, "Patient")
    assert all(world.later.begin(mine, question) for _ in range(PER_ACCOUNT))
    assert world.later.begin(mine, question) == ""
    for number in range(ALL - PER_ACCOUNT):
        who = mint_principal(f"a{number // PER_ACCOUNT}", frozenset({Role.CLINICIAN}), parse_scopes("user/*.rs"))
        world.later.begin(who, question)
    assert world.later.begin(other, question) == ""
    monkeypatch.setattr(module, "BYTES_MAX", 10)
    full = Later(world.door, lambda: 0, world.faults.append)

    async def large(*_asked):
        return Disclosure(200, b"x" * 11, _released=_RELEASED)

    world.door.answer = large
    name = full.begin(mine, question)
    await full._jobs[name].task
    await asyncio.sleep(0)
    assert isinstance(full.fetch(mine, name), TooLarge)


async def test_what_is_let_go_of_counts_until_it_is_done(world):
    """Asking and deleting by turns starts no more work than asking does; a question that is done makes room."""
    mine, question = world.gate.principal, Question(Interaction.SEARCH, "Patient")
    names = [world.later.begin(mine, question) for _ in range(PER_ACCOUNT)]
    for name in names:
        world.later.forget(mine, name)
    assert world.later.begin(mine, question) == ""
    world.go.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.later.begin(mine, question)


async def test_it_does_not_wait_for_ever(world, monkeypatch):
    """After its time an answer that nobody fetched is gone."""
    calls = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda seconds, act, *given: calls.append((seconds, act, given)))
    name = world.later.begin(world.gate.principal, Question(Interaction.SEARCH, "Patient"))
    ((seconds, act, given),) = calls
    assert seconds == KEPT_SECONDS
    act(*given)
    with pytest.raises(NotFound):
        world.later.fetch(world.gate.principal, name)


async def test_head_asks_for_nothing_later(world, client):
    """HEAD leaves nothing behind that waits: it is answered at once, whatever it prefers."""
    world.go.set()
    answer = await client.head("Patient?family=x", headers=WAIT)
    assert (answer.status_code, "content-location" in answer.headers) == (200, False)
    assert not world.later._jobs


async def test_without_it_the_preference_is_passed_over():
    """With several workers there is no such thing: answers come at once, and there is no address."""
    small = SmallWorld()
    transport = httpx.ASGITransport(app=small.site)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        assert (await client.get("Patient?family=x", headers=WAIT)).status_code == 200
        assert (await client.get(f"{BASE}/_async/x", headers=AUTH)).status_code == 404
