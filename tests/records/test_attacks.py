"""What an attacker with a valid token tries: to learn of others, to hide, to escape a compartment, to exhaust."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from medlock.errors import BadRequest
from medlock.settings import Limits
from records.world import World, clinician, officer, open_world, patient


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two patients with a weight each, behind small limits."""
    made = await open_world(tmp_path / "data", Limits(include_max=5))
    for who in ("ann", "bob"):
        await made.put({"resourceType": "Patient", "id": who, "name": [{"family": who}]})
        await made.put(weight(f"w-{who}", who))
    yield made
    await made.close()


def weight(id_: str, who: str) -> dict[str, object]:
    """An Observation of a patient."""
    subject = {"reference": f"Patient/{who}"}
    return {"resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "weight"}, "subject": subject}


async def test_a_patient_does_not_learn_who_else_was_asked_for(world: World) -> None:
    """What was searched for names other people: the patient's own view of the log leaves it out, the officer's has it."""
    await world.search(clinician(), "Observation", "patient=ann,bob")
    await world.search(clinician(), "Patient", "name=ann,bob")
    for who in (patient("ann"), officer()):
        events = (await world.search(who, "AuditEvent", "patient=ann"))["entry"]
        shown = json.dumps(events)
        queries = [
            base64.b64decode(entity["query"]).decode()
            for event in events
            for entity in event["resource"]["entity"]
            if "query" in entity
        ]
        assert "w-ann" in shown
        assert ("bob" in shown + "".join(queries)) is (who.patient == "")
        for event in events:
            read = await world.read(who, f"AuditEvent/{event['resource']['id']}")
            assert read == event["resource"]


@pytest.mark.parametrize(
    "shape", ["_summary=count", "_count=0", "_elements=id", "_total=accurate", "_sort=date", "_summary=true"]
)
async def test_the_audit_view_has_one_shape(world: World, shape: str) -> None:
    """A directive that the view does not follow is refused: _count=0 once brought a whole stretch of the log."""
    with pytest.raises(BadRequest):
        await world.search(officer(), "AuditEvent", shape)
    assert len((await world.search(officer(), "AuditEvent", "_count=2"))["entry"]) == 2
