"""What does not belong together, is damaged, cut, mixed, stale or from before something, is refused by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from backup.world import back_up, lives, person, restore, shred, weight
from medlock.backup.check import backup_keys, faults_of
from medlock.backup.manifest import digest_of, read_manifest
from medlock.backup.shelf import MANIFEST, look
from medlock.errors import Conflict, NotFound, SetupError, Tampered
from medlock.store.opening import alone
from records.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A clinic with a full backup and an increment."""
    made = await open_world(tmp_path / "data")
    await lives(made)
    await back_up(made, tmp_path / "shelf")
    await made.put(weight("e1", "erin", 99))
    await back_up(made, tmp_path / "shelf", incremental=True)
    yield made
    await made.close()


def told(world: World, shelf: Path) -> list[str]:
    """What `medlock backup verify` says."""
    return list(faults_of(look(shelf), backup_keys(world.keystore.store_id, world.keystore.tenant)))


def told_in_time(world: World, shelf: Path) -> list[str]:
    """The same, in a thread that may hang."""
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(told, world, shelf)
        try:
            return said.result(timeout=20)
        except TimeoutError:
            for pipe in shelf.glob("*/*"):
                if pipe.is_fifo():
                    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
            raise


def files(shelf: Path) -> list[Path]:
    """Every file of every backup but the manifests, oldest backup first."""
    return [held.path / file.name for held in look(shelf).held for file in held.manifest.files]


def flip(path: Path) -> None:
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x00")


def remove(path: Path) -> None:
    path.unlink()


async def test_sound_backups_have_no_faults(tmp_path: Path, world: World) -> None:
    """The control: nothing is said of what was not touched."""
    assert told(world, tmp_path / "shelf") == []


@pytest.mark.parametrize("damage", [flip, cut, lengthen, remove])
async def test_every_damaged_file_is_named(tmp_path: Path, world: World, damage: Callable[[Path], None]) -> None:
    """Whichever file it is, and whatever was done: backup and file are named, and a restore refuses."""
    shelf = tmp_path / "shelf"
    keys = world.keystore.export()
    for number, original in enumerate(files(shelf)):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(shelf, copy)
        damage(copy / original.relative_to(shelf))
        faults = told(world, copy)
        assert len(faults) == 1
        assert original.name in faults[0]
        assert look(copy).held[0].manifest.id[:8] in faults[0] or look(copy).held[1].manifest.id[:8] in faults[0]
        if original.name.startswith("rows-"):
            with pytest.raises(SetupError, match=original.name):
                await restore(tmp_path / f"new{number}", copy, keys)
            assert not (tmp_path / f"new{number}").exists()
            assert not list(tmp_path.glob(".new*"))


async def test_files_swapped_between_backups_are_named(tmp_path: Path, world: World) -> None:
    """A genuine file of another backup under the right name; even when its length and the manifest's hash are made to fit."""
    shelf = tmp_path / "shelf"
    first, second = look(shelf).held
    name = next(file.name for file in first.manifest.files if file.name in {f.name for f in second.manifest.files})
    shutil.copyfile(first.path / name, second.path / name)
    assert [fault for fault in told(world, shelf) if name in fault and second.name in fault]
    blob = (second.path / name).read_bytes()
    old = next(file for file in second.manifest.files if file.name == name)
    line, forged = f"file {name} {old.size} {old.digest}", f"file {name} {len(blob)} {digest_of(blob)}"
    note = second.path / MANIFEST
    note.write_text(note.read_text().replace(line, forged))
    assert [fault for fault in told(world, shelf) if "manifest was edited" in fault]
    with pytest.raises(SetupError, match="manifest of backup"):
        await restore(tmp_path / "new", shelf, world.keystore.export())


@pytest.mark.parametrize(
    ("old", "new"), [("log ", "log 1"), ("made ", "made 1"), ("epoch 1", "epoch 2"), ("count body ", "count body 1")]
)
async def test_an_edited_manifest_is_refused(tmp_path: Path, world: World, old: str, new: str) -> None:
    """Whatever line was changed: the signature does not fit."""
    note = look(tmp_path / "shelf").held[-1].path / MANIFEST
    note.write_text(note.read_text().replace(old, new, 1))
    with pytest.raises(SetupError, match=r"edited|not whole|no whole"):
        await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())


