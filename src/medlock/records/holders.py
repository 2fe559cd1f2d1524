"""Whose records hold a Consent: a short sealed list, so that a question to everybody need not look into every index.

The list is in parts, by slot, and those in pages, notes of table JOB (docs/spec/store.md §8). A record is added in the
same commit as its first Consent and never leaves: a consent that was deleted costs one look. The rows are fetched on
every request and decoded once for as long as their bytes stay the same, so what one process writes, all others know at
the next request.

A record that was ever opened in an emergency (`records.glass`) is on it as well, with a mark: whether somebody's
purpose is another one there is asked of marked records only.

When the parts are not there, they are made from the indexes: so a store from before there were any is as good as new,
and taking them away opens nothing.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from medlock.errors import NotFound, Raced, Tampered
from medlock.records.indexing import TYPE_NUMBERS
from medlock.records.notes import Notes
from medlock.store.capsule import Capsule
from medlock.store.capsules import Capsules
from medlock.store.directory import Directory
from medlock.store.tables import Backend, Batch, Row, Table

PARTS = 64
PAGE = 60
"""Slots on a page: what fits 512 bytes, so that all pages are of one length."""
MARK = 1 << 63
"""Added to a slot, which has 63 bits: somebody has opened this record in an emergency."""
_NAME = b"consents|"
_STEP = 512
_YIELD_EVERY = 64
_PAGE = struct.Struct(">BH")
_SLOT = struct.Struct(">Q")
CONSENT = TYPE_NUMBERS["Consent"]


def is_list(name: bytes) -> bool:
    """Whether a note is a page of the list."""
    return name.startswith(_NAME)


def page_name(part: int, page: int = 0) -> bytes:
    """The name of a page of the part that a slot belongs to."""
    return _NAME + _PAGE.pack(part % PARTS, page)


def listed(state: bytes) -> list[int]:
    """The slots on a page."""
    return [slot for (slot,) in _SLOT.iter_unpack(state)]


def _room(slots: Sequence[int]) -> bool:
    """Whether a page has room: then it is the last of its part."""
    return len(slots) < PAGE


def consent_rows(capsule: Capsule) -> list[tuple[int, int, int, int]]:
    """The Consents in an index: row, owner's slot (0: its own), version, tag."""
    found: list[tuple[int, int, int, int]] = []
    for segment in capsule.view():
        at = np.flatnonzero(segment.alive & segment.of_type(CONSENT))
        found += segment.rows[at][["rid", "slot", "version", "tag"]].tolist() if len(at) else ()
    return found


