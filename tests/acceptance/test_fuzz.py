"""A mutation fuzzer for the FHIR API, over a socket, against the real server.

Valid requests over every route, method and parameter are mutated and sent by a clinician, a patient held to one record,
a privacy officer and a stranger. Whatever comes, no answer is a fault, tells of the inside, or shows the patient what
is planted in another's record; the process stays within its memory, and the store verifies when all is over.
MEDLOCK_FUZZ_REQUESTS says how many, MEDLOCK_FUZZ_SEED which.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from acceptance.fuzz_judge import Judge
from acceptance.fuzz_mutations import Mutator
from acceptance.fuzz_request import WRITES, Asked
from acceptance.fuzz_seeds import OWN, Seeds, World
from acceptance.fuzz_wire import Line, Silence
from acceptance.markers import Mint, record, transaction
from medlock.fhir.clinic import clinic
from web.running import Server, medlock, new_token, running

REQUESTS = int(os.environ.get("MEDLOCK_FUZZ_REQUESTS", "3000"))
SEED = int(os.environ.get("MEDLOCK_FUZZ_SEED", "1"))
SHOWN = int(os.environ.get("MEDLOCK_FUZZ_SHOWN", "10"))
LINES = 4
GROWTH_MIB = 256


@dataclass
class Scene:
    """The running server, its tokens, what the fuzzer knows, and the judge."""

    server: Server
    tokens: dict[str, str]
    world: World
    judge: Judge

    def line(self) -> Line:
        """A connection to it."""
        return Line("127.0.0.1", int(self.server.ready["url"].rpartition(":")[2]))

    def resident(self) -> int:
        """MiB of memory that the server holds."""
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024  # type: ignore[index] # it is there on Linux


def bundles(mint: Mint) -> list[dict[str, Any]]:
    """Three patients of the synthetic clinic, and one whose record is full of markers."""
    return [*clinic(12, 3, today=date(2026, 11, 23)), transaction(record(mint))]


def planted(mint: Mint, named: set[str]) -> re.Pattern[bytes]:
    """Every marker that is no id: ids are asked for, and an answer may repeat them."""
    return re.compile("|".join(re.escape(each) for each in mint.all() if each not in named).encode())


def search_parameters(server: Server) -> dict[str, list[tuple[str, str]]]:
    """Name and kind of every parameter, by type, as the server itself states them."""
    with server.client() as client:
        shown = client.get("metadata").json()["rest"][0]["resource"]
    return {each["type"]: [(one["name"], one["type"]) for one in each.get("searchParam", [])] for each in shown}


def scene_of(server: Server, loaded: list[dict[str, Any]], mint: Mint) -> Scene:
    """Tokens, and everything by its type."""
    resources, others = defaultdict(list), defaultdict(list)
    for bundle in loaded[:-1]:
        for entry in bundle["entry"]:
            resources[entry["resource"]["resourceType"]].append(entry["resource"])
    for each in (entry["resource"] for entry in loaded[-1]["entry"]):
        others[each["resourceType"]].append(each["id"])
    own = resources["Patient"][0]["id"]
    params = {type_: found or [("_id", "token")] for type_, found in search_parameters(server).items()}
    world = World(own, others["Patient"][0], dict(others), dict(resources), params)
    held = ("--role", "patient", "--patient", world.own, "--scope", "patient/*.cruds")
    roles = {"clinician": ("--role", "clinician"), "patient": held, "officer": ("--role", "privacy-officer")}
    tokens = {name: new_token(server.directory, *asked)[0] for name, asked in roles.items()}
    named = {each for kind in others.values() for each in kind}
    return Scene(server, tokens, world, Judge(planted(mint, named)))


@pytest.fixture
def scene(tmp_path: Path):
    """A loaded clinic being served; when all is over the server has nothing to complain of, and the store verifies."""
    mint = Mint(random.Random(SEED))
    loaded = bundles(mint)
    (tmp_path / "in").mkdir()
    for number, bundle in enumerate(loaded):
        (tmp_path / "in" / f"{number}.json").write_text(json.dumps(bundle))
    done = medlock(tmp_path / "data", "load", str(tmp_path / "in"))
    assert done.returncode == 0, done.stderr
    with running(tmp_path / "data", "--no-tls") as server:
        yield scene_of(server, loaded, mint)
    verified = medlock(tmp_path / "data", "verify")
    assert verified.returncode == 0, verified.stdout


def confined(asked: Asked, others: frozenset[str]) -> Asked:
    """A clinician may move what is the other patient's into any record; so such writes are sent by the patient, who may not."""
    whole = asked.address().decode("latin-1") + asked.content().decode("latin-1")
    by_criteria = asked.method in WRITES and "identifier=" + OWN not in whole
    writes = asked.method in {*WRITES, "POST"}
    touches = any(each in whole for each in others) or (by_criteria and asked.path.count("/") < 3)
    if asked.caller == "clinician" and writes and (touches or '"DELETE"' in whole or '"PATCH"' in whole):
        asked.caller = "patient"
    return asked


async def fuzz(scene: Scene, count: int, rng: random.Random) -> list[str]:
    """Send so many requests; what was wrong with the answers, each with its request."""
    seeds = Seeds(scene.world, rng, scene.judge.pages)
    mutator = Mutator(seeds, rng)
    found: list[str] = []
    others = frozenset(each for kind in scene.world.others.values() for each in kind)

    async def send() -> None:
        line = scene.line()
        nonlocal count
        while count > 0 and len(found) < SHOWN:
            count -= 1
            seeds.pages = scene.judge.pages
            found.extend(await answered(scene, line, confined(mutator.mutate(seeds.draw()), others)))
        line.close()

    await asyncio.gather(*(send() for _ in range(LINES)))
    return found


async def answered(scene: Scene, line: Line, asked: Asked) -> list[str]:
    """One request; what is wrong with its answer."""
    wire = asked.wire(scene.tokens)
    try:
        answer = await line.ask(wire, asked.method)
    except Silence as silence:
        return [f"no answer ({silence}) to {shown(wire)}"]
    return [
        f"{wrong}: {asked.caller} {shown(wire)} -> {answer.plain[:600]!r}"
        for wrong in scene.judge.wrongs(asked, answer)
    ]


def shown(wire: bytes) -> str:
    """A request without its token, so that it can be put among the vectors."""
    return repr(re.sub(rb"Bearer \S{20,}", b"Bearer T", wire)[:4000])


@pytest.mark.timeout(60 + REQUESTS // 10)
async def test_whatever_comes(scene: Scene) -> None:
    """No fault, no leak, errors that are OperationOutcomes, bounded memory, and a server that is alive at the end."""
    rng = random.Random(SEED)
    found = await fuzz(scene, REQUESTS // 10, rng)
    before = scene.resident()
    found += await fuzz(scene, REQUESTS - REQUESTS // 10, rng)
    assert not found, "\n\n".join(found)
    assert scene.server.healthy()
    assert scene.resident() - before < GROWTH_MIB
    statuses = scene.judge.counts
    assert {200, 201, 400, 401, 403, 404, 405, 422} <= statuses.keys()
    assert statuses[200] > REQUESTS // 20, statuses
    print(  # noqa: T201 - the figure of a long run
        f"{REQUESTS} requests, memory {before} -> {scene.resident()} MiB, {dict(sorted(statuses.items()))}"
    )
