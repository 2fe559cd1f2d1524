"""The leak test: on every path, every caller gets exactly what a naive rule says, no more and no less.

Paths: read, vread, history, search, totals, paging, _include, _revinclude, $everything, conditional create, entries
of a transaction and of a batch, the audit view. Each compares with the oracle in leak_world and fhir_search.oracle.
Chains, _has, search over several types and in compartments are in test_leaks_linked.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from acceptance.leak_world import CODES, LOINC, PATIENTS, Builder, Caller, Resource, Truth, callers, told
from fhir_search import oracle
from medlock.errors import BadRequest, Denied, MedlockError, NotFound
from medlock.fhir.form import pairs
from medlock.fhir.grammar import parse_search
from medlock.fhir.question import Interaction, Preconditions
from records.world import World, ids, open_world
from store.pgserver import database

CASES = int(os.environ.get("MEDLOCK_LEAK_CASES", "300"))
TYPES = ("Observation", "Patient", "Condition", "Appointment", "Device", "Provenance", "Practitioner", "Medication")


@pytest.fixture(params=["file", "postgres"])
async def clinic(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[tuple[World, Truth]]:
    """The clinic full of traps, on either back end."""
    async with AsyncExitStack() as kept:
        store = await kept.enter_async_context(database()) if request.param == "postgres" else ""
        world = await open_world(tmp_path / "data", store=store)
        kept.push_async_callback(world.close)
        yield world, await Builder(world, 11).build()


def refs(resources: list[Resource]) -> set[str]:
    """Type/id of each."""
    return {f"{each['resourceType']}/{each['id']}" for each in resources}


async def test_reads_and_versions(clinic: tuple[World, Truth]) -> None:
    """read, vread and history show a caller a version exactly when that very version is theirs to see."""
    world, truth = clinic
    checked = 0
    for caller in callers():
        for reference, history in truth.versions.items():
            if not caller.allows(reference.partition("/")[0]):
                with pytest.raises(Denied):
                    await told(world, caller, reference)
                continue
            await _check_versions(world, truth, caller, reference, history)
            checked += 1
    assert checked >= 500


async def _check_versions(
    world: World, truth: Truth, caller: Caller, reference: str, history: list[Resource | None]
) -> None:
    type_, _, id_ = reference.partition("/")
    newest = history[-1] or history[-2]
    assert newest is not None
    visible = truth.sees(caller, newest)
    try:
        shown = await told(world, caller, reference)
        assert visible
        assert shown == (history[-1] or {"gone": True})
    except NotFound:
        assert not visible
    for number, version in enumerate(history, 1):
        asked = world.ask(caller.principal, Interaction.VREAD, type_, id_, version=str(number))
        try:
            body = json.loads((await asked).body)
            assert visible
            assert body == version
            assert truth.sees(caller, body)
        except NotFound:
            assert not visible or version is None or not truth.sees(caller, version)


def random_search(rng: random.Random) -> tuple[str, str]:
    """A type and a query, often about somebody else's record."""
    type_ = rng.choice(TYPES)
    who = rng.choice(PATIENTS)
    choices = {
        "Observation": [
            f"patient={who}", f"subject=Patient/{who}", f"code={LOINC}|{rng.choice(CODES)}", f"performer=Patient/{who}",
            f"date=ge2024-0{rng.randrange(1, 9)}", f"value-quantity=gt{rng.randrange(50, 90)}", "status:not=final",
            f"identifier=urn:lab|v{rng.randrange(12)}", "subject:missing=true", f"focus=Patient/{who}",
            "_security=urn:s|R", f"performer=Practitioner/doc,Patient/{who}",
        ],
        "Patient": [f"_id={who}", f"family=F{who[:2]}", "gender=female", f"name:contains={who}"],
        "Condition": [f"patient={who}", "code=urn:c|k1", f"subject=Patient/{who}"],
        "Appointment": [f"patient={who}", f"actor=Patient/{who}", "status=proposed"],
        "Device": [f"patient={who}"],
        "Provenance": [f"target=Observation/o{rng.randrange(40)}", "agent=Practitioner/doc"],
        "Practitioner": ["name=doc", "_id=nurse"],
        "Medication": ["_id=med"],
    }[type_]  # fmt: skip
    chosen = rng.sample(choices, rng.randrange(0, min(3, len(choices) + 1)))
    return type_, "&".join(chosen)


