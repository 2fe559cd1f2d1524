"""One commit: drafts become sealed rows, index deltas and audit entries, all durable together or not at all.

The order is what makes it safe, so it stands in one place:
 1. lock the indexes that the drafts touch, in ascending order (no two commits wait for each other in a ring);
 2. read what is there now and check versions against what the caller demands;
 3. seal bodies and index changes; nothing in memory is changed yet;
 4. write down the events, each with the position its index will have;
 5. commit; only when that returns, bring the indexes in memory up to date.
Another process may write between 2 and 5. Then an insert fails, `Raced` is raised, and the door starts over. One that
rotates keys seals anew without making versions: that is noticed at 3, by the index.
"""

from __future__ import annotations

from itertools import chain

import msgspec

from medlock.audit.events import Event, Outcome, Position, Touched
from medlock.audit.log import AuditLog
from medlock.clock import instant
from medlock.errors import Conflict, PreconditionFailed, Problem, Raced, Tampered, Unprocessable
from medlock.fhir.document import with_identity
from medlock.records.apart import seal_past_apart
from medlock.records.drafts import CREATE, DELETE, Draft
from medlock.records.indexing import Place
from medlock.records.scribe import NOBODY, Scribe, Whom
from medlock.records.turns import Held, in_turns
from medlock.records.unclear import Told
from medlock.records.vault import TENANT, Vault, sealed_apart
from medlock.store.bodies import Meta, Opened, tag_of
from medlock.store.capsule import Appended, Capsule
from medlock.store.directory import Change
from medlock.store.entries import DELETED, DROPPED, POINTER, IndexEntry
from medlock.store.keyring import KeyDestroyed, PatientKeys
from medlock.store.tables import Batch, Table

_DIRECTORY_LOCK = -1


class Written(msgspec.Struct, frozen=True):
    """What became of a draft."""

    meta: Meta
    body: bytes
    created: bool
    slot: int


class Stage(msgspec.Struct):
    """A commit in the making: the batch, and what must happen in memory once it is durable."""

    batch: Batch = msgspec.field(default_factory=Batch)
    entries: dict[int, list[IndexEntry]] = {}
    patients: dict[int, str] = {}
    directory: list[IndexEntry] = []
    announced: int = 0
    newborn: dict[str, PatientKeys] = {}
    touched: dict[int, list[Touched]] = {}
    sealed: dict[int, int] = {}  # slot → generation under which its bodies were sealed
    before: dict[int, list[tuple[int, int]]] = {}  # slot → rids and tags of what is replaced
    indexes: list[Appended] = []
    expected: dict[int, int] = {}  # slot → number at which its index must stand
    consents: set[int] = set()  # slots whose records get a Consent
    slots: dict[str, int] = {}  # patient → slot, as it was when the locks were taken


