"""The passphrase provider: the common suite, then what is its own."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from keystore.kek_conformance import AAD, KEY, STORE, KekConformance
from keystore.world import CHEAP, World
from medlock.errors import SetupError, Unavailable
from medlock.store.kek.passphrase import PassphraseFile, read_passphrase
from medlock.store.kek.place import Kind, Place

DISK_A = Place(1, Kind.DISK, frozenset({"sda"}))
DISK_B = Place(2, Kind.DISK, frozenset({"sdb"}))
MEMORY = Place(3, Kind.MEMORY)
LAYER = Place(4, Kind.LAYER)


class Directory:
    """A world whose secrets can be out of reach."""

    def __init__(self, world: World) -> None:
        self.world = world

    def provider(self) -> PassphraseFile:
        return self.world.provider()

    @contextmanager
    def outage(self):
        """Something that is no file stands where the secrets file was, as on a failing mount."""
        hidden = []
        for path in self.world.secrets.glob("*.kek"):
            hidden.append((path, path.rename(path.with_suffix(".hidden"))))
            path.mkdir()
        yield
        for path, away in hidden:
            path.rmdir()
            away.rename(path)


class TestPassphraseFile(KekConformance):
    """The common suite."""

    @pytest.fixture
    def service(self, world):
        """Two directories."""
        return Directory(world)


def _provider(world, there, here):
    """A provider that finds its passphrase on one place and the data on another."""
    look = {world.data: here}
    return PassphraseFile(world.passphrase_file, world.data, CHEAP, look=lambda path: look.get(path, there))


def _attested(world, there, here):
    provider = _provider(world, there, here)
    provider.enrol(STORE)
    provider.new_epoch(1)
    return provider.attest()


def test_another_disk_is_breach_safe(world):
    """Passphrase and secrets on one disk, data on another: yes, and nothing to add."""
    attestation = _attested(world, DISK_A, DISK_B)
    assert attestation.breach_safe
    assert attestation.reasons == ()


@pytest.mark.parametrize(
    ("there", "here", "reason"),
    [(DISK_A, DISK_A, "on the same disk"), (DISK_A, LAYER, "cannot tell"), (LAYER, LAYER, "on the same disk")],
)
def test_what_one_thief_can_carry_is_not(world, there, here, reason):
    """The same disk, or one of which nothing is known, counts as no and says why."""
    attestation = _attested(world, there, here)
    assert not attestation.breach_safe
    assert any(reason in sentence for sentence in attestation.reasons)


def test_a_passphrase_in_the_data_directory_is_never_safe(world):
    """Even when the facts about disks are wrong."""
    inside = world.data / "passphrase"
    inside.write_bytes(world.passphrase_file.read_bytes())
    provider = PassphraseFile(inside, world.data, CHEAP, look=lambda path: DISK_A if path == inside else DISK_B)
    provider.enrol(STORE)
    provider.new_epoch(1)
    attestation = provider.attest()
    assert not attestation.breach_safe
    assert "lock and key" in attestation.reasons[0]


@pytest.mark.parametrize("there", [MEMORY, LAYER])
def test_secrets_do_not_lie_where_a_restart_takes_them(world, there):
    """Beside a passphrase that is handed in by memory, the secrets would be lost with the machine's power."""
    provider = _provider(world, there, DISK_B)
    parameters = provider.enrol(STORE)
    provider.new_epoch(1)
    assert parameters["secrets"] == "data"
    assert (world.data / "keystore.kek").exists()
    assert list(world.secrets.glob("*.kek")) == []
    attestation = provider.attest()
    assert attestation.breach_safe is (there is MEMORY)
    assert any("made before a ratchet still opens" in sentence for sentence in attestation.reasons)


def test_a_passphrase_that_others_may_read_is_pointed_out(world):
    """A warning with the command that mends it; the verdict stays."""
    world.passphrase_file.chmod(0o644)
    attestation = _attested(world, DISK_A, DISK_B)
    assert attestation.breach_safe
    assert attestation.reasons == (
        f"Other accounts of this machine may read {world.passphrase_file}. Run: chmod 600 {world.passphrase_file}",
    )


def test_the_secrets_file_is_private_and_named_for_its_store(world):
    """Mode 0600, beside the passphrase, eight hex digits of the store id."""
    provider = world.provider()
    provider.enrol(STORE)
    provider.new_epoch(1)
    path = world.secrets / "passphrase.00010203.kek"
    assert path.stat().st_mode & 0o777 == 0o600


