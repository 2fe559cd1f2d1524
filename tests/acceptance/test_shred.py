"""Shred test: when a patient's key is destroyed nothing of them opens, here, in copies, or in anybody's memory."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance.scene import DATA, KEYS, end, shred, weight
from acceptance.tamper import rows_of
from acceptance.verifier import offline
from medlock.audit.entries import EntrySealer
from medlock.audit.search import AuditQuery
from medlock.crypto.merkle import verify_inclusion
from medlock.errors import Gone, MedlockError, NotFound, Tampered
from medlock.fhir.question import Interaction
from medlock.ids import random_bytes
from medlock.store.bodies import NONCE, PREFIX, BodyCipher
from medlock.store.capsulerows import CapsuleCipher
from medlock.store.kek.provider import EpochDestroyed
from medlock.store.keyring import KeyDestroyed, PatientKeys
from medlock.store.tables import Batch, Table
from records.world import Keys, World, clinician, ids, open_world, patient

SEALED = (Table.BODY, Table.HISTORY, Table.CAPSULE, Table.DELTA, Table.DIRECTORY)
PIECE = 24


@dataclass
class Life:
    """A directory in which Erin was a patient; `keys` are hers, kept by somebody who should not have."""

    world: World
    keys: PatientKeys
    copy: Path

    @property
    def files(self) -> bytes:
        """Every byte that lies in the directory now."""
        return b"".join(path.read_bytes() for path in self.world.directory.iterdir())


async def lived(root: Path, observations: int = 30) -> Life:
    """Erin's record: changed, deleted, shared with Ann both ways, moved to Ann and moved to Erin; enough to fold."""
    world = await open_world(root / "data")
    for name in ("erin", "ann", "bob"):
        await world.put({"resourceType": "Patient", "id": name, "name": [{"family": f"{name}son"}]})
    for number in range(observations):
        await world.put(weight(f"e{number}", "erin", number))
        await world.put(weight(f"e{number}", "erin", number + 1))
        await world.put(weight(f"a{number}", "ann", number))
    for number in range(3):  # long enough for several rows each
        await world.put(weight("e5", "erin", number, note=[{"text": random_bytes(1500 * number + 1).hex()}]))
    await world.ask(clinician(), Interaction.DELETE, "Observation", "e3")
    await world.put(weight("of-erin", "erin", 1, performer=[{"reference": "Patient/ann"}]))
    await world.put(weight("of-ann", "ann", 2, performer=[{"reference": "Patient/erin"}]))
    for kilos, owner in ((1, "erin"), (2, "erin"), (3, "ann")):
        await world.put(weight("moved-away", owner, kilos, note=[{"text": random_bytes(1000).hex()}]))
    for kilos, owner in ((1, "ann"), (2, "erin")):
        await world.put(weight("moved-here", owner, kilos))
    await world.search(clinician(), "Observation", "patient=erin&code=http://loinc.org|29463-7")
    slot = await world.vault.any_slot("erin")
    assert slot is not None
    await world.log.seal_checkpoint()
    await world.backend.scrub()
    copy = root / "before"
    shutil.copytree(world.directory, copy)
    return Life(world, world.keystore.keys(slot), copy)


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    """Erin's life, with a copy of the directory from before the end."""
    made = await lived(tmp_path)
    yield made
    await made.world.close()


def sealed_under(world: World, keys: PatientKeys, rows: dict[Table, dict[int, bytes]]) -> set[tuple[Table, int]]:
    """Every row that lies under these keys, looked for with the keys themselves."""
    found: set[tuple[Table, int]] = set()
    for table in (Table.BODY, Table.HISTORY):
        mine = {key: ct for key, ct in rows[table].items() if slot_of(world.vault.bodies, ct) == keys.slot}
        found |= {(table, key) for key in mine} | further_of(world, rows[Table.BODY], mine.values())
    for key, ct in rows[Table.DIRECTORY].items():
        if world.vault.directory.row_slot(key, ct) == keys.slot:
            found.add((Table.DIRECTORY, key))
    cipher = CapsuleCipher(keys)
    names = [(Table.CAPSULE, "head", 0, 0), *((Table.DELTA, "delta", n, 0) for n in range(300)),
             *((Table.CAPSULE, "segment", n, piece) for n in range(300) for piece in range(9))]  # fmt: skip
    there = [(table, cipher.key(*name), *name) for table, *name in names]
    return found | {(table, key) for table, key, *name in there if readable(cipher, *name, rows[table].get(key))}


