"""A content that is received: sealed chunk by chunk as it arrives, named by nothing until its Binary is committed.

Each commit of chunks goes with a note (docs/spec/store.md §3.1) that says how many there may be, and expects that note
as it was left. The Binary's own commit takes the note away. So a crash, a caller who leaves or a refusal leaves chunks
that nobody can find, and a note by which whoever keeps house takes them away; and an upload that was swept cannot be
committed any more. No more than some chunks are in memory at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from medlock.errors import BadRequest, Raced, Tampered, TooLarge
from medlock.records.notes import Notes
from medlock.records.vault import Vault
from medlock.records.verify_bodies import scan
from medlock.store.content import CHUNK, ChunkCipher, Content, new_stream
from medlock.store.tables import Batch, Row, Table

Arriving = AsyncIterator[bytes]
"""The bytes of a content as they come. What it raises when they do not ends the upload."""
TOGETHER: Final = 4
"""Chunks in a commit: a mebibyte."""
STALE_MS: Final = 600_000
_DELETES: Final = 64


class Received(NamedTuple):
    """A content that lies there whole, and what must be in the commit that first names it."""

    content: Content
    settling: Batch


class _Upload:
    """One stream under way."""

    def __init__(self, vault: Vault, now_ms: Callable[[], int]) -> None:
        self._vault = vault
        self._now_ms = now_ms
        self._stream, self._key = new_stream()
        self._note: Row | None = None
        self._reach = 0

    async def take(self, arriving: Arriving, limit: int) -> Received:
        """Seal all that comes. Raises TooLarge, BadRequest, Raced, Unavailable, and what `arriving` raises."""
        cipher = ChunkCipher(self._stream, self._key)
        rows: list[Row] = []
        at = size = 0
        async for block, last in _blocks(arriving, limit):
            key = self._vault.chunk_key(self._stream, at)
            rows.append((Table.CHUNK, key, cipher.seal(at, block, last=last)))
            at, size = at + 1, size + len(block)
            if len(rows) == TOGETHER or last:
                await self._commit(rows, at)
                rows = []
        return Received(Content(self._stream, self._key, size), self._settling())

    async def _commit(self, rows: list[Row], reach: int) -> None:
        """Chunks, and the note that they may be there, from the note as it was."""
        note = self._vault.notes.upload(self._stream, reach, self._now_ms())
        if self._note is None:
            batch = Batch(inserts=[*rows, note])
        else:
            batch = Batch(inserts=rows, puts=[note], expects=[self._note])
        await self._vault.backend.commit(batch)
        self._note, self._reach = note, reach

    def _settling(self) -> Batch:
        note = self._note
        return Batch() if note is None else Batch(deletes=[note[:2]], expects=[note])

    async def discard(self) -> None:
        """Take away what came, unless it was committed or swept. Raises Unavailable: then it is swept later."""
        if self._note is not None:
            with suppress(Raced):
                await _clear(self._vault, self._stream, self._reach, self._note)


@asynccontextmanager
async def received(vault: Vault, now_ms: Callable[[], int], arriving: Arriving, limit: int) -> AsyncIterator[Received]:
    """A content, received whole; what the block did not commit is taken away after it."""
    upload = _Upload(vault, now_ms)
    try:
        yield await upload.take(arriving, limit)
    finally:
        await upload.discard()


async def _blocks(arriving: Arriving, limit: int) -> AsyncIterator[tuple[bytes, bool]]:
    """Blocks of CHUNK bytes, the last one as long or shorter, and whether it is that."""
    held = bytearray()
    size = 0
    async for piece in arriving:
        size += len(piece)
        if size > limit:
            raise TooLarge(f"The content is larger than {limit} bytes.")
        held += piece
        while len(held) > CHUNK:
            yield bytes(held[:CHUNK]), False
            del held[:CHUNK]
    if not size:
        raise BadRequest("The request brings no content.")
    yield bytes(held), True


async def _clear(vault: Vault, stream: bytes, reach: int, note: Row) -> None:
    """Delete the chunks of a stream, then its note. Raises Raced when the note is not as it was read."""
    keys = vault.chunk_keys(stream, reach)
    for start in range(0, len(keys), _DELETES):
        deletes = [(Table.CHUNK, key) for key in keys[start : start + _DELETES]]
        await vault.backend.commit(Batch(deletes=deletes, expects=[note]))
    await vault.backend.commit(Batch(deletes=[note[:2]], expects=[note]))


async def sweep_uploads(vault: Vault, now: int) -> None:
    """Take away what uploads left that nobody goes on with."""
    async for key, row in scan(vault.backend, Table.JOB):
        found = stale(vault.notes, key, row, now)
        if found is not None:
            stream, reach = found
            taken = vault.notes.upload(stream, reach, 0)
            with suppress(Raced):
                await vault.backend.commit(Batch(puts=[taken], expects=[(Table.JOB, key, row)]))
                await _clear(vault, stream, reach, taken)


def stale(notes: Notes, key: int, row: bytes, now: int) -> tuple[bytes, int] | None:
    """Stream and reach of an upload that nobody goes on with; None for every other row of table JOB."""
    try:
        name, state = notes.open(key, row)
    except Tampered:
        return None
    found = notes.uploading(name, state)
    return None if found is None or found[2] > now - STALE_MS else found[:2]
