"""The ratchet: wrap every key anew, then destroy what wrapped it before.

Deleting a key row reaches this file, not its backups. A ratchet does: it makes a new epoch key, re-wraps all
surviving keys under it and has the provider destroy its part of the old epoch, after which every earlier copy of
the keystore is noise, and so is every patient who was destroyed in between.

Every step is one transaction, and the file alone says which steps are done: a killed ratchet goes on where it
stopped, two at once share the work, and other processes read and add keys meanwhile.

    1  insert the new epoch as current, mark the old one retiring
    2  re-wrap rows in batches, ascending by slot; nobody adds rows under the old epoch any more
    3  once no row is left under it: doom the old epoch (its wrapped key becomes zeros)
    4  the provider destroys the old epoch
    5  delete the doomed row, scrub the journal
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from medlock.clock import Clock
from medlock.crypto.aead import NONCE_BYTES, TAG_BYTES
from medlock.errors import Tampered, Unavailable
from medlock.ids import random_bytes
from medlock.store.epochs import Epoch, Epochs, EpochState, insert_epoch, read_epochs, row_aad, wrapped_epoch
from medlock.store.kek.provider import EpochDestroyed
from medlock.store.keychange import KeyChange, KeyChanges
from medlock.store.keyfile import KeyFile

BATCH = 8_192  # rows a transaction: 40 ms during which other writers wait
Progress = Callable[[int, int], None]


class Ratchet:
    """Moves one keystore from its epoch to the next."""

    def __init__(self, file: KeyFile, epochs: Epochs, changes: KeyChanges, clock: Clock) -> None:
        self._file = file
        self._epochs = epochs
        self._changes = changes
        self._clock = clock

    def run(self, progress: Progress) -> None:
        """Finish what was begun, then do a whole one: a copy made a moment ago must be dead when this returns."""
        self.finish(progress)
        self._begin()
        self.finish(progress)

    def finish(self, progress: Progress) -> None:
        """Whatever of steps 2 to 5 was begun and not ended."""
        old = self.retiring()
        if old is not None:
            self._rewrap(old, progress)
            self._doom(old)
        self.clear_doomed()

    def retiring(self) -> Epoch | None:
        """The epoch whose rows are being re-wrapped, if a ratchet is under way."""
        return next((e for e in read_epochs(self._file.read) if e.state == EpochState.RETIRING), None)

    def clear_doomed(self) -> None:
        """Steps 4 and 5 for every doomed epoch."""
        doomed_epochs = [e for e in read_epochs(self._file.read) if e.state == EpochState.DOOMED]
        for doomed in doomed_epochs:
            self._epochs.provider.destroy_epoch(doomed.number)
            with self._file.transaction() as tx:
                tx.execute("DELETE FROM epoch WHERE number = ? AND state = 'doomed'", (doomed.number,))
        self._epochs.load(self._file.read)
        self._file.scrub()

    def _begin(self) -> None:
        """Step 1. If another process is first, its epoch serves as well: it is younger than our call."""
        old = self._epochs.current
        try:
            new, _ = wrapped_epoch(self._epochs.provider, self._epochs.store_id, old + 1, self._clock.now_ms())
        except EpochDestroyed:
            self._epochs.load(self._file.read)
            if self._epochs.current == old:
                raise
            return
        with self._changes.begin() as change:
            if self._epochs.current != old:
                return
            change.tx.execute("UPDATE epoch SET state = 'retiring' WHERE number = ?", (old,))
            insert_epoch(change.tx, new)
        self._epochs.load(self._file.read)

    def _rewrap(self, old: Epoch, progress: Progress) -> None:
        total = self._changes.state().keys
        after, done = -1, 0
        while True:
            with self._changes.begin() as change:
                upto, count = _bounds(change, after)
                if not _is_retiring(change, old):
                    return  # another process ended this ratchet
                if count:
                    self._rewrap_range(change, old.number, (after, upto))
            if not count:
                return
            after, done = upto, done + count
            progress(min(done, total), total)

    def _rewrap_range(self, change: KeyChange, old: int, slots: tuple[int, int]) -> None:
        """Re-wrap the rows with slots in (first, last] where they lie: SQLite calls `rewrap` for each."""
        rewrap = _Rewrap(self._epochs, old)
        change.tx.create_function("rewrap", 3, rewrap)
        sql = (
            "UPDATE key SET epoch = ?, wrapped = rewrap(slot, generation, wrapped) "
            "WHERE slot > ? AND slot <= ? AND epoch = ?"
        )
        try:
            change.tx.execute(sql, (self._epochs.current, *slots, old))
        except sqlite3.OperationalError as error:
            if rewrap.failed is None:
                raise
            raise Tampered(f"the key row of slot {rewrap.failed} does not open; the ratchet waits") from error
        finally:
            change.tx.create_function("rewrap", 3, None)  # it holds the old epoch's key
        change.tags.extend(rewrap.tags)

    def _doom(self, old: Epoch) -> None:
        with self._changes.begin() as change:
            if not _is_retiring(change, old):
                return
            if change.tx.execute("SELECT 1 FROM key WHERE epoch = ? LIMIT 1", (old.number,)).fetchone():
                raise Unavailable("Keys were left under the old epoch; run the ratchet again.")
            change.tx.execute(
                "UPDATE epoch SET state = 'doomed', wrapped = zeroblob(length(wrapped)) WHERE number = ?",
                (old.number,),
            )


class _Rewrap:
    """The function that SQLite calls for each row; an error stops the statement, `failed` says at which slot."""

    def __init__(self, epochs: Epochs, old: int) -> None:
        self.tags: list[bytes] = []
        self.failed: int | None = None
        self._store_id = epochs.store_id
        self._old, self._new = old, epochs.current
        self._open = epochs.kek(old).open
        self._seal = epochs.kek(epochs.current).seal_with
        self._nonces = _nonces()

    def __call__(self, slot: int, generation: int, wrapped: bytes) -> bytes:
        try:
            key = self._open(wrapped, row_aad(self._store_id, slot, generation, self._old))
        except Tampered:
            self.failed = slot
            raise
        nonce = next(self._nonces)
        sealed = nonce + self._seal(nonce, key, row_aad(self._store_id, slot, generation, self._new))
        self.tags += (wrapped[-TAG_BYTES:], sealed[-TAG_BYTES:])
        return sealed


def _nonces() -> Iterator[bytes]:
    """Random nonces, drawn from the system a thousand at a time: one call each would cost half the ratchet."""
    while True:
        block = random_bytes(NONCE_BYTES * 1024)
        for start in range(0, len(block), NONCE_BYTES):
            yield block[start : start + NONCE_BYTES]


def _is_retiring(change: KeyChange, epoch: Epoch) -> bool:
    sql = "SELECT 1 FROM epoch WHERE number = ? AND state = 'retiring'"
    return change.tx.execute(sql, (epoch.number,)).fetchone() is not None


def _bounds(change: KeyChange, after: int) -> tuple[int, int]:
    """The last slot of the next batch, and how many rows it has."""
    sql = "SELECT max(slot), count(*) FROM (SELECT slot FROM key WHERE slot > ? ORDER BY slot LIMIT ?)"
    upto, count = change.tx.execute(sql, (after, BATCH)).fetchone()
    return (after if upto is None else int(upto)), int(count)
