"""What shows nothing waits for a beat; what shows something waits for nothing."""

import json
import time

import pytest

from medlock.errors import MedlockError, NotFound
from medlock.records import beat
from records.test_consents import EXCEPT_BOB, ann, bob, observation, recorder
from records.world import open_world

SEARCHES = ("Observation?patient=p", "Observation?_id=x", "Patient?_id=p", "Observation?patient=p&_summary=count")


@pytest.fixture
async def world(tmp_path, monkeypatch):
    """A patient with a finding, whom Bob may not see; every answer notes whether it showed something."""
    world = await open_world(tmp_path / "data")
    world.shows = []

    class Noting(beat.Bar):
        async def __aexit__(self, *fault):
            world.shows.append(self.shows)
            await super().__aexit__(*fault)

    monkeypatch.setattr(beat, "Bar", Noting)
    for reference in ("Patient/p", "Practitioner/ann", "Practitioner/bob"):
        type_, _, id_ = reference.partition("/")
        await world.put({"resourceType": type_, "id": id_})
    await world.put(observation("o1"))
    await world.put(EXCEPT_BOB, recorder)
    assert all(world.shows)  # what was written
    world.shows.clear()
    yield world
    await world.close()


async def asked(world, who, line, body=b""):
    """Whether the answer to a request showed something."""
    world.shows.clear()
    try:
        await world.send(who, line, body)
    except MedlockError:
        assert not any(world.shows)
    return world.shows[-1]


async def test_which_answers_wait(world):
    """Refusals, searches without hits, counts, deletions of nothing and batches do; records that are shown do not."""
    for line in ("GET /Observation/o1", "GET /Patient/p/$everything", "GET /Patient/p/_history"):
        assert await asked(world, ann, line)
        assert not await asked(world, bob, line)
        assert not await asked(world, ann, line.replace("o1", "none").replace("Patient/p", "Patient/none"))
    for query in SEARCHES:
        assert await asked(world, ann, f"GET /{query}") is ("count" not in query and "_id=x" not in query)
        assert not await asked(world, bob, f"GET /{query}")
    assert not await asked(world, bob, "DELETE /Observation?_id=o1")
    assert not await asked(world, bob, "POST /Observation", observation("", hasMember=[]) | {"id": "x"})
    entry = {"request": {"method": "GET", "url": "Observation/o1"}}
    assert not await asked(world, bob, "POST /", {"resourceType": "Bundle", "type": "batch", "entry": [entry] * 3})
    assert world.shows == [False] * 4  # each by itself: else a bundle would tell as often as it has entries
    search = {"request": {"method": "GET", "url": "Observation?_id=o1"}}
    reads = {"resourceType": "Bundle", "type": "transaction", "entry": [search] * 2}
    await asked(world, bob, "POST /", reads)
    assert world.shows[:4] == [False] * 4  # looked for before the commit, and after it
    await asked(world, ann, "POST /", reads)
    assert world.shows[:4] == [True] * 4


async def test_how_long_a_refusal_takes(world, monkeypatch):
    """A whole beat at the least, for what is hidden as for what is not there; less is never the answer."""
    monkeypatch.setattr(beat, "SECONDS", 0.05)
    for target in ("Observation/o1", "Observation/none"):
        began = time.monotonic()
        with pytest.raises(NotFound):
            await world.read(bob, target)
        assert time.monotonic() - began >= 0.05
    assert json.loads((await world.send(ann, "GET /Observation/o1")).body)["id"] == "o1"


async def test_what_shows_something_does_not_wait(monkeypatch):
    """It asks for no time to pass."""

    async def never(_seconds):
        raise AssertionError("waited")

    monkeypatch.setattr(beat.asyncio, "sleep", never)
    async with beat.Bar() as bar:
        bar.shows = True
    monkeypatch.setattr(beat, "SECONDS", 60)
    with pytest.raises(AssertionError, match="waited"):
        async with beat.Bar():
            pass
