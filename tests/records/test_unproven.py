"""Searches that look into an index first and ask later whether it was current."""

from pathlib import Path

import pytest

from acceptance.scene import shred
from medlock.store.tables import Table
from records.world import World, clinician, ids, open_world


@pytest.fixture
async def two(tmp_path: Path, store: str):
    """Two processes on one directory."""
    worlds = [await open_world(tmp_path / "data", store=store), await open_world(tmp_path / "data", store=store)]
    yield worlds
    for each in worlds:
        await each.close()


def weight(number: int, **more):
    return {
        "resourceType": "Observation",
        "id": f"w{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/ann"},
        "effectiveDateTime": "2024-05-06",
        **more,
    }


QUERIES = (
    "patient=ann&code=http://loinc.org|29463-7",
    "patient=ann&date=ge2024-01-01",
    "patient=ann&code=http://loinc.org|29463-7&_count=0",
    "patient=ann&code=http://loinc.org|29463-7&_sort=date",
    "patient=ann&_count=1",
)


async def test_what_another_process_wrote_is_found(two: list[World]) -> None:
    """An index in memory is never believed: after each write of the other process both find the same, folds included."""
    one, other = two
    await one.put({"resourceType": "Patient", "id": "ann"})
    for number in range(80):
        await (one if number % 3 else other).put(weight(number))
        for query in QUERIES:
            found = [(await world.search(clinician(), "Observation", query)) for world in two]
            assert [each["total"] for each in found] == [number + 1] * 2
            assert ids(found[0]) == ids(found[1])


async def test_what_another_process_changed_or_deleted_is_not_found(two: list[World]) -> None:
    """A resource that no longer matches is not shown by a process that knew it when it did."""
    one, other = two
    await one.put({"resourceType": "Patient", "id": "ann"})
    for number in range(4):
        await one.put(weight(number))
    query = "patient=ann&date=2024-05-06"
    assert ids(await one.search(clinician(), "Observation", query)) == {f"Observation/w{n}" for n in (0, 1, 2, 3)}
    await other.put(weight(1, effectiveDateTime="2020-01-01"))
    assert ids(await one.search(clinician(), "Observation", query)) == {f"Observation/w{n}" for n in (0, 2, 3)}


async def test_one_question_to_the_database(two: list[World], monkeypatch: pytest.MonkeyPatch) -> None:
    """A search in an index that is in memory reads bodies and proof together, and nothing else."""
    one, _ = two
    await one.put({"resourceType": "Patient", "id": "ann"})
    await one.put(weight(1))
    await one.search(clinician(), "Observation", QUERIES[0])
    asked: list[tuple[Table, int]] = []
    plain, proven = one.backend.get_many, one.backend.get_proven

    async def get_many(table, keys):
        asked.append((table, len(keys)))
        return await plain(table, keys)

    async def get_proven(table, keys, deltas):
        asked.append((table, len(keys) + len(deltas)))
        return await proven(table, keys, deltas)

    monkeypatch.setattr(one.backend, "get_many", get_many)
    monkeypatch.setattr(one.backend, "get_proven", get_proven)
    assert (await one.search(clinician(), "Observation", QUERIES[0]))["total"] == 1
    assert asked == [(Table.BODY, 3)]


async def test_patients_that_another_process_made_or_erased(two: list[World]) -> None:
    """A search that names no patient knows them all: the new one's record is found, an erased one's is no fault."""
    one, other = two
    await one.put({"resourceType": "Patient", "id": "ann"})
    await one.put(weight(1))
    found = await other.search(clinician(), "Observation", "code=http://loinc.org|29463-7")
    assert ids(found) == {"Observation/w1"}
    await shred(one, "ann")
    assert (await other.search(clinician(), "Observation", "code=http://loinc.org|29463-7"))["total"] == 0