async def test_a_missing_parent_is_named(tmp_path: Path, world: World) -> None:
    """An increment alone is nothing; which backup is missing is said, in a restore and in the next increment, too."""
    first, second = look(tmp_path / "shelf").held
    shutil.move(first.path, tmp_path / "elsewhere")
    for act in (
        restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export()),
        back_up(world, tmp_path / "shelf", incremental=True),
    ):
        with pytest.raises(SetupError, match=f"{second.name} continues backup {first.name}"):
            await act
    assert [fault for fault in told(world, tmp_path / "shelf") if first.name in fault]


async def test_a_stranger_among_the_files_is_named(tmp_path: Path, world: World) -> None:
    """What no manifest names was put there by somebody else."""
    (look(tmp_path / "shelf").held[0].path / "rows-00099").write_bytes(b"x")
    assert [fault for fault in told(world, tmp_path / "shelf") if "rows-00099" in fault]


@pytest.mark.usefixtures("world")
async def test_the_keystore_of_another_store_is_refused(tmp_path: Path) -> None:
    """Mismatched: the sentence names both stores and what to do."""
    other = await open_world(tmp_path / "other")
    await other.put(person("zoe"))
    with pytest.raises(SetupError, match="is of another store"):
        await restore(tmp_path / "new", tmp_path / "shelf", other.keystore.export())
    with pytest.raises(SetupError, match="is of another store"):
        await back_up(other, tmp_path / "shelf", incremental=True)
    assert not (tmp_path / "new").exists()
    await other.close()


async def test_backups_of_two_stores_are_not_mixed(tmp_path: Path, world: World) -> None:
    """Files of another store's backup put among ours do not open under our keys."""
    other = await open_world(tmp_path / "other")
    await other.put(person("zoe"))
    await back_up(other, tmp_path / "theirs")
    await other.close()
    theirs = look(tmp_path / "theirs").held[0]
    shutil.copytree(theirs.path, tmp_path / "shelf" / theirs.path.name)
    assert [fault for fault in told(world, tmp_path / "shelf") if theirs.name in fault]
    with pytest.raises(SetupError, match="of another store"):
        await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())


async def test_keys_from_before_a_ratchet_are_stale_and_the_mend_is_named(tmp_path: Path, world: World) -> None:
    """The ratchet declared them dead; the backup from before the ratchet may be restored with them, and is named."""
    old = world.keystore.export()
    world.keystore.ratchet()
    await back_up(world, tmp_path / "shelf", incremental=True)
    mend = look(tmp_path / "shelf").held[1].name
    with pytest.raises(SetupError, match=rf"stale.*epoch 1.*epoch 2.*--backup {mend}"):
        await restore(tmp_path / "new", tmp_path / "shelf", old)
    assert (await restore(tmp_path / "new", tmp_path / "shelf", old, mend)).backups[-1] == mend


async def test_keys_from_before_a_patient_are_stale(tmp_path: Path, world: World) -> None:
    """They lack a key that the backup needs: not taken for an erasure, but refused, and the older backup is named."""
    await world.log.seal_checkpoint()
    old = world.keystore.export()
    for number in range(70):  # more than the spare keys that were in the copy
        await world.put(person(f"new{number}"))
    await back_up(world, tmp_path / "shelf", incremental=True)
    mend = look(tmp_path / "shelf").held[1].name
    with pytest.raises(SetupError, match=rf"stale.*lacks the keys of \d+ patients.*--backup {mend}"):
        await restore(tmp_path / "new", tmp_path / "shelf", old)


async def test_a_backup_from_before_a_rotation_is_refused(tmp_path: Path, world: World) -> None:
    """Its rows lie under keys that were destroyed on purpose: said, and nothing is left."""
    from medlock.records.rotate import ALL, Rotator  # noqa: PLC0415 - only here

    rotator = Rotator(world.vault, world.log, world.clock, world.directory, "operator")
    await rotator.rotate(ALL, lambda _done, _total: None)
    with pytest.raises(SetupError, match="rotated"):
        await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    assert not (tmp_path / "new").exists()
    await back_up(world, tmp_path / "shelf", incremental=True)
    await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())


async def test_backups_behind_a_known_checkpoint_are_refused(tmp_path: Path, world: World) -> None:
    """Somebody took the newest away; who kept a checkpoint elsewhere finds it. An earlier one is fine, a forged one is not."""
    early = await world.log.checkpoint()
    newest = look(tmp_path / "shelf").held[-1]
    shutil.rmtree(newest.path)
    await world.put(weight("e1", "erin", 98))
    late = await world.log.checkpoint()
    keys = world.keystore.export()
    with pytest.raises(SetupError, match="Rolled back"):
        await restore(tmp_path / "new", tmp_path / "shelf", keys, checkpoint=late)
    with pytest.raises(SetupError, match="not one of this store"):
        await restore(tmp_path / "new", tmp_path / "shelf", keys, checkpoint=early.replace("medlock/", "medlick/"))
    await back_up(world, tmp_path / "again")
    report = await restore(tmp_path / "new", tmp_path / "again", keys, checkpoint=early)
    assert report.rows