class Holders:
    """The list, as it stands now."""

    def __init__(self, backend: Backend, notes: Notes, directory: Directory, capsules: Capsules) -> None:
        self._backend = backend
        self._notes = notes
        self._directory = directory
        self._capsules = capsules
        self._keys = [notes.key(page_name(part)) for part in range(PARTS)]
        self._known: dict[int, tuple[list[bytes], frozenset[int], frozenset[int]]] = {}
        self._opened: dict[tuple[int, int], tuple[bytes, list[int]]] = {}

    async def begin(self) -> None:
        """Make the list in a store that holds nobody yet: later, each index there is must be opened for it."""
        if not self._directory.slots():
            await self._first()

    async def holds(self, slot: int) -> tuple[bool, bool]:
        """Whether the record in a slot may hold a Consent, and whether it was ever opened in an emergency."""
        part = slot % PARTS
        row = await self._backend.get(Table.JOB, self._keys[part])
        known = self._known.get(part)
        if known is not None and known[0] == [row]:  # as it was, and in one page
            there = known[1]
        else:
            there, _ = self._read(part, await self._pages(part))
        return slot in there, slot | MARK in there

    async def all(self) -> frozenset[int]:
        """Every slot whose record may hold a Consent."""
        found = await self._first()
        pages = [
            [row] if _room(self._slots(part, 0, row)) else await self._pages(part) for part, row in enumerate(found)
        ]
        return frozenset[int]().union(*(self._read(part, rows)[1] for part, rows in enumerate(pages)))

    async def mark(self, slot: int, batch: Batch) -> None:
        """Add a record with its mark, in the commit that opens it in an emergency."""
        await self.add((slot, slot | MARK), batch)

    async def add(self, slots: Iterable[int], batch: Batch) -> None:
        """Add records to the list, in the commit that gives them their first Consent."""
        by_part: dict[int, list[int]] = {}
        for slot in sorted(slots):
            by_part.setdefault(slot % PARTS, []).append(slot)
        for part, wanted in by_part.items():
            rows = await self._pages(part)
            known, _ = self._read(part, rows)
            fresh = [slot for slot in wanted if slot not in known]
            if fresh:
                self._append(part, rows, fresh, batch)

    def _append(self, part: int, rows: Sequence[bytes], fresh: Sequence[int], batch: Batch) -> None:
        """Fill the last page, and as many new ones as it takes; the last is never left full, so that none is missed."""
        last = len(rows) - 1
        batch.expects.append((Table.JOB, self._key(part, last), rows[last]))
        whole = [*self._slots(part, last, rows[last]), *fresh]
        pages = [whole[start : start + PAGE] for start in range(0, len(whole) + 1, PAGE)]
        batch.puts.append(self._sealed(part, last, pages[0]))
        batch.inserts += [self._sealed(part, last + at, page) for at, page in enumerate(pages[1:], 1)]

    async def _pages(self, part: int) -> list[bytes]:
        """The pages of a part, the first that has room being the last."""
        row = await self._backend.get(Table.JOB, self._key(part, 0))
        rows = [row if row is not None else (await self._first())[part]]
        while not _room(self._slots(part, len(rows) - 1, rows[-1])):
            row = await self._backend.get(Table.JOB, self._key(part, len(rows)))
            if row is None:
                raise Tampered("a page of the list of consents is gone")
            rows.append(row)
        return rows

    async def _first(self) -> list[bytes]:
        """The first page of every part."""
        keys = [self._key(part, 0) for part in range(PARTS)]
        found = await self._backend.get_many(Table.JOB, keys)
        if len(found) < PARTS:
            found = await self._made(keys, found)
        return [found[key] for key in keys]

    def _read(self, part: int, rows: list[bytes]) -> tuple[frozenset[int], frozenset[int]]:
        """Everything on the pages of a part, and that without the marks."""
        known = self._known.get(part)
        if known is None or known[0] != rows:
            slots = [slot for page, row in enumerate(rows) for slot in self._slots(part, page, row)]
            known = self._known[part] = rows, frozenset(slots), frozenset(slot for slot in slots if not slot & MARK)
        return known[1], known[2]

    def _slots(self, part: int, page: int, row: bytes) -> list[int]:
        """The slots on a page; the last that were read stay in mind."""
        known = self._opened.get((part, page))
        if known is None or known[0] != row:
            name, state = self._notes.open(self._key(part, page), row)
            if name != page_name(part, page):
                raise Tampered("a page of the list of consents lies under another name")
            known = self._opened[part, page] = row, listed(state)
        return known[1]

    def _key(self, part: int, page: int) -> int:
        return self._keys[part] if page == 0 else self._notes.key(page_name(part, page))

    def _sealed(self, part: int, page: int, slots: Iterable[int]) -> Row:
        return self._notes.seal(page_name(part, page), b"".join(map(_SLOT.pack, slots)), _STEP)

    async def _made(self, keys: Sequence[int], there: Mapping[int, bytes]) -> dict[int, bytes]:
        """The parts that are missing, made from the indexes."""
        await self._directory.refresh()
        found: list[list[int]] = [[] for _ in range(PARTS)]
        for count, slot in enumerate(sorted(self._directory.slots())):
            if keys[slot % PARTS] not in there and await self._has_consent(slot):
                found[slot % PARTS].append(slot)
            if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
        batch = Batch()
        for part, slots in enumerate(found):
            if keys[part] not in there:
                batch.inserts.append(self._sealed(part, 0, slots[:PAGE]))
                further = range(PAGE, len(slots) + 1, PAGE) if len(slots) >= PAGE else ()
                batch.puts += [self._sealed(part, at // PAGE, slots[at : at + PAGE]) for at in further]
        with suppress(Raced):  # another process has made them
            await self._backend.commit(batch)
        return dict(await self._backend.get_many(Table.JOB, list(keys)))

    async def _has_consent(self, slot: int) -> bool:
        try:
            return bool(consent_rows(await self._capsules.open(slot)))
        except NotFound:  # erased a moment ago
            return False
