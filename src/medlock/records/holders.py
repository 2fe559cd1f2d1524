"""Whose records hold a Consent: a short sealed list, so that a question to everybody need not look into every index.

The list is in parts, by slot, notes of table JOB (docs/spec/store.md §8). A record is added in the same commit as its
first Consent and never leaves: a consent that was deleted costs one look. The row is fetched on every request and
decoded once for as long as its bytes stay the same, so what one process writes, all others know at the next request.

When the parts are not there, they are made from the indexes: so a store from before there were any is as good as new,
and taking them away opens nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from medlock.errors import NotFound, Raced, Tampered
from medlock.records.indexing import TYPE_NUMBERS
from medlock.records.notes import Notes
from medlock.store.capsule import Capsule
from medlock.store.capsules import Capsules
from medlock.store.directory import Directory
from medlock.store.tables import Backend, Batch, Row, Table

PARTS = 64
_NAME = b"consents|"
_STEP = 512
_YIELD_EVERY = 64
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode
CONSENT = TYPE_NUMBERS["Consent"]


def is_list(name: bytes) -> bool:
    """Whether a note is a part of the list."""
    return name.startswith(_NAME)


def listed(state: bytes) -> frozenset[int]:
    """The slots in a part."""
    return frozenset(_decode(state))


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
        self._keys = [notes.key(_NAME + bytes([part])) for part in range(PARTS)]
        self._known: dict[int, tuple[bytes, frozenset[int]]] = {}

    async def holds(self, slot: int) -> bool:
        """Whether the record in a slot may hold a Consent."""
        return slot in (await self._part(slot % PARTS))[1]

    async def all(self) -> frozenset[int]:
        """Every such slot."""
        rows = await self._rows()
        return frozenset[int]().union(*(self._read(part, row) for part, row in enumerate(rows)))

    async def add(self, slots: Iterable[int], batch: Batch) -> None:
        """Add records to the list, in the commit that gives them their first Consent."""
        by_part: dict[int, set[int]] = {}
        for slot in slots:
            by_part.setdefault(slot % PARTS, set()).add(slot)
        for part, wanted in by_part.items():
            row, known = await self._part(part)
            if not wanted <= known:
                batch.expects.append((Table.JOB, self._keys[part], row))
                batch.puts.append(self._sealed(part, known | wanted))

    async def _part(self, part: int) -> tuple[bytes, frozenset[int]]:
        row = await self._backend.get(Table.JOB, self._keys[part])
        if row is None:
            row = (await self._rows())[part]
        return row, self._read(part, row)

    async def _rows(self) -> list[bytes]:
        found = await self._backend.get_many(Table.JOB, self._keys)
        if len(found) < PARTS:
            found = await self._made(found)
        return [found[key] for key in self._keys]

    def _read(self, part: int, row: bytes) -> frozenset[int]:
        known = self._known.get(part)
        if known is None or known[0] != row:
            name, state = self._notes.open(self._keys[part], row)
            if not is_list(name):
                raise Tampered("a list of records lies under another name")
            known = self._known[part] = row, listed(state)
        return known[1]

    def _sealed(self, part: int, slots: Iterable[int]) -> Row:
        return self._notes.seal(_NAME + bytes([part]), _encode(sorted(slots)), _STEP)

    async def _made(self, there: Mapping[int, bytes]) -> dict[int, bytes]:
        """The parts that are missing, made from the indexes."""
        await self._directory.refresh()
        found: list[set[int]] = [set() for _ in range(PARTS)]
        for count, slot in enumerate(list(self._directory.slots())):
            if await self._has_consent(slot):
                found[slot % PARTS].add(slot)
            if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
        rows = [self._sealed(part, slots) for part, slots in enumerate(found) if self._keys[part] not in there]
        try:
            await self._backend.commit(Batch(inserts=rows))
        except Raced:
            return dict(await self._backend.get_many(Table.JOB, self._keys))
        return {**there, **{key: ct for _, key, ct in rows}}

    async def _has_consent(self, slot: int) -> bool:
        try:
            return bool(consent_rows(await self._capsules.open(slot)))
        except NotFound:  # erased a moment ago
            return False