def test_asking_again_leaves_one_secret(world):
    """An epoch made twice with one passphrase has one secret; with another passphrase it gets a second one."""
    provider = world.provider()
    parameters = provider.enrol(STORE)
    provider.new_epoch(1)
    provider.new_epoch(1)
    path = world.secrets / "passphrase.00010203.kek"
    assert path.read_bytes().count(b'"secret"') == 1
    world.write_passphrase("another passphrase")
    other = world.provider()
    other.connect(STORE, parameters)
    other.new_epoch(1)
    assert path.read_bytes().count(b'"secret"') == 2
    assert other.unwrap(1, other.wrap(1, KEY, AAD), AAD) == KEY
    assert provider.unwrap(1, provider.wrap(1, KEY, AAD), AAD) == KEY


def test_a_wrong_passphrase_is_told_from_damage(world):
    """One sentence that says which file holds another passphrase."""
    provider = world.provider()
    parameters = provider.enrol(STORE)
    provider.new_epoch(1)
    blob = provider.wrap(1, KEY, AAD)
    world.write_passphrase("correct horse battery stable")
    other = world.provider()
    other.connect(STORE, parameters)
    with pytest.raises(SetupError, match="is not the one that this keystore was made with"):
        other.unwrap(1, blob, AAD)


def test_lost_secrets_are_named(world):
    """The passphrase alone opens nothing, and the sentence names the file to put back."""
    provider = world.provider()
    parameters = provider.enrol(STORE)
    provider.new_epoch(1)
    blob = provider.wrap(1, KEY, AAD)
    (world.secrets / "passphrase.00010203.kek").unlink()
    other = world.provider()
    other.connect(STORE, parameters)
    with pytest.raises(SetupError, match=r"passphrase\.00010203\.kek is missing"):
        other.unwrap(1, blob, AAD)


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"twelve chars", b"twelve chars"),
        (b"twelve chars\n", b"twelve chars"),
        (b"twelve chars\r\n", b"twelve chars"),
        (b"twelve chars\n\n", b"twelve chars\n"),
        (b" twelve chars ", b" twelve chars "),
        ("zwölf Zeichen".encode(), "zwölf Zeichen".encode()),
        (bytes(range(128, 160)), bytes(range(128, 160))),
    ],
)
def test_only_the_line_ending_is_dropped(tmp_path, content, passphrase):
    """An editor adds one; everything else is the passphrase's own."""
    (tmp_path / "p").write_bytes(content)
    assert read_passphrase(tmp_path / "p") == passphrase


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"eleven char\n", b" " * 40, "üüüüüü".encode()])
def test_weak_passphrases_are_refused(tmp_path, content):
    """Fewer than twelve characters, counted as characters and without blanks around them."""
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(SetupError, match="at least 12 characters"):
        read_passphrase(tmp_path / "p")


def test_a_wrong_file_is_no_passphrase(tmp_path):
    """A missing file, a directory and a disk image are named as what they are not."""
    (tmp_path / "image").write_bytes(bytes(70_000) + b"x" * 20)
    with pytest.raises(SetupError, match="too long"):
        read_passphrase(tmp_path / "image")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(SetupError, match="MEDLOCK_PASSPHRASE_FILE"):
            read_passphrase(path)


def test_overwritten_secrets_leave_the_old_file_burnt(world):
    """A second name of the old file (as a thief's open handle would be) shows zeros after a ratchet."""
    provider = world.provider()
    provider.enrol(STORE)
    provider.new_epoch(1)
    path = world.secrets / "passphrase.00010203.kek"
    (world.secrets / "handle").hardlink_to(path)
    content = path.read_bytes()
    provider.destroy_epoch(1)
    assert (world.secrets / "handle").read_bytes() == bytes(len(content))
    assert b"secret" not in path.read_bytes()


def test_a_full_or_readonly_place_is_unavailable(world, monkeypatch):
    """When the new secrets cannot be synced to disk, the old ones stay whole."""
    provider = world.provider()
    provider.enrol(STORE)
    provider.new_epoch(1)
    blob = provider.wrap(1, KEY, AAD)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Unavailable, match="No space left"):
            provider.destroy_epoch(1)
    assert provider.unwrap(1, blob, AAD) == KEY


def test_it_must_be_connected_first(world):
    """A provider that serves no store yet opens nothing."""
    with pytest.raises(SetupError, match="before it was connected"):
        world.provider().unwrap(1, b"", b"")
