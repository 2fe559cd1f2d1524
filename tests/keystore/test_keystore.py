"""The keystore in one process: keys, spares, generations, the watermark, and what it refuses."""

from __future__ import annotations

import os
import pickle
import sqlite3
from contextlib import closing
from functools import cached_property

import pytest

from keystore.world import PASSPHRASE, StillClock, World
from medlock.crypto.aead import Aead
from medlock.errors import Conflict, SetupError, Tampered, Unavailable
from medlock.store.keycache import KeyCache
from medlock.store.keyring import SHARED, KeyDestroyed, PatientKeys
from medlock.store.keystore import SPARES, Keystore

DAY_MS = 86_400_000


def count_commits(keystore):
    """How many write transactions the keystore has committed: its revision."""
    return keystore._changes.state().revision


def test_a_key_is_the_same_after_reopening(world):
    """What one process sealed, the next opens, patient's and tenant's."""
    first = world.create()
    (patient,) = first.allot()
    sealed = patient.body.seal(b"text", b"aad"), first.tenant.log.seal(b"event", b"")
    names = first.tenant.rid.label(b"Patient/1"), first.tenant.checkpoint_seed
    first.close()
    second = world.open()
    assert second.keys(patient.slot).body.open(sealed[0], b"aad") == b"text"
    assert second.tenant.log.open(sealed[1], b"") == b"event"
    assert (second.tenant.rid.label(b"Patient/1"), second.tenant.checkpoint_seed) == names
    assert second.store_id == first.store_id
    second.close()


def test_every_key_is_its_own(keystore):
    """Two patients, two uses, and shared resources: nothing opens what another sealed."""
    one, other = keystore.allot(2)
    users = [one.body, one.capsule, one.directory, one.audit, other.body, keystore.tenant.own.body]
    users += [keystore.tenant.log, keystore.tenant.detail, keystore.tenant.token, keystore.tenant.page]
    for sealer in users:
        blob = sealer.seal(b"text", b"")
        for opener in users:
            if opener is not sealer:
                with pytest.raises(Tampered):
                    opener.open(blob, b"")
    assert len({keys.labels.label(b"seg") for keys in (one, other, keystore.tenant.own)}) == 3


def test_shared_resources_have_slot_zero(keystore):
    """`keys(0)` are the tenant's own, as a row header names them."""
    blob = keystore.tenant.own.body.seal(b"a practitioner", b"")
    assert keystore.keys(SHARED).body.open(blob, b"") == b"a practitioner"
    assert keystore.keys(SHARED, 0).slot == 0


def test_spares_make_single_allotments_cheap(keystore):
    """64 new patients cost one durable commit."""
    before = count_commits(keystore)
    slots = {keystore.allot()[0].slot for _ in range(SPARES)}
    assert len(slots) == SPARES
    assert count_commits(keystore) == before + 1


def test_allotted_keys_are_in_the_file_before_anybody_has_them(world, keystore):
    """A second process that opens the file right then finds each."""
    allotted = keystore.allot(100)
    other = world.open()
    blobs = [(keys.slot, keys.body.seal(b"x", b"")) for keys in allotted]
    assert all(other.keys(slot).body.open(blob, b"") == b"x" for slot, blob in blobs)
    other.close()


def test_closing_leaves_no_spares(world):
    """A file that was closed holds the tenant's key and those handed out."""
    keystore = world.create()
    allotted = {keys.slot for keys in keystore.allot(3)}
    assert keystore.status().keys == 1 + SPARES
    assert keystore.status().spare == SPARES - 3
    keystore.close()
    again = world.open()
    assert set(again.slots()) == allotted
    assert again.status().keys == 4
    assert list(again.verify()) == []
    again.close()


def test_slots_and_every_agree_across_pages(keystore):
    """More keys than one page of either: ascending, complete, newest generation only."""
    allotted = keystore.allot(2500)
    renewed = keystore.new_generation(allotted[7].slot)
    slots = list(keystore.slots())
    assert slots == sorted(keys.slot for keys in allotted)
    everyone = list(keystore.every())
    assert [keys.slot for keys in everyone] == slots
    assert {keys.generation for keys in everyone if keys.slot == renewed.slot} == {1}
    blob = keystore.keys(slots[0]).body.seal(b"x", b"")
    assert everyone[0].body.open(blob, b"") == b"x"


def test_many_keys_at_once(keystore):
    """More than one statement's worth: the newest generation of each, nothing for a slot without a key."""
    allotted = [keys.slot for keys in keystore.allot(1500)]
    renewed = keystore.new_generation(allotted[7])
    keystore.destroy(allotted[3])
    cached = len(keystore._cache)
    found = keystore.many([*allotted, 12345])
    assert set(found) == set(allotted) - {allotted[3]}
    assert all(slot == keys.slot for slot, keys in found.items())
    assert found[renewed.slot].generation == 1
    assert len(keystore._cache) == cached
    blob = keystore.keys(allotted[-1]).directory.seal(b"x", b"")
    assert found[allotted[-1]].directory.open(blob, b"") == b"x"
    assert keystore.many([]) == {}


