"""Verification of bodies and older versions against what vouches for them.

A body's index names its tag, a body's version says which older versions there must be. Where an index could not be
read, its patient's bodies vouch for themselves: one that opens under its own name is taken as current.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice

from medlock.audit.findings import Finding, Kind
from medlock.errors import MedlockError, NotFound, Tampered
from medlock.records.vault import Vault
from medlock.store.bodies import Meta, Opened, tag_of
from medlock.store.capsule import IndexRow
from medlock.store.content import ChunkCipher, Content
from medlock.store.tables import Backend, Table, rows_of

_SCAN = 2_000
_PAGE = 512


async def scan(backend: Backend, table: Table) -> AsyncIterator[tuple[int, bytes]]:
    """Every row of a table, ascending by key."""
    after = None
    while rows := await backend.scan(table, after, rows_of(table, _SCAN)):
        for row in rows:
            yield row
        after = rows[-1][0]


@dataclass(slots=True)
class BodyCheck:
    """Judges bodies as their indexes name them.

    known     rows accounted for
    patients  slot → the row of its Patient resource
    damaged   bodies that do not say what they are: their older versions are found by trying
    silent    whether some version does not say which chunks are its
    """

    vault: Vault
    lost: Collection[int]  # slots whose key cannot be had: what lies under them is not judged
    known: dict[Table, set[int]] = field(
        default_factory=lambda: {Table.BODY: set(), Table.HISTORY: set(), Table.CHUNK: set()}
    )
    patients: dict[int, IndexRow] = field(default_factory=dict)
    damaged: set[int] = field(default_factory=set)
    silent: bool = False

    async def named(self, slot: int, rows: Iterable[IndexRow]) -> AsyncIterator[Finding]:
        """The resources that the index of `slot` names: their bodies and every version before.

        A pointer is passed over: the owner's index vouches for the body.
        """
        own = iter([row for row in rows if row.slot == slot])
        while page := list(islice(own, _PAGE)):
            found = await self.vault.backend.get_many(Table.BODY, [row.rid for row in page])
            names: dict[int, tuple[int, int]] = {}
            for row in page:
                async for finding in self._body(slot, row, found.get(row.rid), names):
                    yield finding
            async for finding in self._versions(names):
                yield finding

    async def unnamed(self, slots: Collection[int]) -> AsyncIterator[Finding]:
        """Bodies of patients whose index could not be read; versions of damaged bodies; what lies under lost keys."""
        if slots or self.lost:
            async for rid, ct in scan(self.vault.backend, Table.BODY):
                async for finding in self._unnamed_body(slots, rid, ct):
                    yield finding
        if self.damaged or self.lost:
            async for key, ct in scan(self.vault.backend, Table.HISTORY):
                if self._slot(ct) in self.lost or await self._of_damaged(key, ct):
                    self.known[Table.HISTORY].add(key)

    async def _body(
        self, slot: int, row: IndexRow, ct: bytes | None, names: dict[int, tuple[int, int]]
    ) -> AsyncIterator[Finding]:
        """One body; adds to `names` the versions that must exist: key → row id and version."""
        self.known[Table.BODY].add(row.rid)
        meta, faults = await self._opened(row.rid, row.version, ct)
        for finding in faults:
            yield finding
        if meta is None:
            self.damaged.add(row.rid)
        if ct is None:
            yield Finding(Table.BODY, row.rid, Kind.DELETED, "a body that its index names is gone")
        elif meta is None and not faults:
            yield Finding(Table.BODY, row.rid, Kind.EDITED, "a body does not open as what its index names")
        elif tag_of(ct) != row.tag:
            yield Finding(Table.BODY, row.rid, Kind.ROLLED_BACK, "a body is another version than its index names")
        if meta is not None:
            for finding in self._expect(slot, row, meta, names):
                yield finding

    def _expect(self, slot: int, row: IndexRow, meta: Meta, names: dict[int, tuple[int, int]]) -> Iterator[Finding]:
        """What a body that opens leads to."""
        if self.vault.rid(meta.reference) != row.rid:
            yield Finding(Table.BODY, row.rid, Kind.REORDERED, "a body lies under another resource's name")
        if meta.type == "Patient" and slot:
            self.patients[slot] = row
        names |= {self.vault.history_key(meta.reference, n): (row.rid, n) for n in range(1, row.version)}

    async def _unnamed_body(self, slots: Collection[int], rid: int, ct: bytes) -> AsyncIterator[Finding]:
        slot = self._slot(ct)
        if slot in self.lost:
            self.known[Table.BODY] |= {rid, *self.vault.further_keys(rid, self.vault.bodies.header(ct))}
        elif slot in slots and rid not in self.known[Table.BODY] and slot is not None:
            async for finding in self._itself(slot, rid, ct):
                yield finding

    async def _itself(self, slot: int, rid: int, ct: bytes) -> AsyncIterator[Finding]:
        """A body that no index names is taken as it is, when it opens under its own name."""
        meta = await self._meta(rid, ct)
        if meta is None or self.vault.rid(meta.reference) != rid:
            return
        names: dict[int, tuple[int, int]] = {}
        row = IndexRow(rid, slot, meta.version, tag_of(ct), meta.deleted)
        async for finding in self._body(slot, row, ct, names):
            yield finding
        async for finding in self._versions(names):
            yield finding

    async def _versions(self, names: dict[int, tuple[int, int]]) -> AsyncIterator[Finding]:
        """Older versions: key → row id and version."""
        self.known[Table.HISTORY] |= names.keys()
        found = await self.vault.backend.get_many(Table.HISTORY, list(names))
        for key, (rid, version) in names.items():
            meta, faults = await self._opened(rid, version, found.get(key))
            for finding in faults:
                yield finding
            fault = None if faults else self._version(version, found.get(key), meta)
            if fault is not None:
                yield Finding(Table.HISTORY, key, *fault)

    def _version(self, version: int, ct: bytes | None, meta: Meta | None) -> tuple[Kind, str] | None:
        """What is wrong with an older version. Its row id is bound, so only its number can be another one's."""
        if ct is None:
            return Kind.DELETED, f"version {version} of a resource is gone"
        if meta is None and self._slot(ct) in self.lost:
            return None
        if meta is None:
            return Kind.EDITED, f"version {version} of a resource does not open"
        if meta.version != version:
            return Kind.REORDERED, f"in the place of version {version} of a resource stands version {meta.version}"
        return None

    async def _of_damaged(self, key: int, ct: bytes) -> bool:
        """Whether this is an older version of a body that is damaged, in its own place."""
        if key in self.known[Table.HISTORY]:
            return False
        found = [meta for rid in self.damaged if (meta := await self._meta(rid, ct)) is not None]
        return any(self.vault.history_key(meta.reference, meta.version) == key for meta in found)

    async def _meta(self, rid: int, ct: bytes) -> Meta | None:
        """What a sealed body says of itself; None when it does not open here, or not any more."""
        opened = await self._read(rid, ct)
        return None if opened is None else opened.meta

    async def _read(self, rid: int, ct: bytes) -> Opened | None:
        """A sealed body; what lies beside it is accounted for. None as above."""
        try:
            opened = await self.vault.open(rid, ct)
        except (Tampered, NotFound):
            return None
        self.known[Table.BODY].update(self.vault.further_keys(rid, self.vault.bodies.header(ct)))
        if opened.content is not None:
            self.known[Table.CHUNK].update(self.vault.chunk_keys(opened.content.stream, opened.content.chunks))
        return opened

    async def _opened(self, rid: int, version: int, ct: bytes | None) -> tuple[Meta | None, list[Finding]]:
        """What a version says of itself, and what is wrong with its further rows and chunks.

        When it is not there, does not open or is another version, its further rows are still accounted for.
        """
        opened = None if ct is None else await self._read(rid, ct)
        faults = [] if ct is None or opened is not None else await self._further(rid, ct)
        if opened is None or opened.meta.version != version:
            self.silent = True
            await self._adopt(rid, version)
        elif opened.content is not None:
            faults += [each async for each in self._chunks(opened.content)]
        return None if opened is None else opened.meta, faults

    async def _chunks(self, content: Content) -> AsyncIterator[Finding]:
        """Chunks that are not as they were written."""
        cipher = ChunkCipher(content.stream, content.key)
        for at, key in enumerate(self.vault.chunk_keys(content.stream, content.chunks)):
            row = await self.vault.backend.get(Table.CHUNK, key)
            if row is None:
                yield Finding(Table.CHUNK, key, Kind.DELETED, "a chunk of a content is gone")
                continue
            try:
                cipher.open(at, row, last=at == content.chunks - 1)
            except Tampered:
                yield Finding(Table.CHUNK, key, Kind.EDITED, "a chunk of a content does not open")

    async def _further(self, rid: int, ct: bytes) -> list[Finding]:
        """Further rows that are not as they were written, where the first one is."""
        try:
            keys = self.vault.further_keys(rid, self.vault.bodies.header(ct))
            rows = await self.vault.backend.get_many(Table.BODY, keys)
            bad = self.vault.bodies.damaged(rid, ct, self.vault.keystore.keys, [rows.get(key) for key in keys])
        except (Tampered, NotFound):
            return []
        if bad is None:
            return []
        self.known[Table.BODY].update(keys)
        return [_further_fault(keys[at], present=keys[at] in rows) for at in bad]

    async def _adopt(self, rid: int, version: int) -> None:
        """Take further rows for what they are, although the first one does not tell how many there are."""
        for at in count():
            key = self.vault.further_key(rid, version, at)
            if await self.vault.backend.get(Table.BODY, key) is None:
                return
            self.known[Table.BODY].add(key)

    def _slot(self, ct: bytes) -> int | None:
        try:
            return self.vault.bodies.slot(ct)
        except MedlockError:
            return None


def _further_fault(key: int, *, present: bool) -> Finding:
    if present:
        return Finding(Table.BODY, key, Kind.EDITED, "a further row of a body does not open")
    return Finding(Table.BODY, key, Kind.DELETED, "a further row of a body is gone")
