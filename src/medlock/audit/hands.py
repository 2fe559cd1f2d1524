"""More hands for a long log: other processes hash a share of its complete tiles, one share for each processor.

A hand is this program again. It reads the file by itself, hashes entries, compares them with their tile, and says for
each tile nothing but its root, or that something is odd. It needs no key and judges nothing: what is odd, and
the work of a hand that failed, is computed again by whoever asked, who also holds every root against the sealed head
(`audit.blame`). So a hand that fails costs time and nothing else. Entries that the head counts never change, so it does
not matter that a hand sees a later state than the snapshot that is being verified.

    python -m medlock.audit.hands FILE FIRST LAST        32 bytes to stdout for each tile FIRST … LAST - 1
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from medlock.crypto.merkle import HASH_BYTES, perfect_root
from medlock.crypto.tiles import WIDTH, split
from medlock.store.reader import FileReader
from medlock.store.tables import Backend, Table

SHARE = 1_024
"""So many tiles are worth a process: a third of a second, and a tenth of one to start it."""

ODD = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class Share:
    """The tiles that one hand hashes, and what it says."""

    tiles: range
    said: asyncio.Task[bytes]

    async def roots(self) -> list[bytes]:
        """The root of each tile, or ODD where it must be looked into; all are when the hand did not get done."""
        said = await self.said
        return split(said) if len(said) == len(self.tiles) * HASH_BYTES else [ODD] * len(self.tiles)


@asynccontextmanager
async def shared(backend: Backend, tiles: int) -> AsyncIterator[tuple[range, Sequence[Share]]]:
    """The first tiles, which are left to whoever asks, and the shares of the hands behind them, in order."""
    file = backend.file
    hands = 1 if file is None else max(1, min(_processors(), tiles // SHARE))
    ends = [tiles * (number + 1) // hands for number in range(hands)]
    shares = [
        Share(range(first, last), asyncio.create_task(_ask(str(file), str(first), str(last))))
        for first, last in pairwise(ends)
    ]
    try:
        yield range(ends[0]), shares
    finally:
        for share in shares:
            share.said.cancel()
        await asyncio.gather(*(share.said for share in shares), return_exceptions=True)


def _processors() -> int:
    """Those that this process may run on, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _ask(*what: str) -> bytes:
    """What a hand says; nothing when none can be had."""
    command = (sys.executable, "-P", "-m", __name__, *what)
    try:
        hand = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    except OSError:
        return b""
    try:
        said, _ = await hand.communicate()
        return b"" if hand.returncode else said
    finally:
        if hand.returncode is None:
            hand.kill()


def hash_tiles(reader: FileReader, tiles: range, out: BinaryIO) -> None:
    """The work of a hand."""
    for tile in tiles:
        entries = reader.within(Table.LOG, range(tile * WIDTH, (tile + 1) * WIDTH))
        leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
        as_said = len(leaves) == WIDTH and [b"".join(leaves)] == reader.within(Table.TILE, range(tile, tile + 1))
        out.write(perfect_root(leaves) if as_said else ODD)


if __name__ == "__main__":
    hash_tiles(FileReader(Path(sys.argv[1])), range(int(sys.argv[2]), int(sys.argv[3])), sys.stdout.buffer)