def test_keys_read_at_the_start_take_free_places_only(world):
    """They are there when they are asked for, push nobody out, and are gone once another process destroyed one."""
    with closing(Keystore.create(world.path, world.provider())) as keystore:
        slots = [keys.slot for keys in keystore.allot(3)]
        with closing(Keystore.open(world.path, world.provider())) as started:
            started._cache = KeyCache(3, ready=1)
            used = started.keys(slots[0])
            started.many(slots)
            assert started._cache.get(slots[0]) is used
            assert len(started._cache) == 3
            keystore.destroy(slots[1])
            assert started.refresh()
            with pytest.raises(KeyDestroyed):
                started.keys(slots[1])


def test_the_cache_forgets_the_least_used(world):
    """With room for two, the third pushes out the one used longest ago, and all still open."""
    keystore = Keystore.create(world.path, world.provider(), cache_entries=2)
    slots = [keys.slot for keys in keystore.allot(3)]
    blobs = [keystore.keys(slot).body.seal(b"x", b"") for slot in slots]
    keystore.keys(slots[1])
    held = keystore.keys(slots[2])
    keystore.keys(slots[0])
    assert keystore.keys(slots[2]) is held
    assert all(keystore.keys(s).body.open(b, b"") == b"x" for s, b in zip(slots, blobs, strict=True))
    assert len(keystore._cache) == 2
    keystore.close()


BARE = {"_key", "_inherited", "slot", "generation"}


def test_the_cache_keeps_ciphers_of_the_last_used_only(keystore):
    """The others are there without them, open the same, and are what `get` answers; a dropped one is nowhere."""
    cache = KeyCache(entries=3, ready=1)
    one, two, three, four = keystore.allot(4)
    blob = one.body.seal(b"x", b"")
    for keys in (one, two, three):
        cache.put(keys, newest=True)
    assert set(vars(one)) == BARE
    assert cache.get(one.slot) is one
    assert one.body.open(blob, b"") == b"x"
    assert len(cache) == 3
    cache.put(four, newest=True)
    assert cache.get(two.slot) is None
    assert [cache.get(keys.slot) for keys in (one, three, four)] == [one, three, four]
    renewed = PatientKeys(one.slot, 1, bytes(32))
    cache.put(renewed, newest=True)
    assert cache.get(one.slot) is renewed
    for keys in (three, one):
        cache.drop(keys.slot)
        assert cache.get(keys.slot) is None
    assert len(cache) == 1
    cache.clear()
    assert len(cache) == 0


def test_baring_keys_leaves_every_use_as_it_was(keystore):
    """All that a patient's keys derive can be let go, and comes back the same."""
    (keys,) = keystore.allot()
    uses = [name for name, made in vars(PatientKeys).items() if isinstance(made, cached_property)]
    blobs = {name: getattr(keys, name).seal(b"x", b"") for name in uses if name not in {"audits", "labels"}}
    label = keys.labels.label(b"x")
    assert [each.open(blobs["audit"], b"") for each in keys.audits] == [b"x"]
    keys.bare()
    assert set(vars(keys)) == BARE
    assert all(getattr(keys, name).open(blob, b"") == b"x" for name, blob in blobs.items())
    assert keys.labels.label(b"x") == label


def test_an_unknown_slot_is_like_a_destroyed_one(keystore):
    """Neither error says which it was."""
    (patient,) = keystore.allot()
    keystore.destroy(patient.slot)
    sentences = set()
    for slot in (patient.slot, 12345):
        with pytest.raises(KeyDestroyed) as refusal:
            keystore.keys(slot)
        sentences.add((str(refusal.value), refusal.value.reason))
    assert len(sentences) == 1


def test_generations_stand_side_by_side(world, keystore):
    """The newest seals, older ones open by name until they are dropped; another process sees the same."""
    (first,) = keystore.allot()
    slot = first.slot
    old = first.body.seal(b"old", b"")
    new = keystore.new_generation(slot).body.seal(b"new", b"")
    other = world.open()
    for each in (keystore, other):
        assert each.keys(slot).generation == 1
        assert each.keys(slot).body.open(new, b"") == b"new"
        assert each.keys(slot, 0).body.open(old, b"") == b"old"
        assert each.keys(slot, 1).body.open(new, b"") == b"new"
    keystore.drop_generation(slot, 0)
    assert other.refresh()
    for each in (keystore, other):
        with pytest.raises(KeyDestroyed):
            each.keys(slot, 0)
        assert each.keys(slot).generation == 1
    other.close()


