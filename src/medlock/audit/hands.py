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
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from medlock.crypto.merkle import HASH_BYTES, perfect_root
from medlock.crypto.tiles import WIDTH, split
from medlock.store.reader import FileReader
from medlock.store.tables import Backend, Table

SHARE = 1_024
"""So many tiles are worth a process: a third of a second, and a tenth of one to start it."""

ODD = bytes(HASH_BYTES)
_TURN = 16  # tiles, some milliseconds; then others may go, and what the hands say is taken in


async def roots(backend: Backend, tiles: int) -> AsyncGenerator[tuple[int, bytes], None]:
    """The first `tiles` tiles of level 0 in order, each with its root, or with ODD where it must be looked into.

    This process takes the first share itself. Of a back end without a file nothing is known here: all are ODD.
    """
    if backend.file is None:
        for tile in range(tiles):
            yield tile, ODD
        return
    ends = _ends(tiles)
    asked = [asyncio.create_task(_ask(backend.file, range(*share))) for share in pairwise(ends)]
    try:
        with closing(FileReader(backend.file)) as reader:
            for tile, root in enumerate(roots_of(reader, range(ends[0]))):
                yield tile, root
                if tile % _TURN == 0:
                    await asyncio.sleep(0)
        for first, task in zip(ends, asked, strict=False):
            for tile, root in enumerate(await task, first):
                yield tile, root
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


def _ends(tiles: int) -> list[int]:
    """Where each share ends: as many shares as processors, unless they became too small."""
    hands = max(1, min(_processors(), tiles // SHARE))
    return [tiles * (number + 1) // hands for number in range(hands)]


def _processors() -> int:
    """Those that this process may run on, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _ask(file: Path, tiles: range) -> list[bytes]:
    """What a hand says of these tiles; all are ODD when it did not get done."""
    said = await _said(sys.executable, "-P", "-m", __name__, str(file), str(tiles.start), str(tiles.stop))
    return split(said) if len(said) == len(tiles) * HASH_BYTES else [ODD] * len(tiles)


async def _said(*command: str) -> bytes:
    """What a command writes; nothing when it fails."""
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


def roots_of(reader: FileReader, tiles: range) -> Iterator[bytes]:
    """The root of each tile that agrees with its entries, ODD for others. Raises Unavailable."""
    for tile in tiles:
        entries = reader.within(Table.LOG, range(tile * WIDTH, (tile + 1) * WIDTH))
        leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
        as_said = len(leaves) == WIDTH and [b"".join(leaves)] == reader.within(Table.TILE, range(tile, tile + 1))
        yield perfect_root(leaves) if as_said else ODD


if __name__ == "__main__":
    for _root in roots_of(FileReader(Path(sys.argv[1])), range(int(sys.argv[2]), int(sys.argv[3]))):
        sys.stdout.buffer.write(_root)
