"""One create after another without HTTP, each made durable: the product's commit against the rival's.

Both get the resource as JSON with its search values known. The product's commit contains the body sealed, the delta of
the patient's index and its share of compaction (every 32nd), and the audit entry; the rival's the JSON and a row for
each search value. Both put id, version and time into the JSON, and sync once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rival import Rival
from rounds import Rounds, ratios, timed
from verdict import measure
from world import committer, item_of, open_store

from medlock.clock import Clock
from medlock.ids import resource_id
from medlock.records.drafts import Draft
from medlock.records.opening import Records

BLOCK = 64  # two compactions of one patient's index


async def create_measures(data_dir: Path, rival_path: Path, drafts: list[Draft], rounds: int) -> list[dict[str, Any]]:
    """Blocks of creates in turn, each block in one patient's record."""
    observations: dict[str, list[Draft]] = {}
    for draft in drafts:
        if draft.type == "Observation":
            observations.setdefault(draft.patients[0], []).append(draft)
    records_of = [found for found in observations.values() if len(found) >= BLOCK]
    kept, rival = Rounds(), Rival(rival_path)
    async with open_store(data_dir) as records:
        for number in range(rounds):
            block = records_of[number % len(records_of)][:BLOCK]
            kept.add("protected", await _ours(records, block))
            kept.add("eav", _theirs(rival, block))
    found = kept.medians()
    compared = ratios(found, "protected", "eav")
    return [measure("create", compared["by_wall"], **compared, **found)]


def _copies(block: Sequence[Draft]) -> list[Draft]:
    """The same content under new ids."""
    return [replace(draft, id=resource_id()) for draft in block]


async def _ours(records: Records, block: Sequence[Draft]) -> dict[str, Any]:
    drafts = _copies(block)
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for draft in drafts:
        await committer(records).commit([draft])
    return timed(len(drafts), time.perf_counter_ns() - wall, time.process_time_ns() - cpu)


def _theirs(rival: Rival, block: Sequence[Draft]) -> dict[str, Any]:
    items, clock = [item_of(draft) for draft in _copies(block)], Clock()
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for item in items:
        rival.write([item], clock.now_ms())
    return timed(len(items), time.perf_counter_ns() - wall, time.process_time_ns() - cpu)