def test_what_does_not_move_is_handed_down(world, keystore):
    """Through rotations and after the former keys are gone: one label key, and every audit key so far."""
    (first,) = keystore.allot()
    slot, label = first.slot, first.labels.label(b"head|0")
    written = [first.audit.seal(b"0", b"")]
    written += [keystore.new_generation(slot).audit.seal(b"%d" % number, b"") for number in (1, 2, 3)]
    assert [keys.generation for keys in keystore.generations(slot)] == [3, 2, 1, 0]
    assert keystore.superseded() == [(slot, 0), (slot, 1), (slot, 2)]
    keystore.drop_generations(keystore.superseded())
    other = world.open()
    newest = other.keys(slot)
    assert newest.labels.label(b"head|0") == label
    assert len(newest.audits) == 4
    for number, blob in enumerate(written):
        assert newest.audits[3 - number].open(blob, b"") == b"%d" % number
    assert [keys.generation for keys in other.generations(slot)] == [3]
    assert list(other.verify()) == []
    other.close()


def test_a_former_key_is_not_in_what_is_handed_down(keystore):
    """Neither the key itself, nor one that opens what it sealed of bodies, indexes or the directory."""
    (first,) = keystore.allot()
    sealed = [first.body.seal(b"x", b""), first.capsule.seal(b"x", b""), first.directory.seal(b"x", b"")]
    second = keystore.new_generation(first.slot)
    secret = second.succession()
    assert first._key not in secret
    assert second._key not in secret
    for at in range(0, len(secret), 32):
        for blob in sealed:
            with pytest.raises(Tampered):
                Aead(secret[at : at + 32]).open(blob, b"")


def test_candidates_find_a_generation_that_another_process_began(world, keystore):
    """The cached newest first, then what the file has now."""
    (first,) = keystore.allot()
    other = world.open()
    other.keys(first.slot)
    keystore.new_generation(first.slot)
    assert [keys.generation for keys in other.candidates(first.slot)] == [0, 1, 0]
    assert other.keys(first.slot).generation == 1
    keystore.destroy(first.slot)
    other.refresh()
    with pytest.raises(KeyDestroyed):
        list(other.candidates(first.slot))
    other.close()


def test_status_tells_of_former_keys(keystore):
    """Until they are destroyed it says so, and what to do; the tenant key is none of them."""
    (patient,) = keystore.allot()
    keystore.new_generation(SHARED)
    assert keystore.status().superseded == 0
    keystore.new_generation(patient.slot)
    assert keystore.status().superseded == 1
    assert any("keys rotate" in reason for reason in keystore.status().reasons)
    keystore.drop_generations(keystore.superseded())
    assert keystore.status().superseded == 0


def test_a_generation_in_use_is_not_dropped(keystore):
    """Neither the newest, nor the only one, nor the tenant's first, on which all labels hang."""
    (patient,) = keystore.allot()
    with pytest.raises(Conflict):
        keystore.drop_generation(patient.slot, 0)
    keystore.new_generation(patient.slot)
    with pytest.raises(Conflict):
        keystore.drop_generation(patient.slot, 1)
    keystore.new_generation(SHARED)
    with pytest.raises(Conflict):
        keystore.drop_generation(SHARED, 0)


def test_shared_resources_can_be_renewed_without_moving_labels(world, keystore):
    """A new generation of slot 0 changes what seals bodies, not where rows lie."""
    label = keystore.tenant.rid.label(b"Practitioner/1")
    blob = keystore.tenant.own.body.seal(b"old", b"")
    keystore.new_generation(SHARED)
    assert keystore.tenant.own.generation == 1
    assert keystore.tenant.rid.label(b"Practitioner/1") == label
    with pytest.raises(Tampered):
        keystore.tenant.own.body.open(blob, b"")
    assert keystore.keys(SHARED, 0).body.open(blob, b"") == b"old"
    other = world.open()
    assert other.tenant.own.generation == 1
    other.close()


def test_destroyed_slots_get_no_new_generation(keystore):
    """A renewal that lost the race against an erasure does not bring the patient back."""
    (patient,) = keystore.allot()
    keystore.destroy(patient.slot)
    with pytest.raises(KeyDestroyed):
        keystore.new_generation(patient.slot)
    with pytest.raises(Conflict):
        keystore.destroy(SHARED)


