"""The sealed tables as one thing that the door can fetch from. Only `records` holds a Vault.

It resolves names to rows, opens bodies with the right patient's key, and checks every body against the index that
vouches for it: a row that was rolled back, swapped or put back after deletion does not have the tag that the index
expects, and is refused as Tampered. It knows nothing of who is asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from medlock.access.consent.codes import labels_of
from medlock.errors import Conflict, NotFound, Tampered
from medlock.records.holders import Holders
from medlock.records.indexing import Indexer
from medlock.records.notes import Notes
from medlock.records.paging import Place, open_place, seal_place
from medlock.records.plan import Planner
from medlock.store.bodies import BodyCipher, Header, Meta, Opened, further_name, tag_of
from medlock.store.capsule import Capsule, IndexRow
from medlock.store.capsules import Capsules, Probe
from medlock.store.content import Content, chunk_name
from medlock.store.directory import Directory
from medlock.store.keyport import Keys
from medlock.store.keyring import NotCleared, PatientKeys
from medlock.store.opened import OpenedBodies
from medlock.store.tables import Backend, Batch, Table

TENANT = 0
_Found = TypeVar("_Found", Opened, Opened | None)
RIDS_KEPT = 16_384
_TRIES = 60
_SURE = 3
"""Looks at which body and index disagree in the same way: then nobody is writing, and one of them is not genuine."""


_OPEN_TO_ALL = frozenset({"Consent", "Patient"})
"""Types that every process must open to answer anything: who a patient is, and what they allow."""


def sealed_apart(meta: Meta, slot: int) -> bool:
    """Whether a version belongs under the sub-key of sensitive classes: by its labels, as they were given."""
    if not slot or len(meta.labels) < 2 or meta.type in _OPEN_TO_ALL:  # one label alone says that it was looked at
        return False
    labels = labels_of(meta.labels)
    return labels is not None and bool(labels.sensitivities)


class Vault:
    """Sealed tables, keys and indexes of one data directory."""

    def __init__(self, backend: Backend, keystore: Keys) -> None:
        self.backend = backend
        self.keystore = keystore
        self.cleared = keystore.cleared
        self.bodies = BodyCipher(keystore.tenant.header)
        self.opened = OpenedBodies()
        self.capsules = Capsules(backend, keystore.candidates)
        self.directory = Directory(backend, keystore.tenant, keystore.entries)
        self.indexer = Indexer(keystore.tenant.values)
        self.planner = Planner(self.indexer, self.rid)
        self.notes = Notes(keystore.tenant)
        self.holders = Holders(backend, self.notes, self.directory, self.capsules)
        self._rid_label = keystore.tenant.rid.label
        self._known_rid = lru_cache(RIDS_KEPT)(self._rid_of)
        self._locks: dict[int, asyncio.Lock] = {}

    def rid(self, reference: str) -> int:
        """The row id of `Type/id`; those asked for last are remembered."""
        return self._known_rid(reference)

    def _rid_of(self, reference: str) -> int:
        return self._rid_label(reference.encode())

    def history_key(self, reference: str, version: int) -> int:
        """The row id of an older version."""
        return self._rid_label(f"{reference}/_history/{version}".encode())

    def lock(self, slot: int) -> asyncio.Lock:
        """The lock that orders this process's writes to one index; other processes are met at commit."""
        return self._locks.setdefault(slot, asyncio.Lock())

    async def open(self, rid: int, ct: bytes) -> Opened:
        """Decrypt a row. Raises Tampered, or NotFound when its patient's key was destroyed."""
        header = self.bodies.header(ct)
        return self.bodies.open(rid, ct, header, self.keystore.keys, await self.further(rid, header))

    async def further(self, rid: int, header: Header) -> list[bytes]:
        """The further rows of a version that are there."""
        if not header.further:
            return []
        keys = self.further_keys(rid, header)
        rows = await self.backend.get_many(Table.BODY, keys)
        return [rows[key] for key in keys if key in rows]

    def further_key(self, rid: int, version: int, at: int) -> int:
        """Where further row number `at` of a version lies; it stays there when the first one moves to history."""
        return self._rid_label(further_name(rid, version, at))

    def further_keys(self, rid: int, header: Header) -> list[int]:
        """Where all further rows of a version lie."""
        return [self.further_key(rid, header.version, at) for at in range(header.further)]

    def chunk_key(self, stream: bytes, at: int) -> int:
        """Where chunk number `at` of a content lies."""
        return self._rid_label(chunk_name(stream, at))

    def chunk_keys(self, stream: bytes, count: int) -> list[int]:
        """Where the first so many chunks of a content lie."""
        return [self.chunk_key(stream, at) for at in range(count)]

    def seal(  # noqa: PLR0917 - what a row is made of
        self, rid: int, keys: PatientKeys, meta: Meta, body: bytes, batch: Batch, content: Content | None = None
    ) -> bytes:
        """The row for one version of a resource; its further rows, if it has any, are added to the batch."""
        ct, further = self.bodies.seal(rid, keys, meta, body, content, sealed_apart(meta, keys.slot))
        for at, each in enumerate(further):
            batch.inserts.append((Table.BODY, self.further_key(rid, meta.version, at), each))
        return ct

    async def current(self, type_: str, id_: str) -> Opened | None:
        """The current version of a resource, tombstones included, vouched for by its index; None when unknown.

        None as well when it is of a sensitive class and this process has no clearance (`withheld`).

        Body and index are two looks, and another process may write between them: then they disagree, differently each
        time. Raises Tampered when they disagree in the same way, Conflict when they are written faster than looked at.
        """
        rid = self.rid(f"{type_}/{id_}")
        seen, alike = None, 0
        for tried in range(_TRIES):
            ct = await self.backend.get(Table.BODY, rid)
            if ct is None:
                await self._miss(type_, rid)
                return None
            row = await self._vouch(type_, rid, ct)
            if row is not None and row.tag == tag_of(ct):
                known = self.opened.get(rid, ct)
                if known is None:
                    return self._remembered(await self._open_cleared(rid, ct))
                self.keystore.keys(known.slot, known.generation)  # raises NotFound when it was destroyed since
                return known
            pair = ct, row and row.tag
            seen, alike = pair, alike + 1 if pair == seen else 1
            if alike == _SURE:
                raise Tampered(f"row {rid} is not the version that its index names")
            await self.directory.refresh()
            await asyncio.sleep(min(tried, 10) / 1000)
        raise Conflict("This record is being changed by many at once. Try again.")

    async def _open_cleared(self, rid: int, ct: bytes) -> Opened | None:
        """As `open`; None for what this process has no clearance for."""
        try:
            return await self.open(rid, ct)
        except NotCleared:
            return None

    async def withheld(self, type_: str, id_: str) -> bool:
        """Whether a resource is there that this process has no clearance for."""
        return not self.cleared and await self.backend.get(Table.BODY, self.rid(f"{type_}/{id_}")) is not None

    async def _miss(self, type_: str, rid: int) -> None:
        """A body that is not there although the directory knows the patient was taken away behind our back."""
        if type_ == "Patient" and self.directory.find(rid) is not None:
            await self.directory.refresh()
            if self.directory.find(rid) is not None:
                raise Tampered(f"row {rid} is gone, but the directory names it")

    async def _vouch(self, type_: str, rid: int, ct: bytes) -> IndexRow | None:
        """The index row of a body: the directory's for patients, else its owner's capsule's."""
        if type_ == "Patient":
            return self.directory.find(rid)
        return (await self.capsules.open(self.bodies.slot(ct))).find(rid)

    async def fetch(self, rows: Sequence[IndexRow], unproven: Sequence[Probe] = ()) -> list[Opened | None]:
        """The bodies that index rows name, in order; None where the row has changed since (search again).

        `unproven` are indexes that were looked into without asking whether they are current: that is asked now, in
        the same statement that reads the bodies. Nothing is shown when one is not.
        """
        keys = [row.rid for row in rows]
        if unproven:
            asked = [key for probe in unproven for key in (probe.last, probe.following)]
            found, deltas = await self.backend.get_proven(Table.BODY, keys, asked)
            if not all(self.capsules.proven(probe, deltas) for probe in unproven):
                return [None] * max(1, len(rows))
        else:
            found = await self.backend.get_many(Table.BODY, keys)
        bodies = self.opened.get_all(rows, found)
        self._demand_keys(bodies)
        return await self._opened_rest(rows, found, bodies) if None in bodies else bodies

    def _demand_keys(self, bodies: Sequence[Opened | None]) -> None:
        """Raise NotFound when the key of a body opened before was destroyed since."""
        slot = generation = -1
        for each in bodies:
            if each is not None and (each.slot != slot or each.generation != generation):
                slot, generation = each.slot, each.generation
                self.keystore.keys(slot, generation)

    async def _opened_rest(
        self, rows: Sequence[IndexRow], cts: Mapping[int, bytes], known: list[Opened | None]
    ) -> list[Opened | None]:
        """What is known already, and the other rows opened that are there and the ones that the index names."""
        rest = [
            (at, row.rid, ct)
            for at, (row, each) in enumerate(zip(rows, known, strict=True))
            if each is None and (ct := cts.get(row.rid)) is not None
            if tag_of(ct) == row.tag or await self._resealed(row, ct)
        ]
        opened = self.bodies.open_all([(rid, ct) for _, rid, ct in rest], self.keystore.keys)
        for (at, rid, ct), each in zip(rest, opened, strict=True):
            known[at] = self._remembered(each or await self.open(rid, ct))
        return known

    def _remembered(self, opened: _Found) -> _Found:
        """The same, kept for the next who asks; long ones are not."""
        if opened is not None and not opened.further:
            self.opened.put(opened)
        return opened

    async def _resealed(self, row: IndexRow, ct: bytes) -> bool:
        """Whether a body is the version that an index row named, sealed anew since: its owner's index now says so."""
        try:
            now = (await self.capsules.open(row.slot)).find(row.rid)
        except NotFound:
            return False
        return now is not None and (now.version, now.tag) == (row.version, tag_of(ct))

    async def version(self, opened: Opened, version: int) -> Opened | None:
        """An older version of a resource whose current version is open; None when it is not there, or withheld."""
        if version == opened.meta.version:
            return opened
        reference = opened.meta.reference
        ct = await self.backend.get(Table.HISTORY, self.history_key(reference, version))
        if ct is None:
            return None
        found = await self._open_cleared(opened.rid, ct)
        if found is None:
            return None
        if found.meta.reference != reference or found.meta.version != version:
            raise Tampered(f"history row of {opened.rid} holds another version")
        return found

    async def any_slot(self, patient: str) -> int | None:
        """The slot of a patient, deleted or not; None when there never was one by this id, or it was shredded."""
        rid = self.rid(f"Patient/{patient}")
        row = self.directory.find(rid)
        if row is None:
            await self.directory.refresh()
            row = self.directory.find(rid)
        return None if row is None else row.slot

    async def patient_slot(self, patient: str) -> int | None:
        """The slot of a living patient, None when there is none by this id."""
        rid = self.rid(f"Patient/{patient}")
        row = self.directory.find(rid)
        if row is None:
            await self.directory.refresh()
            row = self.directory.find(rid)
        return None if row is None or row.deleted else row.slot

    async def has_receipt(self, digest: bytes) -> bool:
        """Whether what has this digest was loaded before. Raises Tampered when the receipt is not one of ours."""
        key = self.notes.receipt_key(digest)
        ct = await self.backend.get(Table.JOB, key)
        if ct is not None:
            self.notes.open(key, ct)
        return ct is not None

    async def forget_erased(self) -> None:
        """Keys were destroyed by another process: let go of everything that lay under them."""
        self.opened.clear()
        self.capsules.clear()
        await self.directory.refresh()

    def page_token(self, account: str, place: Place) -> str:
        """A sealed link to a place in an answer, for one account."""
        return seal_place(self.keystore.tenant.page, account, place)

    def page_place(self, account: str, token: str, now: int) -> Place:
        """The place in a page token. Raises BadRequest when it is not ours, not this account's, or expired."""
        return open_place(self.keystore.tenant.page, account, token, now)

    def sealing_keys(self, capsule: Capsule) -> PatientKeys:
        """Keys to seal under together with a change of this index: none that were rotated away since."""
        keys = self.keystore.keys(capsule.slot)
        if keys.generation >= capsule.generation:
            return keys
        self.keystore.forget(capsule.slot)
        return self.keystore.keys(capsule.slot)

    def key_destroyed(self, slot: int) -> bool:
        """Whether a patient's key is gone."""
        try:
            self.keystore.keys(slot)
        except NotFound:
            return True
        return False
