"""One create after another without HTTP, each made durable: the product's commit against the rival's.

Both get the resource as JSON with its search values known: neither validates nor extracts, and both put id, version
and time into the JSON. The product's commit contains the body sealed, the delta of the patient's index, and the audit
entry; the rival's the JSON and a row for each search value. Both sync once, on the same connection settings.

Both pay for tidying up within what is timed. A round is so long that each writes its journal full and moves it into the
file (4,000 pages; the product writes half as many a create as the rival, so its turn comes half as often), and the
product folds its index at every 32nd create. One round goes before: a journal that is written over syncs faster than
one that still grows, and the rival's stops growing first. The collector is set as in a server's worker.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, cycle, islice
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
BLOCKS = 6  # in a round: 384 creates, about 4,000 pages of the product's journal


async def create_measures(data_dir: Path, rival_path: Path, drafts: list[Draft], rounds: int) -> list[dict[str, Any]]:
    """Rounds of blocks in turn, each block in one patient's record."""
    observations: dict[str, list[Draft]] = {}
    for draft in drafts:
        if draft.type == "Observation":
            observations.setdefault(draft.patients[0], []).append(draft)
    records_of = [found for found in observations.values() if len(found) >= BLOCK]
    kept, rival, turns = Rounds(), Rival(rival_path), cycle(records_of)
    async with open_store(data_dir) as records:
        _as_in_a_worker()
        for number in range(-1, rounds):
            blocks = [block[:BLOCK] for block in islice(turns, BLOCKS)]
            ours, theirs = await _ours(records, blocks), _theirs(rival, blocks)
            if number >= 0:
                kept.add("protected", ours)
                kept.add("eav", theirs)
    found = kept.medians()
    compared = ratios(found, "protected", "eav")
    return [measure("create", compared["by_wall"], **compared, **found)]


def _as_in_a_worker() -> None:
    """The collector passes over what is there already: here that is the whole corpus."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _copies(blocks: Sequence[Sequence[Draft]]) -> list[Draft]:
    """The same content under new ids."""
    return [replace(draft, id=resource_id()) for draft in chain.from_iterable(blocks)]


async def _ours(records: Records, blocks: Sequence[Sequence[Draft]]) -> dict[str, Any]:
    drafts = _copies(blocks)
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for draft in drafts:
        await committer(records).commit([draft])
    return timed(len(drafts), time.perf_counter_ns() - wall, time.process_time_ns() - cpu)


def _theirs(rival: Rival, blocks: Sequence[Sequence[Draft]]) -> dict[str, Any]:
    items, clock = [item_of(draft) for draft in _copies(blocks)], Clock()
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for item in items:
        rival.write([item], clock.now_ms())
    return timed(len(items), time.perf_counter_ns() - wall, time.process_time_ns() - cpu)
