"""Crash test: killed at any moment, nothing that was acknowledged is lost and nothing is half there."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from acceptance.scene import DATA, SCALE, end, shred, tokens_of, weight
from acceptance.verifier import offline
from acceptance.writer import GROUP
from medlock.audit.events import Outcome
from medlock.audit.search import AuditQuery
from medlock.errors import Gone, NotFound
from medlock.records.shred import Shredder
from medlock.store.keyring import KeyDestroyed
from records.world import World, clinician, open_world

POWERLESS = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 and which("setpriv") else []
"""Makes root an owner like any other, to whom file modes apply."""
TESTS = Path(__file__).parents[1]
KILLS = 20 * SCALE
POINTS = ["before commit", "after commit", "before destroy", "after destroy", "before scrub", "after scrub",
          "before commit of note", "after commit of note"]  # fmt: skip


def started(directory: Path, *task: str, **more: Any) -> subprocess.Popen[str]:
    """A writing process."""
    command = [sys.executable, "-m", "acceptance.writer", str(directory), *task]
    return subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


@asynccontextmanager
async def reopened(directory: Path) -> AsyncIterator[World]:
    """The directory as the next process finds it, after what a start does."""
    world = await open_world(directory)
    await Shredder(world.vault, world.log, world.clock).resume()
    yield world
    await world.close()


@dataclass
class Acknowledged:
    """What the writers were told is safe: what each resource must at least be."""

    versions: dict[str, tuple[int, float | None]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    secrets: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def take(self, line: str) -> None:
        """One line of a writer."""
        fact = json.loads(line)
        self.count += 1
        if fact["kind"] == "put":
            self.versions[fact["id"]] = int(fact["version"]), fact["value"]
        elif fact["kind"] == "delete":
            self.deleted.add(fact["id"])
        elif fact["kind"] == "group":
            self.groups.add(fact["id"])
            self.versions |= {f"{fact['id']}.{n}": (1, value) for n, value in enumerate(fact["values"])}
        else:
            self.secrets[fact["secret"]] = fact["account"]

    async def check(self, world: World) -> None:
        """Every one of them is there. An unacknowledged write may have come after it: then the version is higher."""
        for reference, (version, value) in self.versions.items():
            try:
                found = await world.read(clinician(), reference)
            except Gone:
                continue  # deleted, acknowledged or not
            assert reference not in self.deleted
            assert int(found["meta"]["versionId"]) >= version
            if int(found["meta"]["versionId"]) == version and value is not None:
                assert found["valueQuantity"]["value"] == value
        for secret, account in self.secrets.items():
            assert (await tokens_of(world).authenticate(secret)).account == account


def run_and_kill(directory: Path, rng: random.Random, safe: Acknowledged) -> None:
    """Let a writer write for a while, then kill it at a moment of no significance."""
    process = started(directory, "write", str(rng.random()))
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline()) == {"ready": True}
        for _ in range(rng.randrange(45, 80)):
            safe.take(process.stdout.readline())
        time.sleep(rng.random() * 0.02)
    finally:
        process.kill()
    rest, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):
            safe.take(line)


async def no_half_groups(world: World, safe: Acknowledged) -> int:
    """Of every transaction all is there, or nothing; returns how many were looked at."""
    groups = {
        reference.rpartition(".")[0] for reference in await references(world) if "." in reference.split("-", 2)[-1]
    }
    for group in groups | safe.groups:
        found = [await there(world, f"{group}.{n}") for n in range(GROUP)]
        assert len(set(found)) == 1, group
    return len(groups)


async def there(world: World, reference: str) -> bool:
    """Whether a resource is there."""
    try:
        await world.read(clinician(), reference)
    except NotFound:
        return False
    return True


async def references(world: World) -> set[str]:
    """Every resource in the store, with how many versions it has, as `Type/id/version`."""
    found: set[str] = set()
    for slot in [0, *world.vault.directory.slots()]:
        rows = list((await world.vault.capsules.open(slot)).rows())
        for opened in await world.vault.fetch([row for row in rows if row.slot == slot]):
            assert opened is not None
            found.add(opened.meta.reference)
    return found


async def versions_in_store(world: World) -> set[tuple[str, int]]:
    """Every version of every resource."""
    found: set[tuple[str, int]] = set()
    for reference in await references(world):
        opened = await world.vault.current(*reference.split("/"))
        assert opened is not None
        for number in range(1, opened.meta.version + 1):
            assert await world.vault.version(opened, number) is not None
            found.add((reference, number))
    return found


async def versions_in_log(world: World) -> list[tuple[str, int]]:
    """Every version that an event says was written."""
    events = await world.log.find(AuditQuery(outcome=Outcome.SUCCESS, limit=10**6))
    touched = [each for recorded in events for each in recorded.event.touched]
    return [(each.reference, each.version) for each in touched if each.crud != "R"]


async def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    """20 kills in 1,000 writes: all acknowledged are there, no transaction is half there, log and store agree."""
    directory, rng, safe = tmp_path / "data", random.Random(7), Acknowledged()
    for _ in range(KILLS):
        run_and_kill(directory, rng, safe)
        assert await offline(directory).verify() == []
        async with reopened(directory) as world:
            await world.put({"resourceType": "Patient", "id": "ann"})
    async with reopened(directory) as world:
        await safe.check(world)
        assert await no_half_groups(world, safe) > 20
        logged = await versions_in_log(world)
        assert len(logged) == len(set(logged))
        assert set(logged) == await versions_in_store(world)
    assert safe.count >= 1_000
    assert await offline(directory).verify() == []


async def with_erin(directory: Path) -> None:
    """A directory with a patient to be erased, and what hangs on her."""
    world = await open_world(directory)
    for name in ("erin", "ann"):
        await world.put({"resourceType": "Patient", "id": name})
    for number in range(20):
        await world.put(weight(f"e{number}", "erin", number, performer=[{"reference": "Patient/ann"}]))
        await world.put(weight(f"a{number}", "ann", number))
    await world.put(weight("e0", "ann", 7))
    await end(world)


@pytest.mark.parametrize("point", POINTS)
async def test_an_erasure_that_was_killed_is_finished(tmp_path: Path, point: str) -> None:
    """Wherever it dies, verification finds nothing, and the next start ends it: all of it, or none if it had not begun."""
    directory = tmp_path / "data"
    await with_erin(directory)
    process = started(directory, "shred", point)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert await offline(directory).verify() == []
    async with reopened(directory) as world:
        begun = point != "before commit"
        assert await there(world, "Patient/erin") is not begun
        assert await there(world, "Observation/e1") is not begun
        assert await there(world, "Observation/a1")
        if begun:
            with pytest.raises(KeyDestroyed):
                world.keystore.keys(max(set(await positions(world)) - set(world.vault.directory.slots()) - {0}))
        else:
            await shred(world, "erin")
    assert await offline(directory).verify() == []


async def positions(world: World) -> list[int]:
    """Slots that ever had an index."""
    events = await world.log.find(AuditQuery(limit=10**6))
    return [each.event.position.slot for each in events if each.event.position is not None]


@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_a_ratchet_that_was_killed_is_finished(tmp_path: Path, steps: int) -> None:
    """With some keys under the new epoch and some under the old, everything opens; the next ratchet ends it."""
    directory = tmp_path / "data"
    await with_erin(directory)
    process = started(directory, "ratchet", str(steps))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert await offline(directory).verify() == []
    async with reopened(directory) as world:
        assert world.keystore.status().rotating
        world.keystore.ratchet()
        assert not world.keystore.status().rotating
        assert await there(world, "Observation/e1")
    assert await offline(directory).verify() == []


async def test_a_full_disk_is_said_and_overcome(tmp_path: Path) -> None:
    """What finds no room is refused in a sentence, reads too: they cannot be logged. With room it goes on, all well."""
    directory = tmp_path / "data"
    await with_erin(directory)
    process = started(directory, "fill")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    _, told = map(json.loads, output.splitlines())
    for kind, sentence in (told["write"], told["read"]):
        assert kind == "Unavailable"
        assert "cannot be written now" in sentence
    assert told["again"] is None
    async with reopened(directory) as world:
        assert await there(world, f"Observation/fill{told['written'] - 1}")
        assert not await there(world, f"Observation/fill{told['written']}")
        assert await there(world, "Observation/after")
    assert await offline(directory).verify() == []


@pytest.mark.skipif(not POWERLESS and os.geteuid() == 0, reason="root may write anywhere, and there is no setpriv")
def test_a_read_only_directory_is_refused_in_a_sentence() -> None:
    """Whoever may not write there is told what to change, and the files are as they were."""
    root = Path(tempfile.mkdtemp(prefix="medlock-read-only-"))
    try:
        root.chmod(0o755)
        asyncio.run(with_erin(root / "data"))
        before = (root / "data" / DATA).read_bytes()
        for path in (*root.rglob("*"), root):
            path.chmod(0o555 if path.is_dir() else 0o444)
        environ = {"PATH": os.environ["PATH"], "MEDLOCK_PASSPHRASE_FILE": str(root / "data.passphrase")}
        command = [*POWERLESS, sys.executable, "-c", "from medlock.cli import main; main()"]
        command += ["verify", "--data-dir", str(root / "data")]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 3, done.stderr
        assert done.stderr.startswith("medlock: ")
        assert "writable" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert (root / "data" / DATA).read_bytes() == before
    finally:
        root.chmod(0o755)
        for path in root.rglob("*"):
            path.chmod(0o755)
        shutil.rmtree(root)
