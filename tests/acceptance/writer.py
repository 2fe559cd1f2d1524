"""A process that writes until it dies: `python -m acceptance.writer DIRECTORY TASK ARGUMENTS…`, run in tests/.

write SEED       several callers at once write through the door for ever; each write is told on stdout once it is
                 acknowledged, as one JSON line
shred POINT      erase the patient `erin`, and die by SIGKILL at a point of it
rotate POINT     rotate everybody's key, and die by SIGKILL at a point of it
ratchet STEPS    wrap all keys anew, and die after so many batches of one key
fill             write until the disk is full, then ask for something, then be given room; tell what happened
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from acceptance.scene import eraser, tokens_of, weight
from medlock.access.principal import Role
from medlock.errors import MedlockError
from medlock.fhir.question import Interaction
from medlock.oauth.requests import TokenRequest
from medlock.records.rotate import ALL, Rotator
from medlock.records.shred import Shredder
from medlock.store import ratchet
from records.world import World, clinician, open_world

CALLERS = 4
PATIENTS = ("ann", "bob", "cat", "dan")
GROUP = 12  # resources in a transaction


def tell(**fact: Any) -> None:
    """One line that the parent has, whatever happens next."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def die() -> None:
    """Without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


async def do_write(world: World, seed: str) -> None:
    """Callers who never stop."""
    for name in PATIENTS:
        if await world.vault.any_slot(name) is None:
            await world.put({"resourceType": "Patient", "id": name})
            tell(kind="put", id=f"Patient/{name}", version="1", value=None)
    await asyncio.gather(*(_call(world, f"{seed}-{n}", Random(f"{seed}-{n}")) for n in range(CALLERS)))


async def _call(world: World, name: str, rng: Random) -> None:
    """One caller: single writes, updates of what was written, transactions, deletes, tokens."""
    mine: list[str] = []
    for number in count():
        way = rng.choices([_put, _update, _delete, _transact, _token], [5, 5, 2, 3, 1])[0]
        await way(world, f"{name}-{number}", mine, rng)


async def _put(world: World, name: str, mine: list[str], rng: Random) -> None:
    await _write(world, name, rng)
    mine.append(name)


async def _update(world: World, name: str, mine: list[str], rng: Random) -> None:
    await _write(world, rng.choice(mine) if mine else name, rng)


async def _write(world: World, id_: str, rng: Random) -> None:
    value = rng.randrange(10**6)
    shown = await world.put(weight(id_, rng.choice(PATIENTS), value))
    tell(kind="put", id=f"Observation/{id_}", version=shown["meta"]["versionId"], value=value)


async def _delete(world: World, _: str, mine: list[str], rng: Random) -> None:
    if mine:
        id_ = mine.pop(rng.randrange(len(mine)))
        await world.ask(clinician(), Interaction.DELETE, "Observation", id_)
        tell(kind="delete", id=f"Observation/{id_}")


async def _transact(world: World, name: str, _: list[str], rng: Random) -> None:
    values = [rng.randrange(10**6) for _ in range(GROUP)]
    entries = [
        {"resource": weight(f"{name}.{n}", rng.choice(PATIENTS), value),
         "request": {"method": "PUT", "url": f"Observation/{name}.{n}"}}
        for n, value in enumerate(values)
    ]  # fmt: skip
    await world.transact(entries)
    tell(kind="group", id=f"Observation/{name}", values=values)


async def _token(world: World, name: str, *_: object) -> None:
    issued = await tokens_of(world).create(TokenRequest(Role.CLINICIAN, "root", account=name))
    tell(kind="token", secret=issued.secret, account=name)


async def do_shred(world: World, point: str) -> None:
    """Erase and die."""
    _fuse(world, point)
    await Shredder(world.vault, world.log, world.clock).shred(eraser(), "erin")


async def do_rotate(world: World, point: str) -> None:
    """Rotate and die."""
    rotator = Rotator(world.vault, world.log, world.clock, world.directory, "root", drain=0)
    _fuse(world, point)
    await rotator.rotate(ALL, lambda _done, _total: None)


def _fuse(world: World, point: str) -> None:
    """Have the process die at a point: before or after a call, the first of its kind or (of note) the second."""
    when, _, what = point.partition(" ")
    name = what.split()[0]
    owner = world.backend if name in {"commit", "scrub"} else world.keystore
    setattr(owner, name, _fused(getattr(owner, name), when, what.endswith("note")))


def _fused(act: Callable[..., Any], when: str, second: bool) -> Callable[..., Any]:
    """The same act, during which the machine loses power: before or after it, at the first or second call."""
    calls = count()

    def fused(*arguments: Any) -> Any:
        now = next(calls) == int(second)
        if now and when == "before":
            die()
        done = act(*arguments)
        return _then_die(done) if now else done

    async def _then_die(done: Awaitable[Any]) -> None:
        await done
        die()

    def plain(*arguments: Any) -> None:
        if when == "before":
            die()
        act(*arguments)
        die()

    return fused if asyncio.iscoroutinefunction(act) else plain


async def do_ratchet(world: World, steps: str) -> None:
    """Wrap anew and die."""
    ratchet.BATCH = 1
    world.keystore.ratchet(lambda done, _: die() if done >= int(steps) else None)


async def do_fill(world: World) -> None:
    """Meet the end of the disk: no file may grow beyond a little more than what there is."""
    largest = max(path.stat().st_size for path in world.directory.iterdir())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 200_000, hard))
    written, write = await _until_refused(lambda number: world.put(weight(f"fill{number}", "erin", number)))
    _, read = await _until_refused(lambda _: world.read(clinician(), "Patient/erin"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    again = await _refusal(world.put(weight("after", "erin", 1)))
    tell(written=written, write=write, read=read, again=again)
    await world.close()


async def _until_refused(ask: Callable[[int], Awaitable[Any]]) -> tuple[int, list[str]]:
    """How many questions went well before the first that did not, and what it was told."""
    for number in count():
        refusal = await _refusal(ask(number))
        if refusal is not None:
            return number, refusal
    raise AssertionError


async def _refusal(asked: Awaitable[Any]) -> list[str] | None:
    """The kind and sentence of a refusal; None when it went well."""
    try:
        await asked
    except MedlockError as refusal:
        return [type(refusal).__name__, str(refusal)]
    return None


TASKS = {"write": do_write, "shred": do_shred, "rotate": do_rotate, "ratchet": do_ratchet, "fill": do_fill}


async def main(directory: str, task: str, *arguments: str) -> None:
    """Do one task in one directory."""
    world = await open_world(Path(directory))
    tell(ready=True)
    await TASKS[task](world, *arguments)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