async def test_searches_totals_and_pages(clinic: tuple[World, Truth]) -> None:
    """A search finds what the oracle finds among what the caller may see; totals and pages tell nothing more."""
    world, truth = clinic
    rng = random.Random(5)
    everybody = callers()
    for _ in range(CASES):
        caller = rng.choice(everybody)
        type_, text = random_search(rng)
        if not caller.allows(type_):
            with pytest.raises(Denied):
                await world.search(caller.principal, type_, text)
            continue
        visible = [each for each in truth.current() if truth.sees(caller, each)]
        expected = refs(oracle.search(visible, type_, pairs(text.encode())))
        found = await world.search(caller.principal, type_, text)
        assert ids(found) == expected, (caller.name, type_, text)
        assert found["total"] == len(expected)
        joint = "&" if text else ""
        assert (await world.search(caller.principal, type_, f"{text}{joint}_summary=count"))["total"] == len(expected)
        assert await _walk(world, caller, type_, f"{text}{joint}_count={rng.randrange(1, 4)}") == expected


async def _walk(world: World, caller: Caller, type_: str, text: str) -> set[str]:
    """Every page of a search, each resource once."""
    return await walk(world, caller, await world.search(caller.principal, type_, text), Interaction.SEARCH, type_=type_)


async def walk(
    world: World, caller: Caller, bundle: dict[str, Any], interaction: Interaction, *, type_: str = "", id_: str = ""
) -> set[str]:
    """What a first page and all that follow it show, each resource once."""
    seen = ids(bundle)
    while link := next((each["url"] for each in bundle["link"] if each["relation"] == "next"), ""):
        shown = await world.ask(caller.principal, interaction, type_, id_, page=link.partition("_page=")[2])
        bundle = json.loads(shown.body)
        assert bundle["entry"]
        assert not seen & ids(bundle)
        seen |= ids(bundle)
    return seen


async def test_page_links_are_no_permission(clinic: tuple[World, Truth]) -> None:
    """A link made for a wide token, used by the same account with a narrow one, shows what the narrow one may see."""
    world, _ = clinic
    wide = next(each for each in callers() if each.name == "ann *")
    narrow = next(each for each in callers() if each.name == "ann Appointment")
    bundle = await world.search(wide.principal, "Observation", "_count=1")
    token = next(each["url"] for each in bundle["link"] if each["relation"] == "next").partition("_page=")[2]
    with pytest.raises(Denied):
        await world.ask(narrow.principal, Interaction.SEARCH, "Observation", page=token)
    stranger = next(each for each in callers() if each.name == "bob *")
    with pytest.raises(BadRequest):
        await world.ask(stranger.principal, Interaction.SEARCH, "Observation", page=token)


INCLUDES = (
    ("Observation", "_include=Observation:performer"),
    ("Observation", "_include=Observation:subject"),
    ("Observation", "_include=Observation:focus"),
    ("Patient", "_revinclude=Observation:performer"),
    ("Patient", "_revinclude=Observation:subject&_revinclude=Condition:subject"),
    ("Patient", "_revinclude=Appointment:actor"),
    ("Observation", "_revinclude=Provenance:target"),
    ("Practitioner", "_revinclude=Observation:performer"),
    ("Appointment", "_include=Appointment:actor&_include:iterate=Patient:general-practitioner"),
    ("Patient", "_revinclude=Observation:subject&_revinclude:iterate=Provenance:target"),
)


async def test_includes(clinic: tuple[World, Truth]) -> None:
    """What comes along is visible by itself, and everything visible that should come along does."""
    world, truth = clinic
    for caller in callers():
        for type_, text in INCLUDES:
            named = {type_} | {part.split("=")[1].split(":")[0] for part in text.split("&")}
            if not all(caller.allows(each) for each in named):
                with pytest.raises(Denied):
                    await world.search(caller.principal, type_, text)
                continue
            try:
                found = await world.search(caller.principal, type_, f"{text}&_count=1000")
            except Denied:
                continue
            assert ids(found) == _with_included(truth, caller, type_, text), (caller.name, text)


def _with_included(truth: Truth, caller: Caller, type_: str, text: str) -> set[str]:
    """Matches and what they bring, hop by hop, among what the caller may see."""
    visible = [each for each in truth.current() if truth.sees(caller, each)]
    by_name = {f"{each['resourceType']}/{each['id']}": each for each in visible}
    page = {name for name in by_name if name.startswith(f"{type_}/")}
    found, fresh = set(page), set(page)
    for hop in range(3):
        news: set[str] = set()
        for part in text.split("&"):
            name, _, value = part.partition("=")
            source, _, param = value.partition(":")
            if hop and not name.endswith(":iterate"):
                continue
            news |= _one_include(by_name, fresh, source, param, reverse=name.startswith("_revinclude"))
        fresh = news - found
        found |= news
    return found


