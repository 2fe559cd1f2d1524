"""A backup of the sealed rows, taken from one snapshot while servers write. docs/spec/backup.md §4.

It needs the log's key and the key for backups, no patient's. An increment is found by comparing each row's hash with
the parent's index, so it works the same on every back end, and a change that left no trace elsewhere is in it too;
only the log, which never changes, is read from where the parent ended. Before that, the log is held against the
parent: one that was put back or forked since is not continued.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from medlock.audit.acts import erased_slots
from medlock.audit.checkpoints import origin, read_checkpoint
from medlock.audit.events import Action, Event, Outcome
from medlock.backup.manifest import Manifest
from medlock.backup.pieces import (
    ERASED,
    PIECE_BYTES,
    Kept,
    Seal,
    entries_in,
    index_name,
    pack_entry,
    pack_row,
    pack_slots,
    rows_name,
    slots_in,
)
from medlock.backup.shelf import Held, Making, look, making
from medlock.crypto.merkle import verify_consistency
from medlock.crypto.notes import Checkpoint, NoteSigner
from medlock.errors import NotFound, SetupError, Tampered
from medlock.ids import random_bytes
from medlock.records.opening import Records, StoreKeys
from medlock.records.verify_bodies import scan
from medlock.store.tables import Table

_PAGE = 2_000
_NO_PARENT = "There is nothing to continue yet: make a backup without --incremental first."


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made. `parent` is empty for a full one, `rows` are those that it holds."""

    id: str
    parent: str
    path: str
    rows: int
    bytes: int
    log: int
    seconds: float


class RowFiles:
    """Collects rows into sealed files of some megabytes."""

    def __init__(self, seal: Seal, new: Making) -> None:
        self._seal = seal
        self._new = new
        self._gathered = bytearray()
        self._number = 0
        self.rows = 0

    def add(self, table: Table, key: int, ct: bytes | None) -> None:
        """One row, or that it is gone."""
        self._gathered += pack_row(table, key, ct)
        self.rows += 1
        if len(self._gathered) >= PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            name = rows_name(self._number)
            self._new.put(name, self._seal.seal(name, self._gathered))
            self._number += 1
            self._gathered = bytearray()


class IndexFiles:
    """The same for the entries of one table's index."""

    def __init__(self, seal: Seal, new: Making, table: Table) -> None:
        self._seal = seal
        self._new = new
        self._table = table
        self._gathered = bytearray()
        self._number = 0
        self.entries = 0

    def add(self, key: int, digest: int) -> None:
        """One row that there is."""
        self._gathered += pack_entry(key, digest)
        self.entries += 1
        if len(self._gathered) >= PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            name = index_name(self._table, self._number)
            self._new.put(name, self._seal.seal(name, self._gathered))
            self._number += 1
            self._gathered = bytearray()


def index_of(held: Held, seal: Seal, table: Table) -> Iterator[tuple[int, int]]:
    """Key and hash of each row of a table that a backup's state has, ascending. Raises Tampered naming the file."""
    named = {file.name: file for file in held.manifest.files}
    number = 0
    while (file := named.get(index_name(table, number))) is not None:
        yield from entries_in(seal.open(file.name, held.read(file)))
        number += 1


def erased_by(held: Held, seal: Seal) -> frozenset[int]:
    """The slots of all who were erased when a backup was made. Raises Tampered."""
    file = next((each for each in held.manifest.files if each.name == ERASED), None)
    if file is None:
        raise Tampered(f"backup {held.name} holds no list of the erased")
    return slots_in(seal.open(ERASED, held.read(file)))


