"""Destroyed is destroyed: in the file at once, and after a ratchet in every copy made before."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import suppress

import pytest

from keystore import naive
from keystore.world import CHEAP, World
from medlock.errors import SetupError, Unavailable
from medlock.store import keyfile
from medlock.store.kek.passphrase import PassphraseFile
from medlock.store.kek.provider import EpochDestroyed
from medlock.store.keyring import KeyDestroyed
from medlock.store.keystore import Keystore


def wrapped(world, slot):
    """The wrapped keys of one slot as they lie in the file."""
    connection = sqlite3.connect(world.path)
    rows = connection.execute("SELECT wrapped FROM key WHERE slot = ?", (slot,)).fetchall()
    connection.close()
    return [row[0] for row in rows]


def test_destroying_leaves_no_byte_behind(world, keystore):
    """60 patients of 3000: neither the wrapped key nor a 16-byte piece of it is in any file, journals included."""
    allotted = keystore.allot(3000)
    doomed = [keys.slot for keys in allotted[::50]]
    keystore.new_generation(doomed[0])
    pieces = [blob[start : start + 16] for slot in doomed for blob in wrapped(world, slot) for start in (0, 20, 44)]
    assert all(world.holds(piece) for piece in pieces[:6])
    for slot in doomed:
        keystore.destroy(slot)
    content = b"".join(path.read_bytes() for path in world.root.rglob("*") if path.is_file())
    assert [piece for piece in pieces if piece in content] == []
    for slot in doomed:
        with pytest.raises(KeyDestroyed):
            keystore.keys(slot)
    assert list(keystore.verify()) == []
    assert len(list(keystore.slots())) == 3000 - 60


def test_no_copy_is_left_where_rows_of_several_lengths_moved_about(world, keystore):
    """SQLite leaves copies of rows that it moves from page to page, whatever secure_delete says, when lengths differ.

    As after years of rotations: keys of both lengths that came in any order, far more of them than could be by chance.
    """
    rng = random.Random(1)
    file = keyfile.KeyFile(world.path)
    rows = [(rng.getrandbits(62), 0, 1, rng.randbytes(rng.choice((60, 92)))) for _ in range(20_000)]
    with file.transaction() as tx:
        tx.executemany("INSERT INTO key(slot, generation, epoch, wrapped) VALUES (?, ?, ?, ?)", rows)
    doomed = rows[::2]
    with file.transaction() as tx:
        tx.executemany("DELETE FROM key WHERE slot = ?", [row[:1] for row in doomed])
    file.scrub()
    file.close()
    content = b"".join(path.read_bytes() for path in world.root.rglob("*") if path.is_file())
    held = {content[at : at + 8] for at in range(len(content))}
    assert sum(row[3][20:28] in held for row in doomed) == 0
    assert sum(row[3][20:28] in held for row in rows) == 10_000
    assert keystore.keys(0)


def test_dropping_a_generation_leaves_no_byte_behind(world, keystore):
    """The same for a rotated key."""
    (patient,) = keystore.allot()
    (old,) = wrapped(world, patient.slot)
    keystore.new_generation(patient.slot)
    keystore.drop_generation(patient.slot, 0)
    assert world.holds(old[12:28]) == []


def test_other_processes_learn_of_it(world, keystore):
    """A cached key elsewhere goes with `forget` at once, with `refresh` at the next batch of work."""
    one, other = keystore.allot(2)
    worker = world.open()
    worker.keys(one.slot)
    worker.keys(other.slot)
    assert not worker.refresh()
    keystore.destroy(one.slot)
    assert worker.keys(one.slot) is not None
    worker.forget(one.slot)
    with pytest.raises(KeyDestroyed):
        worker.keys(one.slot)
    keystore.destroy(other.slot)
    assert worker.refresh()
    with pytest.raises(KeyDestroyed):
        worker.keys(other.slot)
    worker.close()


def test_refresh_keeps_the_cache_when_nothing_was_destroyed(world, keystore):
    """Another process's new patients are no reason to open all keys again."""
    (patient,) = keystore.allot()
    worker = world.open()
    held = worker.keys(patient.slot)
    keystore.allot(200)
    assert not worker.refresh()
    assert worker.keys(patient.slot) is held
    worker.close()


def test_destroying_twice_is_no_error(keystore):
    """A job that was interrupted between deletion and scrubbing asks again."""
    (patient,) = keystore.allot()
    keystore.destroy(patient.slot)
    keystore.destroy(patient.slot)
    keystore.destroy()
    assert list(keystore.verify()) == []