def test_the_watermark_only_rises(world, keystore):
    """The greatest size is kept, across restarts; two roots of one size are two logs."""
    assert keystore.watermark() is None
    keystore.set_watermark(5, b"5" * 32)
    keystore.set_watermark(3, b"3" * 32)
    assert keystore.watermark() == (5, b"5" * 32)
    keystore.set_watermark(5, b"5" * 32)
    assert keystore.watermark() == (5, b"5" * 32)
    with pytest.raises(Tampered):
        keystore.set_watermark(5, b"6" * 32)
    with pytest.raises(ValueError, match="32 bytes"):
        keystore.set_watermark(6, b"")
    other = world.open()
    assert other.watermark() == (5, b"5" * 32)
    other.close()


def test_status_speaks_of_age(world):
    """After a week without a ratchet it says what that means; the verdict itself is the provider's."""
    clock = StillClock()
    keystore = Keystore.create(world.path, world.provider(), clock=clock)
    assert not any("days old" in reason for reason in keystore.status().reasons)
    clock.ms += 8 * DAY_MS
    status = keystore.status()
    assert status.epoch_age_seconds == 8 * 86_400
    assert any("8 days old" in reason for reason in status.reasons)
    assert (status.epoch, status.rotating, status.remaining) == (1, False, 0)
    keystore.ratchet()
    assert keystore.status().epoch == 2
    assert keystore.status().epoch_age_seconds == 0
    keystore.close()


def test_keys_are_not_shown_and_do_not_travel(keystore):
    """No representation holds a key, and neither key sets nor ciphers can be pickled."""
    (patient,) = keystore.allot()
    for secret in (patient, keystore.tenant, patient.body, patient.labels, keystore.tenant.header):
        assert repr(secret) == f"<{type(secret).__name__}>"
        with pytest.raises(TypeError):
            pickle.dumps(secret)


# -- what opening refuses


def test_a_second_keystore_is_not_made_over_the_first(world, keystore):
    """Creating where one is says so and changes nothing."""
    (patient,) = keystore.allot()
    with pytest.raises(SetupError, match="already"):
        world.create()
    assert keystore.keys(patient.slot) is patient


def test_a_killed_creation_can_be_repeated(world):
    """An empty file, as left by a process killed before its one transaction, is no keystore."""
    sqlite3.connect(world.path).close()
    world.path.touch()
    with pytest.raises(SetupError, match="There is no keystore"):
        world.open()
    world.create().close()


def test_a_missing_keystore_says_so(world):
    """And creates nothing on the way."""
    with pytest.raises(SetupError, match="There is no keystore"):
        world.open()
    assert not world.path.exists()


def test_another_file_is_refused(world):
    """A keystore path that holds something else."""
    world.path.write_bytes(b"not a database, but long enough to be asked" * 100)
    with pytest.raises(SetupError, match="damaged"):
        world.open()


def test_a_wrong_passphrase_is_refused(world):
    """One sentence that names the file."""
    world.create().close()
    world.write_passphrase(PASSPHRASE + "!")
    with pytest.raises(SetupError, match="is not the one that this keystore was made with"):
        world.open()


def test_another_stores_keystore_is_refused(world):
    """The data store hands in the id it recorded."""
    keystore = world.create()
    keystore.close()
    Keystore.open(world.path, world.provider(), expect=keystore.store_id).close()
    with pytest.raises(SetupError, match="belongs to another store"):
        Keystore.open(world.path, world.provider(), expect=bytes(16))


def test_a_directory_that_is_not_there_is_refused(world):
    """Creating names the path."""
    with pytest.raises(SetupError, match="cannot be made"):
        Keystore.create(world.data / "missing" / "keystore.db", world.provider())


def test_the_file_is_private(world, keystore):
    """The keystore and its journals are for their owner only."""
    keystore.allot()
    modes = {path.name: path.stat().st_mode & 0o777 for path in world.data.iterdir()}
    assert set(modes.values()) == {0o600}


def test_a_full_disk_changes_nothing(keystore):
    """When the file cannot grow, allotting says so, and what was there still works."""
    (patient,) = keystore.allot()
    writer = keystore._file._writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="full"):
        keystore.allot(1000)
    writer.execute("PRAGMA max_page_count = 1000000")
    assert keystore.keys(patient.slot) is patient
    assert list(keystore.verify()) == []
    assert len(keystore.allot(1000)) == 1000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_readonly_directory_is_named(world):
    """Opening says that the directory is the reason."""
    world.create().close()
    world.data.chmod(0o500)
    try:
        with pytest.raises(SetupError, match="cannot be opened"):
            world.open()
    finally:
        world.data.chmod(0o700)


def test_a_world_is_two_places(tmp_path):
    """The helper's own promise: the stolen copy shares the secrets that are current, not those of its time."""
    world = World(tmp_path)
    world.create().close()
    copy = world.stolen_copy()
    copy.open().close()
    assert copy.passphrase_file.resolve() == world.passphrase_file
