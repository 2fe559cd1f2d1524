"""A copy of the keys: whole, opened by enough shares of its own set and by nothing else, and told apart when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystore.world import World
from medlock.backup.keysource import exported_from, read_shares
from medlock.clock import Clock
from medlock.errors import SetupError, Tampered
from medlock.settings import Settings
from medlock.store.copy_commands import shared_copy
from medlock.store.keycopy import create_from, header_of, open_export, seal_export
from medlock.store.keystore import Keystore

SECRET = bytes(range(32))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def used(world: World) -> tuple[Keystore, list[int]]:
    """A keystore with patients, one of them with two generations."""
    keystore = world.create()
    slots = [keys.slot for keys in keystore.allot(5)]
    keystore.new_generation(slots[0])
    keystore.set_watermark(17, bytes(range(32)))
    return keystore, slots


def test_everything_comes_back(world: World, tmp_path: Path) -> None:
    """Every slot and generation opens the same; the watermark is the one that is asked for; a new epoch."""
    keystore, slots = used(world)
    exported = open_export(seal_export(keystore.export(), SECRET, "qqqq", 2, 3), SECRET)
    assert exported == keystore.export().__class__(**{**_fields(keystore.export()), "made": exported.made})
    place = World(tmp_path / "new")
    create_from(place.path, place.provider(), exported, (5, bytes(32)), 1)
    again = place.open()
    assert again.store_id == keystore.store_id
    assert again.watermark() == (5, bytes(32))
    assert again.status().epoch == 2
    assert list(again.verify()) == []
    blob = keystore.keys(slots[0]).body.seal(b"text", b"")
    assert again.keys(slots[0]).body.open(blob, b"") == b"text"
    older = keystore.keys(slots[0], 0).body.seal(b"older", b"")
    assert again.keys(slots[0], 0).body.open(older, b"") == b"older"
    assert again.tenant.checkpoint_seed == keystore.tenant.checkpoint_seed
    again.close()
    keystore.close()


def _fields(exported: object) -> dict:
    return {name: getattr(exported, name) for name in exported.__slots__}  # type: ignore[attr-defined]


def test_a_file_says_nothing_and_a_flipped_bit_is_found(world: World) -> None:
    """No key lies in it; whatever byte is changed, it does not open; nor when it is cut."""
    keystore, slots = used(world)
    exported = keystore.export()
    blob = seal_export(exported, SECRET, "qqqq", 2, 3)
    for _, _, key in exported.keys:
        assert key[:16] not in blob
    for at in range(0, len(blob), 7):
        bad = bytearray(blob)
        bad[at] ^= 4
        with pytest.raises(Tampered):
            open_export(bytes(bad), SECRET)
    for length in range(0, len(blob), 11):
        with pytest.raises(Tampered):
            open_export(blob[:length], SECRET)
    with pytest.raises(Tampered):
        open_export(blob, bytes(32))
    assert slots
    keystore.close()


def test_a_keystore_that_is_not_whole_is_not_copied(world: World) -> None:
    """A missing row would look like an erasure in every restore."""
    keystore, slots = used(world)
    with keystore._file.transaction() as tx:
        tx.execute("DELETE FROM key WHERE slot = ?", (slots[1],))
    with pytest.raises(Tampered):
        keystore.export()
    keystore.close()


def test_shares_open_their_file_and_no_other(world: World, tmp_path: Path) -> None:
    """Any two of three; one is too few; those of another set are named; a slip is named by its number."""
    keystore, _ = used(world)
    one = shared_copy(keystore.export(), tmp_path / "one", 2, 3)
    two = shared_copy(keystore.export(), tmp_path / "two", 2, 3)
    assert (tmp_path / "one").stat().st_mode & 0o077 == 0
    settings_ = Settings(world.data)
    for pair in ((0, 1), (0, 2), (2, 1)):
        found = exported_from(tmp_path / "one", [one.shares[at] for at in pair], settings_, Clock())
        assert found.keys == keystore.export().keys
    refusals = {
        "2 of the 3 shares": [one.shares[0]],
        "these are of set": list(two.shares[:2]),
        "Share 2: there is a slip": [one.shares[0], one.shares[1][:-1] + ("q" if one.shares[1][-1] != "q" else "p")],
        "twice": [one.shares[0], one.shares[0]],
        "begins with ml1": ["hello"],
    }
    for words, lines in refusals.items():
        with pytest.raises(SetupError, match=words):
            exported_from(tmp_path / "one", lines, settings_, Clock())
    keystore.close()


def test_forged_shares_of_the_right_set_do_not_open(world: World, tmp_path: Path) -> None:
    """Sound checksums, the right name, another secret: refused, not a keystore of noise."""
    keystore, _ = used(world)
    made = shared_copy(keystore.export(), tmp_path / "file", 2, 2)
    from medlock.crypto.shares import split  # noqa: PLC0415

    forged = split(SECRET, 2, 2, ("ml", made.set), bytes(33))
    with pytest.raises(SetupError, match="do not open"):
        exported_from(tmp_path / "file", forged, Settings(world.data), Clock())
    keystore.close()


def test_a_copy_under_the_provider_is_dead_after_a_ratchet(world: World, tmp_path: Path) -> None:
    """Until then the passphrase opens it; after it, nothing does, and the sentence says why."""
    from medlock.store.opening import export_of  # noqa: PLC0415

    keystore, _ = used(world)
    keystore.copy(tmp_path / "copy")
    where = Settings(world.data, passphrase_file=world.passphrase_file)
    assert export_of(tmp_path / "copy", where, Clock()).keys == keystore.export().keys
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    keystore.ratchet()
    with pytest.raises(SetupError, match="old copy"):
        export_of(tmp_path / "copy", where, Clock())
    keystore.close()


def test_shares_are_read_from_files(tmp_path: Path) -> None:
    """One or several a file, blank lines ignored; a file that is not there is named."""
    (tmp_path / "a").write_text("\nml1x\n\nml1y\n")
    assert read_shares([str(tmp_path / "a")]) == ["ml1x", "ml1y"]
    with pytest.raises(SetupError, match="cannot be read"):
        read_shares([str(tmp_path / "b")])


def test_representations_show_no_secret(world: World, tmp_path: Path) -> None:
    """Neither of copies nor of exports."""
    keystore, _ = used(world)
    made = shared_copy(keystore.export(), tmp_path / "file", 2, 3)
    shown = repr(made) + repr(keystore.export()) + str(keystore.export())
    assert not any(share[10:30] in shown for share in made.shares)
    assert keystore.export().keys[0][2].hex() not in shown
    assert repr(keystore.export().keys[0][2]) not in shown
    assert header_of((tmp_path / "file").read_bytes()).set == made.set
    keystore.close()


@settings(max_examples=60)
@given(st.sets(st.integers(1, 2**63 - 1), max_size=30))
def test_without_takes_exactly_those(slots: set[int]) -> None:
    """Keys of others stay; the tenant's cannot be taken."""
    from medlock.store.keycopy import KeyExport  # noqa: PLC0415

    rows = ((0, 0, bytes(32)), *((slot, 0, bytes(32)) for slot in sorted(slots)))
    half = frozenset(list(slots)[: len(slots) // 2]) | {0}
    left = KeyExport(bytes(16), 1, 0, 0, bytes(32), rows).without(half).keys
    assert {each[0] for each in left} == (slots - half) | {0}


def test_a_copy_is_written_through_no_link_and_into_no_file_of_others(world: World, tmp_path: Path) -> None:
    """What lies where the file is written first is put away, not written to: it may be a link, or open for others."""
    keystore, _ = used(world)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".keys.partial").symlink_to(victim)
    shared_copy(keystore.export(), tmp_path / "keys", 2, 3)
    assert victim.read_text() == "precious"
    (tmp_path / ".more.partial").touch()
    (tmp_path / ".more.partial").chmod(0o666)
    shared_copy(keystore.export(), tmp_path / "more", 2, 3)
    for copy in ("keys", "more"):
        assert not (tmp_path / copy).is_symlink()
        assert (tmp_path / copy).stat().st_mode & 0o777 == 0o600
    keystore.close()
