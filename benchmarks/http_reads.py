"""GET and a page of 50 over HTTP: the product, the same server with parts taken out, and a bare handler."""

from __future__ import annotations

import json
import ssl
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from corpus import Corpus
from rounds import Figures, interleaved, ratios
from servers import Bench, Server
from verdict import measure

CONNECTIONS = 16


def read_measures(bench: Bench, corpus: Corpus, *, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """GET against bare Starlette (plain and TLS), unprotected and unsealed; the page against unprotected."""
    data_dir = bench.fresh("protected")
    with ExitStack() as running:
        protected = running.enter_context(bench.medlock(data_dir))
        servers = [protected, *(running.enter_context(bench.variant(name)) for name in ("unsealed", "unprotected"))]
        for server in servers:
            bench.ask(server, [server.post("", bundle) for bundle in corpus.put], once=True, connections=1)
        patients = fetch_patients(protected)
        bodies = bench.fresh("bodies.msgpack")
        bodies.write_bytes(msgspec.msgpack.encode({each: fetch(protected, f"Patient/{each}") for each in patients}))
        bare = running.enter_context(bench.variant("bare", bodies=bodies))
        gets = _gets(bench, [*servers, bare], patients, rounds, seconds)
        pages = _pages(bench, [protected, servers[2]], patients, rounds, seconds)
    secure = _gets_over_tls(bench, data_dir, bodies, patients, rounds, seconds)
    return [
        _measure("get_bare_tls", secure, "bare"),
        _measure("get_bare_plain", gets, "bare"),
        _measure("get_unprotected", gets, "unprotected"),
        _measure("get_unsealed", gets, "unsealed"),
        _measure("page", pages, "unprotected"),
    ]


def _measure(name: str, found: dict[str, Figures], below: str) -> dict[str, Any]:
    compared = ratios(found, "protected", below)
    return measure(name, compared["by_wall"], **compared, protected=found["protected"], **{below: found[below]})


def _gets(bench: Bench, servers: list[Server], ids: list[str], rounds: int, seconds: float) -> dict[str, Figures]:
    requests = {server.name: [server.get(f"Patient/{each}") for each in ids] for server in servers}
    return run_rounds(bench, servers, requests, rounds, seconds)


def run_rounds(
    bench: Bench,
    servers: list[Server],
    requests: dict[str, list[bytes]],
    rounds: int,
    seconds: float,
    connections: int = CONNECTIONS,
) -> dict[str, Figures]:
    """The same kind of request to several servers in turn."""

    def ask(server: Server) -> Figures:
        return bench.ask(server, requests[server.name], seconds=seconds, connections=connections)

    return interleaved({server.name: lambda server=server: ask(server) for server in servers}, rounds)


def _gets_over_tls(
    bench: Bench, data_dir: Path, bodies: Path, ids: list[str], rounds: int, seconds: float
) -> dict[str, Figures]:
    with bench.medlock(data_dir, tls=True) as protected, bench.variant("bare", tls=True, bodies=bodies) as bare:
        return _gets(bench, [protected, bare], ids, rounds, seconds)


def _pages(bench: Bench, servers: list[Server], ids: list[str], rounds: int, seconds: float) -> dict[str, Figures]:
    """Only patients with at least 50 Observations, so that every page is full."""
    target = "Observation?patient={}&_count=50"
    full = [each for each in ids if len(json.loads(fetch(servers[0], target.format(each))).get("entry", [])) == 50]
    requests = {server.name: [server.get(target.format(each)) for each in full] for server in servers}
    return run_rounds(bench, servers, requests, rounds, seconds)


def fetch_patients(server: Server) -> list[str]:
    """The ids of all patients."""
    found = json.loads(fetch(server, "Patient?_count=1000"))
    return [entry["resource"]["id"] for entry in found["entry"]]


def fetch(server: Server, target: str) -> bytes:
    """One answer, outside of any timing."""
    scheme, context = ("https", ssl.create_default_context(cafile=server.ca)) if server.ca else ("http", None)
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{scheme}://localhost:{server.port}/fhir/{target}", headers={"authorization": f"Bearer {server.token}"}
    )
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body
