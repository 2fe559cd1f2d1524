"""Killed at any step, a backup or a restore leaves nothing that looks whole, and the next one succeeds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backup.world import back_up, lives, opened, reads, restore, weight
from medlock.backup.check import backup_keys, faults_of
from medlock.backup.shelf import look
from records.world import open_world

TESTS = Path(__file__).parents[1]


def ended(root: Path, task: str, step: int) -> int:
    """Run a worker to its end; its return code."""
    command = [sys.executable, "-m", "backup.worker", str(root), task, str(step)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


async def prepared(root: Path) -> None:
    """A clinic with a backup."""
    world = await open_world(root / "data")
    await lives(world)
    await back_up(world, root / "shelf")
    await world.put(weight("e1", "erin", 99))
    await world.close()


@pytest.mark.parametrize("task", ["create", "increment"])
async def test_a_killed_backup_is_not_there(tmp_path: Path, task: str) -> None:
    """At every file, the manifest among them: what lies there verifies, and only whole backups are listed."""
    await prepared(tmp_path)
    step, killed = 0, True
    while killed:
        step += 2
        before = len(look(tmp_path / "shelf").held)
        killed = ended(tmp_path, task, step) != 0
        shelf = look(tmp_path / "shelf")
        assert len(shelf.held) == before + (not killed)
    assert step > 6
    world = await open_world(tmp_path / "data")
    keys = backup_keys(world.keystore.store_id, world.keystore.tenant)
    assert list(faults_of(look(tmp_path / "shelf"), keys)) == []
    assert not list((tmp_path / "shelf").glob(".partial*"))
    await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    await world.close()
    async with opened(tmp_path / "new") as again:
        assert (await reads(again, "Observation/e1"))["valueQuantity"]["value"] == 99


async def test_a_killed_restore_is_not_there(tmp_path: Path) -> None:
    """At every commit: the place stays free, and the restore that is run to its end is sound."""
    await prepared(tmp_path)
    step, killed = 0, True
    while killed:
        step += 2
        killed = ended(tmp_path, "restore", step) != 0
        assert (tmp_path / "new").exists() is not killed
    assert step > 5
    assert not list(tmp_path.glob(".new*"))
    async with opened(tmp_path / "new") as again:
        assert (await reads(again, "Patient/ann"))["id"] == "ann"
