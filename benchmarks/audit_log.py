"""The audit log alone, on SQLite with fsync: append in groups, search, prove, verify. JSON on stdout.

    python benchmarks/audit_log.py [events]

Sealing and verification are part of what is timed. Events are sealed in the event loop while the writer thread
waits for the disk, as in the server.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path

from medlock.audit.events import Action, Event, Outcome, Position, Touched
from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.audit.search import AuditQuery
from medlock.audit.verify import verify_log
from medlock.clock import Clock
from medlock.crypto.aead import Aead
from medlock.ids import random_bytes, resource_id
from medlock.store.sqlite import open_sqlite

GROUP = 100
PATIENTS = 2_000


class Keys:
    """Keys held in memory, as the keystore hands them out once a patient has been opened."""

    store_id = bytes(16)
    log = Aead(bytes(32))
    detail = Aead(bytes([1]) * 32)
    checkpoint_seed = bytes(32)

    def __init__(self) -> None:
        self._patients = [Aead(random_bytes(32)) for _ in range(PATIENTS + 1)]

    def patient(self, slot: int) -> Aead:
        """The audit key of one patient."""
        return self._patients[slot]

    def openers(self, slot: int) -> Iterator[Aead]:
        """The same."""
        yield self._patients[slot]


def events() -> list[Event]:
    """Reads and writes of single resources by 40 accounts about 2,000 patients."""
    rng = random.Random(1)
    return [
        Event(
            action=Action.UPDATE if slot % 5 == 0 else Action.READ,
            outcome=Outcome.SUCCESS,
            account=f"clinician-{rng.randrange(40)}",
            roles=("clinician",),
            client="app",
            purpose="TREAT",
            recorded=1_764_000_000_000 + slot,
            request=resource_id(),
            slot=slot,
            patient=resource_id(),
            touched=(Touched(f"Observation/{resource_id()}", 1, "R"),),
            query=f"Observation/{resource_id()}",
            basis="role clinician, scope user/*.rs",
            position=Position(slot, 1, bytes(16)) if slot % 5 == 0 else None,
        )
        for slot in range(1, PATIENTS + 1)
    ]


async def append(log: AuditLog, count: int, width: int) -> float:
    """Events a second, `width` groups of 100 under way at once."""
    known = events()
    rng = random.Random(2)

    async def worker() -> None:
        for _ in range(count // GROUP // width):
            await log.append(*rng.choices(known, k=GROUP))

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(width)))
    return count / (time.perf_counter() - start)


async def timed(work: Awaitable[object]) -> float:
    """Milliseconds that something takes."""
    start = time.perf_counter()
    await work
    return (time.perf_counter() - start) * 1_000


async def main(count: int, path: Path) -> dict[str, float]:
    """All measures, on a new file."""
    keys, clock = Keys(), Clock()
    backend = open_sqlite(path, MerkleLedger(keys, clock.now_ms))
    log = AuditLog(backend, keys, clock)
    found: dict[str, float] = {"events": count}
    found["events_per_second_one_group_at_a_time"] = await append(log, count // 10, 1)
    found["events_per_second_four_groups_at_a_time"] = await append(log, count - count // 10, 4)
    start = time.perf_counter()
    while await log.index_run() is not None:
        pass
    found["index_us_per_event"] = (time.perf_counter() - start) / count * 1e6
    found["find_one_patient_ms"] = min([await timed(log.find(AuditQuery(slot=7, limit=10_000))) for _ in range(3)])
    found["find_first_page_ms"] = min([await timed(log.find(AuditQuery(account="clinician-3"))) for _ in range(3)])
    found["inclusion_proof_ms"] = min([await timed(log.inclusion_proof(count // 3)) for _ in range(5)])
    await log.seal_checkpoint()
    start = time.perf_counter()
    findings = [finding async for finding in verify_log(backend, keys, None, {})]
    found["verify_s"] = time.perf_counter() - start
    found["findings"] = len(findings)
    await backend.close()
    return found


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.db"
        measured = asyncio.run(main(wanted, file))
        measured["bytes_per_event"] = file.stat().st_size / wanted
        print(json.dumps(measured, indent=1))
