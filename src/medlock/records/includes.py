"""_include and _revinclude (R4 §3.1.1.5.6): what the page's resources point at, and what points at them.

Every hop is bounded and every resource found is asked of the Grant like any other: an include is no side door.
"""

from __future__ import annotations

import asyncio

import numpy as np

from medlock.errors import BadRequest, Problem
from medlock.fhir.extract import extract
from medlock.fhir.parse import parse_json
from medlock.fhir.query import Include, SearchQuery
from medlock.records.consents import ready_for, ready_slots
from medlock.records.indexing import TYPE_NUMBERS, whole_text
from medlock.records.reach import Reach
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

HOPS_MAX = 8
_YIELD_EVERY = 64


class Includer:
    """Collects the included resources of one page, within one reach."""

    def __init__(self, vault: Vault, reach: Reach, limit: int) -> None:
        self._vault = vault
        self._reach = reach
        self._limit = limit
        self._found: list[Opened] = []

    async def collect(self, query: SearchQuery, page: list[Opened]) -> list[Opened]:
        """Included resources, each once, none that is on the page. Raises BadRequest when there are too many."""
        seen = {opened.rid for opened in page}
        fresh = page
        for hop in range(HOPS_MAX):
            before = len(self._found)
            asked = [include for include in query.includes if hop == 0 or include.iterate]
            if asked:
                await self._forward(asked, fresh, seen)
            for include in query.revincludes:
                if hop == 0 or include.iterate:
                    await self._reverse(include, fresh, seen)
            fresh = self._found[before:]
            if not fresh:
                break
        return self._found

    def _bound(self, more: int) -> None:
        """Raise BadRequest before more are opened than there may be."""
        if len(self._found) + more > self._limit:
            text = f"More than {self._limit} resources would be included: ask for fewer per page with _count."
            raise BadRequest(text, problems=(Problem("too-costly", text, "_include"),))

    async def _forward(self, includes: list[Include], sources: list[Opened], seen: set[int]) -> None:
        """What the sources' references lead to."""
        for count, source in enumerate(sources, 1):
            asked = [include for include in includes if include.source == source.meta.type]
            for param, target in extract(parse_json(source.body)).references if asked else ():
                type_, _, id_ = target.partition("/")
                if type_ in TYPE_NUMBERS and any(
                    include.param == param and include.target in {"", type_} for include in asked
                ):
                    await self._open(type_, id_, seen)
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _open(self, type_: str, id_: str, seen: set[int]) -> None:
        """Take the target, if it is there, alive, within reach and not yet seen."""
        rid = self._vault.rid(f"{type_}/{id_}")
        if rid in seen:
            return
        opened = await self._vault.current(type_, id_)
        await ready_for(self._reach.grant, [opened])
        if opened is None or opened.meta.deleted or not self._reach.grant.admits(opened):
            return
        self._bound(1)
        seen.add(rid)
        self._found.append(opened)

    async def _reverse(self, include: Include, targets: list[Opened], seen: set[int]) -> None:
        """Take what points at the targets through one parameter."""
        wanted = [each for each in targets if include.target in {"", each.meta.type}]
        hashes = [
            self._vault.indexer.hash(whole_text(include.source, include.param, each.meta.reference)) for each in wanted
        ]
        for count, slot in enumerate(await self._scope(wanted) if hashes else [], 1):
            rows = [row for row in await self._rows(slot, include.source, hashes) if row.rid not in seen]
            if not self._reach.undecided(include.source):  # else what is hidden would count
                self._bound(len(rows))
            await self._take(rows, seen)
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _take(self, rows: list[IndexRow], seen: set[int]) -> None:
        """Open these rows, a few at a time, and take what may be seen."""
        for start in range(0, len(rows), _YIELD_EVERY):
            some = await self._vault.fetch(rows[start : start + _YIELD_EVERY])
            await ready_for(self._reach.grant, some)
            for opened in some:
                if opened is not None and opened.rid not in seen and self._reach.grant.admits(opened):
                    self._bound(1)
                    seen.add(opened.rid)
                    self._found.append(opened)

    async def _scope(self, targets: list[Opened]) -> list[int]:
        """Whose indexes can point at the targets: their owners', the tenant's, or everybody's for shared ones."""
        slots = {TENANT, *(each.slot for each in targets)}
        if any(not each.meta.patients for each in targets):
            slots |= set(self._reach.slots(self._vault))
        for each in targets:
            for patient in each.meta.patients:
                slot = await self._vault.patient_slot(patient)
                slots |= set() if slot is None else {slot}
        return [slot for slot in sorted(slots) if slot == TENANT or self._reach.rules(slot) is not None]

    async def _rows(self, slot: int, type_: str, hashes: list[int]) -> list[IndexRow]:
        await ready_slots(self._reach.grant, [slot])
        capsule = await self._vault.capsules.open(slot)
        rows: list[IndexRow] = []
        for segment in capsule.view():
            visible = self._reach.visible(capsule, segment, type_)
            if visible is None:
                continue
            mask = visible & segment.of_type(TYPE_NUMBERS[type_]) & segment.with_hashes(hashes)
            for rid, owner, version, tag in segment.rows[np.flatnonzero(mask)][
                ["rid", "slot", "version", "tag"]
            ].tolist():
                rows.append(IndexRow(rid, owner or slot, version, tag))
        return rows
