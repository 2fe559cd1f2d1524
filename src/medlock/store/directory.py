"""The tenant directory: which patients there are, searchable by name, birth date, identifier and the like.

On disk one row per patient, sealed under that patient's own key, so that a shredded patient's entry dies with the
key, in old backups too. In memory, after start-up, the same columns as in a capsule. Every change also appends one
operation to a log of slots under the tenant key; each worker reads what is new there before it searches, so that all
workers see the same patients. docs/spec/store.md §6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Protocol

import numpy as np

from medlock.crypto.aead import Aead
from medlock.errors import NotFound, Tampered
from medlock.store import segment as columns
from medlock.store.capsule import IndexRow
from medlock.store.entries import DELETED, DROPPED, IndexEntry
from medlock.store.frames import ENTRY_BYTES, frame, unframe
from medlock.store.gathering import Gathering
from medlock.store.heap import filling
from medlock.store.keyring import PatientKeys, TenantKeys
from medlock.store.packed import PackedEntry, decode_packed, encode_packed, pack, unpack
from medlock.store.segment import Segment
from medlock.store.tables import Backend, Batch, Table

CHUNK = 16_384
PORTION = 1_024  # rows opened at once at the start
OVERLAY_MAX = 1_024
FOUND_MAX = 4_096


class Change(IntEnum):
    """What happened to a patient's entry, as the directory's log says it."""

    CHANGED = 1
    SHREDDED = 2
    REKEYED = 3


_OPERATION = struct.Struct(">QB")  # slot, Change; the number is bound as associated data


class EntryKeys(Protocol):
    """What opens one patient's entry; `PatientKeys` do."""

    @property
    def slot(self) -> int:
        """Whose."""

    @property
    def directory(self) -> Aead:
        """Opens the entry."""

    def bare(self) -> None:
        """Let go of what was derived."""


class Keys(Protocol):
    """What the directory asks of the keystore."""

    def candidates(self, slot: int) -> Iterable[EntryKeys]:
        """The keys to try of a slot, the likeliest first. Raises NotFound when they were destroyed."""

    def many(self, slots: Sequence[int]) -> Mapping[int, EntryKeys]:
        """The newest keys of those of these slots that have any."""


