"""The audit log alone, with fsync: events made durable in groups of 100, then all of them verified."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvloop
from audit_log import GROUP, Keys, events
from machine import SERVER_CORE, pinned
from servers import Bench
from verdict import measure

from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.audit.verify import verify_log
from medlock.clock import Clock
from medlock.store.sqlite import open_sqlite
from medlock.store.tables import Backend

_MILLION = 1_000_000
_BLOCK = 20_000
_STAGGER = 0.001  # seconds: longer than sealing a group


def audit_measures(bench: Bench, count: int) -> list[dict[str, Any]]:
    """`count` events appended and verified; the time to verify is told for a million."""
    with _collected_as_in_the_server(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measures(bench, count))


@contextmanager
def _collected_as_in_the_server() -> Iterator[None]:
    """Python's cycle collector as `medlock.web.server` sets it."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def _measures(bench: Bench, count: int) -> list[dict[str, Any]]:
    keys, clock = Keys(), Clock()
    backend = open_sqlite(bench.fresh("log.db"), MerkleLedger(keys, clock.now_ms))
    log = AuditLog(backend, keys, clock)
    with pinned(SERVER_CORE):
        alone = [await _rate(log, 1) for _ in range(5)]
    blocks = [await _rate(log, 2) for _ in range((count - 5 * _BLOCK) // _BLOCK)]
    while await log.index_run() is not None:
        pass
    await log.seal_checkpoint()
    seconds, cpu, clean = await _verified(backend, keys)
    with pinned(SERVER_CORE):
        one_core, one_core_cpu, _ = await _verified(backend, keys)
    await backend.close()
    blocks.sort()
    return [
        measure(
            "audit_append",
            blocks[len(blocks) // 2][0],
            events=count,
            slowest=blocks[0][0],
            fastest=blocks[-1][0],
            one_group_at_a_time_one_core=sorted(alone)[2][0],
            cpu_us=sorted(cpu for _, cpu in blocks)[len(blocks) // 2],
        ),
        measure(
            "audit_verify",
            seconds * _MILLION / count,
            events=count,
            seconds=seconds,
            cpu_seconds=cpu,
            one_core_seconds=one_core,
            one_core_cpu_seconds=one_core_cpu,
            findings=clean,
        ),
    ]


async def _rate(log: AuditLog, width: int) -> tuple[int, float]:
    """Events a second over one block, and CPU time for each in µs, all threads.

    With `width` 2, one group is sealed while the other is being synced: the second begins when the first is on its way.
    """
    known, rng = events(), random.Random(2)
    groups = [rng.choices(known, k=GROUP) for _ in range(_BLOCK // GROUP)]

    async def appender(number: int) -> None:
        await asyncio.sleep(number * _STAGGER)
        for group in groups[number::width]:
            await log.append(*group)

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(appender(number) for number in range(width)))
    cpu = time.process_time() - used
    return round(_BLOCK / (time.perf_counter() - began)), round(cpu / _BLOCK * 1e6, 2)


async def _verified(backend: Backend, keys: Keys) -> tuple[float, float, int]:
    """Seconds to verify everything, by the clock and of CPU time in all processes, and how much was found wrong."""
    began, used = time.perf_counter(), _cpu()
    found = [finding async for finding in verify_log(backend, keys, None, {})]
    return round(time.perf_counter() - began, 3), round(_cpu() - used, 3), len(found)


def _cpu() -> float:
    """CPU time of this process and of those that it has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
