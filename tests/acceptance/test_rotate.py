"""Rotation test: patients get new data keys while others read and write, and the former keys open nothing any more."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acceptance.scene import (
    DATA,
    KEYS,
    Past,
    Stop,
    end,
    live_through,
    note,
    rotate,
    rotator,
    shred,
    stopping,
    weight,
)
from acceptance.tamper import rows_of
from acceptance.test_crash import reopened, started, there
from acceptance.test_shred import further_of, opens, readable, slot_of
from acceptance.verifier import offline
from medlock.audit.entries import EntrySealer
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.errors import Conflict, Gone, NotFound, Tampered, Unprocessable
from medlock.fhir.question import Interaction
from medlock.records.commit import Committer
from medlock.records.notes import Stage
from medlock.records.opening import StoreKeys
from medlock.records.reseal import Resealer
from medlock.records.rotate import ALL, Rotator
from medlock.store.capsule import CapsuleCipher
from medlock.store.frames import unframe
from medlock.store.keyring import KeyDestroyed, PatientKeys
from medlock.store.tables import Batch, Table
from records.world import World, clinician, ids, open_world, patient

PIECE = 24
Versions = dict[tuple[str, int], bytes]


async def every_version(world: World) -> Versions:
    """Every version of every resource, as it reads."""
    found: Versions = {}
    for slot in [0, *world.vault.directory.slots()]:
        rows = [row for row in (await world.vault.capsules.open(slot)).rows() if row.slot == slot]
        for row in rows:
            ct = await world.vault.backend.get(Table.BODY, row.rid)
            assert ct is not None
            opened = await world.vault.open(row.rid, ct)
            for number in range(1, opened.meta.version + 1):
                each = await world.vault.version(opened, number)
                assert each is not None
                found[opened.meta.reference, number] = each.body
    return found


def opened_with(world: World, keys: PatientKeys, rows: dict[Table, dict[int, bytes]]) -> set[tuple[Table, int]]:
    """Every row that these keys open, tried on all that name their slot or could be theirs."""
    found: set[tuple[Table, int]] = set()
    bodies = world.vault.bodies
    for table in (Table.BODY, Table.HISTORY):
        for key, ct in rows[table].items():
            rids = [key] if table is Table.BODY else rows[Table.BODY]
            if slot_of(bodies, ct) == keys.slot and any(opens(bodies, [keys], rid, ct) for rid in rids):
                found.add((table, key))
    for key, ct in rows[Table.DIRECTORY].items():
        try:
            unframe(keys.directory.open(ct[36:], b"directory|" + keys.slot.to_bytes(8, "big")))
        except Tampered:
            continue
        found.add((Table.DIRECTORY, key))
    cipher = CapsuleCipher(keys)
    names = [(Table.CAPSULE, "head", 0, 0), *((Table.DELTA, "delta", n, 0) for n in range(300)),
             *((Table.CAPSULE, "segment", n, piece) for n in range(300) for piece in range(4))]  # fmt: skip
    there_ = [(table, cipher.key(*name), *name) for table, *name in names]
    return found | {(table, key) for table, key, *name in there_ if readable(cipher, *name, rows[table].get(key))}


def former_keys(world: World) -> list[PatientKeys]:
    """Every key there is now, to be kept by somebody who should not have it."""
    return [world.keystore.keys(0), *world.keystore.every()]


@dataclass
class Kept:
    """A stopped directory with a past, and what somebody knew of it before keys were rotated."""

    past: Past
    keys: list[PatientKeys]
    versions: Versions


@pytest.fixture
async def kept(tmp_path: Path) -> Kept:
    """A directory that was lived in."""
    past = await live_through(tmp_path, 50)
    world = await open_world(past.directory)
    kept = Kept(past, former_keys(world), await every_version(world))
    await end(world)
    return kept


async def test_all_reads_as_before_and_former_keys_open_nothing(kept: Kept) -> None:
    """Updates, deletes, long bodies, changes of owner, an erasure: the same versions, none under a key of before."""
    directory = kept.past.directory
    before = rows_of(directory / DATA)
    world = await open_world(directory)
    assert sum(len(opened_with(world, keys, before)) for keys in kept.keys) > 500
    done = await rotate(world)
    assert (done.patients, done.destroyed, done.resumed) == (len(kept.keys) - 1, len(kept.keys) - 1, False)
    assert done.rows == len(kept.versions)
    assert await every_version(world) == kept.versions
    after = rows_of(directory / DATA)
    assert {key.slot: opened_with(world, key, after) for key in kept.keys} == {key.slot: set() for key in kept.keys}
    assert world.keystore.superseded() == []
    await end(world)
    assert await offline(directory).verify() == []
    async with reopened(directory) as again:
        assert await every_version(again) == kept.versions


async def test_no_byte_of_the_former_rows_is_left(kept: Kept) -> None:
    """Neither of the former ciphertexts nor of the former wrapped keys, in any file, journals included."""
    directory = kept.past.directory
    before = rows_of(directory / DATA)
    world = await open_world(directory)
    mine = [before[table][key] for keys in kept.keys for table, key in opened_with(world, keys, before)]
    with closing(sqlite3.connect(directory / KEYS)) as db:
        mine += [wrapped for (wrapped,) in db.execute("SELECT wrapped FROM key WHERE slot > 0")]
    pieces = [each[at : at + PIECE] for each in mine for at in (0, len(each) // 2, len(each) - PIECE)]
    files = b"".join(path.read_bytes() for path in directory.iterdir())
    assert all(piece in files for piece in pieces)
    await rotate(world)
    files = b"".join(path.read_bytes() for path in directory.iterdir())
    assert [piece for piece in pieces if piece in files] == []
    await end(world)


async def test_an_earlier_copy_of_the_data_is_dead_for_the_keystore_of_today(kept: Kept, tmp_path: Path) -> None:
    """No patient's row of before opens with any key of now; shared resources do, by way of the tenant key."""
    directory = kept.past.directory
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    world = await open_world(directory)
    await rotate(world)
    rows = rows_of(copy / DATA)
    for keys in former_keys(world):
        assert opened_with(world, keys, rows) == set()
    assert opened_with(world, world.keystore.keys(0, 0), rows) != set()
    for keys in kept.keys[1:]:
        with pytest.raises(KeyDestroyed):
            world.keystore.keys(keys.slot, keys.generation)
    await end(world)