def test_a_reader_that_holds_the_journal_is_reported(world, keystore, monkeypatch):
    """The key is destroyed, the trace not yet: said, and mended by calling again."""
    (patient,) = keystore.allot()
    (blob,) = wrapped(world, patient.slot)
    keystore._file._writer.execute("PRAGMA busy_timeout = 50")
    monkeypatch.setattr(keyfile, "BUSY_SECONDS", 0.1)
    reader = sqlite3.connect(world.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM key").fetchall()
    with pytest.raises(Unavailable, match="linger"):
        keystore.destroy(patient.slot)
    with pytest.raises(KeyDestroyed):
        keystore.keys(patient.slot)
    reader.close()
    keystore.destroy(patient.slot)
    assert world.holds(blob[12:28]) == []


def test_an_old_copy_is_dead_after_a_ratchet(world):
    """The thief's copy of the whole data directory, with the right passphrase and today's secrets: refused."""
    keystore = world.create()
    (patient,) = keystore.allot()
    keystore.close()
    stolen = world.stolen_copy()
    stolen.open().close()
    keystore = world.open()
    keystore.destroy(patient.slot)
    keystore.ratchet()
    keystore.close()
    with pytest.raises(EpochDestroyed, match="old copy"):
        stolen.open()
    world.open().close()


class Thief:
    """Somebody with our specification, a copy of the keystore and the passphrase, but not our program."""

    def __init__(self, world):
        connection = sqlite3.connect(world.path)
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        number, self.under, made, _, self.wrapped = connection.execute("SELECT * FROM epoch").fetchone()
        connection.close()
        self.aad = naive.epoch_aad(meta["store"], number, self.under, made)
        provider = world.provider()
        provider.connect(meta["store"], json.loads(meta["provider"])["parameters"])
        self.root = provider._root

    def opens(self, secrets):
        """Whether any secret in this text of a secrets file opens the epoch key of the copy."""
        for entry in (each for entries in json.loads(secrets)["epochs"].values() for each in entries):
            key = naive.provider_key(self.root, bytes.fromhex(entry["secret"]), self.under)
            with suppress(naive.Refused):
                return len(naive.unseal(key, self.wrapped, self.aad)) == 32
        return False


def test_an_old_copy_is_dead_for_a_thief_who_does_not_use_our_program(world):
    """Read by the naive implementation: with the secrets of its time the copy opens, with today's it does not."""
    keystore = world.create()
    thief = Thief(world)
    (secrets,) = world.secrets.glob("*.kek")
    before = secrets.read_text()
    keystore.ratchet()
    keystore.close()
    assert thief.opens(before)
    assert not thief.opens(secrets.read_text())


def test_the_secrets_of_an_ended_epoch_are_in_no_file(world):
    """Neither beside the passphrase nor in the data directory."""
    keystore = world.create()
    (secrets,) = world.secrets.glob("*.kek")
    old = secrets.read_bytes().split(b'"secret":"')[1][:64]
    wrapped_epoch = Thief(world).wrapped[12:44]
    assert world.holds(wrapped_epoch)
    keystore.ratchet()
    assert world.holds(wrapped_epoch) == []
    assert world.holds(old) == []
    assert world.holds(bytes.fromhex(old.decode())) == []
    keystore.close()


def test_a_new_passphrase_ends_the_old_one(world, keystore, tmp_path):
    """After a move the old passphrase opens neither the keystore nor a copy made before."""
    (patient,) = keystore.allot()
    blob = patient.body.seal(b"text", b"")
    keystore.close()
    before = tmp_path / "before"
    shutil.copytree(world.data, before)
    new = world.write_passphrase("a different passphrase", "new")
    moving = world.open()
    moving.rewrap_to(PassphraseFile(new, world.data, CHEAP))
    assert moving.keys(patient.slot).body.open(blob, b"") == b"text"
    assert list(moving.verify()) == []
    assert moving.status().reasons == moving.status().attestation.reasons
    moving.close()
    with pytest.raises(SetupError):
        world.open()
    with pytest.raises(EpochDestroyed):
        Keystore.open(before / "keystore.db", PassphraseFile(world.passphrase_file, before, CHEAP))
    again = Keystore.open(world.path, world.provider("new"))
    assert again.keys(patient.slot).body.open(blob, b"") == b"text"
    assert again.status().epoch == 2
    again.close()


def test_a_passphrase_can_change_in_its_place(world):
    """The same file with new words: the provider that was opened before still knows the old ones."""
    keystore = world.create()
    (patient,) = keystore.allot()
    blob = patient.body.seal(b"text", b"")
    world.write_passphrase("entirely other words")
    keystore.rewrap_to(world.provider())
    keystore.close()
    again = world.open()
    assert again.keys(patient.slot).body.open(blob, b"") == b"text"
    again.close()


def test_a_keystore_does_not_move_to_where_it_is(keystore):
    """The provider it has cannot be asked to destroy what it has just made."""
    with pytest.raises(SetupError, match="already"):
        keystore.rewrap_to(keystore._epochs.provider)


def test_a_worker_left_behind_by_a_move_says_so(world, keystore):
    """It goes on with the keys it has, and asks to be started anew at the first it has not."""
    (patient,) = keystore.allot()
    worker = world.open()
    worker.keys(patient.slot)
    keystore.rewrap_to(PassphraseFile(world.write_passphrase("a different passphrase", "new"), world.data, CHEAP))
    assert worker.keys(patient.slot).slot == patient.slot
    with pytest.raises(SetupError, match="has moved"):
        worker.allot()
    worker.close()


def test_moves_between_two_worlds(tmp_path):
    """Two stores beside one passphrase file keep separate secrets: a ratchet of one leaves the other alone."""
    one, other = World(tmp_path / "one"), World(tmp_path / "other")
    shared = one.passphrase_file
    first = Keystore.create(one.path, PassphraseFile(shared, one.data, CHEAP))
    second = Keystore.create(other.path, PassphraseFile(shared, other.data, CHEAP))
    first.ratchet()
    first.close()
    second.close()
    Keystore.open(other.path, PassphraseFile(shared, other.data, CHEAP)).close()
    assert len(list(one.secrets.glob("*.kek"))) == 2