class Committer:
    """Commits drafts for one visit; the rows, events and expectations of `extra` go into the same commit."""

    def __init__(self, vault: Vault, log: AuditLog, scribe: Scribe, extra: Batch, told: Told) -> None:
        self._extra = extra
        self._vault = vault
        self._log = log
        self._scribe = scribe
        self._told = told

    async def commit(self, drafts: list[Draft]) -> list[Written]:
        """Write all drafts or none. Raises PreconditionFailed, Conflict, Raced, Unavailable."""
        try:
            return await self._commit(drafts)
        except (KeyDestroyed, Tampered) as fault:
            if await self._vault.directory.refresh():  # another process erased a patient that we still knew
                raise Raced from fault
            raise

    async def _commit(self, drafts: list[Draft]) -> list[Written]:
        stage = Stage()
        stage.batch.puts += self._extra.puts
        stage.batch.deletes += self._extra.deletes
        stage.batch.expects += self._extra.expects
        newborn = [draft.id for draft in drafts if draft.type == "Patient" and draft.crud != DELETE]
        if newborn:
            await self._allot(stage, newborn)
        async with Held([self._vault.lock(slot) for slot in await self._slots(stage, drafts)]):
            written = [await self._stage(stage, draft) async for draft in in_turns(drafts)]
            await self._seal_indexes(stage)
            telling = await self._told.telling()
            stage.batch += telling.batch
            try:
                await self._vault.backend.commit(stage.batch)
            except Raced:
                self._told.again(telling)
                await self._recover(stage)
                raise
            self._told.durable(telling)
            self._settle(stage)
        return written

    async def _allot(self, stage: Stage, newborn: list[str]) -> None:
        """Keys for patients that are not there yet; they are durable before anything is sealed under them."""
        unknown = [patient for patient in newborn if await self._vault.any_slot(patient) is None]
        for patient, keys in zip(unknown, self._vault.keystore.allot(len(unknown)), strict=True):
            stage.newborn[patient] = keys

    async def _slots(self, stage: Stage, drafts: list[Draft]) -> list[int]:
        """The locks to take, ascending: owners now and before, and the directory when patients change."""
        slots: set[int] = set()
        async for draft in in_turns(drafts):
            slots |= set(await self._owner_slots(stage, draft.patients))
            opened = None if draft.crud == CREATE else await self._vault.current(draft.type, draft.id)
            if opened is not None:
                slots |= {slot for slot, _ in await self._former(opened)}
            if draft.type == "Patient":
                slots.add(_DIRECTORY_LOCK)
        return sorted(slots)

    async def _owner_slots(self, stage: Stage, patients: tuple[str, ...]) -> list[int]:
        """The slots of patients, the owner's first; the tenant's when there are none."""
        found = []
        for patient in patients:
            slot = stage.slots.get(patient)
            if slot is None:
                slot = stage.slots[patient] = await self._slot(stage, patient)
            found.append(slot)
        return found or [TENANT]

    async def _former(self, before: Opened) -> list[tuple[int, str]]:
        """The indexes that hold a version, the owner's first: slot and patient. A shredded patient has none."""
        if not before.meta.patients:
            return [(TENANT, "")]
        found = [(await self._vault.any_slot(patient), patient) for patient in before.meta.patients]
        return [(slot, patient) for slot, patient in found if slot is not None]

    async def _slot(self, stage: Stage, patient: str) -> int:
        if patient in stage.newborn:
            return stage.newborn[patient].slot
        slot = await self._vault.any_slot(patient)
        if slot is None:
            raise Unprocessable("The resource names a patient that you may not write to.", reason="unknown patient")
        return slot

    async def _stage(self, stage: Stage, draft: Draft) -> Written:
        """Seal one draft into the batch, on top of the version that is there now."""
        before = None if draft.crud == CREATE else await self._vault.current(draft.type, draft.id)
        if before is not None and draft.type == "Patient" and draft.id in stage.newborn:
            raise Raced  # somebody created this patient while we waited for the lock
        _check_version(draft, before)
        if draft.crud == DELETE and before is not None:
            draft.patients = tuple(patient for _, patient in await self._former(before) if patient)
            draft.labels = before.meta.labels
        version = 1 if before is None else before.meta.version + 1
        deleted = draft.crud == DELETE
        meta = Meta(draft.type, draft.id, version, self._scribe.now, draft.patients, draft.labels, deleted)
        reference = meta.reference
        body = b"" if deleted else self._body(draft, meta)
        slots = await self._owner_slots(stage, draft.patients)
        rid = self._vault.rid(reference)
        keys = self._vault.keystore.keys(slots[0])
        ct = self._vault.seal(rid, keys, meta, body, stage.batch, draft.content)
        stage.sealed[slots[0]] = min(keys.generation, stage.sealed.get(slots[0], keys.generation))
        if draft.record_at:
            at = stage.expected.get(slots[0], draft.record_at)
            stage.expected[slots[0]] = min(at, draft.record_at)  # what the first has read, the second may have missed
        if before is not None:
            stage.before.setdefault(before.slot, []).append((rid, tag_of(before.ct)))
        _put_body(stage.batch, rid, ct, before, self._history_key(before))
        if before is not None and sealed_apart(meta, slots[0]):
            await seal_past_apart(self._vault, before, keys, stage.batch)
        self._index(stage, draft, meta, Place(rid, slots[0], tag_of(ct)), slots)
        if before is not None:
            await self._unindex(stage, rid, before, slots)
        stage.touched.setdefault(slots[0], []).append(Touched(reference, version, draft.crud))
        return Written(meta, body, before is None or before.meta.deleted, slots[0])

    @staticmethod
    def _body(draft: Draft, meta: Meta) -> bytes:
        identity = draft.type, draft.id, meta.version, instant(meta.updated)
        return with_identity(draft.body, *identity, security=draft.security)

    def _history_key(self, before: Opened | None) -> int:
        return 0 if before is None else self._vault.history_key(before.meta.reference, before.meta.version)

    def _index(self, stage: Stage, draft: Draft, meta: Meta, place: Place, slots: list[int]) -> None:
        """Rows for the owner's index, pointers for the others', and the directory's entry of a Patient."""
        flags = DELETED if meta.deleted else 0
        values = None if meta.deleted else draft.values
        for at, slot in enumerate(slots):
            here = Place(place.rid, place.slot, place.tag, flags | POINTER if at else flags)
            stage.entries.setdefault(slot, []).append(self._vault.indexer.entry(meta, here, values))
            stage.patients[slot] = meta.patients[at] if meta.patients else ""
        if meta.type == "Consent":
            stage.consents.update(slot for slot in slots if slot != TENANT)
        if meta.type == "Patient":
            entry = stage.entries[slots[0]][-1]
            stage.directory.append(entry)
            self._vault.directory.change(entry, self._vault.keystore.keys(slots[0]), stage.batch)

    async def _unindex(self, stage: Stage, rid: int, before: Opened, slots: list[int]) -> None:
        """Take the row out of indexes that held the version before and do not hold this one.

        They keep a mark: history may be sealed under their key, and must be found when that is destroyed or rotated.
        """
        for slot, patient in await self._former(before):
            if slot not in slots:
                dropped = IndexEntry(rid, 0, before.meta.version, 0, 0, DROPPED, 0, (), (), (), ())
                stage.entries.setdefault(slot, []).append(dropped)
                stage.patients[slot] = patient

    async def _seal_indexes(self, stage: Stage) -> None:
        """Deltas, directory operations and audit entries."""
        fresh = {keys.slot for keys in stage.newborn.values()}
        positions: dict[int, Position] = {}
        async for slot, entries in in_turns(stage.entries.items()):
            capsules = self._vault.capsules
            capsule = capsules.fresh(slot) if slot in fresh else await capsules.for_change(slot)
            self._check_keys(stage, capsule)
            appended = capsule.change(stage.patients[slot], entries, stage.batch)
            stage.indexes.append(appended)
            positions[slot] = Position(slot, appended.delta.number, appended.tag)
        if stage.consents:
            await self._vault.holders.add(stage.consents, stage.batch)
        if stage.directory:
            await self._vault.directory.refresh()
            slots = [entry.slot for entry in stage.directory]
            stage.announced = self._vault.directory.announce(slots, Change.CHANGED, stage.batch)
        sealed = [self._log.seal(event) async for event in in_turns(self._events(stage, positions))]
        stage.batch.entries = [*chain.from_iterable(sealed), *self._extra.entries]

    def _check_keys(self, stage: Stage, capsule: Capsule) -> None:
        """What we seal, replace and looked for must be as the index has it. Raises Raced when it has changed since."""
        if stage.sealed.get(capsule.slot, capsule.generation) < capsule.generation:
            self._vault.keystore.forget(capsule.slot)
            raise Raced
        if stage.expected.get(capsule.slot, capsule.number) != capsule.number:
            raise Raced
        for rid, tag in stage.before.get(capsule.slot, ()):
            row = capsule.find(rid)
            if row is None or row.tag != tag:
                self._vault.capsules.lost(capsule.slot)
                raise Raced

    def _events(self, stage: Stage, positions: dict[int, Position]) -> list[Event]:
        """One event for each index that changed."""
        return [
            self._scribe.event(
                Outcome.SUCCESS,
                Whom(slot, stage.patients[slot]) if slot else NOBODY,
                stage.touched.get(slot, ()),
                position=position,
            )
            for slot, position in positions.items()
        ]

    def _settle(self, stage: Stage) -> None:
        """The batch is durable: memory follows."""
        for appended in stage.indexes:
            self._vault.capsules.committed(appended)
        self._vault.directory.committed(stage.directory, stage.announced)

    async def _recover(self, stage: Stage) -> None:
        """Another process was first: forget what we thought was current."""
        for appended in stage.indexes:
            self._vault.capsules.lost(appended.capsule.slot)
        await self._vault.directory.refresh()


def _check_version(draft: Draft, before: Opened | None) -> None:
    """If-Match and If-None-Match against what is there (R4 §3.1.0.5); 412 when it is not what was demanded."""
    if draft.none_match and before is not None and not before.meta.deleted:
        text = "The resource exists already (If-None-Match: *)."
        raise PreconditionFailed(text, problems=(Problem("conflict", text, draft.path),))
    if draft.based_on and (before is None or before.meta.version != draft.based_on):
        raise Raced
    current = "" if before is None or before.meta.deleted else str(before.meta.version)
    if draft.if_match and draft.if_match != current:
        text = "The resource is not at the version in If-Match: read it again, then decide."
        raise PreconditionFailed(text, problems=(Problem("conflict", text, draft.path),))
    if draft.crud == DELETE and (before is None or before.meta.deleted):
        raise Conflict("The resource was deleted meanwhile.")


def _put_body(batch: Batch, rid: int, ct: bytes, before: Opened | None, history_key: int) -> None:
    """The new body; the version before moves to the history as it is, sealed."""
    if before is None:
        batch.inserts.append((Table.BODY, rid, ct))
        return
    batch.inserts.append((Table.HISTORY, history_key, before.ct))
    batch.puts.append((Table.BODY, rid, ct))
