"""The keystore's part of `medlock verify`: is every key row what was written, and is none missing or back again?

Each row is opened (it is bound to its store, slot, generation and epoch), and the set of rows is compared with the
digest in the sealed state. Findings are sentences with slots in them; slots say nothing about people.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from medlock.crypto.aead import TAG_BYTES
from medlock.crypto.setdigest import EMPTY, SetDigest
from medlock.errors import Tampered, Unavailable
from medlock.store.epochs import Epochs
from medlock.store.kek.provider import EpochDestroyed
from medlock.store.keychange import STATE
from medlock.store.keyfile import KeyFile
from medlock.store.keyring import TenantKeys
from medlock.store.keystate import KeyState, open_state

_ROWS = "SELECT slot, generation, epoch, wrapped FROM key ORDER BY slot, generation"
_PAGE = 4096


@dataclass(slots=True)
class _Census:
    """What the rows add up to."""

    rows: int = 0
    digest: bytes = EMPTY
    bad: list[str] = field(default_factory=list)


def findings(file: KeyFile, known: Epochs, tenant: TenantKeys) -> Iterator[str]:
    """A sentence for each fault. Raises Unavailable when a ratchet ends just now: ask again."""
    with file.snapshot() as connection:
        yield from (f"keystore.db: {fault}" for fault in _structure(connection))
        epochs = Epochs(known.store_id, known.provider, known.home)
        try:
            epochs.load(lambda sql: connection.execute(sql).fetchall())
        except EpochDestroyed as error:
            raise Unavailable("The keystore is ending a ratchet. Run the check again.") from error
        except Tampered as error:
            yield f"The epoch table is damaged: {error.reason}."
            return
        census = _count(connection, epochs, tenant.keystore_rows)
        yield from census.bad
        yield from _compared(connection, census, epochs.store_id, tenant)


def _structure(connection: sqlite3.Connection) -> list[str]:
    return [str(fault) for (fault,) in connection.execute("PRAGMA integrity_check(20)") if fault != "ok"]


def _count(connection: sqlite3.Connection, epochs: Epochs, rows: SetDigest) -> _Census:
    census = _Census()
    cursor = connection.execute(_ROWS)
    while page := cursor.fetchmany(_PAGE):
        tags = []
        for slot, generation, epoch, wrapped in page:
            tags.append(_tag(wrapped))
            fault = _fault(epochs, slot, generation, epoch, wrapped)
            if fault:
                census.bad.append(fault)
        census.rows += len(page)
        census.digest = rows.toggle(census.digest, tags)
    return census


def _fault(epochs: Epochs, slot: int, generation: int, epoch: int, wrapped: bytes) -> str:
    try:
        epochs.open_key(slot, generation, epoch, wrapped)
    except Tampered as error:
        return (
            f"Key row slot {slot!s:.20} generation {generation!s:.10} is not what was written (edited, exchanged or "
            f"rolled back): {error.reason}."
        )
    return ""


def _compared(connection: sqlite3.Connection, census: _Census, store_id: bytes, tenant: TenantKeys) -> Iterator[str]:
    try:
        state = _state(connection, store_id, tenant)
    except Tampered as error:
        yield f"The keystore's state row is not what was written: {error.reason}."
        return
    if census.rows < state.keys:
        yield f"Key rows are missing: {state.keys} were written, {census.rows} are there."
    elif census.rows > state.keys:
        yield f"Key rows were brought back: {state.keys} were written, {census.rows} are there."
        yield from _culprit(connection, tenant.keystore_rows.odd_one(census.digest, state.digest))
    elif census.digest != state.digest and not census.bad:
        yield "Key rows, or the keystore's state row, were exchanged for others that were valid once."


def _culprit(connection: sqlite3.Connection, tag: bytes) -> Iterator[str]:
    for slot, generation, _, wrapped in connection.execute(_ROWS):
        if _tag(wrapped) == tag:
            yield f"Key row slot {slot} generation {generation} is one that was destroyed before."


def _state(connection: sqlite3.Connection, store_id: bytes, tenant: TenantKeys) -> KeyState:
    row = connection.execute(STATE).fetchone()
    if row is None or not isinstance(row[0], bytes):
        raise Tampered("it is missing")
    return open_state(row[0], tenant.keystore_state, store_id)


def _tag(wrapped: object) -> bytes:
    return wrapped[-TAG_BYTES:].rjust(TAG_BYTES, b"\0") if isinstance(wrapped, bytes) else bytes(TAG_BYTES)
