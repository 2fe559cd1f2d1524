"""History on every level: each caller gets, newest first, exactly the versions that a naive rule says, on every page."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.leak_world import PATIENTS, Builder, Caller, Truth, callers
from medlock.errors import BadRequest, Denied, NotFound
from medlock.fhir.form import pairs
from medlock.fhir.history import read_history
from medlock.fhir.question import Interaction
from medlock.records import history
from medlock.records.shred import Shredder
from records.world import World, officer, open_world

TYPES = ("Observation", "Patient", "Condition", "Appointment", "Device", "Provenance", "Practitioner", "Medication")
Version = tuple[str, int]


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[tuple[World, Truth]]:
    """The clinic full of traps, where much was changed again and again."""
    world = await open_world(tmp_path / "data")
    builder = Builder(world, 11)
    truth = await builder.build()
    for number in (0, 1, 2, 3, 1, 2, 3, 3):
        await builder.put(builder.observation(number))
    for who in PATIENTS[:2]:
        await builder.put({"resourceType": "Patient", "id": who, "gender": "male"})
    yield world, truth
    await world.close()


def expected(truth: Truth, caller: Caller, type_: str) -> list[Version]:
    """Every version that the caller may see, newest first."""
    return [
        (reference, number)
        for reference, number in reversed(truth.order)
        if type_ in {"", reference.partition("/")[0]} and _sees(truth, caller, reference, number)
    ]


def _sees(truth: Truth, caller: Caller, reference: str, number: int) -> bool:
    versions = truth.versions[reference]
    newest, version = versions[-1] or versions[-2], versions[number - 1] or versions[number - 2]
    return newest is not None and version is not None and truth.sees(caller, newest) and truth.sees(caller, version)


def told(bundle: dict[str, Any]) -> list[Version]:
    """The versions in a history; a deletion has no resource, and says so."""
    found = []
    for entry in bundle.get("entry", []):
        assert ("resource" in entry) is (entry["request"]["method"] != "DELETE")
        number = int(entry["response"]["etag"][3:-1])
        found.append((entry["request"]["url"], number))
        if "resource" in entry:
            assert entry["resource"]["meta"]["versionId"] == str(number)
    return found


async def ask(world: World, caller: Caller, type_: str, text: str = "", page: str = "") -> dict[str, Any]:
    """One page of a history of a type, or with "" of everything."""
    interaction = Interaction.HISTORY_TYPE if type_ else Interaction.HISTORY_SYSTEM
    options = None if page else read_history(pairs(text.encode()), 1_000)
    return json.loads((await world.ask(caller.principal, interaction, type_, options=options, page=page)).body)


def next_page(bundle: dict[str, Any]) -> str:
    """The token of the next page, "" after the last."""
    links = {each["relation"]: each["url"] for each in bundle["link"]}
    return links.get("next", "").partition("_page=")[2]


async def walk(world: World, caller: Caller, type_: str, text: str) -> list[Version]:
    """All pages."""
    bundle = await ask(world, caller, type_, text)
    found = told(bundle)
    while page := next_page(bundle):
        bundle = await ask(world, caller, type_, page=page)
        found += told(bundle)
    return found


async def test_histories_show_what_may_be_seen(clinic: tuple[World, Truth]) -> None:
    """Of each type and of everything, for every caller: all that is theirs, nothing else, in order."""
    world, truth = clinic
    for caller in callers():
        for type_ in TYPES:
            if not caller.allows(type_):
                with pytest.raises(Denied):
                    await ask(world, caller, type_)
            else:
                bundle = await ask(world, caller, type_, "_count=1000")
                assert told(bundle) == expected(truth, caller, type_), (caller.name, type_)
                assert bundle["total"] == len(told(bundle))
        if "*" in caller.types:
            assert await walk(world, caller, "", "_count=1000") == expected(truth, caller, "")
        else:  # a question to the whole server needs a scope on every type
            with pytest.raises(Denied):
                await ask(world, caller, "")


async def test_pages_of_a_history_are_the_history(clinic: tuple[World, Truth]) -> None:
    """Pages of any size, put together, are the whole; every page but the last goes on."""
    world, truth = clinic
    rng = random.Random(3)
    for caller in callers():
        type_ = rng.choice([each for each in ("", *TYPES) if caller.allows(each or "*")])
        for size in (1, 2, 5, 13):
            text = f"_count={size}"
            assert await walk(world, caller, type_, text) == expected(truth, caller, type_), (caller.name, type_, size)


async def test_since_and_at(clinic: tuple[World, Truth]) -> None:
    """_since cuts by the time of a version, _at keeps what was current at that time; both page like the whole."""
    world, truth = clinic
    caller = next(each for each in callers() if each.name == "clinician *")
    every = expected(truth, caller, "")
    times = {}
    bundle = await ask(world, caller, "", "_count=1000")
    for version, entry in zip(told(bundle), bundle["entry"], strict=True):
        times[version] = entry["response"]["lastModified"]
    for cut in every[:: len(every) // 7]:
        since = [each for each in every if times[each] >= times[cut]]
        assert await walk(world, caller, "", f"_since={times[cut]}&_count=9") == since
        current = [
            (reference, number)
            for reference, number in every
            if times[reference, number] <= times[cut]
            and times.get((reference, number + 1), "9") > times[cut]
        ]  # fmt: skip
        assert await walk(world, caller, "", f"_at={times[cut]}&_count=4") == current


async def test_a_page_link_is_no_permission(clinic: tuple[World, Truth]) -> None:
    """A link belongs to its account and its address, and the narrow token sees what the narrow token may."""
    world, _ = clinic
    wide = next(each for each in callers() if each.name == "ann *")
    narrow = next(each for each in callers() if each.name == "ann Appointment")
    page = next_page(await ask(world, wide, "Observation", "_count=1"))
    assert page
    with pytest.raises(Denied):
        await ask(world, narrow, "Observation", page=page)
    with pytest.raises(BadRequest):
        await ask(world, wide, "Patient", page=page)
    with pytest.raises(BadRequest):
        await ask(world, wide, "", page=page)
    with pytest.raises(BadRequest):
        await ask(world, next(each for each in callers() if each.name == "bob *"), "Observation", page=page)


async def test_the_log_has_no_history_of_its_own(clinic: tuple[World, Truth]) -> None:
    """AuditEvent is a view: nothing lies in an index, so there is no history to be told."""
    world, _ = clinic
    with pytest.raises(NotFound):
        await ask(world, next(each for each in callers() if each.name == "ann *"), "AuditEvent")


async def test_every_shown_version_is_written_down(clinic: tuple[World, Truth]) -> None:
    """The log has an event for each patient whose versions a history showed, with those versions in it."""
    world, truth = clinic
    caller = next(each for each in callers() if each.name == "ann *")
    shown = await walk(world, caller, "Observation", "_count=1000")
    found = await world.search(caller.principal, "AuditEvent", "_count=500")
    noted = json.dumps(found)
    assert shown == expected(truth, caller, "Observation")
    for reference, number in shown:
        if "ann" in truth.members(truth.versions[reference][number - 1] or truth.versions[reference][number - 2] or {}):
            owner = truth.versions[reference][number - 1] or {}
            if owner.get("subject", {}).get("reference") == "Patient/ann":
                assert f"{reference}/_history/{number}" in noted


async def test_what_a_page_costs_is_bounded(clinic: tuple[World, Truth], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that begins in too many resources is refused; one that looks at much and shows little goes on."""
    world, truth = clinic
    caller = next(each for each in callers() if each.name == "clinician *")
    monkeypatch.setattr(history, "ENTERED_MAX", 3)
    page = next_page(await ask(world, caller, "", "_count=40"))
    with pytest.raises(BadRequest) as told:
        await ask(world, caller, "", page=page)
    assert told.value.problems[0].code == "too-costly"
    monkeypatch.undo()
    monkeypatch.setattr(history, "LOOKED_MAX", 2)
    assert await walk(world, caller, "", "_count=40") == expected(truth, caller, "")


async def test_a_shredded_patient_leaves_no_history(clinic: tuple[World, Truth]) -> None:
    """After an erasure every level of history goes on without that patient's versions."""
    world, truth = clinic
    caller = next(each for each in callers() if each.name == "clinician *")
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "bob")
    found = await walk(world, caller, "", "_count=7")
    owned = {
        reference for reference, versions in truth.versions.items()
        for version in versions if version and version.get("subject", {}).get("reference") == "Patient/bob"
    }  # fmt: skip
    whole = {reference for reference in owned if all(
        version is None or version.get("subject", {}).get("reference") == "Patient/bob"
        for version in truth.versions[reference])}  # fmt: skip
    assert not {reference for reference, _ in found} & (whole | {"Patient/bob"})
    assert ("Patient/ann", 2) in found
