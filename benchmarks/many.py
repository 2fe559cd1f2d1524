"""What many patients cost: memory and start-up of a worker with 50,000, and speed at ten times the patients."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from corpus import Corpus
from crowd import SYSTEM, crowds, patient_id
from http_reads import fetch, run_rounds
from machine import resident_bytes
from rounds import Figures, ratios
from servers import Bench, Server, make_token
from verdict import measure

_SAMPLE = 10_000
_TARGETS = {
    "growth_get": "Patient/{id}",
    "growth_search": "Observation?patient={id}",
    "growth_find": "Patient?identifier={system}|{number}",
}


def memory_measures(bench: Bench, corpus: Corpus, patients: int) -> list[dict[str, Any]]:
    """Start a server on a large directory; its memory after the first answer, and after many."""
    with crowds(corpus, [patients]) as (data_dir,):
        token = make_token(data_dir)
        began = time.perf_counter()
        with bench.medlock(data_dir, token=token) as server:
            fetch(server, f"Patient/{patient_id(0)}")
            started = time.perf_counter() - began
            first = resident_bytes(server.pid)
            for target in _TARGETS.values():
                bench.ask(server, _requests(server, target, patients), seconds=3.0)
            after = resident_bytes(server.pid)
    return [
        measure("memory", after / 1e6, patients=patients, at_first_answer_mb=first / 1e6, after_traffic_mb=after / 1e6),
        measure("start", started, patients=patients),
    ]


def growth_measures(
    bench: Bench, corpus: Corpus, sizes: list[int], *, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Three kinds of request to three servers in turn; each size against the one before it."""
    with crowds(corpus, sizes) as places, ExitStack() as running:
        servers = [
            running.enter_context(bench.medlock(place, name=str(size)))
            for place, size in zip(places, sizes, strict=True)
        ]
        return [_growth(bench, name, servers, rounds, seconds) for name in _TARGETS]


def _growth(bench: Bench, name: str, servers: list[Server], rounds: int, seconds: float) -> dict[str, Any]:
    requests = {server.name: _requests(server, _TARGETS[name], int(server.name)) for server in servers}
    found: dict[str, Figures] = run_rounds(bench, servers, requests, rounds, seconds)
    steps = {
        f"{large.name} over {small.name}": ratios(found, large.name, small.name) for small, large in pairwise(servers)
    }
    return measure(name, min(step["by_wall"] for step in steps.values()), steps=steps, **found)


def _requests(server: Server, target: str, patients: int) -> list[bytes]:
    """Requests about patients drawn at random."""
    rng = random.Random(3)
    numbers = rng.sample(range(patients), min(patients, _SAMPLE))
    return [server.get(target.format(id=patient_id(n), system=SYSTEM, number=f"{n:08d}")) for n in numbers]
