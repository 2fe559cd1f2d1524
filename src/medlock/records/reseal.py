"""Seals what lies under former keys of one slot anew, some resources to a commit. docs/spec/store.md §9.

The index moves first, whole, in one commit: whoever writes to it afterwards has met the new key. Then page after page
of resources follows: bodies, older versions, further rows, in their places, with the index rows that vouch for them.
Nothing is sealed anew that its index does not vouch for, so that no row that was tampered with becomes genuine.

There are no locks between processes. A commit inserts the next delta of every index that it depends on; who was
second raises `Raced` and starts over with what is there then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from medlock.audit.events import Event, Position
from medlock.audit.log import AuditLog
from medlock.errors import Raced, Tampered
from medlock.records.vault import Vault
from medlock.store.bodies import Header, Opened, tag_of
from medlock.store.capsule import Appended, Capsule
from medlock.store.directory import Change
from medlock.store.entries import IndexEntry
from medlock.store.keyring import PatientKeys
from medlock.store.tables import Batch, Table

Witness = Callable[[Position, str, int], Event]
"""Position of an index, its patient, and the line of the directory's log that was written (0: none) → the event."""


@dataclass(slots=True)
class Page:
    """One commit in the making.

    entries  slot → new index rows; empty for an index that must only not change meanwhile
    patient  the directory's entry of the Patient, when that is among the bodies
    rows     how many bodies and older versions are sealed anew
    """

    batch: Batch = field(default_factory=Batch)
    entries: dict[int, list[IndexEntry]] = field(default_factory=dict)
    patient: IndexEntry | None = None
    rows: int = 0


