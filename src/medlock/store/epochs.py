"""Epochs: the few keys that wrap all others, and their lives.

Every key row is wrapped under the key of one epoch, and every epoch key is wrapped by the provider. Exactly one
epoch is `current`. A ratchet makes a new one and turns the old one `retiring`; once no row needs it the old one is
`doomed`: its wrapped key is already zeros here and the provider is about to destroy its part. Other processes
notice by meeting an epoch they do not know, and read the table again.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from medlock.crypto.aead import KEY_BYTES, Aead
from medlock.errors import SetupError, Tampered, Unavailable
from medlock.ids import random_bytes
from medlock.store.kek.provider import EpochDestroyed, KekProvider
from medlock.store.keyfile import KeyFile, Row
from medlock.store.keyring import KeyDestroyed

_ROW_AAD = struct.Struct(">4s16sQII")
_EPOCH_AAD = struct.Struct(">4s16sIIQ")
_ALL = "SELECT number, under, made, state, wrapped FROM epoch ORDER BY number"
_PAGE = (  # SQLite takes the other columns from the row that has the greatest generation
    "SELECT slot, max(generation), epoch, wrapped FROM key WHERE slot > ? GROUP BY slot ORDER BY slot LIMIT 1000"
)
_MANY = "SELECT slot, max(generation), epoch, wrapped FROM key WHERE slot IN ({}) GROUP BY slot"
HOME = "SELECT value FROM meta WHERE name = 'provider'"

Read = Callable[[str], list[Row]]


class Moved(Unavailable, SetupError):
    """The keystore has moved to another provider: what is open stays open, the rest waits for a new start."""

    def __init__(self) -> None:
        super().__init__("The keystore has moved to another key provider. An operator must start this server with it.")


class EpochState(StrEnum):
    """Where in its life an epoch stands."""

    CURRENT = "current"
    RETIRING = "retiring"
    DOOMED = "doomed"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of the epoch table.

    number   counts from 1, never used again
    under    the provider's epoch that wraps this key: its own number, unless the provider changed meanwhile
    made     milliseconds since 1970
    wrapped  the epoch key as the provider wrapped it; zeros once doomed
    """

    number: int
    under: int
    made: int
    state: EpochState
    wrapped: bytes


def row_aad(store_id: bytes, slot: int, generation: int, epoch: int) -> bytes:
    """What a wrapped key is bound to, so that it opens in its own row only."""
    return _ROW_AAD.pack(b"MLK1", store_id, slot, generation, epoch)


def epoch_aad(store_id: bytes, number: int, under: int, made: int) -> bytes:
    """What a wrapped epoch key is bound to."""
    return _EPOCH_AAD.pack(b"MLE1", store_id, number, under, made)


def read_epochs(read: Read) -> list[Epoch]:
    """The epoch table, ascending. Raises Tampered when it says something impossible."""
    epochs = [_epoch(row) for row in read(_ALL)]
    if [epoch.state for epoch in epochs].count(EpochState.CURRENT) != 1:
        raise Tampered("the epoch table does not hold one current epoch")
    return epochs


def _epoch(row: Row) -> Epoch:
    number, under, made, state, wrapped = row
    sound = all(isinstance(each, int) and each >= 0 for each in (number, under, made)) and isinstance(wrapped, bytes)
    if not sound or state not in list(EpochState):
        raise Tampered("the epoch table holds a row of the wrong form")
    return Epoch(number, under, made, EpochState(state), wrapped)


def wrapped_epoch(provider: KekProvider, store_id: bytes, number: int, made: int) -> tuple[Epoch, Aead]:
    """A fresh random epoch key, made known to the provider and wrapped by it, but not yet written anywhere."""
    provider.new_epoch(number)
    kek = bytearray(random_bytes(KEY_BYTES))
    wrapped = provider.wrap(number, kek, epoch_aad(store_id, number, number, made))
    aead = Aead(kek)
    kek[:] = bytes(KEY_BYTES)
    return Epoch(number, number, made, EpochState.CURRENT, wrapped), aead


def insert_epoch(tx: sqlite3.Connection, epoch: Epoch) -> None:
    """Write a new row of the epoch table."""
    row = (epoch.number, epoch.under, epoch.made, str(epoch.state), epoch.wrapped)
    tx.execute("INSERT INTO epoch(number, under, made, state, wrapped) VALUES (?, ?, ?, ?, ?)", row)


