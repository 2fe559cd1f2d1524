"""Search by patient, code and date without HTTP: the product's capsules against the rival's index tables.

Both return the JSON of every match, newest ones of a code in one record (about three). `cold` is the first search in
each patient's record after both stores were opened anew; `hot` are searches after that, in another order each round.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Any

import orjson
from rival import Rival
from rounds import Rounds, ratios, timed
from verdict import measure
from world import WHO, open_store

from medlock.access.decide import decide
from medlock.clock import instant
from medlock.fhir.form import pairs
from medlock.fhir.grammar import parse_search
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import Interaction, Question
from medlock.records.drafts import Draft
from medlock.records.hits import Finder
from medlock.records.opening import Records
from medlock.records.reach import Reach, reach_of

_WANTED = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """One search: for the rival its terms, for the product the parsed query."""

    patient: str
    system: str
    code: str
    since: int
    query: SearchQuery


def wishes(drafts: Iterable[Draft]) -> list[Wish]:
    """For each patient and code with more Observations than wanted: the latest of them."""
    times: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for draft in drafts:
        if draft.type == "Observation" and draft.values is not None:
            codes = [(system, code) for param, system, code in draft.values.tokens if param == "code"]
            since = [low for param, low, _ in draft.values.dates if param == "date"]
            if codes and since:
                times[draft.patients[0], *codes[0]].append(since[0])
    return [_wish(*key, sorted(found)[-_WANTED]) for key, found in sorted(times.items()) if len(found) > _WANTED]


def _wish(patient: str, system: str, code: str, since: int) -> Wish:
    text = f"patient={patient}&code={system}|{code}&date=ge{instant(since)}"
    query = parse_search("Observation", pairs(text.encode()), now_ms=0, max_count=1_000)
    return Wish(f"Patient/{patient}", system, code, since, query)


class Contest:
    """Both stores open, asked the same in turn."""

    def __init__(self, records: Records, rival: Rival, reach: Reach) -> None:
        self._records = records
        self._rival = rival
        self._reach = reach

    async def ours(self, wish: Wish) -> list[bytes]:
        """The product's answer, as `records.search` finds it."""
        finder = Finder(self._records.vault, self._reach, prove_later=True)
        hits = await finder.find(wish.query)
        opened = await self._records.vault.fetch([hit.row for hit in hits], finder.unproven)
        return [each.body for each in opened if each]

    def theirs(self, wish: Wish) -> list[bytes]:
        """The rival's answer."""
        return self._rival.observations(wish.patient, wish.system, wish.code, wish.since)

    async def demand_equal(self, wanted: Iterable[Wish]) -> int:
        """How many resources were found in all. Raises RuntimeError when the answers differ."""
        found = 0
        for wish in wanted:
            ours, theirs = ids_of(await self.ours(wish)), ids_of(self.theirs(wish))
            if ours != theirs:
                raise RuntimeError("the two stores give different answers")
            found += len(ours)
        return found

    async def round(self, wanted: Sequence[Wish], kept: Rounds) -> None:
        """Each search on both, one right after the other; every one in a turn of the event loop of its own."""
        walls, cpus = [0, 0], [0, 0]
        for wish in wanted:
            await asyncio.sleep(0)
            marks = [(perf_counter_ns(), thread_time_ns())]
            await self.ours(wish)
            marks.append((perf_counter_ns(), thread_time_ns()))
            self.theirs(wish)
            marks.append((perf_counter_ns(), thread_time_ns()))
            for at in (0, 1):
                walls[at] += marks[at + 1][0] - marks[at][0]
                cpus[at] += marks[at + 1][1] - marks[at][1]
        for at, name in enumerate(("protected", "eav")):
            kept.add(name, timed(len(wanted), walls[at], cpus[at]))


@asynccontextmanager
async def contest(data_dir: Path, rival_path: Path, wish: Wish) -> AsyncIterator[Contest]:
    """Both stores, opened anew."""
    async with open_store(data_dir) as records:
        grant = decide(WHO, Question(Interaction.SEARCH, "Observation", query=wish.query))
        yield Contest(records, Rival(rival_path), await reach_of(records.vault, grant))


async def search_measures(data_dir: Path, rival_path: Path, drafts: list[Draft], rounds: int) -> list[dict[str, Any]]:
    """Hot and cold, after both were found to give the same answers."""
    wanted, rng = wishes(drafts), random.Random(1)
    cold, hot = Rounds(), Rounds()
    for _ in range(rounds):
        async with contest(data_dir, rival_path, wanted[0]) as both:
            await both.round(list({wish.patient: wish for wish in rng.sample(wanted, len(wanted))}.values()), cold)
    async with contest(data_dir, rival_path, wanted[0]) as both:
        mean = await both.demand_equal(wanted) / len(wanted)
        for _ in range(rounds):
            await both.round(rng.sample(wanted, len(wanted)), hot)
    return [_measure("search", hot, mean), _measure("search_cold", cold, mean)]


def _measure(name: str, kept: Rounds, mean: float) -> dict[str, Any]:
    found = kept.medians()
    compared = ratios(found, "protected", "eav")
    return measure(name, compared["by_wall"], **compared, mean_results=round(mean, 2), **found)


def ids_of(bodies: Iterable[bytes]) -> list[str]:
    """The ids of resources, sorted."""
    return sorted(orjson.loads(body)["id"] for body in bodies)
