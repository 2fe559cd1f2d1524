"""The leak test for questions that lead elsewhere: chains, _has, _list, several types, compartments.

The oracle sees only what the caller may see and knows nothing else: its world is cut to that before it follows a single
reference. So whatever a hidden resource could tell, through a match, a total or a page, would be a mismatch here.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.leak_world import CODES, LOINC, PATIENTS, Builder, Caller, Resource, Truth, callers
from acceptance.test_leaks import refs, walk
from fhir_search import oracle, oracle_links
from medlock.errors import Denied
from medlock.fhir.form import pairs
from medlock.fhir.question import Interaction
from records.world import World, ids, open_world

CASES = int(os.environ.get("MEDLOCK_LEAK_CASES", "600"))
COMPARTMENT = ("Observation", "Condition", "Appointment", "Patient", "Provenance")


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[tuple[World, Truth]]:
    """The clinic full of traps, with lists that name other patients' resources as well."""
    world = await open_world(tmp_path / "data")
    builder = Builder(world, 17)
    await builder.build()
    for who in PATIENTS:
        await builder.put(_list(builder, who))
    yield world, builder.truth
    await world.close()


def _list(builder: Builder, who: str) -> Resource:
    named = builder.rng.sample([f"Observation/o{n}" for n in range(40)], 12)
    alive = [each for each in named if builder.truth.versions[each][-1] is not None]
    return {
        "resourceType": "List",
        "id": f"l-{who}",
        "status": "current",
        "mode": "working",
        "subject": {"reference": f"Patient/{who}"},
        "entry": [{"item": {"reference": each}} for each in alive],
    }


def linked_search(rng: random.Random) -> tuple[str, str, set[str]]:
    """A type, a query that leads elsewhere, and every type on its way."""
    who, code = rng.choice(PATIENTS), f"{LOINC}|{rng.choice(CODES)}"
    more, number = rng.choice(("", "", f"&patient={who}", "&status=final")), rng.randrange(40)
    choices: list[tuple[str, str, set[str]]] = [
        ("Observation", f"subject:Patient.name=F{who}{more}", {"Patient"}),
        ("Observation", f"patient.family=F{who[:1]}{more}", {"Patient"}),
        ("Observation", f"patient._id={who}{more}", {"Patient"}),
        ("Observation", f"performer:Practitioner.name=doc{more}", {"Practitioner"}),
        ("Observation", f"performer:Patient.gender=female{more}", {"Patient"}),
        ("Observation", f"performer.name=doc{more}", {"Organization", "Practitioner", "Patient", "RelatedPerson",
                                                        "CareTeam"}),
        ("Observation", f"_has:Provenance:target:agent=Practitioner/doc{more}", {"Provenance"}),
        ("Observation", f"_has:Provenance:target:agent:Practitioner.name=doc{more}", {"Provenance", "Practitioner"}),
        ("Observation", f"_has:Provenance:target:_id=p{rng.randrange(10)}", {"Provenance"}),
        ("Observation", f"_list=l-{who}{more}", {"List"}),
        ("Observation", f"patient._has:Condition:patient:code=urn:c|k{rng.randrange(3)}", {"Patient", "Condition"}),
        ("Patient", f"_has:Observation:patient:code={code}", {"Observation"}),
        ("Patient", f"_has:Observation:performer:code={code}", {"Observation"}),
        ("Patient", "_has:Observation:focus:status=final&_has:Condition:patient:code=urn:c|k1",
         {"Observation", "Condition"}),
        ("Patient", f"_has:Observation:patient:_id=o{number}", {"Observation"}),
        ("Patient", f"_has:Observation:patient:value-quantity=gt{rng.randrange(50, 90)}", {"Observation"}),
        ("Patient", "_has:Appointment:actor:status=proposed", {"Appointment"}),
        ("Patient", "_has:Observation:patient:_has:Provenance:target:agent=Practitioner/doc",
         {"Observation", "Provenance"}),
        ("Patient", "_has:Observation:patient:performer:Practitioner._id=doc&_has:Device:patient:_id=d1",
         {"Observation", "Practitioner", "Device"}),
        ("Condition", f"subject:Patient._has:Observation:performer:code={code}", {"Patient", "Observation"}),
        ("Appointment", f"patient.name=F{who}", {"Patient"}),
        ("Appointment", "actor:Patient._has:Observation:subject:status=final", {"Patient", "Observation"}),
        ("Provenance", f"target:Observation.code={code}", {"Observation"}),
        ("Provenance", f"target:Observation.subject:Patient.name=F{who}", {"Observation", "Patient"}),
        ("Practitioner", f"_has:Observation:performer:patient={who}", {"Observation"}),
        ("Practitioner", f"_has:Observation:performer:subject:Patient.family=F{who}", {"Observation", "Patient"}),
        ("Observation", f"code-value-quantity={code}$gt{rng.randrange(50, 90)}{more}", set()),
        ("Observation", "status:not-in=http://hl7.org/fhir/ValueSet/observation-status", set()),
    ]  # fmt: skip
    type_, text, on_the_way = rng.choice(choices)
    return type_, text, on_the_way | {type_}


