"""A copy of all keys for the day when the machine is gone: sealed under a secret that people keep in shares.

It does not depend on the key provider, since that may be lost with the machine; so a ratchet does not reach it, and
whoever has it and enough shares opens what it opened when it was made. What that means is said in docs/spec/backup.md
§9, the format in §6.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from medlock.crypto.aead import TAG_BYTES, Aead
from medlock.crypto.kdf import derive
from medlock.crypto.setdigest import EMPTY
from medlock.errors import Tampered
from medlock.store.epochs import Epochs
from medlock.store.kek.provider import KekProvider
from medlock.store.keychange import STATE
from medlock.store.keyfile import KeyFile
from medlock.store.keyring import SHARED, TenantKeys
from medlock.store.keysetup import Contents, create_keystore
from medlock.store.keystate import KeyState, open_state

_MAGIC = b"MLKB\x01"
_LENGTH = struct.Struct(">H")
_LOG = struct.Struct(">q32s")
_ROW = struct.Struct(">QIH")
_ROWS = "SELECT slot, generation, epoch, wrapped FROM key ORDER BY slot, generation"
_PAGE = 4_096

Secret = tuple[int, int, bytes]
"""Slot, generation, what the key row wraps."""


@dataclass(frozen=True, slots=True)
class KeyExport:
    """All keys of a store at one moment.

    epoch     the keystore's current epoch then
    made      ms since 1970
    log_size  entries that the log was known to have, -1 for none
    keys      ascending by slot and generation; that of (0, 0) is the tenant key
    """

    store_id: bytes
    epoch: int
    made: int
    log_size: int
    log_root: bytes
    keys: tuple[Secret, ...]

    def __repr__(self) -> str:
        return f"<KeyExport of {self.store_id.hex()}>"

    @property
    def tenant(self) -> TenantKeys:
        """The keys of the whole store."""
        return TenantKeys(self.keys[0][2])

    def without(self, slots: frozenset[int]) -> KeyExport:
        """The same without the keys of these slots."""
        kept = tuple(each for each in self.keys if each[0] not in slots or each[0] == SHARED)
        return KeyExport(self.store_id, self.epoch, self.made, self.log_size, self.log_root, kept)


class CopyHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in clear in a file of keys: whose it is, and which shares open it."""

    epoch: int
    keys: int
    log: int
    made: int
    set: str
    shares: int
    store: str
    threshold: int


def export(file: KeyFile, known: Epochs, tenant: TenantKeys, now_ms: int) -> KeyExport:
    """Open every row of one state of the file. Raises Tampered when one does not open, or some are missing."""
    with file.snapshot() as connection:
        epochs = Epochs(known.store_id, known.provider, known.home)
        epochs.load(lambda sql: connection.execute(sql).fetchall())
        row = connection.execute(STATE).fetchone()
        if row is None:
            raise Tampered("the keystore's state row is missing")
        state = open_state(row[0], tenant.keystore_state, epochs.store_id)
        keys = tuple(_opened(connection, epochs, tenant, state))
    return KeyExport(known.store_id, epochs.current, now_ms, state.log_size, state.log_root, keys)


def _opened(connection: sqlite3.Connection, epochs: Epochs, tenant: TenantKeys, state: KeyState) -> Iterator[Secret]:
    """The rows, which must be those that the state accounts for."""
    cursor, digest, count = connection.execute(_ROWS), EMPTY, 0
    while page := cursor.fetchmany(_PAGE):
        for slot, generation, epoch, wrapped in page:
            yield slot, generation, epochs.open_key(slot, generation, epoch, wrapped)
        digest = tenant.keystore_rows.toggle(digest, [wrapped[-TAG_BYTES:] for *_, wrapped in page])
        count += len(page)
    if (count, digest) != (state.keys, state.digest):
        raise Tampered("the keystore's rows are not those that it accounts for")


def seal_export(exported: KeyExport, secret: bytes, set_name: str, threshold: int, shares: int) -> bytes:
    """The file of keys, which whoever has the secret opens."""
    header = CopyHeader(
        exported.epoch, len(exported.keys), exported.log_size, exported.made, set_name, shares,
        exported.store_id.hex(), threshold,
    )  # fmt: skip
    told = msgspec.json.encode(header, order="deterministic")
    start = _MAGIC + _LENGTH.pack(len(told)) + told
    plain = bytearray(_LOG.pack(exported.log_size, exported.log_root))
    for slot, generation, key in exported.keys:
        plain += _ROW.pack(slot, generation, len(key)) + key
    return start + _aead(secret).seal(plain, start)


def header_of(blob: bytes) -> CopyHeader:
    """What a file says of itself, which nobody vouches for yet. Raises Tampered when it is no file of keys."""
    return _parted(blob)[0]


def open_export(blob: bytes, secret: bytes) -> KeyExport:
    """Undo `seal_export`. Raises Tampered: another secret, or an edited or cut file."""
    header, start, sealed = _parted(blob)
    plain = _aead(secret).open(sealed, start)
    size, root = _LOG.unpack_from(plain)
    keys = tuple(_unpacked(plain))
    if len(keys) != header.keys or not keys or keys[0][:2] != (SHARED, 0):
        raise Tampered("the file of keys does not hold what its header says")
    return KeyExport(bytes.fromhex(header.store), header.epoch, header.made, size, root, keys)


def create_from(path: Path, provider: KekProvider, exported: KeyExport, log: tuple[int, bytes], now_ms: int) -> None:
    """A new keystore at `path` with these keys, under this provider; `log` is what it shall know of the log."""
    state = KeyState(log_size=log[0], log_root=log[1])
    contents = Contents(exported.store_id, exported.epoch + 1, exported.keys, state)
    create_keystore(path, provider, now_ms, contents)


def _parted(blob: bytes) -> tuple[CopyHeader, bytes, bytes]:
    """Header, the bytes that the seal binds, and what is sealed."""
    at = len(_MAGIC) + _LENGTH.size
    if not blob.startswith(_MAGIC) or len(blob) < at:
        raise Tampered("this is no file of keys, or one of a newer medlock")
    end = at + _LENGTH.unpack_from(blob, len(_MAGIC))[0]
    try:
        header = msgspec.json.decode(blob[at:end], type=CopyHeader)
        bytes.fromhex(header.store)
    except (msgspec.DecodeError, ValueError):
        raise Tampered("the header of the file of keys is damaged") from None
    return header, blob[:end], blob[end:]


def _unpacked(plain: bytes) -> Iterator[Secret]:
    at = _LOG.size
    while at < len(plain):
        slot, generation, length = _ROW.unpack_from(plain, at)
        at += _ROW.size + length
        yield slot, generation, plain[at - length : at]


def _aead(secret: bytes) -> Aead:
    return Aead(derive(secret, "medlock/1/keystore-backup"))