async def test_audit_detail_outlives_rotations(kept: Kept) -> None:
    """What was written under former keys still opens; the former keys open nothing that was written since."""
    world = await open_world(kept.past.directory)
    slot = await world.vault.any_slot("ann")
    assert slot is not None
    about = AuditQuery(slot=slot, limit=10_000)
    before = await world.log.find(about)
    other = await open_world(kept.past.directory)
    other.keystore.keys(slot)
    await rotate(world)
    await rotate(world, "ann")
    await world.read(clinician(), "Observation/a1")
    for each in (world, other):
        found = await each.log.find(about)
        assert all(recorded.full for recorded in found)
        assert [recorded.event for recorded in found][-len(before) :] == [recorded.event for recorded in before]
    newest = (await world.log.find(AuditQuery(slot=slot, action=Action.READ, limit=1)))[0]
    rotated = [each for each in await world.log.find(about) if each.event.action is Action.KEY_ROTATE]
    assert {each.event.account for each in rotated} == {"root"}
    assert all(each.event.position is not None and each.event.position.slot == slot for each in rotated)
    entry = rows_of(world.directory / DATA)[Table.LOG][newest.seq]
    former = next(keys for keys in kept.keys if keys.slot == slot)
    sealer = EntrySealer(StoreKeys(world.keystore))
    assert sealer.minimal(entry).slot == slot
    place = b"medlock/2/log/full|" + world.keystore.store_id + slot.to_bytes(8, "big")
    full = entry[3 + int.from_bytes(entry[1:3], "big") :]
    assert world.keystore.keys(slot).audit.open(full, place)
    with pytest.raises(Tampered):
        former.audit.open(full, place)
    await other.close()
    await end(world)


