"""Residual rules asked of columns and of bodies: columns never hide what bodies admit, and where they decide, they agree."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from medlock.access.residual import AllOf, AnyOf, Asked, Met, Rule, Seen, Unless, holds
from medlock.fhir.form import pairs
from medlock.fhir.grammar import parse_search
from medlock.records.columns import exact, possible
from medlock.records.indexing import TYPE_NUMBERS
from medlock.store.tables import Table
from records.test_scope_oracle import Clinic
from records.world import World, open_world

RULES = 5_000 if os.environ.get("MEDLOCK_THOROUGH") == "1" else 400
QUERIES = (
    "category=a", "category=http://c.example|b", "category=http://c.example|", "status=final", "code=k1,k2", "code:not=k1",
    "date=ge2024-03-01", "date:missing=true", "date=2024-02", "_tag=http://t|x", "_id=o1,o2,o3", "performer:missing=true",
    "performer=Practitioner/p1", "_security=http://s|R", "code:text=kay", "_lastUpdated=ge2000", "has-member=Observation/o1",
)  # fmt: skip


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A clinic at random."""
    world = await open_world(tmp_path / "data")
    await Clinic(world, 11).fill()
    yield world
    await world.close()


def rule(rng: random.Random, depth: int = 3) -> Rule:
    """A rule at random."""
    kind = rng.choice(("met", "met", "all", "any", "unless", "asked")) if depth else "met"
    if kind == "met":
        text = "&".join(rng.sample(QUERIES, rng.choice((1, 1, 2))))
        return Met(parse_search("Observation", pairs(text.encode()), now_ms=0, max_count=0).conditions)
    if kind == "unless":
        return Unless(rule(rng, depth - 1))
    if kind == "asked":
        return Asked(lambda seen: seen.meta.version == 1)
    rules = tuple(rule(rng, depth - 1) for _ in range(rng.randint(0, 3)))
    return AllOf(rules) if kind == "all" else AnyOf(rules)


async def test_columns_and_bodies_never_contradict_each_other(world: World) -> None:
    """For rules of every shape: a row that columns hide is one whose body refuses, and `exact` means exactly that."""
    rng = random.Random(5)
    planner, decided, hidden = world.vault.planner, 0, 0
    stored = []
    for slot in world.vault.directory.slots():
        for segment in (await world.vault.capsules.open(slot)).view():
            rows = [
                at
                for at in range(len(segment))
                if segment.alive[at] and segment.rows["type"][at] == TYPE_NUMBERS["Observation"]
            ]
            for at in rows:
                rid = int(segment.rids[at])
                ct = await world.backend.get(Table.BODY, rid)
                assert ct is not None
                opened = await world.vault.open(rid, ct)
                stored.append((segment, at, Seen(opened.meta, b"", orjson.loads(opened.body))))
    assert len(stored) > 15
    for _ in range(RULES):
        asked = rule(rng)
        sure = exact(planner, asked, "Observation")
        decided += sure
        masks = {id(segment): possible(planner, asked, "Observation", segment) for segment, _, _ in stored}
        for segment, at, seen in stored:
            shown, held = bool(masks[id(segment)][at]), holds(asked, seen)
            assert shown or not held, asked
            assert not sure or shown is held, asked
            hidden += not shown
    assert decided > RULES // 10
    assert hidden > RULES