def _one_include(by_name: dict[str, Resource], fresh: set[str], source: str, param: str, *, reverse: bool) -> set[str]:
    """Targets of the fresh ones through a parameter, or what points at them."""
    found = set()
    for name, resource in by_name.items():
        if resource["resourceType"] != source:
            continue
        targets = {t for t in by_name if oracle.search([resource], source, [(param, t)])}
        if reverse and targets & fresh:
            found.add(name)
        elif not reverse and name in fresh:
            found |= targets
    return found


async def test_everything(clinic: tuple[World, Truth]) -> None:
    """$everything is the compartment, cut to what the caller may see, and shared resources it refers to."""
    world, truth = clinic
    for caller in callers():
        for who in PATIENTS:
            asked = world.ask(caller.principal, Interaction.EVERYTHING, "Patient", who)
            if not caller.allows("Patient"):
                with pytest.raises(Denied):
                    await asked
                continue
            if caller.patient not in {"", who}:
                with pytest.raises(NotFound):
                    await asked
                continue
            bundle = json.loads((await asked).body)
            matches = {
                f"{e['resource']['resourceType']}/{e['resource']['id']}"
                for e in bundle["entry"]
                if e["search"]["mode"] == "match"
            }
            assert matches == {
                name for each in truth.current() if who in truth.members(each) and truth.sees(caller, each)
                for name in refs([each])
            }  # fmt: skip
            beside = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "include"]
            assert all(truth.sees(caller, each) for each in beside)


async def test_conditions_are_no_oracle(clinic: tuple[World, Truth]) -> None:
    """If-None-Exist tells a caller of a match only when the match is theirs to see; without search rights nothing."""
    world, truth = clinic
    caller = next(each for each in callers() if each.name == "ann *")
    body = json.dumps({"resourceType": "Observation", "status": "final", "code": {"text": "x"}}).encode()
    query = parse_search("Observation", [("identifier", "urn:lab|v1")], now_ms=0, max_count=10)
    for each in callers():
        with pytest.raises(MedlockError) as refused:
            await world.ask(
                each.principal, Interaction.CREATE, "Observation", body=body,
                preconditions=Preconditions(if_none_exist=query),
            )  # fmt: skip
        assert isinstance(refused.value, Denied)
    assert truth.current()
    assert caller


async def test_bundle_entries_are_decided_one_by_one(clinic: tuple[World, Truth]) -> None:
    """GETs inside a batch answer as they would alone; inside a transaction one refused entry refuses all."""
    world, truth = clinic
    for caller in callers():
        names = random.Random(caller.name).sample(sorted(truth.versions), 12)
        entries = [{"request": {"method": "GET", "url": name}} for name in names]
        body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}).encode()
        answer = json.loads((await world.ask(caller.principal, Interaction.BATCH, body=body)).body)
        shown = [name for name, entry in zip(names, answer["entry"], strict=True) if "resource" in entry]
        seen = [name for name in names if (last := truth.versions[name][-1]) and truth.sees(caller, last)]
        assert shown == seen
        if len(seen) < len(names):
            transaction = body.replace(b'"batch"', b'"transaction"')
            with pytest.raises(MedlockError):
                await world.ask(caller.principal, Interaction.TRANSACTION, body=transaction)


async def test_the_audit_view_keeps_to_its_patient(clinic: tuple[World, Truth]) -> None:
    """A patient's view of the log names no other patient's resources."""
    world, truth = clinic
    for who in PATIENTS:
        caller = next(each for each in callers() if each.name == f"{who} *")
        for _ in range(3):
            await world.search(caller.principal, "Observation", "")
        found = await world.search(caller.principal, "AuditEvent", "_count=500")
        assert found["entry"]
        for name, history in truth.versions.items():
            mine = any(version is not None and who in truth.members(version) for version in history)
            if not mine and truth.members(history[0] or {}):
                assert f'"{name}"' not in json.dumps(found), name


@pytest.mark.parametrize("query", ["_filter=a", "_text=x", "_content=x", "_query=x", "_contained=true"])
def test_side_doors_are_shut(query: str) -> None:
    """What cannot be checked condition by condition is refused when the question is read."""
    with pytest.raises(BadRequest):
        parse_search("Observation", pairs(query.encode()), now_ms=0, max_count=10)
