"""Processes that the crash and concurrency tests start: `python -m keystore.worker ROOT TASK ARGUMENTS…`.

ratchet POINT   ratchet in batches of 50, and die by SIGKILL at a point (`never` to live)
move POINT      the same, moving to the passphrase file `new`
allot COUNT     allot one by one, print each slot after it was handed out
read SECONDS    open random keys again and again, print how many; any failure ends with a traceback
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from random import Random

from keystore.world import CHEAP, World
from medlock.store import ratchet
from medlock.store.kek.passphrase import PassphraseFile
from medlock.store.keystore import Keystore


class Fuse:
    """Kills this process, without a word, when it reaches its point."""

    def __init__(self, point: str) -> None:
        self.point = point

    def reach(self, point: str) -> None:
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)


class FusedProvider(PassphraseFile):
    """A provider during whose calls the machine may lose power."""

    fuse = Fuse("never")

    def new_epoch(self, number: int) -> None:
        self.fuse.reach("before new epoch")
        super().new_epoch(number)
        self.fuse.reach("after new epoch")

    def wrap(self, epoch: int, key: bytes | bytearray, aad: bytes) -> bytes:
        wrapped = super().wrap(epoch, key, aad)
        self.fuse.reach("after wrap")
        return wrapped

    def destroy_epoch(self, number: int) -> None:
        self.fuse.reach("before destruction")
        super().destroy_epoch(number)
        self.fuse.reach("after destruction")


def main(root: str, task: str, *arguments: str) -> None:
    """Do one task in one world."""
    world = World(Path(root))
    TASKS[task](world, Keystore.open(world.path, FusedProvider(world.passphrase_file, world.data, CHEAP)), *arguments)


def do_ratchet(_: World, keystore: Keystore, point: str) -> None:
    """Ratchet until the fuse burns."""
    ratchet.BATCH = 50
    FusedProvider.fuse = fuse = Fuse(point)
    keystore.ratchet(lambda done, total: fuse.reach(f"after {done} of {total}"))


def do_move(world: World, keystore: Keystore, point: str) -> None:
    """Move until the fuse burns."""
    ratchet.BATCH = 50
    FusedProvider.fuse = fuse = Fuse(point)
    new = FusedProvider(world.secrets / "new", world.data, CHEAP)
    keystore.rewrap_to(new, lambda done, total: fuse.reach(f"after {done} of {total}"))


def do_allot(_: World, keystore: Keystore, count: str) -> None:
    """Hand out keys and prove each at once with a sealed word."""
    for _each in range(int(count)):
        (keys,) = keystore.allot()
        print(keys.slot, keys.body.seal(b"mine", b"").hex(), flush=True)  # noqa: T201
    keystore.close()


def do_read(_: World, keystore: Keystore, seconds: str) -> None:
    """Open keys past the cache while others ratchet."""
    slots, random, opened = list(keystore.slots()), Random(1), 0
    print("reading", flush=True)  # noqa: T201
    ends = time.monotonic() + float(seconds)
    while time.monotonic() < ends:
        slot = random.choice(slots)
        keystore.forget(slot)
        keystore.keys(slot)
        opened += 1
    print(opened)  # noqa: T201
    keystore.close()


TASKS = {"ratchet": do_ratchet, "move": do_move, "allot": do_allot, "read": do_read}

if __name__ == "__main__":
    main(*sys.argv[1:])
