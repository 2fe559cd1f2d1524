"""Masked elements: they leave on no path, and nothing can be asked by them, since an answer would tell what is in them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from medlock.access import decide
from medlock.access.grant import Grant, Rules
from medlock.access.principal import Principal
from medlock.errors import Denied
from medlock.records.minimise import minimised
from records.test_granular import holder, observation
from records.world import World, clinician, ids, open_world

MASKS = {
    "Observation": frozenset({"code", "note", "value", "performer", "effective"}),
    "Patient": frozenset({"telecom", "birthDate"}),
    "DocumentReference": frozenset({"type"}),
}
REFUSED = (
    "GET /Observation?code=1-1",
    "GET /Observation?code:not=1-1",
    "GET /Observation?code:missing=true",
    "GET /Observation?combo-code=1-1",
    "GET /Observation?value-quantity=5",
    "GET /Observation?code-value-quantity=http://loinc.org|1-1$5",
    "GET /Observation?performer=Practitioner/p",
    "GET /Observation?date=2024",
    "GET /Observation?_sort=code",
    "GET /Observation?_sort=-date",
    "GET /Observation?_include=Observation:performer",
    "GET /Practitioner?_revinclude=Observation:performer",
    "GET /Patient?_has:Observation:subject:code=1-1",
    "GET /Patient?_has:Observation:performer:status=final",
    "GET /Practitioner?_has:Observation:performer:status=final",
    "GET /DiagnosticReport?result.code=1-1",
    "GET /DiagnosticReport?result.performer.active=true",
    "GET /Encounter?_has:Observation:encounter:_has:DiagnosticReport:result:subject.telecom=1",
    "GET /Observation?subject:Patient.birthdate=1980",
    "GET /Patient?telecom=1",
    "GET /Patient?phone=1",
    "GET /Patient?_sort=birthdate",
    "GET /?_type=Patient,Observation&_lastUpdated=ge2020&_include=Observation:performer",
    "GET /Patient/ann/Observation?code=1-1",
    "GET /Observation/$lastn?patient=ann",
    "GET /DocumentReference/$docref?patient=ann",
    "GET /Patient/ann/$everything?start=2020-01-01",
    "DELETE /Observation?code=1-1",
)
SOUGHT = {"resourceType": "Patient", "birthDate": "1980-01-01", "name": [{"family": "ann"}]}
MATCH = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": SOUGHT}]}
ALLOWED = (
    "GET /Observation?status=final",
    "GET /Observation?category=laboratory&_sort=-_lastUpdated",
    "GET /Observation?patient=ann&_include=Observation:subject",
    "GET /Patient?family=ann&_has:Observation:subject:status=final",
    "GET /Patient/ann/$everything",
    "GET /Patient/ann/*",
    "GET /DiagnosticReport?result.status=final",
)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A few resources, and from then on Grants that mask."""
    world = await open_world(tmp_path / "data")
    for id_ in ("ann", "bob"):
        await world.put({"resourceType": "Patient", "id": id_, "name": [{"family": id_}], "birthDate": "1980-01-01"})
    await world.put({"resourceType": "Practitioner", "id": "p"})
    report = {"resourceType": "DiagnosticReport", "id": "r", "status": "final", "code": {"text": "x"}}
    await world.put(
        observation("lab1", "laboratory", note=[{"text": "in confidence"}], performer=[{"reference": "Practitioner/p"}])
    )
    await world.put(report | {"result": [{"reference": "Observation/lab1"}]})
    reach = decide._reach

    def masked(principal: Principal, types: frozenset[str], needed: int, *looked: frozenset[str]) -> Grant:
        given = reach(principal, types, needed, *looked)
        rules = {patient: replace(each, masks=MASKS) for patient, each in given.rules.items()}
        return replace(
            given, rules=rules, everyone=None if given.everyone is None else replace(given.everyone, masks=MASKS)
        )

    monkeypatch.setattr(decide, "_reach", masked)
    decide._decide_read.cache_clear()
    yield world
    decide._decide_read.cache_clear()
    await world.close()


@pytest.mark.parametrize("held", ["", "ann"])
@pytest.mark.parametrize("line", REFUSED)
async def test_nothing_is_asked_by_a_masked_element(world: World, line: str, held: str) -> None:
    """Searches, sorting, chains, _has, includes, composites, criteria and operations: refused before anything is fetched."""
    with pytest.raises(Denied):
        await world.send(holder("user/*.cruds", held), line)


@pytest.mark.parametrize("line", ALLOWED)
async def test_what_reads_no_masked_element_is_answered(world: World, line: str) -> None:
    """Everything else is answered, without what is masked."""
    shown = (await world.send(clinician(), line)).body
    assert ids(json.loads(shown))
    for word in (b"in confidence", b"1980-01-01", b"1-1", b"Practitioner/p"):
        assert word not in shown


async def test_bodies_and_headers_ask_nothing_by_it_either(world: World) -> None:
    """Criteria in If-None-Exist, in a reference and in $match are searches too; so is a granular scope."""
    made = {name: value for name, value in observation("x", "survey").items() if name != "id"}
    asked: list[tuple[Principal, str, Any, dict[str, str]]] = [
        (clinician(), "POST /Observation", made, {"if_none_exist": "code=1-1"}),
        (clinician(), "POST /Observation", made | {"hasMember": [{"reference": "Observation?code=1-1"}]}, {}),
        (clinician(), "POST /Patient/$match", MATCH, {}),
        (holder("user/Observation.rs?code=1-1"), "GET /Observation/lab1", b"", {}),
        (holder("user/Observation.rs?code=1-1"), "GET /Observation", b"", {}),
        (holder("user/*.rs user/Observation.rs?code=1-1"), "GET /Observation", b"", {}),
    ]
    for who, line, body, headers in asked:
        with pytest.raises(Denied):
            await world.send(who, line, body, **headers)


async def test_a_mask_is_not_lifted_by_a_patient_out_of_reach(world: World) -> None:
    """A resource of two patients, one of them out of reach, is masked by the rules of the other."""
    opened = await world.vault.current("Observation", "lab1")
    assert opened is not None
    shared = replace(opened, meta=replace(opened.meta, patients=("ann", "bob")))
    given = decide._reach(holder("patient/*.rs", "ann"), frozenset({"Observation"}), 2)
    assert set(given.rules) == {"ann"}
    assert b"in confidence" not in minimised(given, shared)
    unmasked = replace(given, rules=given.rules | {"bob": Rules(frozenset({"Observation"}))})
    assert minimised(unmasked, shared) == opened.body
