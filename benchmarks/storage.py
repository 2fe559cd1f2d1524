"""What is measured without HTTP, on one filled store and its rival: search, create, bytes on disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import uvloop
from corpus import Corpus
from machine import SERVER_CORE, pinned
from rival import Rival
from servers import Bench
from storage_create import create_measures
from storage_search import search_measures
from verdict import measure
from world import draft_of, fill, fill_rival, open_store

from medlock.records.drafts import Draft


def storage_measures(bench: Bench, corpus: Corpus, wanted: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """The measures wanted among search, disk and create, on the server's core."""
    with pinned(SERVER_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measures(bench, corpus, wanted, rounds))


async def _measures(bench: Bench, corpus: Corpus, wanted: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    data_dir, rival_path = bench.fresh("store"), bench.fresh("rival.db")
    drafts = [draft_of(resource) for resource in corpus.each()]
    async with open_store(data_dir) as records:
        await fill(records, drafts)
    fill_plain(rival_path, drafts)
    found: list[dict[str, Any]] = []
    if "search" in wanted:
        found += await search_measures(data_dir, rival_path, drafts, rounds)
    if "disk" in wanted:
        found.append(_disk(data_dir, rival_path, len(drafts)))
    if "create" in wanted:
        found += await create_measures(data_dir, rival_path, drafts, 2 * rounds)
    return found


def fill_plain(path: Path, drafts: Sequence[Draft]) -> None:
    """A new rival with everything in it, compact and with statistics."""
    rival = Rival(path)
    rival.create_tables()
    fill_rival(rival, drafts)
    rival.settle()
    rival.db.close()


def _disk(data_dir: Path, rival_path: Path, resources: int) -> dict[str, Any]:
    """Both compacted. The product's bytes include keys, audit log and history."""
    with closing(sqlite3.connect(data_dir / "medlock.db", isolation_level=None)) as db:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ours = sum(path.stat().st_size for path in data_dir.iterdir() if path.is_file())
    theirs = rival_path.stat().st_size
    return measure("disk", ours / theirs, resources=resources, protected_bytes=ours, eav_bytes=theirs)
