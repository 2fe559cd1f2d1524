"""Is a backup as it was written? Every file is opened, every fault names backup and file. docs/spec/backup.md §5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from medlock.audit.checkpoints import origin
from medlock.backup.create import erased_by
from medlock.backup.pieces import TABLES, Kept, Seal, entries_in, rows_in, rows_name
from medlock.backup.shelf import Held, Shelf
from medlock.crypto.aead import Aead
from medlock.crypto.notes import NoteSigner, NoteVerifier
from medlock.errors import SetupError, Tampered
from medlock.store.keyring import TenantKeys


@dataclass(frozen=True, slots=True)
class BackupKeys:
    """What opens the backups of one store."""

    store: str
    aead: Aead
    verifier: NoteVerifier

    def seal(self, held: Held) -> Seal:
        """Opens the files of one backup."""
        return Seal(self.aead, self.store, held.manifest.id)


def backup_keys(store_id: bytes, tenant: TenantKeys) -> BackupKeys:
    """Those of the store that has this tenant key."""
    signer = NoteSigner(origin(store_id), tenant.checkpoint_seed)
    return BackupKeys(store_id.hex(), tenant.backup, signer.verifier)


def rows_of(held: Held, seal: Seal) -> Iterator[Kept]:
    """The rows of one backup, which must ascend. Raises Tampered naming the file."""
    named = {file.name: file for file in held.manifest.files}
    number, last = 0, (-1, -1)
    while (file := named.get(rows_name(number))) is not None:
        try:
            for table, key, ct in rows_in(seal.open(file.name, held.read(file))):
                place = (TABLES.index(table), key)
                last = _after(last, place)
                yield table, key, ct
        except Tampered as fault:
            raise Tampered(_about(held, file.name, fault)) from fault
        number += 1


def _after(last: tuple[int, int], place: tuple[int, int]) -> tuple[int, int]:
    if place <= last:
        raise Tampered("rows are not in order")
    return place


def faults_of(shelf: Shelf, keys: BackupKeys) -> Iterator[str]:
    """A sentence for each thing that is wrong on a shelf; nothing when all is well."""
    yield from shelf.faults
    for held in shelf.held:
        yield from _faults_in(held, shelf, keys)


def _faults_in(held: Held, shelf: Shelf, keys: BackupKeys) -> Iterator[str]:
    if held.manifest.store != keys.store:
        yield f"backup {held.name} is of another store"
        return
    try:
        held.demand(keys.verifier)
    except Tampered as fault:
        yield f"backup {held.name}: the manifest was edited: {fault.reason}"
        return
    yield from (f"backup {held.name}: {name} is not named by the manifest" for name in held.strangers())
    yield from _damaged(held, keys.seal(held))
    try:
        shelf.chain(held)
    except SetupError as fault:
        yield str(fault)


def _damaged(held: Held, seal: Seal) -> Iterator[str]:
    """Files that are missing, edited, cut, or another's; then what they hold."""
    whole = True
    for file in held.manifest.files:
        try:
            plain = seal.open(file.name, held.read(file))
            if file.name.startswith("index-"):
                entries_in(plain)
        except Tampered as fault:
            yield _about(held, file.name, fault)
            whole = False
    if not whole:
        return
    try:
        for _ in rows_of(held, seal):
            pass
        erased_by(held, seal)
    except Tampered as fault:
        yield fault.reason


def _about(held: Held, name: str, fault: Tampered) -> str:
    return fault.reason if fault.reason.startswith("backup ") else f"backup {held.name}: {name}: {fault.reason}"
