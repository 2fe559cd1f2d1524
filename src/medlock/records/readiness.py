"""Whether what every answer depends on can be had now: the store read, the log written, the keys opened.

Asked by strangers (`/readyz`), so it costs little however often it is asked: one look at a time, and what it found is
good for a second. Nothing is left behind: the commit changes no row but takes the writer, its lock and its transaction
as any other does; a file of one page is written, flushed and removed beside the data, which a full or failing disk
refuses; the keystore's state is read and authenticated.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from medlock.errors import MedlockError, Unavailable
from medlock.store.keyport import Keys
from medlock.store.tables import Backend, Batch, Table

GOOD_SECONDS = 1.0
LOOK_SECONDS = 5.0
_PAGE = bytes(4_096)
_NO_ROW = -1  # keys are never below zero
_SENTENCE = "This server cannot answer now."


class Readiness:
    """Looks when it is asked."""

    def __init__(self, backend: Backend, keystore: Keys, directory: Path) -> None:
        self._backend = backend
        self._keystore = keystore
        self._probe = directory / f"ready-{os.getpid()}.probe"
        self._look: asyncio.Task[None] | None = None
        self._good_until = 0.0

    async def ready(self) -> None:
        """Return when all can be had. Raises Unavailable, with the same sentence for every cause."""
        if time.monotonic() < self._good_until:
            return
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._all())
        look = self._look
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await asyncio.shield(look)
        except (TimeoutError, OSError, MedlockError) as fault:
            raise Unavailable(_SENTENCE, reason=f"not ready: {type(fault).__name__}") from fault

    async def _all(self) -> None:
        """One look. Raises MedlockError or OSError."""
        self._keystore.watermark()
        await self._backend.last_key(Table.TIP)
        await self._backend.commit(Batch(deletes=[(Table.JOB, _NO_ROW)]))
        await asyncio.to_thread(self._write_page)
        self._good_until = time.monotonic() + GOOD_SECONDS

    def _write_page(self) -> None:
        """Have the disk take one page. Raises OSError."""
        handle = os.open(self._probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, _PAGE)
            os.fsync(handle)
        finally:
            os.close(handle)
            self._probe.unlink(missing_ok=True)
