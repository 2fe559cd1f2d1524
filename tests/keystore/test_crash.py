"""Killed at any point, shared by several processes: the keystore goes on, and nobody loses a key."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from keystore.world import World
from medlock.errors import SetupError, Unavailable
from medlock.store import ratchet
from medlock.store.kek.provider import EpochDestroyed
from medlock.store.keystore import Keystore

TESTS = Path(__file__).parents[1]
KEYS = 300
UNBEGUN = ["before new epoch", "after new epoch", "after wrap"]
POINTS = [
    *UNBEGUN,
    "after 50 of 301",
    "after 150 of 301",
    "after 301 of 301",
    "before destruction",
    "after destruction",
]


def started(world, *task):
    """A worker process in this world."""
    command = [sys.executable, "-m", "keystore.worker", str(world.root), *task]
    return subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed(world, *task):
    """Run a worker that must die by SIGKILL."""
    process = started(world, *task)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors


def fill(world):
    """A closed keystore with 300 patients; returns what each sealed."""
    keystore = world.create()
    sealed = {keys.slot: keys.body.seal(b"text", b"") for keys in keystore.allot(KEYS)}
    keystore.close()
    return sealed


@pytest.fixture
def filled(world):
    """The same as a fixture."""
    return fill(world)


def all_open(keystore, sealed):
    """Whether every patient's text opens, past the cache."""
    keystore._cache.clear()
    return all(keystore.keys(slot).body.open(blob, b"") == b"text" for slot, blob in sealed.items())


@dataclass(frozen=True)
class Wreck:
    """What a ratchet that was killed at a point leaves: the world, a copy from before, what patients sealed."""

    point: str
    world: World
    before: World
    sealed: dict[int, bytes]


@pytest.fixture(scope="module", params=POINTS)
def wreck(request, tmp_path_factory):
    """One killed ratchet for each point; tests work on clones."""
    world = World(tmp_path_factory.mktemp("wreck") / "world")
    sealed = fill(world)
    before = world.stolen_copy()
    killed(world, "ratchet", request.param)
    return Wreck(request.param, world, before, sealed)


def test_a_killed_ratchet_is_followed_by_a_whole_one(wreck):
    """Every key opens in between and afterwards, and no copy made before the call opens with today's secrets."""
    world = wreck.world.clone()
    keystore = world.open()
    assert all_open(keystore, wreck.sealed)
    assert list(keystore.verify()) == []
    keystore.allot(3)
    between = world.stolen_copy()
    keystore.ratchet()
    status = keystore.status()
    assert (status.rotating, status.remaining) == (False, 0)
    assert status.epoch == (2 if wreck.point in UNBEGUN else 3)
    assert all_open(keystore, wreck.sealed)
    assert list(keystore.verify()) == []
    keystore.close()
    with pytest.raises(EpochDestroyed):
        between.open()
    with pytest.raises(EpochDestroyed):
        Keystore.open(wreck.before.path, world.provider())


def test_a_start_can_end_what_was_left_over(wreck):
    """`finish_ratchet` ends a killed one without beginning another, and does nothing when none was begun.

    An epoch that nothing needs any more is zeros before the provider is asked to destroy its part.
    """
    world = wreck.world.clone()
    connection = sqlite3.connect(world.path)
    doomed = connection.execute("SELECT wrapped FROM epoch WHERE state = 'doomed'").fetchall()
    connection.close()
    assert len(doomed) == ("destruction" in wreck.point)
    assert all(wrapped == bytes(60) for (wrapped,) in doomed)
    keystore = world.open()
    keystore.finish_ratchet()
    assert keystore.status().epoch == (1 if wreck.point in UNBEGUN else 2)
    assert not keystore.status().rotating
    assert all_open(keystore, wreck.sealed)
    keystore.close()


@pytest.mark.parametrize("point", POINTS)
def test_a_move_killed_anywhere_is_resumed(world, filled, point):
    """Exactly one of the two passphrases opens the keystore; with it the move is ended, and the other is dead."""
    new = world.write_passphrase("a different passphrase", "new")
    killed(world, "move", point)
    names = [name for name in ("passphrase", "new") if _opens(world, name)]
    assert len(names) == 1
    keystore = Keystore.open(world.path, world.provider(names[0]))
    assert all_open(keystore, filled)
    if names == ["passphrase"]:
        keystore.rewrap_to(world.provider("new"))
    else:
        keystore.finish_ratchet()
        keystore.retire_provider(world.provider())
    assert list(keystore.verify()) == []
    assert not keystore.status().rotating
    assert not any("still holds" in reason for reason in keystore.status().reasons)
    keystore.close()
    assert not _opens(world, "passphrase")
    again = Keystore.open(world.path, world.provider(new.name))
    assert all_open(again, filled)
    again.close()


def _opens(world, name):
    try:
        Keystore.open(world.path, world.provider(name)).close()
    except SetupError:
        return False
    return True


def test_random_kills_lose_nothing(world, filled):
    """Killed ten times at random moments of a ratchet, the keystore opens every key each time."""
    for attempt in range(10):
        process = started(world, "ratchet", "never")
        time.sleep(0.15 + 0.03 * attempt)
        process.kill()
        process.communicate()
        keystore = world.open()
        assert all_open(keystore, filled)
        assert list(keystore.verify()) == []
        keystore.close()