def slot_of(cipher: BodyCipher, ct: bytes) -> int | None:
    """The slot that a row's header names; None for a further row, which has no header."""
    try:
        return cipher.slot(ct)
    except Tampered:
        return None


def further_of(world: World, bodies: dict[int, bytes], first: Iterable[bytes]) -> set[tuple[Table, int]]:
    """The further rows of these versions, whichever resource they are of."""
    headers = [world.vault.bodies.header(ct) for ct in first]
    keys = {
        key for header in headers if header.further for rid in bodies for key in world.vault.further_keys(rid, header)
    }
    return {(Table.BODY, key) for key in keys & bodies.keys()}


def readable(cipher: CapsuleCipher, kind: str, number: int, piece: int, ct: bytes | None) -> bool:
    """Whether a row is there and opens as a part of this index."""
    try:
        return ct is not None and bool(cipher.open(kind, number, ct, piece))
    except Tampered:
        return False


async def all_refused(world: World, who: Any, observations: int = 30) -> None:
    """Every way to Erin's record answers as if she had never been."""
    for name in ("Patient/erin", "Observation/of-erin", *(f"Observation/e{n}" for n in range(observations))):
        type_, _, id_ = name.partition("/")
        for interaction in (Interaction.READ, Interaction.HISTORY):
            with pytest.raises(NotFound) as told:
                await world.ask(who, interaction, type_, id_)
            assert not isinstance(told.value, Gone)
    with pytest.raises(NotFound):
        await world.ask(who, Interaction.EVERYTHING, "Patient", "erin")
    assert (await world.search(who, "Observation", "patient=erin"))["total"] == 0
    assert (await world.search(who, "Patient", "name=erinson"))["total"] == 0
    assert (await world.search(who, "Patient", "_id=erin"))["total"] == 0


async def test_nothing_is_left_under_the_key(life: Life) -> None:
    """Before, there is much under it; afterwards not one row of any sealed table, and no door leads there."""
    data = life.world.directory / DATA
    assert len(sealed_under(life.world, life.keys, rows_of(data))) > 60
    erased = await shred(life.world, "erin")
    assert erased.resources == 33
    assert sealed_under(life.world, life.keys, rows_of(data)) == set()
    await all_refused(life.world, clinician())
    assert await offline(life.world.directory).verify() == []