class Epochs:
    """The epoch keys that this process has opened."""

    def __init__(self, store_id: bytes, provider: KekProvider, home: bytes) -> None:
        self.store_id = store_id
        self.provider = provider
        self.home = home  # the file's record of the provider, as it was when we connected to it
        self.current = 0
        self._keks: dict[int, Aead] = {}

    def load(self, read: Read) -> None:
        """Open the epoch keys that the file names, and forget those it no longer names.

        Raises EpochDestroyed when the file is an old copy, Tampered when a key does not open, Moved, and whatever
        the provider raises.
        """
        if read(HOME) != [(self.home,)]:
            raise Moved
        epochs = read_epochs(read)
        try:
            keks = {epoch.number: self._open(epoch) for epoch in epochs if epoch.state != EpochState.DOOMED}
        except EpochDestroyed:
            if read_epochs(read) == epochs:
                raise
            return self.load(read)  # a ratchet ended between our reading and the provider's answer
        self._keks = keks
        self.current = next(epoch.number for epoch in epochs if epoch.state == EpochState.CURRENT)
        return None

    def catch_up(self, tx: sqlite3.Connection) -> None:
        """Inside a write transaction: make sure that `current` is the file's current epoch."""
        now = tx.execute("SELECT number FROM epoch WHERE state = 'current'").fetchone()
        if now is None or now[0] != self.current:
            self.load(lambda sql: tx.execute(sql).fetchall())

    def adopt(self, number: int, kek: Aead) -> None:
        """Take a freshly made epoch key as the current one."""
        self._keks[number] = kek
        self.current = number

    def move(self, provider: KekProvider, home: bytes) -> None:
        """Go on with another provider; what is open stays open."""
        self.provider, self.home = provider, home

    def read_key(self, file: KeyFile, slot: int, generation: int | None) -> tuple[int, bytes]:
        """Generation and key of one row, the newest unless named. Raises KeyDestroyed, Tampered."""
        row = file.row(slot, generation)
        if row is not None and row[1] not in self._keks:  # another process began an epoch
            self.load(file.read)
            row = file.row(slot, generation)
        if row is None:
            raise KeyDestroyed
        return row[0], self.open_key(slot, *row)

    def read_page(self, file: KeyFile, after: int) -> list[tuple[int, int, bytes]]:
        """Slot, newest generation and key of the next slots above `after`, ascending; empty at the end."""
        rows = file.read(_PAGE, after)
        if any(row[2] not in self._keks for row in rows):
            self.load(file.read)
            rows = file.read(_PAGE, after)
        return [(slot, generation, self.open_key(slot, generation, *sealed)) for slot, generation, *sealed in rows]

    def read_many(self, file: KeyFile, slots: Sequence[int]) -> list[tuple[int, int, bytes]]:
        """Slot, newest generation and key of those of these slots that have any, in no order."""
        sql = _MANY.format(",".join("?" * len(slots)))
        rows = file.read(sql, *slots)
        if any(row[2] not in self._keks for row in rows):
            self.load(file.read)
            rows = file.read(sql, *slots)
        return [(slot, generation, self.open_key(slot, generation, *sealed)) for slot, generation, *sealed in rows]

    def kek(self, number: int) -> Aead:
        """The key of one epoch. Raises Tampered when the file names no such epoch."""
        try:
            return self._keks[number]
        except KeyError:
            raise Tampered("a key row names an epoch that does not exist") from None

    def seal_key(self, slot: int, generation: int, key: bytes) -> bytes:
        """A secret wrapped under the current epoch: nonce | ciphertext | tag."""
        return self._keks[self.current].seal(key, row_aad(self.store_id, slot, generation, self.current))

    def open_key(self, slot: int, generation: int, epoch: int, wrapped: bytes) -> bytes:
        """The secret of one row, 32 bytes in generation 0. Raises Tampered, also for columns that cannot be."""
        try:
            return self.kek(epoch).open(wrapped, row_aad(self.store_id, slot, generation, epoch))
        except (TypeError, struct.error):
            raise Tampered("a key row has a column of the wrong type") from None

    def raw(self, epoch: Epoch) -> bytes:
        """The key of an epoch itself, from the provider; only to wrap it again elsewhere."""
        aad = epoch_aad(self.store_id, epoch.number, epoch.under, epoch.made)
        return self.provider.unwrap(epoch.under, epoch.wrapped, aad)

    def _open(self, epoch: Epoch) -> Aead:
        try:
            return self._keks.get(epoch.number) or Aead(self.raw(epoch))
        except Tampered as error:
            raise Tampered(f"the row of epoch {epoch.number} is not what was written: {error.reason}") from error
