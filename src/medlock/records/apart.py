"""Bodies of sensitive classes lie under a sub-key of their patient's key, with their past. docs/spec/store.md §3.2.

What is written is sealed so by its labels (`vault.sealed_apart`). A resource that becomes sensitive takes its past with
it in the same commit: the older versions mostly say the same. What was written before there was a sub-key is moved by a
relabelling, page by page, in its places and without making versions, as a rotation of keys moves what it moves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from medlock.errors import Raced, Tampered
from medlock.records.reseal import Page, Resealer, pages
from medlock.records.vault import Vault, sealed_apart
from medlock.store.bodies import Opened, tag_of
from medlock.store.capsule import Capsule
from medlock.store.keyring import PatientKeys
from medlock.store.tables import Batch, Row, Table

PAGE = 32


async def seal_past_apart(vault: Vault, before: Opened, keys: PatientKeys, batch: Batch) -> None:
    """Seal the older versions of a resource apart, in the commit that makes it sensitive; `before` is its last one.

    Where that one is sealed apart, so are those before. Versions under another patient's key stay as they are until
    a relabelling, since this commit does not depend on that patient's index.
    """
    if vault.bodies.header(before.ct).apart:
        return
    names = {vault.history_key(before.meta.reference, n): n for n in range(1, before.meta.version)}
    found = await vault.backend.get_many(Table.HISTORY, list(names)) if names else {}
    last = vault.history_key(before.meta.reference, before.meta.version)
    for key, ct in {**found, last: before.ct}.items():
        header = vault.bodies.header(ct)
        if header.slot != keys.slot or header.apart:
            continue
        if header.version != names.get(key, before.meta.version):
            raise Tampered(f"a history row of {before.rid} holds another version")
        further = await vault.further(before.rid, header)
        sealed, rest = vault.bodies.reseal(before.rid, ct, further, vault.keystore.keys, keys, apart=True)
        if key == last:
            _exchange(batch, (Table.HISTORY, key, sealed))
        else:
            batch.puts.append((Table.HISTORY, key, sealed))
        places = vault.further_keys(before.rid, header)
        batch.puts += [(Table.BODY, place, each) for place, each in zip(places, rest, strict=True)]


def _exchange(batch: Batch, row: Row) -> None:
    """Another row in the place of one that the batch inserts."""
    batch.inserts = [row if each[:2] == row[:2] else each for each in batch.inserts]


class Parting(Resealer):
    """Seals apart what belongs so in one slot and does not lie so yet.

    Its target are keys as new as the slot's index, as for every writer: a rotation may be under way.
    """

    async def moved(self) -> AsyncIterator[int]:
        """All of the slot, page by page: how many rows were moved. What was done stays done. Raises Raced, Tampered."""
        for some in pages(await self.resources(), PAGE):
            yield await self.page(some)

    async def _resource(self, capsule: Capsule, rid: int, page: Page) -> None:
        """The current version if it is this slot's, and older ones that are."""
        if capsule.generation > self._target.generation:
            raise Raced
        ct = await self._vault.backend.get(Table.BODY, rid)
        row = capsule.find(rid)
        if ct is None:
            return  # erased with its later owner, or for verification to name
        own = row is not None and row.slot == capsule.slot
        if own and row is not None and row.tag != tag_of(ct):
            raise Tampered(f"row {rid} is not the version that its index names: run medlock verify")
        opened = await self._vault.open(rid, ct)
        apart = sealed_apart(opened.meta, capsule.slot)
        last = opened.meta.version - 1 if own else capsule.mark(rid)
        if await self._past(opened, last, page, apart=apart) and not own:
            page.entries.setdefault(self._vault.bodies.slot(ct), [])
        if own and apart and not self._vault.bodies.header(ct).apart:
            await self._body(capsule, opened, page, apart=True)

    async def _past(self, opened: Opened, last: int, page: Page, *, apart: bool) -> int:
        """Older versions up to `last` that belong apart, by themselves or as the past of what does; how many."""
        names = [self._vault.history_key(opened.meta.reference, n) for n in range(1, last + 1)]
        found = await self._vault.backend.get_many(Table.HISTORY, names) if names else {}
        before = page.rows
        for key, ct in found.items():
            header = self._vault.bodies.header(ct)
            if header.slot != self._target.slot or header.apart:
                continue
            older = await self._vault.open(opened.rid, ct)
            if self._vault.history_key(older.meta.reference, older.meta.version) != key:
                raise Tampered(f"a history row of {opened.rid} holds another version")
            if apart or sealed_apart(older.meta, header.slot):
                await self._reseal(opened.rid, ct, (Table.HISTORY, key), page, apart=True)
        return page.rows - before
