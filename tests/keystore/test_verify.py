"""What `verify` finds when somebody has been at the file, and how one goes on after damage."""

from __future__ import annotations

import sqlite3
from random import Random

import pytest

from medlock.errors import Tampered
from medlock.store.keyring import KeyDestroyed
from medlock.store.keystore import Keystore

KEYS = 120


@pytest.fixture
def slots(world):
    """A closed keystore with 120 patients, some renewed."""
    keystore = world.create()
    slots = [keys.slot for keys in keystore.allot(KEYS)]
    for slot in slots[:5]:
        keystore.new_generation(slot)
    keystore.close()
    return slots


def run(world, sql, *values):
    """One statement behind the keystore's back."""
    connection = sqlite3.connect(world.path)
    with connection:
        rows = connection.execute(sql, values).fetchall()
    connection.close()
    return rows


def found(world):
    """What verify says."""
    keystore = world.open()
    try:
        return list(keystore.verify())
    finally:
        keystore.close()


def edit(world, slots, random):
    """One bit of one wrapped key."""
    slot = random.choice(slots)
    blob = bytearray(run(world, "SELECT wrapped FROM key WHERE slot = ? AND generation = 0", slot)[0][0])
    blob[random.randrange(len(blob))] ^= 1 << random.randrange(8)
    run(world, "UPDATE key SET wrapped = ? WHERE slot = ? AND generation = 0", bytes(blob), slot)
    return slot


def truncate(world, slots, random):
    """A wrapped key that lost its end."""
    slot = random.choice(slots)
    run(world, "UPDATE key SET wrapped = substr(wrapped, 1, ?) WHERE slot = ?", random.randrange(60), slot)
    return slot


def swap(world, slots, random):
    """Two patients' keys exchanged."""
    one, other = random.sample(slots, 2)
    (a,), (b,) = (run(world, "SELECT wrapped FROM key WHERE slot = ? AND generation = 0", s)[0] for s in (one, other))
    run(world, "UPDATE key SET wrapped = ? WHERE slot = ? AND generation = 0", b, one)
    run(world, "UPDATE key SET wrapped = ? WHERE slot = ? AND generation = 0", a, other)
    return one


def retype(world, slots, random):
    """A column that holds what it never should."""
    slot = random.choice(slots)
    column, value = random.choice([("wrapped", "text"), ("wrapped", 1.5), ("epoch", "x"), ("epoch", -1)])
    run(world, f"UPDATE key SET {column} = ? WHERE slot = ?", value, slot)  # noqa: S608
    return slot


def renumber(world, slots, random):
    """A row moved to another slot, generation or epoch."""
    slot = random.choice(slots[5:])
    column, value = random.choice([("slot", 99), ("generation", 1), ("epoch", 2), ("epoch", 2**40)])
    run(world, f"UPDATE key SET {column} = ? WHERE slot = ?", value, slot)  # noqa: S608
    return 99 if column == "slot" else slot


def copy(world, slots, random):
    """A row put in a second time as a later generation."""
    slot = random.choice(slots)
    run(world, "INSERT INTO key SELECT slot, 7, epoch, wrapped FROM key WHERE slot = ? AND generation = 0", slot)
    return slot


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("damage", [edit, truncate, swap, retype, renumber, copy])
def test_a_row_that_is_not_as_written_is_named(world, slots, damage, seed):
    """Whatever was done to it, verify names the slot."""
    assert found(world) == []
    slot = damage(world, slots, Random(seed))
    assert any(f"slot {slot} " in sentence for sentence in found(world))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_missing_rows_are_counted(world, slots, count):
    """Deleted behind our back, not by `destroy`."""
    for slot in slots[10 : 10 + count]:
        run(world, "DELETE FROM key WHERE slot = ?", slot)
    (sentence,) = found(world)
    assert sentence == f"Key rows are missing: {KEYS + 6} were written, {KEYS + 6 - count} are there."


