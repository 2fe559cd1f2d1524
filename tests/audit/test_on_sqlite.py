"""The log on the real back end: the same promises, with fsync and a file."""

from __future__ import annotations

import sqlite3

import pytest

from audit.world import World
from medlock.audit.findings import Kind
from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.audit.search import AuditQuery
from medlock.audit.verify import verify_log
from medlock.store.sqlite import open_sqlite
from medlock.store.tables import Table


def opened(world, path):
    backend = open_sqlite(path, MerkleLedger(world.keys, world.clock.now_ms))
    return backend, AuditLog(backend, world.keys, world.clock, world._remember)


async def findings(world, path):
    backend, _ = opened(world, path)
    found = [finding async for finding in verify_log(backend, world.keys, world.watermark)]
    await backend.close()
    return found


@pytest.fixture
async def file(tmp_path):
    """A world and a closed store file with 4,500 events, one index and one checkpoint, written by two processes."""
    world, path = World(), tmp_path / "store.db"
    processes = [opened(world, path) for _ in range(2)]
    for turn in range(9):
        await processes[turn % 2][1].append(*(world.event(turn * 500 + number) for number in range(500)))
    await processes[0][1].index_run()
    await processes[1][1].seal_checkpoint()
    for backend, _ in processes:
        await backend.close()
    return world, path


async def test_two_processes_write_one_log(file):
    """What two processes appended in turns is one log that verifies, searches and proves."""
    world, path = file
    assert await findings(world, path) == []
    backend, log = opened(world, path)
    assert await log.size() == 4_500
    assert len(await log.find(AuditQuery(limit=9_999))) == 4_500
    assert (await log.inclusion_proof(4_400)).size == 4_500
    await backend.close()


@pytest.mark.parametrize(
    ("statement", "row", "kind"),
    [
        ("UPDATE log SET ct = zeroblob(573) WHERE key = 1234", (Table.LOG, 1234), Kind.EDITED),
        ("DELETE FROM log WHERE key = 4321", (Table.LOG, 4321), Kind.DELETED),
        ("DELETE FROM log WHERE key >= 4400", (Table.LOG, 4400), Kind.TRUNCATED),
        ("INSERT INTO log VALUES (4500, (SELECT ct FROM log WHERE key = 7))", (Table.LOG, 4500), Kind.INSERTED),
        ("UPDATE tile SET ct = zeroblob(8192) WHERE key = 3", (Table.TILE, 3), Kind.EDITED),
        ("DELETE FROM logindex", (Table.LOGINDEX, 0), Kind.DELETED),
        ("DELETE FROM tip WHERE key = 0", (Table.TIP, 0), Kind.DELETED),
        ("DELETE FROM tip WHERE key = 1", (Table.TIP, 1), Kind.DELETED),
    ],
)
async def test_a_change_with_sql_is_named(file, statement, row, kind):
    """Whoever opens the file with another program and changes a row is found out."""
    world, path = file
    with sqlite3.connect(path) as other:
        other.execute(statement)
    other.close()
    (finding,) = await findings(world, path)
    assert (finding.table, finding.key, finding.kind) == (*row, kind)
