"""Other processes that hash a share of the log: the same findings with them as without, and whenever they fail."""

from __future__ import annotations

import sqlite3
import sys

import pytest

from audit.test_on_sqlite import findings, opened
from audit.world import World
from medlock.audit import hands, retrace
from medlock.audit.findings import Kind
from medlock.crypto.tiles import WIDTH
from medlock.errors import Unavailable
from medlock.store.reader import FileReader
from medlock.store.tables import Batch, Table

TILES = 17


@pytest.fixture
async def file(tmp_path, monkeypatch):
    """A world and a closed store file with 17 complete tiles and a rest; two hands for it."""
    monkeypatch.setattr(hands, "SHARE", 8)
    monkeypatch.setattr(hands, "_processors", lambda: 2)
    world, path = World(), tmp_path / "store.db"
    backend, log = opened(world, path)
    for start in range(0, TILES * WIDTH + 100, 500):
        await log.append(*(world.event(start + number) for number in range(500)))
    while await log.index_run() is not None:
        pass
    await log.seal_checkpoint()
    await backend.close()
    return world, path


@pytest.fixture
def asked(monkeypatch):
    """What hands were asked, and how much they said."""
    asked, said = [], hands._said

    async def noted(*command):
        told = await said(*command)
        asked.append((command[-2:], len(told)))
        return told

    monkeypatch.setattr(hands, "_said", noted)
    return asked


@pytest.fixture
def odd(monkeypatch):
    """The tiles that were looked into."""
    tiles, hash_tile = [], retrace._hash_tile

    async def counted(traced, backend, tile):
        tiles.append(tile)
        await hash_tile(traced, backend, tile)

    monkeypatch.setattr(retrace, "_hash_tile", counted)
    return tiles


def change(path, statement):
    with sqlite3.connect(path) as other:
        other.execute(statement)
    other.close()


async def test_a_hand_takes_half(file, asked, odd):
    """Nothing is found, and the other process said the roots of the last tiles."""
    assert await findings(*file) == []
    assert asked == [(("8", "17"), 9 * 32)]
    assert odd == []


async def test_a_few_tiles_are_not_shared(file, asked, monkeypatch):
    """Starting a process takes longer than hashing them."""
    monkeypatch.setattr(hands, "SHARE", TILES)
    assert await findings(*file) == []
    assert asked == []


async def test_the_tree_is_that_of_a_store_without_hands(file):
    """Every level, whoever hashed it, and whether or not the back end has a file."""
    world, path = file
    backend, _ = opened(world, path)
    memory = World(world.keys, world.clock)
    await memory.backend.commit(Batch(entries=[row for _, row in await backend.scan(Table.LOG, None, 9_999)]))
    size = TILES * WIDTH + 9
    assert await retrace.retrace(backend, size) == await retrace.retrace(memory.backend, size)
    await backend.close()


@pytest.mark.parametrize(
    ("statement", "row", "kind"),
    [
        ("UPDATE log SET ct = zeroblob(571) WHERE key = 4000", (Table.LOG, 4_000), Kind.EDITED),
        ("UPDATE log SET ct = x'00' || ct WHERE key = 4000", (Table.LOG, 4_000), Kind.EDITED),
        ("DELETE FROM log WHERE key = 2048", (Table.LOG, 2_048), Kind.DELETED),
        ("DELETE FROM log WHERE key >= 4350", (Table.LOG, 4_350), Kind.TRUNCATED),
        ("UPDATE tile SET ct = zeroblob(8192) WHERE key = 16", (Table.TILE, 16), Kind.EDITED),
        ("DELETE FROM tile WHERE key = 8", (Table.TILE, 8), Kind.DELETED),
    ],
)
async def test_what_was_changed_in_the_share_of_a_hand_is_named(file, statement, row, kind):
    """A hand only says that a tile is odd; who is to blame is found out as always."""
    world, path = file
    change(path, statement)
    (finding,) = await findings(world, path)
    assert (finding.table, finding.key, finding.kind) == (*row, kind)


async def test_entries_in_each_others_places_are_found(file):
    """The rows of a tile are all there, and the hand still notices."""
    world, path = file
    change(path, "UPDATE log SET key = CASE key WHEN 3000 THEN -1 WHEN 3001 THEN 3000 END WHERE key IN (3000, 3001)")
    change(path, "UPDATE log SET key = 3001 WHERE key = -1")
    found = await findings(world, path)
    assert {(finding.key, finding.kind) for finding in found} == {(3_000, Kind.REORDERED), (3_001, Kind.REORDERED)}


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/false", "/bin/echo"])
async def test_a_hand_that_fails_costs_only_time(file, odd, monkeypatch, executable):
    """It cannot be started, ends at once, or says nonsense: this process hashes its share."""
    monkeypatch.setattr(sys, "executable", executable)
    world, path = file
    change(path, "DELETE FROM log WHERE key = 4000")
    (finding,) = await findings(world, path)
    assert (finding.table, finding.key, finding.kind) == (Table.LOG, 4_000, Kind.DELETED)
    assert odd == [*range(8, TILES)]


async def test_what_a_hand_says(file):
    """The root of each tile that agrees with its entries; of others nothing."""
    _, path = file
    change(path, "UPDATE log SET ct = zeroblob(571) WHERE key = 300")
    change(path, "DELETE FROM tile WHERE key = 2")
    reader = FileReader(path)
    said = [*hands.roots_of(reader, range(4))]
    (level_1,) = reader.within(Table.TILE, range(1 << 48, (1 << 48) + 1))
    assert said == [level_1[:32], hands.ODD, hands.ODD, level_1[96:128]]
    reader.close()


async def test_a_reader_cannot_write_and_says_what_cannot_be_read(file, tmp_path):
    """It opens what is there and creates nothing."""
    reader = FileReader(file[1])
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM log")
    reader.close()
    with pytest.raises(Unavailable):
        FileReader(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "other.db").write_bytes(b"no database at all" * 99)
    with pytest.raises(Unavailable):
        FileReader(tmp_path / "other.db").within(Table.LOG, range(3))


@pytest.mark.parametrize("value", ["7", "1.5"])
async def test_a_cell_that_is_a_number_is_named(file, value):
    """SQLite takes any value into a column: verification names the row, whoever hashes it, and does not fall over."""
    world, path = file
    change(path, f"UPDATE log SET ct = {value} WHERE key IN (3, {TILES * WIDTH - 3})")  # noqa: S608 - one of two
    assert [(each.kind, each.key) for each in await findings(world, path)] == [
        (Kind.EDITED, 3),
        (Kind.EDITED, TILES * WIDTH - 3),
    ]