class Resealer:
    """Moves one slot to its newest keys, `target`."""

    def __init__(self, vault: Vault, log: AuditLog, target: PatientKeys, witness: Witness) -> None:
        self._vault = vault
        self._log = log
        self._target = target
        self._witness = witness
        self._known: dict[int, dict[int, IndexEntry]] = {}

    async def move_index(self) -> int:
        """Move the index, unless it lies there already; how many indexes were moved. Raises Raced."""
        capsule = await self._vault.capsules.open(self._target.slot)
        if capsule.generation >= self._target.generation:
            return 0
        batch = Batch()
        await self._commit(batch, [capsule.renew(self._target, batch)], None)
        return 1

    async def resources(self) -> list[int]:
        """Everything under which something of this slot may lie: its own resources, and those it was ever named in."""
        capsule = await self._vault.capsules.open(self._target.slot)
        own = [row.rid for row in capsule.rows() if row.slot == capsule.slot]
        return own + [row.rid for row in capsule.elsewhere()]

    async def page(self, rids: Sequence[int]) -> int:
        """Seal these resources anew, as far as they need it; how many rows did. Raises Raced, Tampered."""
        capsule = await self._vault.capsules.open(self._target.slot)
        number, page = capsule.number, Page(entries={self._target.slot: []})
        try:
            for rid in rids:
                await self._resource(capsule, rid, page)
        except Tampered as fault:
            if (await self._vault.capsules.open(self._target.slot)).number != number:
                raise Raced from fault
            raise
        if page.rows:
            await self._write(page, number)
        return page.rows

    async def _write(self, page: Page, number: int) -> None:
        """Add what the indexes need and commit."""
        changes = []
        for slot, entries in sorted(page.entries.items()):
            capsule = await self._vault.capsules.open(slot)
            if slot == self._target.slot and capsule.number != number:
                raise Raced
            changes.append(capsule.change(capsule.patient, entries, page.batch))
        await self._commit(page.batch, changes, page.patient)

    async def _commit(self, batch: Batch, changes: Sequence[Appended], patient: IndexEntry | None) -> None:
        """The directory's part, the events, the commit; then memory follows."""
        line = 0
        if patient is not None:
            await self._vault.directory.refresh()
            self._vault.directory.change(patient, self._target, batch)
            line = self._vault.directory.announce([patient.slot], Change.REKEYED, batch)
        batch.entries = self._log.seal(*(self._event(each, line) for each in changes))
        await self._vault.backend.commit(batch)
        for appended in changes:
            self._vault.capsules.committed(appended)
        if patient is not None:
            self._vault.directory.committed([patient], line)

    def _event(self, appended: Appended, line: int) -> Event:
        slot = appended.capsule.slot
        position = Position(slot, appended.delta.number, appended.tag)
        return self._witness(position, appended.delta.patient, line if slot == self._target.slot else 0)

    async def _resource(self, capsule: Capsule, rid: int, page: Page) -> None:
        """The current version if it is this slot's, and older ones that are."""
        ct = await self._vault.backend.get(Table.BODY, rid)
        row = capsule.find(rid)
        own = row is not None and row.slot == capsule.slot
        if ct is None and own:
            raise Tampered(f"row {rid} is missing: run medlock verify before rotating keys")
        if ct is None:
            return  # its later owner was erased, and the whole history with it
        if own and row is not None and row.tag != tag_of(ct):
            raise Tampered(f"row {rid} is not the version that its index names")
        header = self._vault.bodies.header(ct)
        former = own and self._is_former(header)
        last = header.version - 1 if own else capsule.mark(rid)
        if not former and not last:
            return
        opened = await self._vault.open(rid, ct)
        if await self._versions(opened, last, page) and not own:
            page.entries.setdefault(header.slot, [])
        if former:
            await self._body(capsule, opened, page)

    def _is_former(self, header: Header) -> bool:
        return header.slot == self._target.slot and header.generation < self._target.generation

    async def _versions(self, opened: Opened, last: int, page: Page) -> int:
        """Older versions up to `last`; how many there were to do."""
        names = {self._vault.history_key(opened.meta.reference, n): n for n in range(1, last + 1)}
        found = await self._vault.backend.get_many(Table.HISTORY, list(names))
        before = page.rows
        for key, ct in found.items():
            header = self._vault.bodies.header(ct)
            if not self._is_former(header):
                continue
            if header.version != names[key]:
                raise Tampered(f"a history row of {opened.rid} holds another version")
            await self._reseal(opened.rid, ct, (Table.HISTORY, key), page)
        return page.rows - before

    async def _body(self, capsule: Capsule, opened: Opened, page: Page, *, apart: bool = False) -> None:
        """The current version, and every index row that names it."""
        tag = tag_of(await self._reseal(opened.rid, opened.ct, (Table.BODY, opened.rid), page, apart=apart))
        entry = replace(self._entry(capsule, opened.rid), tag=tag)
        page.entries[capsule.slot].append(entry)
        if opened.meta.type == "Patient" and capsule.slot:
            page.patient = entry
        for patient in opened.meta.patients[1:]:
            slot = await self._vault.any_slot(patient)
            if slot is not None and slot != capsule.slot:
                other = await self._vault.capsules.open(slot)
                if other.find(opened.rid) is not None:
                    pointer = replace(self._entry(other, opened.rid), tag=tag)
                    page.entries.setdefault(slot, []).append(pointer)

    async def _reseal(self, rid: int, ct: bytes, place: tuple[Table, int], page: Page, *, apart: bool = False) -> bytes:
        """The row for one version under the target, with its further rows in their places. `apart`: the sub-key."""
        header = self._vault.bodies.header(ct)
        further = await self._vault.further(rid, header)
        keys = self._vault.keystore.keys
        sealed, rest = self._vault.bodies.reseal(rid, ct, further, keys, self._target, apart)
        page.batch.puts.append((*place, sealed))
        places = self._vault.further_keys(rid, header)
        page.batch.puts += [(Table.BODY, key, each) for key, each in zip(places, rest, strict=True)]
        page.rows += 1
        return sealed

    def _entry(self, capsule: Capsule, rid: int) -> IndexEntry:
        """The whole index row of a resource. Indexes are taken apart once, and again when a row has changed."""
        row = capsule.find(rid)
        known = self._known.get(capsule.slot, {}).get(rid)
        if row is None or known is None or known.tag != row.tag:
            self._known[capsule.slot] = capsule.entries()
            known = self._known[capsule.slot][rid]
        return known


def pages(rids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Some at a time."""
    for start in range(0, len(rids), size):
        yield rids[start : start + size]
