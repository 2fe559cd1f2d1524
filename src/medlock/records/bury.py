"""Erasure of patients whose keys are gone already: after a restore, of those who were erased since the backup.

Nothing of theirs opens any more. But rows of theirs lie in the tables, and the directory, the log and other patients'
indexes speak of them as living. Here they are taken out as an erasure would have done it (`records.shred`), as far as
rows say whose they are; rows of an index do not without its key, nor do further rows, so at last everything goes that
nothing in the store vouches for. For a store that nobody else has open. docs/spec/backup.md §8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from medlock.access.decide import decide_erasure
from medlock.access.principal import Principal
from medlock.audit.events import Action, Event, Outcome, Position
from medlock.errors import Tampered
from medlock.ids import random_bytes
from medlock.records.shred import Blank, Shredder
from medlock.records.vault import TENANT
from medlock.records.verify_bodies import scan
from medlock.store.capsule import Appended, Capsule
from medlock.store.tables import Batch, Table

_ROWS = 2_000


@dataclass(slots=True)
class Grave:
    """What bears the slot of somebody dead: older versions, by key."""

    versions: dict[int, bytes]


class Burial(Shredder):
    """Erases patients without their keys."""

    async def bury(self, principal: Principal, dead: Iterable[int]) -> int:
        """Take out what says whose it is; returns how many rows. `sweep` does the rest. Raises Denied."""
        decide_erasure(principal)
        slots = set(dead)
        for slot in sorted(slots):
            await self._end(principal, slot)
        bodies = await self._bearing(Table.BODY, slots)
        grave = Grave(await self._bearing(Table.HISTORY, slots))
        count = await self.sweep((Table.BODY, key) for key in self._own_rows(bodies))
        for slot in (TENANT, *self._vault.directory.slots()):
            await self._part(principal, slot, slots, grave)
        count += await self.sweep((Table.HISTORY, key) for key in grave.versions)
        return count

    async def sweep(self, places: Iterable[tuple[Table, int]]) -> int:
        """Delete these rows, some at a time; how many there were."""
        deletes = list(places)
        for start in range(0, len(deletes), _ROWS):
            await self._vault.backend.commit(Batch(deletes=deletes[start : start + _ROWS]))
        return len(deletes)

    async def _end(self, principal: Principal, slot: int) -> None:
        """Say in directory, notes and log that this patient is erased."""
        batch = Batch()
        await self._vault.directory.refresh()
        last = self._vault.directory.shred(slot, batch)
        end = self._vault.notes.buried_end(slot)
        batch.inserts += [self._vault.notes.end(slot, end), self._vault.notes.erased(slot, end)]
        batch.entries = self._log.seal(self._told(principal, Action.SHRED, slot))
        await self._vault.backend.commit(batch)
        self._vault.directory.shredded(slot, last)

    async def _bearing(self, table: Table, slots: set[int]) -> dict[int, bytes]:
        """The rows whose header names one of these slots."""
        found: dict[int, bytes] = {}
        async for key, ct in scan(self._vault.backend, table):
            try:
                if self._vault.bodies.slot(ct) in slots:
                    found[key] = ct
            except Tampered:
                continue  # a further row has no header
        return found

    def _own_rows(self, bodies: dict[int, bytes]) -> Iterator[int]:
        """Bodies with their further rows."""
        for rid, ct in bodies.items():
            yield rid
            yield from self._vault.further_keys(rid, self._vault.bodies.header(ct))

    async def _part(self, principal: Principal, slot: int, dead: set[int], grave: Grave) -> None:
        """Let a living patient's index and histories go of the dead."""
        capsule = await self._vault.capsules.open(slot)
        pointers = [row.rid for row in capsule.rows() if row.slot in dead]
        blanks = await self._shared(capsule, grave) if grave.versions else []
        if not pointers and not blanks:
            return
        batch = Batch()
        await self._blank_versions(blanks, batch)
        appended = await self._drop(slot, pointers, batch)
        batch.entries = self._log.seal(self._moved(principal, appended))
        await self._vault.backend.commit(batch)
        self._vault.capsules.committed(appended)
        for blank in blanks:
            for key in blank.versions:
                del grave.versions[key]

    async def _shared(self, capsule: Capsule, grave: Grave) -> list[Blank]:
        """Versions under a dead key in the history of what is this patient's now."""
        found = []
        for row in capsule.rows():
            if row.slot != capsule.slot or row.version < 2:
                continue
            ct = await self._vault.backend.get(Table.BODY, row.rid)
            if ct is None:
                raise Tampered(f"row {row.rid} is missing")
            opened = await self._vault.open(row.rid, ct)
            names = {self._vault.history_key(opened.meta.reference, n): n for n in range(1, row.version)}
            theirs = {key: (names[key], grave.versions[key]) for key in names.keys() & grave.versions.keys()}
            if theirs:
                found.append(Blank(opened, theirs))
        return found

    def _told(self, principal: Principal, action: Action, slot: int) -> Event:
        """An event about a slot, alone in its request: the first SHRED of each request names who was erased."""
        roles, now = tuple(sorted(principal.roles)), self._clock.now_ms()
        request = random_bytes(16).hex()
        return Event(
            action, Outcome.SUCCESS, principal.account, roles, principal.client, principal.purpose, now, request, slot
        )

    def _moved(self, principal: Principal, appended: Appended) -> Event:
        """Where the index of somebody living stands now."""
        told = self._told(principal, Action.RESTORE, appended.capsule.slot)
        position = Position(appended.capsule.slot, appended.delta.number, appended.tag)
        return replace(told, patient=appended.capsule.patient, position=position)
