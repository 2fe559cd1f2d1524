"""Sign-in: a look-up in the list of known passwords, what a hash costs, and what hashing does to everybody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import uvloop
from machine import SERVER_CORE, pinned
from verdict import measure

from medlock.crypto.passwords import hash_password
from medlock.identity.passwords.blocklist import shipped
from medlock.identity.slots import Slots

LOOK_UPS = 20_000
PEPPER = bytes(range(32))
SIGN_INS = 20
TICK = 0.002  # seconds between turns of the loop that is watched


def identity_measures(rounds: int) -> list[dict[str, Any]]:
    """On one core, where hashing and answering compete."""
    with pinned(SERVER_CORE):
        look_up, hash_ms = _look_up(rounds), _hash_ms()
        quiet, busy = _loop(rounds)
    return [
        measure("password_known", look_up, entries=len(shipped()), bytes=len(shipped().data)),
        measure("sign_in_loop", busy / quiet, quiet_p99_us=quiet, busy_p99_us=busy, hash_ms=hash_ms, at_once=SIGN_INS),
    ]


def _look_up(rounds: int) -> float:
    """Processor time in microseconds for one look-up of a password that is not listed; the median round."""
    listed = shipped()
    names = [f"kettle orbit {number} marmalade" for number in range(LOOK_UPS)]

    def once() -> float:
        began = time.thread_time()
        for name in names:
            _ = name in listed
        return (time.thread_time() - began) * 1e6 / LOOK_UPS

    return sorted(once() for _ in range(rounds))[rounds // 2]


def _hash_ms() -> float:
    """Milliseconds for one hash with nothing else running; the best of five."""

    def once() -> float:
        began = time.perf_counter()
        hash_password(PEPPER, "x")
        return (time.perf_counter() - began) * 1000

    return min(once() for _ in range(5))


def _loop(rounds: int) -> tuple[float, float]:
    """p99 in microseconds of a turn that takes a millisecond of work, quiet and during twenty sign-ins, interleaved."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        slots = Slots()
        pairs = [(runner.run(_turns(None)), runner.run(_turns(slots))) for _ in range(rounds)]
        slots.close()
    quiet, busy = zip(*pairs, strict=True)
    return sorted(quiet)[rounds // 2], sorted(busy)[rounds // 2]


async def _turns(slots: Slots | None) -> float:
    """The p99 of turns while sign-ins are hashed, or for as long a time without."""
    stop = asyncio.Event()
    turns: list[float] = []
    watching = asyncio.create_task(_watch(turns, stop.is_set))
    if slots is None:
        await asyncio.sleep(2)
    else:
        await asyncio.gather(*(slots.run(hash_password, PEPPER, "x") for _ in range(SIGN_INS)))
    stop.set()
    await watching
    return sorted(turns)[len(turns) * 99 // 100]


async def _watch(turns: list[float], stopped: Callable[[], bool]) -> None:
    while not stopped():
        await asyncio.sleep(TICK)
        asked = time.perf_counter()
        await asyncio.sleep(0)
        until = time.thread_time() + 0.001
        while time.thread_time() < until:
            pass
        turns.append((time.perf_counter() - asked) * 1e6)
