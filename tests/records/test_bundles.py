"""Transactions and batches at the door: reads inside them, what is named, what is written down, how much comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from medlock.audit.events import Action, Outcome
from medlock.audit.search import AuditQuery
from medlock.errors import BadRequest, MedlockError, NotFound, PreconditionFailed, TooLarge
from medlock.fhir.question import Interaction
from medlock.settings import Limits
from records.world import World, clinician, open_world

LIMITS = Limits(bundle_bytes=20_000)
TEXT = "word " * 1_000


@pytest.fixture
async def world(tmp_path: Path, store: str) -> AsyncIterator[World]:
    """A clinic whose bundles bring back little."""
    made = await open_world(tmp_path / "data", LIMITS, store)
    for who in ("ann", "bob"):
        await made.put({"resourceType": "Patient", "id": who, "name": [{"family": "Ångström", "text": TEXT}]})
    yield made
    await made.close()


def asked(method: str, url: str, resource: dict[str, Any] | None = None, **more: str) -> dict[str, Any]:
    """One entry."""
    entry: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    return entry if resource is None else entry | {"resource": resource}


async def batch(world: World, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    """POST a batch; its response entries."""
    body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": list(entries)}).encode()
    shown = json.loads((await world.ask(clinician(), Interaction.BATCH, body=body)).body)
    return list(shown["entry"])


def statuses(entries: list[dict[str, Any]]) -> list[str]:
    """The status of each response entry."""
    return [entry["response"]["status"] for entry in entries]


async def patients(world: World) -> int:
    """How many there are."""
    return int((await world.search(clinician(), "Patient", "_summary=count"))["total"])


NEW = asked("POST", "Patient", {"resourceType": "Patient"})


@pytest.mark.parametrize(
    ("entry", "error", "path"),
    [
        (asked("GET", "Patient/nobody"), NotFound, "Bundle.entry[1]"),
        (asked("GET", "Patient/ann/_history/9"), NotFound, "Bundle.entry[1]"),
        (asked("DELETE", "Patient/nobody"), NotFound, "Bundle.entry[1]"),
        (asked("GET", "Patient?familly=x"), BadRequest, "Bundle.entry[1].request"),
        (asked("GET", "Nothing/1"), NotFound, "Bundle.entry[1].request"),
        (asked("PUT", "Patient/ann", {"resourceType": "Patient", "id": "ann"}, ifMatch='W/"9"'), PreconditionFailed,
         "Bundle.entry[1]"),
        (asked("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist="family=angstrom"), PreconditionFailed,
         "Bundle.entry[1]"),
    ],
)  # fmt: skip
async def test_any_failing_entry_stops_a_transaction(
    world: World, entry: dict[str, Any], error: type[MedlockError], path: str
) -> None:
    """Reads count as well: the refusal names the entry, and what stood before it is not written."""
    with pytest.raises(error) as told:
        await world.transact([NEW, entry])
    assert [problem.path for problem in told.value.problems] == [path]
    assert await patients(world) == 2


async def test_reads_in_a_transaction_see_what_it_writes(world: World) -> None:
    """GETs come last (R4 §3.1.0.11.2): what was created is shown, what was deleted is gone, in its own entry."""
    made = {"resourceType": "Patient", "id": "new", "active": True}
    entries = [asked("GET", "Patient/new"), asked("PUT", "Patient/new", made), asked("DELETE", "Patient/bob"),
               asked("GET", "Patient/bob"), asked("GET", "Patient?active=true")]  # fmt: skip
    answer = (await world.transact(entries))["entry"]
    assert statuses(answer) == ["200", "201", "204", "410", "200"]
    assert answer[0]["resource"]["active"] is True
    assert answer[3]["response"]["outcome"]["issue"][0]["code"] == "deleted"
    assert answer[4]["resource"]["total"] == 1


async def test_every_read_in_a_bundle_is_written_down(world: World) -> None:
    """A search that finds nothing and a refused read are in the log, beside a write that would hide them."""
    probe = asked("GET", "Observation?patient=ann&code=secret")
    await world.transact([NEW, probe, asked("DELETE", "Patient/bob"), asked("GET", "Patient/bob")])
    await batch(world, NEW, probe)
    found = [recorded.event for recorded in await world.log.find(AuditQuery())]
    probes = [event for event in found if event.action is Action.SEARCH and "code=secret" in event.query]
    assert [(event.patient, event.outcome) for event in probes] == [("ann", Outcome.SUCCESS)] * 2
    assert [event.outcome for event in found if event.query == "Patient/bob" and event.action is Action.READ] == [
        Outcome.FAILED
    ]


async def test_short_questions_do_not_bring_endless_answers(world: World) -> None:
    """Reads share one allowance: beyond it a batch refuses each further read, a transaction all of itself."""
    reads = [asked("GET", "Patient/ann")] * 10
    shown = await batch(world, *reads, NEW)
    assert statuses(shown) == ["200"] * 4 + ["413"] * 6 + ["201"]
    assert shown[5]["response"]["outcome"]["issue"][0]["code"] == "too-costly"
    with pytest.raises(TooLarge) as told:
        await world.transact([*reads, NEW])
    assert told.value.problems[0].path == "Bundle.entry[4]"
    assert await patients(world) == 3


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_reads_of_what_the_caller_has(world: World, kind: str) -> None:
    """IfNoneMatch and ifModifiedSince in an entry answer 304 without the resource; the read is written down all the same."""
    updated = (await world.read(clinician(), "Patient/ann"))["meta"]["lastUpdated"]
    entries = [
        asked("GET", "Patient/ann", ifNoneMatch='W/"1"'),
        asked("GET", "Patient/ann", ifModifiedSince=updated),
        asked("GET", "Patient/ann", ifModifiedSince="2020-01-01T00:00:00Z"),
        asked("GET", "Patient/bob", ifNoneMatch='W/"7"'),
    ]
    body = json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()
    interaction = Interaction.BATCH if kind == "batch" else Interaction.TRANSACTION
    told = json.loads((await world.ask(clinician(), interaction, body=body)).body)["entry"]
    assert [each["response"]["status"] for each in told] == ["304", "304", "200", "200"]
    assert ["resource" in each for each in told] == [False, False, True, True]
