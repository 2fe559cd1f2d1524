"""A process that dies by SIGKILL in the middle: `python -m backup.worker ROOT create|increment|restore|drill STEP`.

STEP counts what goes to the disk: files of a backup that were synced, or commits of a restore.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from backup.world import back_up, restore
from medlock.backup import fill, shelf
from medlock.store.sqlite import SqliteBackend
from records.world import open_world


def fuse(step: int) -> None:
    """Die at the given step."""
    left = [step]
    put, commit = shelf.Making.put, SqliteBackend.commit

    def burn() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def burning_put(self, name, blob):
        put(self, name, blob)
        burn()

    async def burning_commit(self, batch):
        found = await commit(self, batch)
        if sys.argv[2] == "restore":
            burn()
        return found

    shelf.Making.put, SqliteBackend.commit = burning_put, burning_commit
    fill._ROWS = 50


async def main(root: Path, task: str) -> None:
    """Open the clinic and do it."""
    world = await open_world(root / "data")
    try:
        if task == "restore":
            await restore(root / "new", root / "shelf", world.keystore.export())
        else:
            await back_up(world, root / "shelf", incremental=task == "increment")
    finally:
        await world.close()


if __name__ == "__main__":
    fuse(int(sys.argv[3]))
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
