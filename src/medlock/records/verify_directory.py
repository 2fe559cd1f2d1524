"""Verification of the tenant directory: its entries, and the numbered log of their changes.

The log of changes has one line for each version of each Patient, and one for each erasure. It is also what says that
a key which is gone was destroyed on purpose.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from medlock.audit.findings import Finding, Kind
from medlock.errors import NotFound, Tampered
from medlock.records.vault import Vault
from medlock.records.verify_bodies import scan
from medlock.store.capsule import IndexRow
from medlock.store.directory import Change
from medlock.store.entries import IndexEntry
from medlock.store.keyring import PatientKeys
from medlock.store.tables import Table


def keys_of(vault: Vault, slot: int) -> PatientKeys | None:
    """A slot's keys; None when they were destroyed, taken away or damaged."""
    try:
        return vault.keystore.keys(slot)
    except (NotFound, Tampered):
        return None


def generations_of(vault: Vault, slot: int) -> list[PatientKeys]:
    """Those of every generation, the likeliest first; none when they were destroyed, taken away or damaged."""
    try:
        return list(vault.keystore.candidates(slot))
    except (NotFound, Tampered):
        return []


@dataclass(slots=True)
class DirectoryCheck:
    """What the directory says; `read` first.

    places    slot → the row of its entry
    entries   slot → its entry, of patients whose key exists
    erased    slots that were shredded
    known     rows of table DIRECTORY that are accounted for
    """

    vault: Vault
    places: dict[int, int] = field(default_factory=dict)
    entries: dict[int, IndexEntry] = field(default_factory=dict)
    erased: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)
    _changes: dict[int, int] = field(default_factory=dict)
    _last: int = 0
    _absent: list[int] = field(default_factory=list)
    _bad: list[int] = field(default_factory=list)

    async def read(self) -> AsyncIterator[Finding]:
        """Read both tables; entries that do not open are named."""
        await self._read_changes()
        async for key, ct in scan(self.vault.backend, Table.DIRECTORY):
            try:
                self._read_entry(key, ct)
            except Tampered as fault:
                self.known.add(key)
                yield Finding(Table.DIRECTORY, key, Kind.EDITED, f"a directory entry does not open: {fault.reason}")

    def _read_entry(self, key: int, ct: bytes) -> None:
        slot = self.vault.directory.row_slot(key, ct)
        self.places[slot] = key
        if keys_of(self.vault, slot) is not None:
            entry = self.vault.directory.open_row(key, ct)
            if entry is not None:
                self.entries[slot] = entry

    def findings(self, patients: Mapping[int, IndexRow], unsaid: int, rekeyed: Collection[int]) -> Iterator[Finding]:
        """What does not agree with the patients that there are: slot → the row of the Patient resource.

        `unsaid` is how many erasures there were that no line tells of; `rekeyed` are lines that the log says rotations
        of keys have written.
        """
        for slot, row in sorted(patients.items()):
            yield from self._entry(slot, row)
        for number in self._absent:
            yield Finding(Table.DIROP, number, Kind.DELETED, f"line {number} of the directory's log is gone")
        last = max(self._last, *rekeyed, 0)
        cut = [number for number in range(self._last + 1, last + 1) if number not in self._bad]
        missing = sum(max(0, row.version - self._changes.get(slot, 0)) for slot, row in patients.items())
        missing += unsaid - len({*self._absent, *cut}.difference(rekeyed))
        for number in self._bad:
            edited = 0 < number <= last + max(0, missing)
            missing -= edited and number not in rekeyed
            kind = Kind.EDITED if edited else Kind.INSERTED
            yield Finding(Table.DIROP, number, kind, f"line {number} of the directory's log does not open")
        if cut or missing > 0:
            sentence = "the newest lines of the directory's log are gone"
            yield Finding(Table.DIROP, min(cut, default=last + 1), Kind.TRUNCATED, sentence)

    def _entry(self, slot: int, row: IndexRow) -> Iterator[Finding]:
        key = self.vault.directory.key(slot)
        if key in self.known:
            return
        self.known.add(key)
        found = self.entries.get(slot)
        if found is None:
            yield Finding(Table.DIRECTORY, key, Kind.DELETED, "a patient's entry in the directory is gone")
        elif (found.rid, found.tag) != (row.rid, row.tag):
            yield Finding(Table.DIRECTORY, key, Kind.ROLLED_BACK, "a directory entry names another version")

    async def _read_changes(self) -> None:
        numbers: set[int] = set()
        async for number, ct in scan(self.vault.backend, Table.DIROP):
            change = self.vault.directory.operation(number, ct)
            if change is None:
                self._bad.append(number)
                continue
            numbers.add(number)
            self._last = number
            if change[1] is Change.SHREDDED:
                self.erased.add(change[0])
            elif change[1] is Change.CHANGED:
                self._changes[change[0]] = self._changes.get(change[0], 0) + 1
        self._absent = sorted(set(range(1, self._last + 1)) - numbers - set(self._bad))
