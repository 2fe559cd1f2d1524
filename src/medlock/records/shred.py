"""Erasure of one patient (GDPR Art. 17): destroy the key, then everything that lay under it, and leave no way back.

Steps, each safe to repeat, with a sealed note of the work until the last is done, so that a crash in between is
picked up at the next start, or by a server that runs:
 1. one commit takes away the patient's bodies, versions, index and directory entry, drops pointers to them from other
    patients' indexes, puts tombstones in place of versions that lie under this key in the history of what is somebody
    else's now, leaves an end where the next change of the index would go, and writes the event;
 2. the keystore destroys the key: live copies and replicas of the data are unreadable from here on;
 3. both journals are scrubbed, and a note that it is done takes the place of the other.
Older copies of the keystore die with the next `medlock keys ratchet`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from msgspec.structs import replace

from medlock.access.decide import decide_erasure
from medlock.access.principal import Principal
from medlock.audit.events import Action, Event, Outcome, Position
from medlock.audit.log import AuditLog
from medlock.clock import Clock
from medlock.errors import Conflict, NotFound, Raced, Tampered
from medlock.ids import random_bytes
from medlock.records.notes import SHRED
from medlock.records.read import NOT_FOUND
from medlock.records.vault import Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import Appended, Capsule, IndexRow
from medlock.store.entries import DROPPED, IndexEntry
from medlock.store.keyring import KeyDestroyed, PatientKeys
from medlock.store.tables import Batch, Table

_TRIES = 8


@dataclass(frozen=True, slots=True)
class Erased:
    """What a shredding took away."""

    resources: int
    versions: int


@dataclass(frozen=True, slots=True)
class Blank:
    """A resource that moved away, and the versions of it that lie under the former owner's key: key → number, row."""

    now: Opened
    versions: dict[int, tuple[int, bytes]]


