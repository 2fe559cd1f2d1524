"""What a second worker brings: protected GETs with one worker and with two, on the same two cores.

The client needs processor time as well, and takes it from two workers: their rate is counted as if it had used none,
`per_second * cores / (cores - what the client used)`. With one worker nobody is in the client's way. `by_cpu` is the
most that two cores could bring: twice what an answer costs with one worker, divided by what it costs with two.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

from corpus import Corpus
from http_reads import fetch_patients, run_rounds
from machine import CLIENT_CORE, SERVER_CORE
from postgres import databases_of, stored_in
from rounds import Figures
from servers import Bench, Server
from verdict import measure

CONNECTIONS = 64  # so that each worker has enough to do while the other commits
CORES = tuple(dict.fromkeys((SERVER_CORE, CLIENT_CORE)))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked how often."""

    bench: Bench
    corpus: Corpus
    rounds: int
    seconds: float


def workers_measures(bench: Bench, corpus: Corpus, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """On the file, and on PostgreSQL."""
    plan = Plan(bench, corpus, rounds, seconds)
    found = [_measured("workers", plan, nullcontext)]
    with databases_of(bench.fresh("postgres")) as databases:
        found.append(_measured("workers_postgres", plan, lambda: stored_in(databases.fresh())))
    return found


def _measured(name: str, plan: Plan, store: Callable[[], AbstractContextManager[None]]) -> dict[str, Any]:
    bench, servers = plan.bench, []
    with ExitStack() as running:
        for label, workers in (("one", 1), ("two", 2)):
            with store():
                entered = bench.medlock(bench.fresh(name), name=label, workers=workers, cores=CORES)
                servers.append(running.enter_context(entered))
        for server in servers:
            bench.ask(server, [server.post("", bundle) for bundle in plan.corpus.put], once=True, connections=1)
        found = run_rounds(bench, servers, _gets(servers), plan.rounds, plan.seconds, CONNECTIONS)
    value = counted(found["two"]) / found["one"]["per_second"]
    by_cpu = round(len(CORES) * found["one"]["cpu_us"] / found["two"]["cpu_us"], 3)
    by_wall = round(found["two"]["per_second"] / found["one"]["per_second"], 3)
    return measure(name, value, by_wall=by_wall, by_cpu=by_cpu, **found)


def counted(figures: Figures) -> float:
    """Answers a second, had the client used no processor time."""
    client = figures["client_us"] * figures["per_second"] / 1e6
    return float(figures["per_second"]) * len(CORES) / (len(CORES) - client)


def _gets(servers: list[Server]) -> dict[str, list[bytes]]:
    idents = fetch_patients(servers[0])
    idents *= -(-CONNECTIONS // len(idents))  # the client opens no more connections than it has requests
    return {server.name: [server.get(f"Patient/{each}") for each in idents] for server in servers}