async def test_no_byte_of_it_is_left_in_any_file(life: Life) -> None:
    """Neither a piece of a row that lay under the key, nor of the wrapped key, journals included, server running."""
    rows = rows_of(life.copy / DATA)
    mine = [rows[table][key] for table, key in sealed_under(life.world, life.keys, rows)]
    with closing(sqlite3.connect(life.copy / KEYS)) as db:
        ((wrapped,),) = db.execute("SELECT wrapped FROM key WHERE slot = ?", (life.keys.slot,)).fetchall()
    pieces = [each[at : at + PIECE] for each in [*mine, wrapped] for at in (0, len(each) // 2, len(each) - PIECE)]
    assert all(piece in life.files for piece in pieces)
    await shred(life.world, "erin")
    left = life.files
    assert [piece for piece in pieces if piece in left] == []


async def test_an_earlier_copy_of_the_data_is_dead(life: Life) -> None:
    """With the keystore of after, none of her rows in a copy of before opens under any key; the others' all open."""
    await shred(life.world, "erin")
    rows = rows_of(life.copy / DATA)
    vault, keystore = life.world.vault, life.world.keystore
    every = [keystore.tenant.own, *keystore.every()]
    opened = dict.fromkeys((True, False), 0)
    for rid, ct in rows[Table.BODY].items():
        slot = slot_of(vault.bodies, ct)
        if slot is None:
            continue
        hers = slot == life.keys.slot
        assert opens(vault.bodies, every, rid, ct) is not hers
        opened[hers] += 1
    assert opened[True] == 33
    assert opened[False] > 30
    with pytest.raises(KeyDestroyed):
        keystore.keys(life.keys.slot)
    entries = {key: vault.directory.open_row(key, ct) for key, ct in rows[Table.DIRECTORY].items()}
    assert [key for key, entry in entries.items() if entry is None] == [vault.directory.key(life.keys.slot)]


def opens(cipher: Any, every: list[PatientKeys], rid: int, ct: bytes) -> bool:
    """Whether a body opens under any of the keys, past all checks of ours."""
    header = cipher._mask.reveal(ct[:NONCE], ct[NONCE:PREFIX])
    for keys in every:
        try:
            keys.body.open_with(ct[:NONCE], ct[PREFIX:], header + rid.to_bytes(8, "big"))
        except Tampered:
            continue
        return True
    return False


async def test_an_earlier_copy_of_everything_is_dead_after_a_ratchet(life: Life) -> None:
    """Until the ratchet, a copy of data and keystore together still opens (so the test can see); after it no more."""
    await shred(life.world, "erin")
    keystore = offline(life.copy, life.world.directory).keystore()
    assert keystore.keys(life.keys.slot)._key == life.keys._key
    keystore._spares.clear()
    keystore.close()
    life.world.keystore.ratchet()
    with pytest.raises(EpochDestroyed):
        offline(life.copy, life.world.directory).keystore()
    await all_refused(life.world, clinician())


async def test_the_log_forgets_what_and_keeps_that(life: Life) -> None:
    """Full copies of events about her do not open, minimal ones do: who, what kind, when. The log still proves it."""
    about = AuditQuery(slot=life.keys.slot, limit=10_000)
    before = await life.world.log.find(about)
    assert all(each.full for each in before)
    assert any("erin" in each.event.query for each in before)
    await shred(life.world, "erin")
    after = await life.world.log.find(about)
    assert len(after) == len(before) + 1
    assert not any(each.full for each in after)
    assert {(each.event.patient, each.event.query, each.event.reason, each.event.touched) for each in after} == {
        ("", "", "", ())
    }
    assert {each.event.account for each in after} == {"dr-a", "officer"}
    assert [each.counts for each in after][1:] == [each.counts for each in before]
    proof = await life.world.log.inclusion_proof(before[5].seq)
    verify_inclusion(proof.leaf, proof.seq, proof.size, proof.path, proof.root)
    sealer = EntrySealer(Keys(life.world.keystore))
    for entry in rows_of(life.world.directory / DATA)[Table.LOG].values():
        assert sealer.minimal(entry).account


async def test_others_lose_what_pointed_at_her_and_keep_what_is_theirs(life: Life) -> None:
    """Ann's index drops the pointer to Erin's resource; Ann's own that named Erin stays, and can be changed."""
    world = life.world
    assert "Observation/of-erin" in ids(await world.search(patient("ann"), "Observation", "_count=100"))
    await shred(world, "erin")
    mine = ids(await world.search(patient("ann"), "Observation", "_count=100"))
    assert "Observation/of-erin" not in mine
    assert {"Observation/of-ann", "Observation/moved-away", "Observation/a0"} <= mine
    assert "Observation/moved-here" not in mine
    await world.put(weight("of-ann", "ann", 5))
    await world.ask(clinician(), Interaction.DELETE, "Observation", "of-ann")
    assert await offline(world.directory).verify() == []


async def test_a_resource_that_named_her_can_be_deleted(life: Life) -> None:
    """Without being changed first."""
    await shred(life.world, "erin")
    await life.world.ask(clinician(), Interaction.DELETE, "Observation", "of-ann")
    assert "Observation/of-ann" not in ids(await life.world.search(patient("ann"), "Observation", "_count=100"))


async def test_versions_from_her_time_are_blank(life: Life) -> None:
    """What moved from Erin to Ann keeps its newest version; the earlier ones, about Erin, say only that they were."""
    world = life.world
    await shred(world, "erin")
    assert (await world.read(clinician(), "Observation/moved-away"))["valueQuantity"]["value"] == 3
    for version in ("1", "2"):
        with pytest.raises(Gone):
            await world.ask(clinician(), Interaction.VREAD, "Observation", "moved-away", version=version)
    history = json.loads((await world.ask(clinician(), Interaction.HISTORY, "Observation", "moved-away")).body)
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "DELETE", "DELETE"]
    assert await offline(world.directory).verify() == []


@pytest.mark.parametrize("still_named", [True, False])
async def test_versions_from_her_time_are_blank_although_she_stayed_named(tmp_path: Path, still_named: bool) -> None:
    """A resource that went to Ann and named Erin on, for a while or for good, keeps no version under Erin's key."""
    world = await open_world(tmp_path / "data")
    for name in ("erin", "ann"):
        await world.put({"resourceType": "Patient", "id": name})
    await world.put(weight("moved", "erin", 1))
    await world.put(weight("moved", "ann", 2, performer=[{"reference": "Patient/erin"}]))
    if not still_named:
        await world.put(weight("moved", "ann", 3))
    slot = await world.vault.any_slot("erin")
    assert slot is not None
    await shred(world, "erin")
    rows = rows_of(world.directory / DATA)[Table.HISTORY].values()
    assert slot not in {world.vault.bodies.slot(ct) for ct in rows}
    with pytest.raises(Gone):
        await world.ask(clinician(), Interaction.VREAD, "Observation", "moved", version="1")
    assert await offline(world.directory).verify() == []
    await end(world)


async def test_blank_versions_survive_folds(tmp_path: Path) -> None:
    """The mark that something moved away outlasts every fold of her index, and a later owner's erasure."""
    world = await open_world(tmp_path / "data")
    for name in ("erin", "ann"):
        await world.put({"resourceType": "Patient", "id": name})
    await world.put(weight("moved", "erin", 1))
    await world.put(weight("moved", "ann", 2))
    for number in range(200):
        await world.put(weight(f"e{number % 80}", "erin", number))
    await shred(world, "erin")
    with pytest.raises(Gone):
        await world.ask(clinician(), Interaction.VREAD, "Observation", "moved", version="1")
    assert await offline(world.directory).verify() == []
    await shred(world, "ann")
    assert rows_of(world.directory / DATA)[Table.HISTORY] == {}
    assert await offline(world.directory).verify() == []
    await end(world)


async def test_another_process_stops_at_once(life: Life) -> None:
    """One that has her keys and index cached answers the next question as if she had never been."""
    other = await open_world(life.world.directory)
    for who in (clinician(), patient("erin")):
        await other.read(who, "Observation/e1")
        assert (await other.search(who, "Observation", "patient=erin"))["total"] == 31
        await other.ask(who, Interaction.EVERYTHING, "Patient", "erin")
    await shred(life.world, "erin")
    for who in (clinician(), patient("erin")):
        await all_refused(other, who)
    with pytest.raises(MedlockError):
        await other.put(weight("late", "erin", 1))
    other.keystore.refresh()
    with pytest.raises(KeyDestroyed):
        other.keystore.keys(life.keys.slot)
    await other.close()
    assert await offline(life.world.directory).verify() == []


async def test_a_write_that_was_under_way_is_refused(life: Life) -> None:
    """Another process was about to commit when she was erased: its write is refused, and nothing of it is left."""
    other = await open_world(life.world.directory)
    commit = other.backend.commit

    async def late(batch: Batch) -> int:
        other.backend.commit = commit
        await shred(life.world, "erin")
        return await commit(batch)

    other.backend.commit = late
    with pytest.raises(MedlockError) as told:
        await other.put(weight("late", "erin", 1))
    assert told.value.http_status in {404, 422}
    assert sealed_under(life.world, life.keys, rows_of(life.world.directory / DATA)) == set()
    await other.close()
    assert await offline(life.world.directory).verify() == []


async def test_another_process_can_change_what_named_her(life: Life) -> None:
    """Though it has not heard of the erasure yet."""
    other = await open_world(life.world.directory)
    await other.search(clinician(), "Observation", "patient=erin")
    await shred(life.world, "erin")
    await other.ask(clinician(), Interaction.DELETE, "Observation", "of-ann")
    await other.put(weight("moved-away", "ann", 9))
    await other.close()
    assert await offline(life.world.directory).verify() == []


async def test_the_id_may_be_used_again(life: Life) -> None:
    """A new patient by the same id has a key and a record of their own, and sees nothing of hers."""
    await shred(life.world, "erin")
    await life.world.put({"resourceType": "Patient", "id": "erin", "name": [{"family": "Other"}]})
    assert await life.world.vault.any_slot("erin") != life.keys.slot
    assert (await life.world.read(patient("erin"), "Patient/erin"))["meta"]["versionId"] == "1"
    assert ids(await life.world.search(patient("erin"), "Observation", "")) == set()
    with pytest.raises(NotFound):
        await life.world.read(patient("erin"), "Observation/e1")
    assert await offline(life.world.directory).verify() == []


async def test_two_erasures_at_once_both_come_through(tmp_path: Path) -> None:
    """Two processes erase two patients together: both keys are destroyed, and nothing is left undone."""
    life = await lived(tmp_path, 5)
    other = await open_world(life.world.directory)
    slots = [await other.vault.any_slot(name) for name in ("erin", "ann")]
    await asyncio.gather(shred(life.world, "erin"), shred(other, "ann"))
    for slot in slots:
        assert slot is not None
        life.world.keystore.refresh()
        with pytest.raises(KeyDestroyed):
            life.world.keystore.keys(slot)
    assert await offline(life.world.directory).verify() == []
    await other.close()
    await end(life.world)