async def test_one_patient_alone(kept: Kept) -> None:
    """Ann's key is rotated, with what of hers lies in others' histories; everybody else's stays."""
    world = await open_world(kept.past.directory)
    slot = await world.vault.any_slot("ann")
    done = await rotate(world, "ann")
    assert (done.patients, done.destroyed) == (1, 1)
    now = {keys.slot: keys.generation for keys in former_keys(world)}
    assert now == {keys.slot: int(keys.slot == slot) for keys in kept.keys}
    assert await every_version(world) == kept.versions
    with pytest.raises(NotFound):
        await rotate(world, "nobody")
    await end(world)
    assert await offline(kept.past.directory).verify() == []


async def small_life(directory: Path) -> Versions:
    """Three patients, a shared resource, pointers, a change of owner both ways, long bodies, folds."""
    world = await open_world(directory)
    for name in ("erin", "ann", "bob"):
        await world.put({"resourceType": "Patient", "id": name, "name": [{"family": f"{name}son"}]})
    await world.put({"resourceType": "Organization", "id": "clinic", "name": "Clinic"})
    for number in range(36):
        await world.put(weight(f"e{number}", "erin", number, performer=[{"reference": "Patient/ann"}]))
    await world.put(weight("long", "ann", 1, **note(1_500)))
    await world.put(weight("long", "ann", 2, **note(3_000)))
    await world.put(weight("moved", "erin", 1, **note(900)))
    await world.put(weight("moved", "ann", 2, performer=[{"reference": "Patient/erin"}]))
    await world.put(weight("moved", "bob", 3))
    await world.put(weight("back", "ann", 1))
    await world.put(weight("back", "erin", 2))
    await world.put(weight("back", "ann", 3))
    await world.ask(clinician(), Interaction.DELETE, "Observation", "e0")
    found = await every_version(world)
    await end(world)
    return found


async def test_stopped_at_every_commit_it_goes_on(tmp_path: Path) -> None:
    """After 0, 1, 2… commits it dies; verification finds nothing, all reads, a start ends it, with no key too many."""
    (tmp_path / "origin").mkdir()
    versions = await small_life(tmp_path / "origin" / "data")
    for commits in range(100):
        directory = tmp_path / f"{commits}" / "data"
        shutil.copytree(tmp_path / "origin", directory.parent)
        world = await open_world(directory)
        stopping(world, commits)
        try:
            await rotate(world)
        except Stop:
            await world.close()
        else:
            await world.close()
            break
        assert await offline(directory).verify() == []
        async with reopened(directory) as again:
            assert await every_version(again) == versions
            resumed = await rotator(again).resume(lambda _done, _total: None)
            assert (resumed is None) is (commits == 0)
            assert await every_version(again) == versions
            assert again.keystore.superseded() == []
            if commits:
                assert {keys.generation for keys in again.keystore.every()} == {1}
        assert await offline(directory).verify() == []
    assert commits > 10


POINTS = ["before new_generation", "after new_generation", "before drop_generations", "after drop_generations",
          "before scrub", "after scrub", "after commit", "before commit of note", "after commit of note"]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
async def test_killed_it_goes_on(tmp_path: Path, point: str) -> None:
    """The same with SIGKILL, at points beside the commits."""
    directory = tmp_path / "data"
    versions = await small_life(directory)
    process = started(directory, "rotate", point)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert await offline(directory).verify() == []
    async with reopened(directory) as world:
        assert await every_version(world) == versions
        assert (await rotate(world)).resumed
        assert await every_version(world) == versions
        assert world.keystore.superseded() == []
        assert {keys.generation for keys in world.keystore.every()} == {1}
    assert await offline(directory).verify() == []