async def test_without_a_checkpoint_a_rollback_is_said(tmp_path: Path, world: World) -> None:
    """The keystore knows how long the log was: the report says how many entries are lost."""
    shutil.rmtree(look(tmp_path / "shelf").held[-1].path)
    await world.log.seal_checkpoint()
    report = await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    assert any("Lost" in remark for remark in report.remarks)


async def test_a_place_that_is_in_use_is_refused(tmp_path: Path, world: World) -> None:
    """Neither is something overwritten, nor do two restores meet, nor two backups."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    with pytest.raises(SetupError, match="not empty"):
        await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    with alone(tmp_path / "shelf" / ".lock", "busy"), pytest.raises(Conflict):
        await back_up(world, tmp_path / "shelf")
    with pytest.raises(NotFound):
        await restore(tmp_path / "new2", tmp_path / "shelf", world.keystore.export(), "ffffffffff")
    with pytest.raises(SetupError, match="no backup"):
        await restore(tmp_path / "new2", tmp_path, world.keystore.export())


async def test_an_increment_needs_something_to_continue(tmp_path: Path, world: World) -> None:
    """The first backup in a directory is a full one."""
    with pytest.raises(SetupError, match="without --incremental"):
        await back_up(world, tmp_path / "empty", incremental=True)


async def test_a_log_with_a_hole_is_not_backed_up(tmp_path: Path, world: World) -> None:
    """A backup must not hide that entries were taken away."""
    world.backend._writer._db.execute("DELETE FROM log WHERE key = 7")
    with pytest.raises(Tampered):
        await back_up(world, tmp_path / "hole")
    assert look(tmp_path / "hole").held == ()


async def test_a_signature_of_another_kind_is_no_manifest(world: World) -> None:
    """A checkpoint, signed by the same key, is no manifest."""
    keys = backup_keys(world.keystore.store_id, world.keystore.tenant)
    with pytest.raises(Tampered):
        read_manifest(await world.log.checkpoint(), keys.verifier)


async def test_erased_keys_do_not_reach_the_new_keystore(tmp_path: Path, world: World) -> None:
    """Taken out before it is made, so not even for a moment do they lie there."""
    old = world.keystore.export()
    slot = await shred(world, "erin")
    await back_up(world, tmp_path / "shelf", incremental=True)
    seen: list[frozenset[int]] = []
    without = type(old).without

    def watched(self: object, slots: frozenset[int]) -> object:
        seen.append(slots)
        return without(self, slots)  # type: ignore[arg-type]

    type(old).without = watched  # type: ignore[method-assign, assignment]
    try:
        await restore(tmp_path / "new", tmp_path / "shelf", replace(old))
    finally:
        type(old).without = without  # type: ignore[method-assign]
    assert slot in seen[0]


@pytest.mark.parametrize("of", ["rows-00000", MANIFEST])
async def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path, world: World, of: str) -> None:
    """A pipe that nobody writes to, in place of a file of a backup: named, like whatever else was put there."""
    path = look(tmp_path / "shelf").held[0].path / of
    path.unlink()
    os.mkfifo(path)
    assert [fault for fault in told_in_time(world, tmp_path / "shelf") if of in fault or "manifest" in fault]


async def test_of_a_file_that_is_too_long_no_more_is_read_than_is_needed(tmp_path: Path, world: World) -> None:
    """A terabyte in place of a few bytes: the length is told, and memory holds."""
    path = look(tmp_path / "shelf").held[0].path / "rows-00000"
    os.truncate(path, 2**40)
    assert [fault for fault in told(world, tmp_path / "shelf") if f"has {2**40} bytes instead of" in fault]


async def test_a_link_where_a_restore_builds_is_not_followed(tmp_path: Path, world: World) -> None:
    """Somebody who can write beside the place would have another directory emptied, and the keys written there."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").write_text("precious")
    (tmp_path / ".new.partial").symlink_to(tmp_path / "victim")
    with pytest.raises(SetupError, match=r"\.new\.partial"):
        await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    assert [each.name for each in (tmp_path / "victim").iterdir()] == ["file"]
