"""The same on PostgreSQL: from it, into it, and from one back end to the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backup.world import back_up, lives, opened, person, reads, restore, rows, shred, weight
from medlock.errors import NotFound, SetupError
from medlock.store.tables import Table
from records.world import World, open_world
from store.pgserver import database

LOGGED = {Table.LOG, Table.TILE, Table.TIP, Table.LOGINDEX}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A clinic on PostgreSQL."""
    async with database() as url:
        made = await open_world(tmp_path / "data", store=url)
        await lives(made)
        yield made
        await made.close()


async def test_from_postgres_to_a_file_and_to_postgres(tmp_path: Path, world: World) -> None:
    """A full backup and an increment with an erasure; every row the same in both new stores."""
    first = await back_up(world, tmp_path / "shelf")
    await world.put(weight("e1", "erin", 99))
    slot = await shred(world, "erin")
    second = await back_up(world, tmp_path / "shelf", incremental=True)
    assert second.parent == first.id
    before = await rows(world)
    keys = world.keystore.export()
    await restore(tmp_path / "file", tmp_path / "shelf", keys)
    async with database() as url:
        await restore(tmp_path / "server", tmp_path / "shelf", keys, store=url)
        for place, store in ((tmp_path / "file", ""), (tmp_path / "server", url)):
            async with opened(place, store) as again:
                after = await rows(again)
                assert all(after[table] == before[table] for table in set(Table) - LOGGED)
                assert (await reads(again, "Patient/ann"))["id"] == "ann"
                with pytest.raises(NotFound):
                    again.keystore.keys(slot)


async def test_the_erased_stay_dead_on_postgres(tmp_path: Path, world: World) -> None:
    """An old backup into PostgreSQL: buried there as in the file."""
    first = await back_up(world, tmp_path / "shelf")
    await shred(world, "erin")
    async with database() as url:
        report = await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export(), first.id, store=url)
        assert report.erased == 1
        async with opened(tmp_path / "new", url) as again:
            with pytest.raises(NotFound):
                await reads(again, "Patient/erin")
            await again.put(person("erin"))


async def test_a_database_with_records_is_not_restored_into(tmp_path: Path, world: World) -> None:
    """Neither the living one, nor one that a killed restore left behind."""
    await back_up(world, tmp_path / "shelf")
    url = world.backend._connections._url  # type: ignore[attr-defined]
    with pytest.raises(SetupError, match="empty"):
        await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export(), store=url)
    assert not (tmp_path / "new").exists()
