"""Where files lie, on systems made of a few files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medlock.store.kek.place import Distance, Kind, Place, distance, place_of

MOUNT = "36 35 {number} / {path} rw,noatime shared:1 - {type} /dev/x rw\n"


class Machine:
    """A pretended /proc/self/mountinfo and /sys/dev/block around the device that tmp_path really has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        device = root.stat().st_dev
        self.number = f"{os.major(device)}:{os.minor(device)}"
        self.block = root / "block"
        self.block.mkdir()

    def mounted(self, kind: str) -> None:
        other = MOUNT.format(number="0:99", path="/other", type="tmpfs")
        (self.root / "mountinfo").write_text(other + MOUNT.format(number=self.number, path="/", type=kind))

    def disk(self, name: str, *slaves: str, partition: bool = False) -> Path:
        """A block device; a partition lies in its disk's directory and has a file `partition`."""
        path = self.root / "devices" / name
        path.mkdir(parents=True)
        if partition:
            (path / "partition").write_text("1\n")
        if slaves:
            (path / "slaves").mkdir()
        for slave in slaves:
            (path / "slaves" / Path(slave).name).symlink_to(self.root / "devices" / slave)
        return path

    def lies_on(self, device: Path) -> None:
        (self.block / self.number).symlink_to(device)

    def place(self) -> Place:
        return place_of(self.root, self.root / "mountinfo", self.block)


@pytest.fixture
def machine(tmp_path):
    """A machine without mounts or disks yet."""
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("type_", "kind", "lasting"),
    [
        ("tmpfs", Kind.MEMORY, False),
        ("ramfs", Kind.MEMORY, False),
        ("overlay", Kind.LAYER, False),
        ("nfs4", Kind.NETWORK, True),
        ("fuse.sshfs", Kind.NETWORK, True),
        ("zfs", Kind.UNKNOWN, True),
    ],
)
def test_the_mount_tells_the_kind(machine, type_, kind, lasting):
    """Without a block device below, the file system's type is all there is."""
    machine.mounted(type_)
    assert machine.place().kind is kind
    assert machine.place().lasting is lasting


def test_a_machine_that_says_nothing_is_unknown(machine):
    """As on systems that are not Linux."""
    assert machine.place().kind is Kind.UNKNOWN


def test_a_partition_is_its_disk(machine):
    """sda1 lies in sda."""
    machine.mounted("ext4")
    machine.disk("sda")
    machine.lies_on(machine.disk("sda/sda1", partition=True))
    assert machine.place() == Place(machine.root.stat().st_dev, Kind.DISK, frozenset({"sda"}))


def test_volumes_are_followed_down(machine):
    """An encrypted volume on a logical volume on two disks lies on both disks."""
    machine.mounted("ext4")
    for disk in ("sda", "sdb"):
        machine.disk(disk)
        machine.disk(f"{disk}/{disk}1", partition=True)
    machine.disk("dm-0", "sda/sda1", "sdb/sdb1")
    machine.lies_on(machine.disk("dm-1", "dm-0"))
    assert machine.place().disks == {"sda", "sdb"}


def test_a_file_that_is_mounted_is_on_an_unknown_disk(machine):
    """A loop device: its image may well lie on the disk that holds the data; so may one under a volume."""
    machine.mounted("ext4")
    image = machine.disk("loop0")
    (image / "loop").mkdir()
    (image / "loop/backing_file").write_text("/var/lib/keys.img\n")
    machine.lies_on(image)
    assert machine.place().kind is Kind.UNKNOWN
    other = Place(1, Kind.DISK, frozenset({"sda"}))
    assert distance(machine.place(), other) is Distance.UNKNOWN


def test_a_volume_with_one_unknown_part_is_unknown(machine):
    """An encrypted container in a file, or a volume over a disk and a file."""
    machine.mounted("ext4")
    (machine.disk("loop0") / "loop").mkdir()
    machine.disk("sdb")
    volume = machine.disk("dm-0", "loop0", "sdb")
    machine.lies_on(volume)
    assert machine.place().disks == frozenset()
    assert distance(machine.place(), Place(1, Kind.DISK, frozenset({"sda"}))) is Distance.UNKNOWN


A, B = Place(1, Kind.DISK, frozenset("a")), Place(2, Kind.DISK, frozenset("b"))
BOTH = Place(3, Kind.DISK, frozenset("ab"))
MEMORY, LAYER, NET, NET2 = Place(4, Kind.MEMORY), Place(5, Kind.LAYER), Place(6, Kind.NETWORK), Place(7, Kind.NETWORK)
UNKNOWN = Place(8, Kind.UNKNOWN)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (A, A, Distance.TOGETHER),
        (A, BOTH, Distance.TOGETHER),
        (MEMORY, MEMORY, Distance.TOGETHER),
        (UNKNOWN, UNKNOWN, Distance.TOGETHER),
        (A, B, Distance.APART),
        (A, MEMORY, Distance.APART),
        (A, NET, Distance.APART),
        (NET, MEMORY, Distance.APART),
        (NET, NET2, Distance.UNKNOWN),
        (A, LAYER, Distance.UNKNOWN),
        (A, UNKNOWN, Distance.UNKNOWN),
        (LAYER, MEMORY, Distance.UNKNOWN),
    ],
)
def test_distance_counts_what_it_does_not_know_as_unknown(one, other, expected):
    """Apart only when two disks, memory or a share are certain; the order does not matter."""
    assert distance(one, other) is expected
    assert distance(other, one) is expected


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")  # noqa: S108
def test_this_machine_is_read_without_error(tmp_path):
    """The real files of Linux: memory is memory, and a directory lies together with itself."""
    assert place_of(Path("/dev/shm")).kind is Kind.MEMORY  # noqa: S108
    assert distance(place_of(tmp_path), place_of(tmp_path)) is Distance.TOGETHER
