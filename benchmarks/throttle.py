"""What limits cost those who keep to them, and what one caller who does not costs the others.

`limit_cost` is the processor time of counting one GET: account, app, patient, weight, the header that says what is
left, and the patients seen. Beside it stand the figures of a server that counts and of one that does not, in rounds by
turns. `limit_abuse` is the 95th percentile of a caller's GETs while another, over its limit, goes on asking over many
connections, divided by that of quiet rounds.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from corpus import Corpus
from http_reads import fetch_patients, run_rounds
from machine import CLIENT_CORE, pinned
from rounds import Figures, interleaved
from servers import RATES, Bench, Server, make_token
from verdict import measure

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.clock import Clock
from medlock.fhir.question import Interaction, Question
from medlock.settings import rates_of
from medlock.web.costs import patient_named, weight
from medlock.web.limits.limiter import Limiter, Nobody
from medlock.web.limits.patients import Patients
from medlock.web.limits.shares import Filling
from medlock.web.whole import block

ABUSERS = 32
VICTIMS = 4
SETTLE_SECONDS = 1.0


def limit_measures(bench: Bench, corpus: Corpus, *, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Both measures."""
    with ExitStack() as running:
        servers = [_server(bench, running, name, rates) for name, rates in (("counted", RATES), ("off", "all=off"))]
        for server in servers:
            bench.ask(server, [server.post("", bundle) for bundle in corpus.put], once=True, connections=1)
        ids = fetch_patients(servers[0])
        requests = {server.name: [server.get(f"Patient/{each}") for each in ids] for server in servers}
        cost = run_rounds(bench, servers, requests, rounds, seconds)
    return [measure("limit_cost", _counting_us(), **cost), _abuse(bench, corpus, rounds, seconds)]


def _counting_us() -> float:
    """Microseconds of processor time for all that is counted in a GET; the least of several runs."""
    told, clock, rates = Nobody(), Clock(), rates_of(RATES)
    limiter = Limiter(rates, Filling(None, told.alone), clock, told)
    patients, question = Patients(rates, clock, told), Question(Interaction.READ, "Patient", "p1")
    scopes = parse_scopes("user/*.rs")
    principal = mint_principal("dr", frozenset({Role.CLINICIAN}), scopes, client="app")
    asyncio.run(limiter.charge(principal, 1))
    asyncio.run(limiter.rest(principal, 1, "p1"))

    def count() -> None:
        left = limiter.at_once(principal)
        limiter.rest_at_once(principal, weight(question), patient_named(question))
        patients.saw(principal, [7])
        block([(b"ratelimit", left or b"")])

    times = []
    for _ in range(9):
        began = time.process_time()
        for _ in range(20_000):
            count()
        times.append((time.process_time() - began) / 20_000)
    return min(times) * 1e6


def _server(bench: Bench, running: ExitStack, name: str, rates: str) -> Server:
    """A server with these limits."""
    with _limits(rates):
        return running.enter_context(bench.medlock(bench.fresh(name), name=name))


def _abuse(bench: Bench, corpus: Corpus, rounds: int, seconds: float) -> dict[str, Any]:
    """A program with a limit of 100 a minute that goes on asking, beside a person."""
    data_dir = bench.fresh("abused")
    with _limits(f"{RATES} backend=100/m"), bench.medlock(data_dir) as server:
        bench.ask(server, [server.post("", bundle) for bundle in corpus.put], once=True, connections=1)
        ids = fetch_patients(server)
        token = make_token(data_dir, "--role", "backend", "--scope", "system/*.rs")
        abuser = replace(server, token=token)
        theirs = bench.fresh("abuse.msgpack")
        theirs.write_bytes(msgspec.msgpack.encode([abuser.get(f"Patient/{each}") for each in ids]))
        wanted = [server.get(f"Patient/{each}") for each in ids]

        def quiet() -> Figures:
            return bench.ask(server, wanted, seconds=seconds, connections=VICTIMS)

        def abused() -> Figures:
            with _asking(abuser, theirs, seconds + 2 * SETTLE_SECONDS):
                return quiet()

        found = interleaved({"quiet": quiet, "abused": abused}, rounds)
    ratio = found["abused"]["p95_us"] / found["quiet"]["p95_us"]
    return measure("limit_abuse", round(ratio, 3), **found)


@contextmanager
def _asking(server: Server, requests: Path, seconds: float) -> Iterator[None]:
    """Somebody who asks over and over, whatever the answers are, for the length of a block."""
    job = {
        "host": server.host, "port": server.port, "ca": server.ca, "pids": [server.pid], "requests": str(requests),
        "connections": ABUSERS, "seconds": seconds, "warm": 0.0, "once": False,
    }  # fmt: skip
    command = [sys.executable, str(Path(__file__).parent / "client.py")]
    with pinned(CLIENT_CORE):
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        if client.stdin is not None:
            client.stdin.write(json.dumps(job) + "\n")
            client.stdin.flush()
        time.sleep(SETTLE_SECONDS)  # until it has started and its first refusals are behind it
        yield
    finally:
        client.kill()
        client.wait()


@contextmanager
def _limits(rates: str) -> Iterator[None]:
    """Servers that are started meanwhile have these."""
    before = os.environ.get("MEDLOCK_RATES", "")
    os.environ["MEDLOCK_RATES"] = rates
    try:
        yield
    finally:
        os.environ["MEDLOCK_RATES"] = before