class Shredder:
    """Erases patients. `resume` finishes what a crash interrupted."""

    def __init__(self, vault: Vault, log: AuditLog, clock: Clock) -> None:
        self._vault = vault
        self._log = log
        self._clock = clock

    async def shred(self, principal: Principal, patient: str) -> Erased:
        """Erase one patient for good. Raises Denied, NotFound, Conflict."""
        decide_erasure(principal)
        for _ in range(_TRIES):
            slot = await self._vault.any_slot(patient)
            if slot is None:
                raise NotFound(NOT_FOUND, reason="no such patient to shred")
            try:
                erased, end = await self._take_away(principal, patient, slot)
            except (Raced, KeyDestroyed):
                await self.resume()  # another's note may be in the way
                await self._vault.directory.refresh()
                continue
            await self._finish(slot, end)
            return erased
        raise Conflict("The record is being changed by many at once: try again.")

    async def resume(self) -> None:
        """Finish an interrupted shredding, if there is one."""
        key = self._vault.notes.key(SHRED)
        ct = await self._vault.backend.get(Table.JOB, key)
        if ct is not None:
            under_way = self._vault.notes.erasure(*self._vault.notes.open(key, ct))
            if under_way is not None:
                await self._finish(*under_way)

    async def _finish(self, slot: int, end: int) -> None:
        """Steps 2 and 3. Who is first to write that it is done takes the note away: after that it may be another's."""
        self._vault.keystore.destroy(slot)
        self._vault.opened.clear()
        self._vault.capsules.forget(slot)
        await self._vault.backend.scrub()
        notes = self._vault.notes
        with suppress(Raced):
            await self._vault.backend.commit(
                Batch(inserts=[notes.erased(slot, end)], deletes=[(Table.JOB, notes.key(SHRED))])
            )

    async def _take_away(self, principal: Principal, patient: str, slot: int) -> tuple[Erased, int]:
        """Step 1; what was erased, and where the end lies."""
        batch = Batch()
        async with AsyncExitStack() as held:
            await held.enter_async_context(self._vault.lock(-1))
            await held.enter_async_context(self._vault.lock(slot))
            capsule = await self._vault.capsules.open(slot)
            own = await self._open_all(row for row in capsule.rows() if row.slot == slot)
            others = await self._pointed_from(own, slot)
            for blank in await self._blanks(capsule):
                others.setdefault(blank.now.slot, [])
            for other in sorted(others):
                await held.enter_async_context(self._vault.lock(other))
            versions = await self._delete_rows(capsule, own, batch)
            blanks = await self._blanks(capsule)
            if not others.keys() >= {blank.now.slot for blank in blanks}:
                raise Raced
            await self._blank_versions(blanks, batch)
            changes = [await self._drop(other, others[other], batch) for other in sorted(others)]
            await self._vault.directory.refresh()
            last = self._vault.directory.shred(slot, batch)
            last_delta, end = capsule.probe
            batch.requires.append((Table.DELTA, last_delta))
            batch.inserts += [self._vault.notes.end(slot, end), self._vault.notes.under_way(slot, end)]
            batch.entries = self._log.seal(*self._events(principal, patient, capsule, changes))
            await self._vault.backend.commit(batch)
            for appended in changes:
                self._vault.capsules.committed(appended)
            self._vault.directory.shredded(slot, last)
        return Erased(len(own), versions), end

    async def _open_all(self, rows: Iterable[IndexRow]) -> list[Opened]:
        """The bodies that are this patient's. Raises Tampered when one is missing or does not open."""
        opened = []
        for row in rows:
            ct = await self._vault.backend.get(Table.BODY, row.rid)
            if ct is None:
                raise Tampered(f"row {row.rid} is missing: run medlock verify before shredding")
            opened.append(await self._vault.open(row.rid, ct))
        return opened

    async def _delete_rows(self, capsule: Capsule, own: Iterable[Opened], batch: Batch) -> int:
        """Bodies, older versions and the index itself; returns how many versions there were."""
        versions = 0
        for opened in own:
            older = [self._vault.history_key(opened.meta.reference, n) for n in range(1, opened.meta.version)]
            found = await self._vault.backend.get_many(Table.HISTORY, older)
            batch.deletes += [(Table.BODY, opened.rid), *((Table.HISTORY, key) for key in older)]
            await self._delete_beside(opened.rid, [opened.ct, *found.values()], batch)
            versions += opened.meta.version
        batch.deletes += capsule.row_keys()
        return versions

    async def _delete_beside(self, rid: int, rows: Iterable[bytes], batch: Batch) -> None:
        """The further rows and the chunks of these versions of a resource."""
        for ct in rows:
            header = self._vault.bodies.header(ct)
            batch.deletes += [(Table.BODY, key) for key in self._vault.further_keys(rid, header)]
            if header.content and (content := (await self._vault.open(rid, ct)).content) is not None:
                keys = self._vault.chunk_keys(content.stream, content.chunks)
                batch.deletes += [(Table.CHUNK, key) for key in keys]

    async def _blanks(self, capsule: Capsule) -> list[Blank]:
        """Versions from the time when a resource was this patient's, of those that are somebody else's now."""
        found = []
        for row in capsule.elsewhere():
            ct = await self._vault.backend.get(Table.BODY, row.rid)
            if ct is None:
                continue  # its later owner was shredded, and the whole history with it
            opened = await self._vault.open(row.rid, ct)
            names = {self._vault.history_key(opened.meta.reference, n): n for n in range(1, row.version + 1)}
            rows = await self._vault.backend.get_many(Table.HISTORY, list(names))
            mine = {key: ct for key, ct in rows.items() if self._vault.bodies.slot(ct) == capsule.slot}
            if mine:
                found.append(Blank(opened, {key: (names[key], ct) for key, ct in mine.items()}))
        return found

    async def _blank_versions(self, blanks: Iterable[Blank], batch: Batch) -> None:
        """Put tombstones under the present owner's key in their place.

        Only together with a change of the owner's index: so nobody rotates that key or erases the owner meanwhile.
        """
        for blank in blanks:
            keys = self._vault.sealing_keys(await self._vault.capsules.open(blank.now.slot))
            for key, (version, ct) in blank.versions.items():
                batch.puts.append((Table.HISTORY, key, self._tombstone(blank.now, keys, version, batch)))
                await self._delete_beside(blank.now.rid, [ct], batch)

    def _tombstone(self, now: Opened, keys: PatientKeys, version: int, batch: Batch) -> bytes:
        meta = replace(now.meta, version=version, labels=(), deleted=True)
        return self._vault.seal(now.rid, keys, meta, b"", batch)

    async def _pointed_from(self, own: Iterable[Opened], slot: int) -> dict[int, list[int]]:
        """Other patients' indexes that point at these bodies: slot → row ids."""
        found: dict[int, list[int]] = {}
        for opened in own:
            for patient in opened.meta.patients[1:]:
                other = await self._vault.any_slot(patient)
                if other is not None and other != slot:
                    found.setdefault(other, []).append(opened.rid)
        return found

    async def _drop(self, slot: int, rids: list[int], batch: Batch) -> Appended:
        """Take pointers out of another patient's index."""
        capsule = await self._vault.capsules.open(slot)
        entries = [IndexEntry(rid, 0, 0, 0, 0, DROPPED, 0, (), (), (), ()) for rid in rids]
        return capsule.change(capsule.patient, entries, batch)

    def _events(
        self,
        principal: Principal,
        patient: str,
        capsule: Capsule,
        changes: list[Appended],
    ) -> list[Event]:
        """The erasure, and one event for each index that lost pointers."""
        request = random_bytes(16).hex()
        now = self._clock.now_ms()

        def event(slot: int, whom: str, position: Position) -> Event:
            return Event(
                Action.SHRED,
                Outcome.SUCCESS,
                principal.account,
                tuple(sorted(principal.roles)),
                principal.client,
                principal.purpose,
                now,
                request,
                slot,
                whom,
                position=position,
            )

        events = [event(capsule.slot, patient, Position(capsule.slot, capsule.number, capsule.tag))]
        return events + [
            event(each.capsule.slot, each.capsule.patient, Position(each.capsule.slot, each.delta.number, each.tag))
            for each in changes
        ]