@pytest.mark.usefixtures("filled")
def test_no_slot_is_handed_out_twice(world):
    """Three processes allot 200 each at the same time; 600 slots, each opened by its own key only."""
    processes = [started(world, "allot", "200") for _ in range(3)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert all(process.returncode == 0 for process in processes), [o[1][-1500:] for o in outputs]
    lines = [line.split() for output, _ in outputs for line in output.splitlines()]
    assert len({slot for slot, _ in lines}) == 600
    keystore = world.open()
    assert all(keystore.keys(int(slot)).body.open(bytes.fromhex(blob), b"") == b"mine" for slot, blob in lines)
    assert len(list(keystore.slots())) == KEYS + 600
    assert list(keystore.verify()) == []
    keystore.close()


@pytest.mark.usefixtures("filled")
def test_a_killed_allotter_loses_nothing_it_handed_out(world):
    """Slots that were printed before the kill all open; the spares it leaves behind disturb nobody."""
    process = started(world, "allot", "100000")
    lines = [process.stdout.readline().split() for _ in range(100)]
    process.kill()
    process.communicate()
    keystore = world.open()
    assert all(keystore.keys(int(slot)).body.open(bytes.fromhex(blob), b"") == b"mine" for slot, blob in lines)
    assert list(keystore.verify()) == []
    keystore.close()


def test_others_work_at_every_step_of_a_ratchet(world, filled, monkeypatch):
    """After each batch one keystore opens keys singly, one opens them all in a row and one allots, each on its own."""
    monkeypatch.setattr(ratchet, "BATCH", 100)
    keystore, reader, lister, allotter = (world.open() for _ in range(4))
    steps = []

    def look(done, _):
        steps.append(done)
        assert all_open(reader, filled)
        assert {keys.slot for keys in lister.every()} >= set(filled)
        allotter._spares.clear()
        (fresh,) = allotter.allot()
        assert keystore.keys(fresh.slot).body.open(fresh.body.seal(b"x", b""), b"") == b"x"

    keystore.ratchet(look)
    assert len(steps) >= 4
    assert keystore.status().remaining == 0
    for each in (allotter, lister, reader, keystore):
        assert all_open(each, filled)
        assert list(each.verify()) == []
        each.close()


def test_others_read_and_allot_during_a_ratchet(world, filled, monkeypatch):
    """One process ratchets five times in small steps while one reads and one allots; nobody meets an error."""
    reader, allotter = started(world, "read", "2"), started(world, "allot", "400")
    assert reader.stdout.readline() == "reading\n"
    monkeypatch.setattr(ratchet, "BATCH", 50)
    keystore = world.open()
    for _ in range(5):
        keystore.ratchet(lambda *_: time.sleep(0.005))
    outputs = [process.communicate(timeout=120) for process in (reader, allotter)]
    assert (reader.returncode, allotter.returncode) == (0, 0), [o[1][-1500:] for o in outputs]
    assert int(outputs[0][0]) > 100
    keystore.ratchet()
    assert all_open(keystore, filled)
    lines = [line.split() for line in outputs[1][0].splitlines()]
    assert len(lines) == 400
    assert all(keystore.keys(int(slot)).body.open(bytes.fromhex(blob), b"") == b"mine" for slot, blob in lines)
    assert list(keystore.verify()) == []
    keystore.close()


def test_ratchets_at_once_share_the_work(world, filled):
    """Three processes begin together: all end well, and no more epochs have passed than there were calls."""
    processes = [started(world, "ratchet", "never") for _ in range(3)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], [o[1][-1500:] for o in outputs]
    keystore = world.open()
    assert keystore.status().epoch in {2, 3, 4}
    assert not keystore.status().rotating
    assert all_open(keystore, filled)
    keystore.close()


def test_a_ratchet_overtaken_by_another_gives_way(world, filled, monkeypatch):
    """While one is half through, another process ends it and does a whole one: the first returns, all is well."""
    monkeypatch.setattr(ratchet, "BATCH", 100)
    slow, fast = world.open(), world.open()
    overtaken = []

    def overtake(done, _):
        if not overtaken:
            overtaken.append(done)
            fast.ratchet()

    slow.ratchet(overtake)
    assert overtaken == [100]
    assert slow.status().epoch == 3
    for keystore in (slow, fast):
        assert all_open(keystore, filled)
        assert list(keystore.verify()) == []
        keystore.close()


def test_an_outage_in_the_middle_is_said_and_overcome(world, filled):
    """The provider fails when the old epoch is to be destroyed: status says that it lives on, the next call ends it."""
    keystore = world.open()
    provider = keystore._epochs.provider
    (secrets,) = world.secrets.glob("*.kek")

    def fail(done, total):
        if done == total:
            secrets.rename(secrets.with_suffix(".away"))
            secrets.mkdir()

    with pytest.raises(Unavailable, match="key file"):
        keystore.ratchet(fail)
    assert all_open(keystore, filled)
    assert keystore.status().rotating
    assert any("interrupted" in reason for reason in keystore.status().reasons)
    secrets.rmdir()
    secrets.with_suffix(".away").rename(secrets)
    keystore.ratchet()
    assert not keystore.status().rotating
    assert keystore._epochs.provider is provider
    keystore.close()


@pytest.mark.usefixtures("filled")
def test_progress_is_told(world, monkeypatch):
    """Batches are counted up to the number of keys."""
    monkeypatch.setattr(ratchet, "BATCH", 100)
    keystore = world.open()
    steps = []
    keystore.ratchet(lambda done, total: steps.append((done, total)))
    assert steps == [(100, 301), (200, 301), (300, 301), (301, 301)]
    keystore.close()