async def test_another_scope_ends_the_interrupted_one_first(tmp_path: Path) -> None:
    """Everybody's rotation died; whoever then asks for one patient's gets both done."""
    directory = tmp_path / "data"
    await small_life(directory)
    world = await open_world(directory)
    stopping(world, 3)
    with pytest.raises(Stop):
        await rotate(world)
    await world.close()
    async with reopened(directory) as again:
        slot = await again.vault.any_slot("bob")
        assert not (await rotate(again, "bob")).resumed
        assert {keys.slot: keys.generation - 1 for keys in again.keystore.every()} == {
            each: int(each == slot) for each in again.vault.directory.slots()
        }
        assert await rotator(again).resume(lambda _done, _total: None) is None
    assert await offline(directory).verify() == []


async def test_one_rotates_at_a_time(tmp_path: Path) -> None:
    """A second process is told so; when the first has ended it may."""
    directory = tmp_path / "data"
    await small_life(directory)
    world, other = await open_world(directory), await open_world(directory)
    slow = Rotator(world.vault, world.log, world.clock, directory, "root", drain=0.3)
    first = asyncio.create_task(slow.rotate(ALL, lambda _done, _total: None))
    await asyncio.sleep(0.05)
    with pytest.raises(Conflict, match="another process"):
        await rotate(other)
    await first
    assert (await rotate(other)).destroyed == 4
    await other.close()
    await end(world)
    assert await offline(directory).verify() == []


async def test_a_process_with_former_keys_and_indexes_in_memory_goes_on(tmp_path: Path) -> None:
    """It reads, searches and writes as if nothing were, though it has not heard; what it writes lies under new keys."""
    directory = tmp_path / "data"
    await small_life(directory)
    world, other = await open_world(directory), await open_world(directory)
    versions = await every_version(other)
    await other.search(clinician(), "Patient", "name=annson")
    for name in ("erin", "ann", "bob"):
        await other.search(clinician(), "Observation", f"patient={name}")
    former = former_keys(other)
    await rotate(world)
    assert await every_version(other) == versions
    await other.put(weight("e5", "erin", 99, **note(900)))
    await other.put({"resourceType": "Patient", "id": "ann", "name": [{"family": "Other"}]})
    await other.put({"resourceType": "Organization", "id": "clinic", "name": "Other"})
    await other.put(weight("new", "bob", 1, performer=[{"reference": "Patient/ann"}]))
    assert ids(await other.search(clinician(), "Patient", "name=other")) == {"Patient/ann"}
    assert "Observation/new" in ids(await other.search(patient("ann"), "Observation", "_count=100"))
    rows = rows_of(directory / DATA)
    assert all(opened_with(world, keys, rows) == set() for keys in former)
    await shred(other, "erin")
    await other.close()
    await end(world)
    assert await offline(directory).verify() == []


def before_once(owner: Any, name: str, act: Callable[[], Awaitable[Any]]) -> None:
    """Do something the first time that a method is called, before it."""
    method = getattr(owner, name)

    async def late(*arguments: Any) -> Any:
        setattr(owner, name, method)
        await act()
        return await method(*arguments)

    setattr(owner, name, late)


