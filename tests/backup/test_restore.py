"""What comes out of a backup is what went in, at one moment; who was erased stays erased."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup.world import back_up, lives, opened, person, reads, restore, rows, shred, weight
from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.backup.shelf import look
from medlock.errors import NotAuthenticated, NotFound, SetupError, Unavailable
from medlock.fhir.question import Interaction, Question
from medlock.identity.accounts import Accounts, NewAccount
from medlock.identity.ground import Place, ground
from medlock.identity.invitations import Invitations
from medlock.identity.sessions import Proven, Sessions
from medlock.ids import random_bytes
from medlock.oauth.requests import TokenRequest
from medlock.oauth.tokens import TokenStore
from medlock.records.inflow import sweep_uploads
from medlock.store.content import CHUNK, CHUNK_ROW
from medlock.store.tables import Batch, Table
from records.world import World, clinician, open_world

LOGGED = {Table.LOG, Table.TILE, Table.TIP, Table.LOGINDEX}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A clinic with three lives."""
    made = await open_world(tmp_path / "data")
    await lives(made)
    yield made
    await made.close()


def taken(before: dict, after: dict) -> None:
    """All rows but those of the log, which goes on, are the same to the byte; the log is a continuation."""
    for table in set(Table) - LOGGED:
        assert after[table] == before[table], table
    log = before[Table.LOG]
    assert {key: after[Table.LOG][key] for key in log} == log


async def test_a_full_backup_restores_every_row(tmp_path: Path, world: World) -> None:
    """Row by row, and the restored store verifies and answers."""
    await back_up(world, tmp_path / "shelf")
    before = await rows(world)
    report = await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    assert report.rows > 200
    assert report.erased == 0
    async with opened(tmp_path / "new") as again:
        taken(before, await rows(again))
        assert (await reads(again, "Observation/e5"))["id"] == "e5"
        assert again.keystore.store_id == world.keystore.store_id


async def test_increments_hold_what_changed_and_restore_the_last_state(tmp_path: Path, world: World) -> None:
    """New, changed and deleted rows, three deep; a backup of little change is small."""
    first = await back_up(world, tmp_path / "shelf")
    await world.put(weight("e1", "erin", 99))
    second = await back_up(world, tmp_path / "shelf", incremental=True)
    await shred(world, "erin")
    await world.put(person("dora"))
    third = await back_up(world, tmp_path / "shelf", incremental=True)
    assert second.parent == first.id
    assert third.parent == second.id
    assert second.rows < first.rows / 5
    before = await rows(world)
    report = await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    assert report.backups == tuple(made.id[:8] for made in (first, second, third))
    async with opened(tmp_path / "new") as again:
        taken(before, await rows(again))
        with pytest.raises(NotFound):
            await reads(again, "Patient/erin")


async def test_an_older_backup_can_be_chosen_and_what_is_lost_is_said(tmp_path: Path, world: World) -> None:
    """With the newest keys; the report counts the entries that are missing, and the log of the restored store says it."""
    first = await back_up(world, tmp_path / "shelf")
    await world.put(weight("e1", "erin", 99))
    await back_up(world, tmp_path / "shelf", incremental=True)
    report = await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export(), first.id[:8])
    assert any("Lost" in remark for remark in report.remarks)
    async with opened(tmp_path / "new") as again:
        assert (await reads(again, "Observation/e1"))["valueQuantity"]["value"] == 3
        found = await again.log.find(AuditQuery(action=Action.RESTORE))
        assert any("Lost" in event.event.query for event in found)


@pytest.mark.parametrize("keys_from", ["before", "after"])
async def test_the_erased_stay_dead_from_an_old_backup(tmp_path: Path, world: World, keys_from: str) -> None:
    """Whichever keys are brought: those of after have no key, those of before lose it to the newest list of the erased."""
    first = await back_up(world, tmp_path / "shelf")
    old = world.keystore.export()
    slot = await shred(world, "erin")
    new = world.keystore.export()
    await back_up(world, tmp_path / "shelf", incremental=True)
    keys = old if keys_from == "before" else new
    assert any(each[0] == slot for each in keys.keys) is (keys_from == "before")
    report = await restore(tmp_path / "new", tmp_path / "shelf", keys, first.id)
    assert report.erased == 1
    async with opened(tmp_path / "new") as again:
        with pytest.raises(NotFound):
            again.keystore.keys(slot)
        for gone in ("Patient/erin", "Observation/e1", "Observation/of-erin", "Observation/moved-here"):
            with pytest.raises(NotFound):
                await reads(again, gone)
        assert (await reads(again, "Observation/of-ann"))["id"] == "of-ann"
        assert (await reads(again, "Observation/moved-away"))["valueQuantity"]["value"] == 3
        await again.put(weight("a1", "ann", 77))
        await again.put(person("erin"))  # a new life under the same name
    async with opened(tmp_path / "new") as once_more:
        assert (await reads(once_more, "Patient/erin"))["id"] == "erin"