def test_a_destroyed_key_that_comes_back_is_named(world, slots):
    """Put back from a copy within the same epoch: it opens, but it does not belong."""
    (row,) = run(world, "SELECT * FROM key WHERE slot = ?", slots[50])
    keystore = world.open()
    keystore.destroy(slots[50])
    keystore.close()
    run(world, "INSERT INTO key VALUES (?, ?, ?, ?)", *row)
    assert f"Key row slot {slots[50]} generation 0 is one that was destroyed before." in found(world)


def test_several_that_come_back_are_counted(world, slots):
    """Two at once cannot be named, but are not missed."""
    rows = [run(world, "SELECT * FROM key WHERE slot = ?", slot)[0] for slot in slots[50:52]]
    keystore = world.open()
    keystore.destroy(*slots[50:52])
    keystore.close()
    for row in rows:
        run(world, "INSERT INTO key VALUES (?, ?, ?, ?)", *row)
    assert found(world) == [f"Key rows were brought back: {KEYS + 4} were written, {KEYS + 6} are there."]


def test_a_key_put_back_for_another_is_noticed(world, slots):
    """One brought back, one deleted: the count agrees, the set does not."""
    (row,) = run(world, "SELECT * FROM key WHERE slot = ?", slots[50])
    keystore = world.open()
    keystore.destroy(slots[50])
    keystore.close()
    run(world, "DELETE FROM key WHERE slot = ?", slots[51])
    run(world, "INSERT INTO key VALUES (?, ?, ?, ?)", *row)
    (sentence,) = found(world)
    assert "exchanged" in sentence


def test_an_old_state_row_is_noticed(world, slots):
    """The state of yesterday over the rows of today, and the rows of today with the watermark of yesterday."""
    (state,) = run(world, "SELECT value FROM meta WHERE name = 'state'")[0]
    keystore = world.open()
    keystore.destroy(slots[3])
    keystore.close()
    run(world, "UPDATE meta SET value = ? WHERE name = 'state'", state)
    assert found(world)


def test_a_row_from_before_a_ratchet_is_named(world, slots):
    """Rolled back to what an older copy held."""
    (row,) = run(world, "SELECT * FROM key WHERE slot = ?", slots[50])
    keystore = world.open()
    keystore.ratchet()
    keystore.close()
    run(world, "INSERT OR REPLACE INTO key VALUES (?, ?, ?, ?)", *row)
    assert any(f"slot {slots[50]} " in sentence for sentence in found(world))


def test_a_tampered_row_is_refused_in_service(world, slots):
    """Not only by verify: the patient's record does not open, the others' do."""
    slot = edit(world, slots[5:], Random(1))
    keystore = world.open()
    with pytest.raises(Tampered):
        keystore.keys(slot)
    others = [other for other in slots if other != slot]
    assert all(keystore.keys(other) for other in others)
    with pytest.raises(Tampered):
        list(keystore.every())
    keystore.close()


def test_damage_holds_up_a_ratchet_until_it_is_given_up(world, slots):
    """The ratchet names the row and keeps all others; after the operator accepts the loss it ends."""
    slot = edit(world, slots[5:], Random(2))
    keystore = world.open()
    with pytest.raises(Tampered) as refusal:
        keystore.ratchet()
    assert str(slot) in refusal.value.reason
    assert keystore.status().rotating
    assert keystore.discard_damaged() == [slot]
    assert list(keystore.verify()) == []
    keystore.ratchet()
    assert not keystore.status().rotating
    with pytest.raises(KeyDestroyed):
        keystore.keys(slot)
    assert len(list(keystore.slots())) == KEYS - 1
    keystore.close()


def test_a_lost_state_row_can_be_made_anew(world, slots):
    """A running keystore whose state row is damaged refuses to change anything until it is mended."""
    keystore = world.open()
    run(world, "UPDATE meta SET value = zeroblob(109) WHERE name = 'state'")
    assert any("state row" in sentence for sentence in keystore.verify())
    with pytest.raises(Tampered):
        keystore.destroy(slots[9])
    assert keystore.discard_damaged() == []
    keystore.destroy(slots[9])
    assert list(keystore.verify()) == []
    keystore.close()
    Keystore.open(world.path, world.provider()).close()
