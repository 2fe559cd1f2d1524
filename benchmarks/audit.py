"""The audit log alone, with fsync: events made durable in groups of 100, then all of them verified."""

from __future__ import annotations

import asyncio
import random
import time
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


def audit_measures(bench: Bench, count: int) -> list[dict[str, Any]]:
    """`count` events appended and verified; the time to verify is told for a million."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measures(bench, count))


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
    seconds, clean = await _verified(backend, keys)
    await backend.close()
    blocks.sort()
    return [
        measure(
            "audit_append",
            blocks[len(blocks) // 2],
            events=count,
            slowest=blocks[0],
            fastest=blocks[-1],
            one_group_at_a_time_one_core=sorted(alone)[2],
        ),
        measure("audit_verify", seconds * _MILLION / count, events=count, seconds=seconds, findings=clean),
    ]


async def _rate(log: AuditLog, width: int) -> int:
    """Events a second over one block; with `width` 2, one group is sealed while the other is being synced."""
    known, rng = events(), random.Random(2)

    async def appender() -> None:
        for _ in range(_BLOCK // GROUP // width):
            await log.append(*rng.choices(known, k=GROUP))

    began = time.perf_counter()
    await asyncio.gather(*(appender() for _ in range(width)))
    return round(_BLOCK / (time.perf_counter() - began))


async def _verified(backend: Backend, keys: Keys) -> tuple[float, int]:
    """Seconds to verify everything, and how much was found wrong."""
    began = time.perf_counter()
    found = [finding async for finding in verify_log(backend, keys, None, {})]
    return round(time.perf_counter() - began, 3), len(found)