async def test_the_erased_of_another_history_stay_dead(tmp_path: Path, world: World) -> None:
    """Put back to an older state and gone on from there: the longest log on the shelf does not know who was erased since."""
    old = world.keystore.export()
    first = await back_up(world, tmp_path / "shelf")
    for kilos in range(90, 98):
        await world.put(weight("e1", "erin", kilos))
    longest = await back_up(world, tmp_path / "shelf", incremental=True)
    await restore(tmp_path / "again", tmp_path / "shelf", old, first.id)
    async with opened(tmp_path / "again") as again:
        await shred(again, "erin")
        again.clock.ms += 86_400_000  # type: ignore[attr-defined] - a clock that stands still
        latest = await back_up(again, tmp_path / "shelf")
    assert latest.log < longest.log
    report = await restore(tmp_path / "new", tmp_path / "shelf", old)
    assert report.erased == 1
    assert [remark for remark in report.remarks if f"Backup {latest.id[:8]} was made later" in remark]
    async with opened(tmp_path / "new") as restored:
        with pytest.raises(NotFound):
            await reads(restored, "Observation/e1")


async def test_nothing_of_the_erased_is_left_in_a_restored_store(tmp_path: Path, world: World) -> None:
    """No row that was in the backup under their key is in the restored tables."""
    first = await back_up(world, tmp_path / "shelf")
    before = await rows(world)
    await shred(world, "erin")
    gone = {ct for table, found in before.items() for ct in found.values()} - {
        ct for found in (await rows(world)).values() for ct in found.values()
    }
    await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export(), first.id)
    async with opened(tmp_path / "new") as again:
        left = {
            ct
            for table, found in (await rows(again)).items()
            for ct in found.values()
            if table in {Table.BODY, Table.HISTORY, Table.CAPSULE, Table.DELTA, Table.DIRECTORY}
        }
    assert len(gone) > 80
    changed = {ct for table in (Table.DELTA, Table.CAPSULE) for ct in before[table].values()}
    assert not (gone - changed) & left


async def test_sessions_and_invitations_end(tmp_path: Path, world: World) -> None:
    """One that was ended after the backup does not live again; accounts are as they were."""
    base = ground(world.backend, world.keystore.tenant, world.clock, world.log)
    sessions = Sessions(base)
    accounts = Accounts(base, (sessions,))
    invitations = Invitations(base, accounts)
    account = await accounts.create(NewAccount("Ann", ("patient",), "", "Patient/ann"), "operator")
    first = (await invitations.invite(account.id, "operator")).code
    _, taken = await invitations.take(first, "ann", "")
    await world.backend.commit(taken.batch)
    begun = await sessions.start(await accounts.standing(account.id), Proven(("pwd",), "aal1"), Place())
    code = (await invitations.invite(account.id, "operator")).code
    await back_up(world, tmp_path / "shelf")
    report = await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    assert report.tokens == 2
    async with opened(tmp_path / "new") as again:
        base = ground(again.backend, again.keystore.tenant, again.clock, again.log)
        with pytest.raises(NotAuthenticated):
            await Sessions(base).find(begun.secret)
        with pytest.raises(NotAuthenticated):
            await Invitations(base, Accounts(base)).take(code, "ann", "")
        assert (await Accounts(base).get(account.id)).login == "ann"


async def test_tokens_end(tmp_path: Path, world: World) -> None:
    """One that was revoked after the backup would live again: all are ended."""
    tokens = TokenStore(world.backend, world.keystore.tenant, world.clock, world.log)
    issued = await tokens.create(TokenRequest(Role.CLINICIAN, by="operator"))
    await back_up(world, tmp_path / "shelf")
    await tokens.revoke(issued.id, "operator")
    report = await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    assert report.tokens == 1
    async with opened(tmp_path / "new") as again:
        there = TokenStore(again.backend, again.keystore.tenant, again.clock, again.log)
        assert [token.id for token in await there.every() if not token.revoked] == []


async def test_an_erasure_under_way_is_finished(tmp_path: Path, world: World) -> None:
    """The backup caught the note but not the destruction: the restored store does the rest."""
    slot = await world.vault.any_slot("erin")
    with patch.object(world.keystore, "destroy", side_effect=Unavailable("killed")), pytest.raises(Unavailable):
        await shred(world, "erin")
    await back_up(world, tmp_path / "shelf")
    await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    async with opened(tmp_path / "new") as again:
        assert slot is not None
        with pytest.raises(NotFound):
            again.keystore.keys(slot)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 5))