@pytest.mark.parametrize("moment", ["before its indexes", "before its commit"])
async def test_a_write_that_was_under_way_starts_over(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are rotated after it has read and sealed, from start to destruction: nothing of it is lost or unreadable."""
    directory = tmp_path / "data"
    await small_life(directory)
    world, other = await open_world(directory), await open_world(directory)
    await every_version(other)
    if moment == "before its commit":
        before_once(other.backend, "commit", lambda: rotate(world))
    else:
        seal = Committer._seal_indexes

        async def late(mine: Committer, *arguments: Any) -> None:
            monkeypatch.setattr(Committer, "_seal_indexes", seal)
            await rotate(world)
            await seal(mine, *arguments)

        monkeypatch.setattr(Committer, "_seal_indexes", late)
    written = await other.put(weight("long", "ann", 7, **note(900)))
    assert written["meta"]["versionId"] == "3"
    await other.close()
    assert ("Observation/long", 3) in await every_version(world)
    await end(world)
    assert await offline(directory).verify() == []


@pytest.mark.parametrize("who", ["erin", "ann"])
async def test_an_erasure_in_the_middle(tmp_path: Path, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One patient is erased by another process while keys are rotated: the rest is rotated, nothing comes back."""
    directory = tmp_path / "data"
    await small_life(directory)
    world, other = await open_world(directory), await open_world(directory)
    slot = await other.vault.any_slot(who)
    page = Resealer.page

    async def late(mine: Resealer, rids: Any) -> int:
        monkeypatch.setattr(Resealer, "page", page)
        await shred(other, who)
        return await page(mine, rids)

    monkeypatch.setattr(Resealer, "page", late)
    await rotate(world)
    assert await world.vault.any_slot(who) is None
    assert {keys.generation for keys in world.keystore.every()} == {1}
    with pytest.raises(KeyDestroyed):
        world.keystore.generations(slot)
    await other.close()
    await end(world)
    assert await offline(directory).verify() == []


async def test_an_erasure_by_a_process_with_former_keys(tmp_path: Path) -> None:
    """The tombstones that it puts into Bob's history of what was Erin's lie under Bob's new key, not under the former."""
    directory = tmp_path / "data"
    await small_life(directory)
    world, other = await open_world(directory), await open_world(directory)
    slot = await other.vault.any_slot("bob")
    assert slot is not None
    former = other.keystore.keys(slot)
    await other.vault.capsules.open(slot)
    await rotate(world, "bob")
    assert other.keystore.keys(slot) is former
    await shred(other, "erin")
    with pytest.raises(Gone):
        await world.ask(clinician(), Interaction.VREAD, "Observation", "moved", version="1")
    assert opened_with(world, former, rows_of(directory / DATA)) == set()
    await other.close()
    await end(world)
    assert await offline(directory).verify() == []


@pytest.mark.parametrize("who", ["ann", "bob"])
async def test_an_erasure_while_versions_move_between_histories(tmp_path: Path, who: str) -> None:
    """Erin's rotation is about to commit versions of hers in the history of what is Bob's now, and one of Ann's.

    Whoever of the others is erased just then stays erased: no row of theirs comes back.
    """
    directory = tmp_path / "data"
    await small_life(directory)
    world, other = await open_world(directory), await open_world(directory)
    commit, calls = world.backend.commit, [0]

    async def late(batch: Batch) -> int:
        calls[0] += 1
        if calls[0] == 3:  # the note, the index, and now the first page
            await shred(other, who)
        return await commit(batch)

    world.backend.commit = late  # type: ignore[method-assign]
    await rotate(world, "erin")
    assert calls[0] > 5
    assert await world.vault.any_slot(who) is None
    await other.close()
    await end(world)
    assert await offline(directory).verify() == []


async def test_beside_readers_writers_and_an_erasure(tmp_path: Path) -> None:
    """Another process reads, searches and writes all the while, and verifies: no answer is wrong, no write is lost."""
    directory = tmp_path / "data"
    await small_life(directory)
    world, other = await open_world(directory), await open_world(directory)
    over, counts = asyncio.Event(), {"reads": 0, "writes": 0}

    async def read() -> None:
        while not over.is_set():
            for number in range(1, 36):
                assert (await other.read(clinician(), f"Observation/e{number}"))["valueQuantity"]["value"] == number
            found = await other.search(clinician(), "Observation", "patient=erin&_count=100")
            assert ids(found) >= {f"Observation/e{number}" for number in range(1, 36)}
            assert ids(await other.search(clinician(), "Patient", "name=annson")) == {"Patient/ann"}
            history = await other.ask(clinician(), Interaction.HISTORY, "Observation", "back")
            assert json.loads(history.body)["total"] == 3
            counts["reads"] += 1
            await asyncio.sleep(0)

    async def write() -> None:
        while not over.is_set():
            counts["writes"] += 1
            await other.put(weight("w", ("ann", "bob")[counts["writes"] % 2], counts["writes"], **note(700)))
            await asyncio.sleep(0.02)  # an erasure of one who is written to without a pause is refused in the end

    async def turn_keys() -> None:
        try:
            for _ in range(2):
                await rotate(world)
                assert await offline(directory).verify() == []
            await shred(world, "bob")
            await rotate(world)
        finally:
            over.set()

    await other.put(weight("w", "ann", 0))
    outcomes = await asyncio.gather(read(), write(), turn_keys(), return_exceptions=True)
    for fault in outcomes:
        if isinstance(fault, BaseException) and not isinstance(fault, Unprocessable):  # bob, who was erased, as subject
            raise fault
    assert counts["reads"] >= 2
    await other.close()
    await end(world)
    assert await offline(directory).verify() == []


async def test_what_was_tampered_with_is_not_sealed_anew(tmp_path: Path) -> None:
    """A body put back to an earlier row stops the rotation; nothing is destroyed. Put right, it goes on."""
    directory = tmp_path / "data"
    await small_life(directory)
    world = await open_world(directory)
    rid = world.vault.rid("Observation/e7")
    old = rows_of(directory / DATA)[Table.BODY][rid]
    await world.put(weight("e7", "erin", 70))
    new = rows_of(directory / DATA)[Table.BODY][rid]
    for ct in (old, new[:-1] + bytes([new[-1] ^ 1])):
        await world.backend.commit(Batch(puts=[(Table.BODY, rid, ct)]))
        with pytest.raises(Tampered):
            await rotate(world)
        assert {generation for slot, generation in world.keystore.superseded() if slot} == {0}
        assert (Table.BODY, rid) in {(each.table, each.key) for each in await offline(directory).verify()}
    await world.backend.commit(Batch(puts=[(Table.BODY, rid, new)]))
    assert (await rotate(world)).resumed
    await end(world)
    assert await offline(directory).verify() == []


async def test_notes_of_rotations_are_vouched_for(tmp_path: Path) -> None:
    """Taken away, each stage of a rotation is named by verification."""
    directory = tmp_path / "data"
    await small_life(directory)
    world = await open_world(directory)
    await rotate(world)
    for stage in Stage:
        key = world.vault.notes.rotation_key(1, stage)
        row = (Table.JOB, key, rows_of(directory / DATA)[Table.JOB][key])
        await world.backend.commit(Batch(deletes=[row[:2]]))
        assert [(each.table, each.key) for each in await offline(directory).verify()] == [row[:2]]
        await world.backend.commit(Batch(puts=[row]))
    await end(world)


STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 4), st.sampled_from(["a", "b", "c", ""]), st.integers(0, 4)),
    st.tuples(st.just("delete"), st.integers(0, 4), st.just(""), st.just(0)),
    st.tuples(st.just("rotate"), st.just(0), st.sampled_from(["a", "b", "c", ""]), st.just(0)),
)


