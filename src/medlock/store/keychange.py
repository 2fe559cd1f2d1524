"""One change of the keystore: key rows and the sealed state that accounts for them, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from medlock.crypto.aead import TAG_BYTES
from medlock.errors import Tampered
from medlock.store.epochs import Epochs
from medlock.store.keyfile import KeyFile, Row
from medlock.store.keyring import TenantKeys
from medlock.store.keystate import KeyState, open_state

STATE = "SELECT value FROM meta WHERE name = 'state'"
EXACT_WRAPPED = "SELECT wrapped FROM key WHERE slot = ? AND generation = ?"
EXACT_ROW = "SELECT slot, generation, epoch, wrapped FROM key WHERE slot = ? AND generation = ?"


class KeyChange:
    """What may be done inside the transaction; the state is written when it ends."""

    def __init__(self, tx: sqlite3.Connection, epochs: Epochs, state: KeyState) -> None:
        self.tx = tx
        self.epochs = epochs
        self.state = state
        self.tags: list[bytes] = []  # of rows that entered or left the set

    def add(self, *keys: tuple[int, int, bytes]) -> None:
        """Insert keys (slot, generation, secret), wrapped under the current epoch."""
        seal, epoch = self.epochs.seal_key, self.epochs.current
        rows = [(slot, generation, epoch, seal(slot, generation, key)) for slot, generation, key in keys]
        self.tx.executemany("INSERT INTO key(slot, generation, epoch, wrapped) VALUES (?, ?, ?, ?)", rows)
        self.tags.extend(row[3][-TAG_BYTES:] for row in rows)
        self.state = replace(self.state, keys=self.state.keys + len(rows))

    def generations(self, slot: int) -> list[int]:
        """The generations of a slot that exist, ascending."""
        sql = "SELECT generation FROM key WHERE slot = ? ORDER BY generation"
        return [generation for (generation,) in self.tx.execute(sql, (slot,))]

    def secret(self, slot: int, generation: int) -> bytes:
        """What is wrapped in one key row, which must exist. Raises Tampered."""
        return self.epochs.open_key(*self.tx.execute(EXACT_ROW, (slot, generation)).fetchone())

    def remove(self, slot: int, generation: int) -> None:
        """Delete one key row."""
        gone = self.tx.execute(EXACT_WRAPPED, (slot, generation)).fetchall()
        self.tx.execute("DELETE FROM key WHERE slot = ? AND generation = ?", (slot, generation))
        self.tags.extend(wrapped[-TAG_BYTES:] for (wrapped,) in gone)
        self.state = replace(self.state, keys=self.state.keys - len(gone))

    def unsettle(self) -> None:
        """Tell every process that keys it has cached may be wrong now."""
        self.state = replace(self.state, erasures=self.state.erasures + 1)


class KeyChanges:
    """Begins changes; one per open keystore."""

    def __init__(self, file: KeyFile, epochs: Epochs, tenant: TenantKeys) -> None:
        self._file = file
        self._epochs = epochs
        self._seal = tenant.keystore_state
        self._rows = tenant.keystore_rows

    @contextmanager
    def begin(self, *, mend: bool = False) -> Iterator[KeyChange]:
        """A change, durable on leaving, undone on any error. Sees the file's current epoch.

        Raises Tampered when the state row does not open, unless the change is there to `mend` it.
        """
        with self._file.transaction() as tx:
            self._epochs.catch_up(tx)
            change = KeyChange(tx, self._epochs, self._state_in(tx, mend=mend))
            yield change
            self.save(change)

    def state(self) -> KeyState:
        """The state as last committed. Raises Tampered."""
        return self._open(self._file.read(STATE))

    def save(self, change: KeyChange) -> None:
        """Put the state row that accounts for a change."""
        digest = self._rows.toggle(change.state.digest, change.tags)
        state = replace(change.state, digest=digest, revision=change.state.revision + 1)
        sealed = state.seal(self._seal, self._epochs.store_id)
        change.tx.execute("INSERT OR REPLACE INTO meta(name, value) VALUES ('state', ?)", (sealed,))

    def _state_in(self, tx: sqlite3.Connection, *, mend: bool) -> KeyState:
        try:
            return self._open(tx.execute(STATE).fetchall())
        except Tampered:
            if not mend:
                raise
            return KeyState()

    def _open(self, rows: list[Row]) -> KeyState:
        if not rows or not isinstance(rows[0][0], bytes):
            raise Tampered("the keystore's state row is missing")
        try:
            return open_state(rows[0][0], self._seal, self._epochs.store_id)
        except Tampered as error:
            raise Tampered(f"the keystore's state row is not what was written: {error.reason}") from error