class Directory:
    """All patients in memory. `load` once, `refresh` before each use that must be current."""

    def __init__(self, backend: Backend, tenant: TenantKeys, keys: Keys) -> None:
        self._backend = backend
        self._labels = tenant.directory_labels
        self._log: Aead = tenant.directory_log
        self._keys = keys
        self._segments: list[Segment] = []
        self._overlay: dict[int, IndexEntry] = {}
        self._overlay_segment: Segment | None = None
        self._slots: Sequence[int] | None = None
        self._found: dict[int, IndexRow] = {}
        self.number = 0

    async def load(self) -> int:
        """Read every entry; returns how many patients there are. Entries whose key is destroyed are passed over."""
        self.number = await self._backend.last_key(Table.DIROP) or 0
        self._overlay, self._overlay_segment, self._slots = {}, None, None
        self._found.clear()
        with filling():
            self._segments = await self._gather()
        return len(self)

    async def _gather(self) -> list[Segment]:
        """What lies on disk, in as few segments as there can be."""
        segments, gathering, after = [], Gathering(), None
        while rows := await self._backend.scan(Table.DIRECTORY, after, PORTION):
            after = rows[-1][0]
            entries = self._open_rows(rows)
            while (taken := gathering.add(entries)) < len(entries):
                segments.append(gathering.segment())
                gathering, entries = Gathering(), entries[taken:]
        return [*segments, gathering.segment()]

    def _open_rows(self, rows: Sequence[tuple[int, bytes]]) -> list[PackedEntry]:
        """The entries in these rows whose patients were not shredded. Raises Tampered."""
        slots = [self.row_slot(key, ct) for key, ct in rows]
        keys = self._keys.many(slots)
        found = [self._open_likely(ct, keys[slot]) for slot, (_, ct) in zip(slots, rows, strict=True) if slot in keys]
        for each in keys.values():
            each.bare()  # the keystore may keep them, and what they derived for this would take 16 times their place
        return found

    def _open_likely(self, ct: bytes, keys: EntryKeys) -> PackedEntry:
        """The entry in a row, nearly always under the newest keys: else keys are being rotated."""
        try:
            return _open(ct, keys)
        except Tampered:
            return self._opened(keys.slot, ct)

    def __len__(self) -> int:
        """Patients alive."""
        return sum(int(np.count_nonzero(each.alive)) for each in self.view())

    async def refresh(self) -> bool:
        """Take in what other workers changed; whether there was anything."""
        before = self.number
        while True:
            rows = await self._backend.scan(Table.DIROP, self.number, CHUNK)
            for number, ct in rows:
                await self._follow(*_OPERATION.unpack(self._log.open(ct, _operation_name(number))))
                self.number = number
            if len(rows) < CHUNK:
                return self.number != before

    async def _follow(self, slot: int, change: int) -> None:
        key = self.key(slot)
        ct = await self._backend.get(Table.DIRECTORY, key)
        entry = None if ct is None else self.open_row(key, ct)
        if entry is not None:
            self._put(entry)
        elif change == Change.SHREDDED:
            self._drop(slot)

    def view(self) -> list[Segment]:
        """Segments that together hold every patient."""
        if not self._overlay:
            return self._segments
        if self._overlay_segment is None:
            self._overlay_segment = columns.build(list(self._overlay.values()))
        return [*self._segments, self._overlay_segment]

    def find(self, rid: int) -> IndexRow | None:
        """The current row of a Patient resource, tombstones included; those asked for last are remembered."""
        known = self._found.get(rid)
        if known is None:
            known = self._looked_up(rid)
            if known is not None:
                if len(self._found) >= FOUND_MAX:
                    self._found.clear()
                self._found[rid] = known
        return known

    def _looked_up(self, rid: int) -> IndexRow | None:
        entry = self._overlay.get(rid)
        if entry is not None:
            return None if entry.flags & DROPPED else _row(entry)
        for each in reversed(self._segments):
            at = each.find(rid)
            if at >= 0:
                _, slot, tag, _, version, _, flags, _ = each.row(at)
                return None if flags & DROPPED else IndexRow(rid, slot, version, tag, bool(flags & DELETED))
        return None

    def change(self, entry: IndexEntry, keys: PatientKeys, batch: Batch) -> None:
        """Add a new or changed patient to a batch. Nothing in memory changes until `committed`."""
        name = _name(entry.slot)
        slot = self._log.seal(entry.slot.to_bytes(8, "big"), b"slot")
        sealed = keys.directory.seal(frame(encode_packed(pack(entry)), ENTRY_BYTES), name)
        batch.puts.append((Table.DIRECTORY, self._labels.label(name), slot + sealed))

    def announce(self, slots: Sequence[int], change: Change, batch: Batch) -> int:
        """Add the operations that tell other workers; the number of the last. Conflicts when another was first."""
        for number, slot in enumerate(slots, self.number + 1):
            sealed = self._log.seal(_OPERATION.pack(slot, change), _operation_name(number))
            batch.inserts.append((Table.DIROP, number, sealed))
        return self.number + len(slots)

    def committed(self, entries: list[IndexEntry], last: int) -> None:
        """The entries of a batch that was just committed; `last` is the number that `announce` gave.

        A refresh may have read the operations already, between the commit and this.
        """
        for entry in entries:
            self._put(entry)
        self.number = max(self.number, last)

    def shred(self, slot: int, batch: Batch) -> int:
        """Take a patient's entry away and tell other workers; the number for `shredded`."""
        batch.deletes.append((Table.DIRECTORY, self._labels.label(_name(slot))))
        return self.announce([slot], Change.SHREDDED, batch)

    def shredded(self, slot: int, last: int) -> None:
        """The batch of `shred` was committed."""
        self._drop(slot)
        self.number = max(self.number, last)

    def slots(self) -> Sequence[int]:
        """The slots of all patients that are not shredded, deleted ones included; remembered until one changes."""
        if self._slots is None:
            rows = np.concatenate([columns.NO_ROWS, *(each.rows for each in reversed(self.view()))])
            newest = rows[np.unique(rows["rid"], return_index=True)[1]]
            self._slots = tuple(newest["slot"][newest["flags"] & DROPPED == 0].tolist())
        return self._slots

    def _put(self, entry: IndexEntry) -> None:
        self._overlay[entry.rid] = entry
        self._found.pop(entry.rid, None)
        self._overlay_segment = self._slots = None
        rids = np.array([entry.rid], np.uint64)
        for each in self._segments:
            each.kill(rids)
        if len(self._overlay) >= OVERLAY_MAX:
            self._settle()

    def _settle(self) -> None:
        """Turn the overlay into a segment, joined with small ones before it so that there are never many."""
        merged = dict(self._overlay)
        while self._segments and len(self._segments[-1]) < min(4 * len(merged), CHUNK):
            merged = {entry.rid: entry for entry in self._segments.pop().entries()} | merged
        self._segments.append(columns.build(list(merged.values())))
        self._overlay, self._overlay_segment = {}, None

    def _drop(self, slot: int) -> None:
        """Forget a patient: the row stays as a mark that it is gone."""
        for each in self.view():
            for at in np.flatnonzero(each.rows["slot"] == np.uint64(slot)).tolist():
                rid = int(each.rows["rid"][at])
                self._put(IndexEntry(rid, slot, 0, 0, 0, DROPPED, 0, (), (), (), ()))

    def key(self, slot: int) -> int:
        """Where a patient's entry lies."""
        return self._labels.label(_name(slot))

    def operation(self, number: int, ct: bytes) -> tuple[int, Change] | None:
        """What a line of the directory's log says: of which slot, and what; None when it does not open as that line."""
        try:
            slot, change = _OPERATION.unpack(self._log.open(ct, _operation_name(number)))
            return slot, Change(change)
        except (Tampered, struct.error, ValueError):  # also what a newer program may have to say
            return None

    def open_row(self, key: int, ct: bytes) -> IndexEntry | None:
        """The entry in a row; None when its patient was shredded. Raises Tampered."""
        slot = self.row_slot(key, ct)
        try:
            return unpack(self._opened(slot, ct))
        except NotFound:
            return None

    def _opened(self, slot: int, ct: bytes) -> PackedEntry:
        """The entry in a row: it does not say under which of the slot's keys it lies."""
        fault = Tampered("a directory entry has no keys")
        for keys in self._keys.candidates(slot):
            try:
                return _open(ct, keys)
            except Tampered as found:
                fault = found
        raise fault

    def row_slot(self, key: int, ct: bytes) -> int:
        """Whose entry a row holds, whether or not it can be opened. Raises Tampered."""
        slot = int.from_bytes(self._log.open(ct[:_SLOT_SEALED], b"slot"), "big")
        if self._labels.label(_name(slot)) != key:
            raise Tampered("a directory entry lies under another patient's name")
        return slot


_SLOT_SEALED = 12 + 8 + 16


def _row(entry: IndexEntry) -> IndexRow:
    return IndexRow(entry.rid, entry.slot, entry.version, entry.tag, bool(entry.flags & DELETED))


def _open(ct: bytes, keys: EntryKeys) -> PackedEntry:
    """The entry in a row of this patient's. Raises Tampered."""
    return decode_packed(unframe(keys.directory.open(ct[_SLOT_SEALED:], _name(keys.slot))))


def _name(slot: int) -> bytes:
    return b"directory|" + slot.to_bytes(8, "big")


def _operation_name(number: int) -> bytes:
    return b"dirop|" + number.to_bytes(8, "big", signed=True)