@given(st.lists(STEPS, min_size=3, max_size=14))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_survives_rotations(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """Any order of writes short and long, deletions, changes of owner and rotations: each version as it was written."""
    asyncio.run(_survives(tmp_path_factory.mktemp("history") / "data", steps))


async def _survives(directory: Path, steps: list[Any]) -> None:
    world = await open_world(directory)
    for name in "abc":
        await world.put({"resourceType": "Patient", "id": name})
    for verb, number, who, size in steps:
        await _step(world, verb, f"o{number}", who, size)
    before, former = await every_version(world), former_keys(world)
    await rotate(world)
    assert await every_version(world) == before
    rows = rows_of(directory / DATA)
    assert all(opened_with(world, keys, rows) == set() for keys in former)
    assert further_of(world, rows[Table.BODY], []) == set()
    await end(world)
    assert await offline(directory).verify() == []


async def _step(world: World, verb: str, id_: str, who: str, size: int) -> None:
    if verb == "rotate":
        await rotate(world, who)
    elif verb == "put":
        more = note(700 * size) if size else {}
        named = [{"reference": f"Patient/{other}"} for other in "abc"[: size % 3]]
        pointed = {"performer": named} if named else {}
        resource = weight(id_, who or "a", size, **more, **pointed)
        if not who:
            del resource["subject"]
            resource.pop("performer", None)
        await world.put(resource)
    elif await there(world, f"Observation/{id_}"):
        try:
            await world.ask(clinician(), Interaction.DELETE, "Observation", id_)
        except Gone:
            return
