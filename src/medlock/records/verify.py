"""Offline verification of the sealed store: every row is vouched for, or named in a Finding.

The audit log says where each patient's index stood after its last write; the index says which bodies there are and
what their tags must be; a body says its version, and so which older versions must exist. Whatever a table holds
beyond that was put there by somebody else. `audit.verify` judges the log itself first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from medlock.audit.events import Position
from medlock.audit.findings import Finding, Kind
from medlock.errors import MedlockError, NotFound
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import tag_of
from medlock.store.capsule import Capsule, IndexRow
from medlock.store.entries import IndexEntry
from medlock.store.tables import Table

_SCAN = 2_000
_CHECKED = (Table.BODY, Table.HISTORY, Table.CAPSULE, Table.DELTA, Table.DIRECTORY)


class StoreVerifier:
    """One pass over the store. Collects which rows are vouched for, then looks for rows that are not."""

    def __init__(self, vault: Vault, positions: Mapping[int, Position]) -> None:
        self._vault = vault
        self._positions = positions
        self._known: dict[Table, set[int]] = {table: set() for table in _CHECKED}
        self._patients: dict[int, IndexRow] = {}

    async def findings(self) -> AsyncIterator[Finding]:
        """Everything that is wrong, row by row."""
        for slot, position in sorted(self._positions.items()):
            if slot != TENANT and self._vault.key_destroyed(slot):
                continue
            async for finding in self._index(slot, position):
                yield finding
        async for finding in self._directory():
            yield finding
        for table in _CHECKED:
            async for finding in self._strangers(table):
                yield finding

    async def _index(self, slot: int, position: Position) -> AsyncIterator[Finding]:
        """One patient's index against the log, and everything that it names."""
        self._vault.capsules.forget(slot)
        try:
            capsule = await self._vault.capsules.open(slot)
        except MedlockError as fault:
            yield Finding(
                Table.CAPSULE, slot, Kind.UNREADABLE, f"the index of slot {slot} does not open: {fault.reason}"
            )
            return
        for table, key in capsule.row_keys():
            self._known[table].add(key)
        found = _compare(capsule, position)
        if found is not None:
            yield found
        for row in capsule.rows():
            async for finding in self._row(slot, row):
                yield finding

    async def _row(self, slot: int, row: IndexRow) -> AsyncIterator[Finding]:
        """One resource: its body, and every version before."""
        if row.slot != slot:
            return  # a pointer; the owner's index vouches for the body
        self._known[Table.BODY].add(row.rid)
        ct = await self._vault.backend.get(Table.BODY, row.rid)
        if ct is None:
            yield Finding(Table.BODY, row.rid, Kind.DELETED, "a body that its index names is gone")
            return
        if tag_of(ct) != row.tag:
            yield Finding(Table.BODY, row.rid, Kind.EDITED, "a body is not the version that its index names")
        try:
            meta = self._vault.open(row.rid, ct).meta
        except MedlockError as fault:
            yield Finding(Table.BODY, row.rid, Kind.UNREADABLE, f"a body does not open: {fault.reason}")
            return
        if self._vault.rid(meta.reference) != row.rid:
            yield Finding(Table.BODY, row.rid, Kind.REORDERED, "a body lies under another resource's name")
        if meta.type == "Patient" and slot != TENANT:
            self._patients[slot] = row
        for version in range(1, row.version):
            found = await self._version(row.rid, meta.reference, version)
            if found is not None:
                yield found

    async def _version(self, rid: int, reference: str, version: int) -> Finding | None:
        key = self._vault.history_key(reference, version)
        self._known[Table.HISTORY].add(key)
        ct = await self._vault.backend.get(Table.HISTORY, key)
        if ct is None:
            return Finding(Table.HISTORY, key, Kind.DELETED, f"version {version} of a resource is gone")
        try:
            meta = self._vault.open(rid, ct).meta
        except NotFound:
            return None  # it lay under a patient who was shredded since
        except MedlockError as fault:
            return Finding(Table.HISTORY, key, Kind.UNREADABLE, f"an older version does not open: {fault.reason}")
        if meta.version != version or meta.reference != reference:
            return Finding(Table.HISTORY, key, Kind.REORDERED, "an older version lies under another version's name")
        return None

    async def _directory(self) -> AsyncIterator[Finding]:
        """Every patient's entry is there, opens, and names the version that the patient's own index names."""
        entries: dict[int, IndexEntry] = {}
        async for key, ct in self._scan(Table.DIRECTORY):
            try:
                entry = self._vault.directory.open_row(key, ct)
            except MedlockError as fault:
                self._known[Table.DIRECTORY].add(key)
                yield Finding(Table.DIRECTORY, key, Kind.EDITED, f"a directory entry does not open: {fault.reason}")
                continue
            if entry is not None:
                entries[entry.slot] = entry
        for slot, row in sorted(self._patients.items()):
            key = self._vault.directory.key(slot)
            self._known[Table.DIRECTORY].add(key)
            found = entries.get(slot)
            if found is None:
                yield Finding(Table.DIRECTORY, key, Kind.DELETED, "a patient's entry in the directory is gone")
            elif (found.rid, found.tag) != (row.rid, row.tag):
                yield Finding(Table.DIRECTORY, key, Kind.ROLLED_BACK, "a directory entry names another version")
        async for finding in self._operations():
            yield finding

    async def _operations(self) -> AsyncIterator[Finding]:
        """The directory's log: no number missing, every line opens, as many changes as there are versions."""
        counted: dict[int, int] = {}
        expected = 1
        async for number, ct in self._scan(Table.DIROP):
            while expected < number:
                yield Finding(Table.DIROP, expected, Kind.DELETED, "a line of the directory's log is gone")
                expected += 1
            expected = number + 1
            slot = self._vault.directory.slot_of_operation(number, ct)
            if slot is None:
                yield Finding(Table.DIROP, number, Kind.EDITED, "a line of the directory's log does not open")
            else:
                counted[slot] = counted.get(slot, 0) + 1
        for slot, row in sorted(self._patients.items()):
            if counted.get(slot, 0) != row.version:
                yield Finding(Table.DIROP, slot, Kind.TRUNCATED, f"the directory's log misses changes of slot {slot}")

    async def _strangers(self, table: Table) -> AsyncIterator[Finding]:
        """Rows that nothing vouches for."""
        async for key, _ in self._scan(table):
            if key not in self._known[table]:
                yield Finding(table, key, Kind.INSERTED, f"a row of {table} that nothing vouches for")

    async def _scan(self, table: Table) -> AsyncIterator[tuple[int, bytes]]:
        after = None
        while rows := await self._vault.backend.scan(table, after, _SCAN):
            for row in rows:
                yield row
            after = rows[-1][0]


def _compare(capsule: Capsule, position: Position) -> Finding | None:
    """An index against the last position in the log."""
    if capsule.number < position.number:
        return Finding(
            Table.DELTA, capsule.slot, Kind.ROLLED_BACK,
            f"the index of slot {capsule.slot} stands at change {capsule.number}, the log at {position.number}",
        )  # fmt: skip
    if capsule.number > position.number or capsule.tag != position.tag:
        return Finding(
            Table.DELTA, capsule.slot, Kind.EDITED, f"the index of slot {capsule.slot} is not the one in the log"
        )
    return None