async def test_a_backup_beside_writers_is_a_prefix_of_what_was_acknowledged(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[int], writers: int
) -> None:
    """However writes and backups fall: of each writer's acknowledged writes those up to one are there, no hole, no half."""
    root = tmp_path_factory.mktemp("prefix")
    world = await open_world(root / "data")
    done: dict[int, int] = {}
    stop = asyncio.Event()

    async def write(writer: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await world.transact(
                [
                    {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
                    for each in (person(f"w{writer}", str(number)), weight(f"w{writer}", f"w{writer}", number))
                ]
            )
            done[writer] = number
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(write(writer)) for writer in range(writers)]
    floors, names = [], []
    other = await open_world(root / "data")  # as `medlock backup create` beside a server
    for at, pause in enumerate(pauses):
        await asyncio.sleep(pause / 1000)
        floors.append(dict(done))
        names.append((await back_up(other, root / "shelf", incremental=at > 0)).id)
    ceilings = dict(done)
    stop.set()
    await asyncio.gather(*tasks)
    keys = world.keystore.export()
    await other.close()
    await world.close()
    await restore(root / "new", root / "shelf", keys, names[-1])
    async with opened(root / "new") as again:
        for writer in range(writers):
            floor, ceiling = floors[-1].get(writer, 0), ceilings.get(writer, 0) + 1
            try:
                kilos = (await reads(again, f"Observation/w{writer}"))["valueQuantity"]["value"]
                city = (await reads(again, f"Patient/w{writer}"))["address"][0]["city"]
            except NotFound:
                assert floor == 0
                continue
            assert int(city) == kilos
            assert floor <= kilos <= ceiling
            history = await again.door.answer(clinician(), Question(Interaction.HISTORY, "Observation", f"w{writer}"))
            newest = json.loads(history.body)["entry"][0]["resource"]  # of the first page, which may not be the last
            assert newest["meta"]["versionId"] == str(int(kilos))


async def test_a_store_that_was_put_back_is_not_continued(tmp_path: Path, world: World) -> None:
    """Data and keystore of an hour ago, and as many entries since: an increment would hide the fork, so it is refused."""
    await back_up(world, tmp_path / "shelf")
    await world.log.seal_checkpoint()
    await world.backend.scrub()
    shutil.copytree(world.directory, tmp_path / "copy")
    for kilos in range(5):
        await world.put(weight("e1", "erin", kilos + 1))
    await back_up(world, tmp_path / "shelf", incremental=True)
    shutil.copyfile(tmp_path / "data.passphrase", tmp_path / "copy.passphrase")
    for secrets in tmp_path.glob("data.passphrase.*.kek"):
        shutil.copyfile(secrets, tmp_path / secrets.name.replace("data", "copy", 1))
    forked = await open_world(tmp_path / "copy")
    try:
        with pytest.raises(SetupError, match="put back or forked"):
            await back_up(forked, tmp_path / "shelf", incremental=True)
        for kilos in range(30):
            await forked.put(weight("e1", "erin", kilos + 1))
        with pytest.raises(SetupError, match="put back or forked"):
            await back_up(forked, tmp_path / "shelf", incremental=True)
    finally:
        await forked.close()
    assert len(look(tmp_path / "shelf").held) == 2
    assert not [path for path in (tmp_path / "shelf").iterdir() if path.name.startswith(".partial")]


async def test_large_contents_are_in_a_backup(tmp_path: Path, world: World) -> None:
    """Chunks in a full backup and in an increment come back to the byte; those of half an upload are swept later."""
    first, second = random_bytes(3 * CHUNK), random_bytes(2 * CHUNK + 5)
    await world.bring("PUT /Binary/scan", first, x_security_context="Patient/ann")
    await back_up(world, tmp_path / "shelf")
    await world.bring("PUT /Binary/scan", second, x_security_context="Patient/ann")
    half = world.vault.notes.upload(bytes(16), 4, 0)
    stray = [(Table.CHUNK, key, bytes(CHUNK_ROW)) for key in world.vault.chunk_keys(bytes(16), 4)]
    await world.backend.commit(Batch(inserts=[half, *stray]))
    await back_up(world, tmp_path / "shelf", incremental=True)
    before = await rows(world)
    assert len(before[Table.CHUNK]) == 10
    await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    async with opened(tmp_path / "new") as again:
        taken(before, await rows(again))
        await sweep_uploads(again.vault, again.clock.now_ms())
        assert len((await rows(again))[Table.CHUNK]) == 6
        for line, content in (("Binary/scan", second), ("Binary/scan/_history/1", first)):
            shown = await again.send(clinician(), f"GET /{line}", accept="*/*")
            assert shown.outflow is not None
            assert b"".join([each async for each in shown.outflow.pieces(0, len(content))]) == content


async def test_contents_of_the_erased_are_not_restored(tmp_path: Path, world: World) -> None:
    """An older backup holds a content of somebody erased since: of its chunks none is left in the restored store."""
    await world.bring("PUT /Binary/scan", random_bytes(3 * CHUNK), x_security_context="Patient/erin")
    await world.bring("PUT /Binary/kept", random_bytes(CHUNK), x_security_context="Patient/ann")
    await back_up(world, tmp_path / "shelf")
    await shred(world, "erin")
    await restore(tmp_path / "new", tmp_path / "shelf", world.keystore.export())
    async with opened(tmp_path / "new") as again:
        assert len((await rows(again))[Table.CHUNK]) == 1