async def test_chains_tell_of_nothing_hidden(clinic: tuple[World, Truth]) -> None:
    """Matches, totals, counts and pages are those of a world in which hidden resources do not exist."""
    world, truth = clinic
    rng = random.Random(23)
    everybody = callers()
    answered = denied = found_any = 0
    for _ in range(CASES):
        caller = rng.choice(everybody)
        type_, text, types = linked_search(rng)
        if not all(caller.allows(each) for each in types):
            with pytest.raises(Denied):
                await world.search(caller.principal, type_, text)
            denied += 1
            continue
        visible = [each for each in truth.current() if truth.sees(caller, each)]
        expected = refs(oracle.search(visible, type_, pairs(text.encode())))
        found = await world.search(caller.principal, type_, text)
        assert ids(found) == expected, (caller.name, type_, text)
        assert found["total"] == len(expected)
        assert (await world.search(caller.principal, type_, f"{text}&_summary=count"))["total"] == len(expected)
        first = await world.search(caller.principal, type_, f"{text}&_count={rng.randrange(1, 4)}")
        assert await walk(world, caller, first, Interaction.SEARCH, type_=type_) == expected
        answered += 1
        found_any += bool(expected)
    assert min(answered, denied, found_any) > CASES // 10


async def test_what_is_hidden_answers_as_what_is_not_there(clinic: tuple[World, Truth]) -> None:
    """A patient who asks through another's record, name or list gets the very answer that a made-up one gets."""
    world, _ = clinic
    ann = next(each for each in callers() if each.name == "ann *")
    for true, false in (
        ("Observation?subject:Patient.name=Fbob", "Observation?subject:Patient.name=Fzoe"),
        ("Observation?_list=l-cat", "Observation?_list=l-zoe"),
        ("Practitioner?_has:Observation:performer:patient=dan", "Practitioner?_has:Observation:performer:patient=zoe"),
    ):
        answers = []
        for asked in (true, false):
            type_, _, text = asked.partition("?")
            bundle = await world.search(ann.principal, type_, f"{text}&_total=accurate")
            answers.append((bundle["total"], ids(bundle)))
        if true.startswith("Observation?_list"):
            assert not {each for each in answers[0][1] if each not in answers[1][1]}
        assert answers[0] == answers[1], true


def across_search(rng: random.Random) -> tuple[tuple[str, ...], str]:
    """Types and conditions that all of them have."""
    types = tuple(rng.sample(COMPARTMENT, rng.randrange(1, 4)))
    choices = ["", "_security=urn:s|R", f"_id=o{rng.randrange(40)},c{rng.randrange(10)},ann", "_lastUpdated=gt2020"]
    if set(types) <= {"Observation", "Condition", "Appointment"}:
        choices += [f"patient={rng.choice(PATIENTS)}", f"patient.name=F{rng.choice(PATIENTS)}"]
    return types, rng.choice(choices)


async def test_several_types_at_once(clinic: tuple[World, Truth]) -> None:
    """A search over several types is the union of one over each; without a scope on every type it is refused whole."""
    world, truth = clinic
    rng = random.Random(29)
    everybody = callers()
    answered = denied = 0
    for _ in range(CASES // 2):
        caller = rng.choice(everybody)
        types, text = across_search(rng)
        asked = f"_type={','.join(types)}" + (f"&{text}" if text else "")
        if not caller.allows("*"):
            with pytest.raises(Denied):
                await world.search_across(caller.principal, asked)
            denied += 1
            continue
        visible = [each for each in truth.current() if truth.sees(caller, each)]
        conditions = pairs(text.encode())
        expected = {name for each in types for name in refs(oracle.search(visible, each, conditions))}
        found = await world.search_across(caller.principal, f"{asked}&_count=1000")
        assert ids(found) == expected, (caller.name, asked)
        assert found["total"] == len(expected)
        first = await world.search_across(caller.principal, f"{asked}&_count={rng.randrange(1, 5)}")
        assert await walk(world, caller, first, Interaction.SEARCH_SYSTEM) == expected
        answered += 1
    assert min(answered, denied) > CASES // 20


async def test_compartments(clinic: tuple[World, Truth]) -> None:
    """A compartment holds what names the patient and the caller may see; its paths tell nothing of hidden records."""
    world, truth = clinic
    rng = random.Random(31)
    for caller in callers():
        visible = [each for each in truth.current() if truth.sees(caller, each)]
        for who in (*PATIENTS, "zoe"):
            inside = [each for each in visible if oracle_links.within(each, who)]
            for type_ in COMPARTMENT:
                await _check_type(world, caller, inside, who=who, type_=type_, rng=rng)
            await _check_all(world, caller, inside, who)


async def _check_type(
    world: World, caller: Caller, inside: list[Resource], *, who: str, type_: str, rng: random.Random
) -> None:
    text = rng.choice(("", "_security=urn:s|R", "_id:missing=false"))
    asked = world.search_across(caller.principal, text, who, type_)
    if not caller.allows(type_):
        with pytest.raises(Denied):
            await asked
        return
    expected = refs(oracle.search(inside, type_, pairs(text.encode())))
    found = await asked
    assert ids(found) == expected, (caller.name, who, type_, text)
    assert found["total"] == len(expected)
    first = await world.search_across(caller.principal, "&".join(filter(None, (text, "_count=2"))), who, type_)
    assert await walk(world, caller, first, Interaction.SEARCH, type_=type_, id_=who) == expected


async def _check_all(world: World, caller: Caller, inside: list[Resource], who: str) -> None:
    found: dict[str, Any] = await world.search_across(caller.principal, "_count=1000", who)
    assert ids(found) == refs(inside), (caller.name, who)
    assert found["total"] == len(inside)
    first = await world.search_across(caller.principal, "_count=3", who)
    assert await walk(world, caller, first, Interaction.SEARCH_SYSTEM, id_=who) == refs(inside)