class Maker:
    """Makes one backup of an open store."""

    def __init__(self, records: Records, by: str) -> None:
        self._records = records
        self._keys = StoreKeys(records.keystore)
        self._store = records.keystore.store_id.hex()
        self._by = by
        self._signer = NoteSigner(origin(self._keys.store_id), self._keys.checkpoint_seed)

    def seal(self, id_: str) -> Seal:
        """Opens and seals the files of a backup of this store."""
        return Seal(self._records.keystore.tenant.backup, self._store, id_)

    async def make(self, directory: Path, *, incremental: bool) -> Made:
        """Write down that a backup is made, then make it. Raises SetupError, Conflict, Tampered, Unavailable."""
        began = time.monotonic()
        id_ = random_bytes(16).hex()
        with making(directory, id_) as new:
            parent = self._parent(directory) if incremental else None
            await self._records.log.append(self._event(id_))
            await self._records.log.seal_checkpoint()
            epoch = self._records.keystore.status().epoch
            async with self._records.backend.snapshot():
                manifest, rows = await self._taken(new, id_, parent, epoch)
            path = new.finish(manifest.sign(self._signer), manifest.made)
        size = sum(file.size for file in new.files)
        return Made(id_, manifest.parent, str(path), rows, size, manifest.size, round(time.monotonic() - began, 3))

    def _parent(self, directory: Path) -> Held:
        """The newest backup there. Raises SetupError."""
        shelf = look(directory)
        if not shelf.held:
            raise SetupError(_NO_PARENT)
        shelf.demand(self._store, self._signer.verifier)
        return shelf.chain(shelf.chosen())[-1]

    async def _taken(self, new: Making, id_: str, parent: Held | None, epoch: int) -> tuple[Manifest, int]:
        """Everything that the snapshot holds and the parent has not; the manifest, and how many rows that is."""
        head = read_checkpoint(await self._records.log.checkpoint(), self._signer.verifier)
        if parent is not None:
            await self._demand_continuation(parent, head)
        seal = self.seal(id_)
        files = RowFiles(seal, new)
        counts = {table: await self._table(table, files, (new, seal), parent, head.size) for table in Table}
        files.flush()
        new.put(ERASED, seal.seal(ERASED, pack_slots(await self._erased(parent))))
        manifest = Manifest(
            self._store,
            id_,
            parent.manifest.id if parent else "",
            parent.digest if parent else "",
            self._records.clock.now_ms(),
            head.size,
            head.root,
            epoch,
            counts,
            tuple(new.files),
        )
        return manifest, files.rows

    async def _demand_continuation(self, parent: Held, head: Checkpoint) -> None:
        """Raises SetupError unless the log is the parent's, and what came since."""
        old = parent.manifest
        try:
            proof = await self._records.log.consistency_proof(old.size, head.size)
            verify_consistency(old.size, head.size, old.root, head.root, proof.path)
        except (Tampered, NotFound) as fault:  # not found: the log is shorter
            raise SetupError(
                f"This store does not continue backup {parent.name}: its log was put back or forked since. Run medlock "
                "verify, and make a backup without --incremental in another directory.",
                reason=fault.reason,
            ) from fault

    async def _table(
        self, table: Table, files: RowFiles, to: tuple[Making, Seal], parent: Held | None, size: int
    ) -> int:
        """The rows of one table; how many the snapshot has, `size` of them in the log."""
        if table is Table.LOG:
            return await self._log(files, parent.manifest.size if parent else 0, size)
        index = IndexFiles(to[1], to[0], table)
        before = index_of(parent, self.seal(parent.manifest.id), table) if parent else iter(())
        async for _, key, ct in self._changes(table, before, index):
            files.add(table, key, ct)
        index.flush()
        return index.entries

    async def _changes(self, table: Table, before: Iterator[tuple[int, int]], index: IndexFiles) -> AsyncIterator[Kept]:
        """What differs from the index before; notes in the new one what there is. Both ascend by key."""
        hashed = self._records.keystore.tenant.backup_rows.of
        old = next(before, None)
        async for key, ct in scan(self._records.backend, table):
            digest = hashed(ct)
            index.add(key, digest)
            while old is not None and old[0] < key:
                yield table, old[0], None
                old = next(before, None)
            if old != (key, digest):
                yield table, key, ct
            if old is not None and old[0] == key:
                old = next(before, None)
        while old is not None:
            yield table, old[0], None
            old = next(before, None)

    async def _log(self, files: RowFiles, first: int, size: int) -> int:
        """The entries from one on. Raises Tampered when some are missing: a backup must not hide that."""
        expected, after = first, first - 1
        while page := await self._records.backend.scan(Table.LOG, after, _PAGE):
            for key, ct in page:
                if key != expected:
                    raise Tampered("entries of the log are missing")
                files.add(Table.LOG, key, ct)
                expected += 1
            after = page[-1][0]
        if expected != size:
            raise Tampered("the log has another number of entries than its head says")
        return size

    async def _erased(self, parent: Held | None) -> frozenset[int]:
        """All who were erased: those of the parent, and what the log says since."""
        known = erased_by(parent, self.seal(parent.manifest.id)) if parent else frozenset()
        since = parent.manifest.size if parent else 0
        return known | await erased_slots(self._records.backend, self._keys, since)

    def _event(self, id_: str) -> Event:
        now = self._records.clock.now_ms()
        return Event(Action.BACKUP, Outcome.SUCCESS, self._by, (), "", "HSYSADMIN", now, id_, query=f"backup {id_}")
