"""On which disk does a file lie? The breach-safe verdict rests on this, so what cannot be known counts as unsafe.

Two files are apart when one thief cannot carry both off with one disk: different physical disks (partitions,
LVM and dm-crypt volumes are followed down to what holds them), memory, or a network share. Linux says so in
/proc/self/mountinfo and /sys/dev/block; on other systems only "same file system" is certain. A file that is mounted
(a loop device, under a volume or not) may lie anywhere: it is on no known disk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
BLOCK_DEVICES = Path("/sys/dev/block")
_MEMORY = frozenset({"tmpfs", "ramfs"})
_LAYERED = frozenset({"overlay", "aufs"})
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.sshfs"})


class Kind(StrEnum):
    """What a file system keeps its files on."""

    DISK = "disk"
    MEMORY = "memory"  # gone after a restart
    LAYER = "container layer"  # gone with the container
    NETWORK = "network share"
    UNKNOWN = "unknown"


class Distance(StrEnum):
    """How two places lie to one another."""

    TOGETHER = "together"
    APART = "apart"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Place:
    """Facts about the file system that holds a path.

    device  st_dev
    kind    what it keeps files on
    disks   physical disks below it, when known
    """

    device: int
    kind: Kind
    disks: frozenset[str] = frozenset()

    @property
    def lasting(self) -> bool:
        """Whether files here survive a restart of the machine and of its container."""
        return self.kind not in {Kind.MEMORY, Kind.LAYER}


def place_of(path: Path, mounts: Path = MOUNTS, block_devices: Path = BLOCK_DEVICES) -> Place:
    """Where a file or directory lies. Raises OSError when it is not there."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}" if os.name == "posix" else ""
    kind = _kind(number, mounts)
    disks = _disks(block_devices / number) if number else frozenset()
    if kind is Kind.UNKNOWN and disks:
        kind = Kind.DISK
    return Place(device, kind, disks if kind is Kind.DISK else frozenset())


def distance(one: Place, other: Place) -> Distance:
    """Whether a thief of the one has the other as well."""
    if one.device == other.device or one.disks & other.disks:
        return Distance.TOGETHER
    kinds = {one.kind, other.kind}
    if kinds & {Kind.LAYER, Kind.UNKNOWN} or kinds == {Kind.NETWORK}:
        return Distance.UNKNOWN
    return Distance.APART


def _kind(number: str, mounts: Path) -> Kind:
    """From mountinfo (proc(5)): field 3 is major:minor; the type follows the lone hyphen."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Kind.UNKNOWN
    types = {line.split(" - ", 1)[1].split()[0] for line in lines if line.split()[2:3] == [number] and " - " in line}
    for kind, names in ((Kind.MEMORY, _MEMORY), (Kind.LAYER, _LAYERED), (Kind.NETWORK, _NETWORK)):
        if types & names:
            return kind
    return Kind.UNKNOWN


def _disks(entry: Path) -> frozenset[str]:
    """Names of the physical disks below a block device, empty when the system does not say."""
    try:
        device = entry.resolve(strict=True)
    except OSError:
        return frozenset()
    if (device / "partition").exists():
        device = device.parent
    if (device / "loop").is_dir():
        return frozenset()
    below = sorted((device / "slaves").iterdir()) if (device / "slaves").is_dir() else []
    if not below:
        return frozenset({device.name})
    found = [_disks(slave) for slave in below]
    return frozenset().union(*found) if all(found) else frozenset()
