"""The fourth part of verification: the search index, and what the log last said of every slot.

A run index is sealed and carries the Merkle root of its run, so that one that opens and has the right root describes
the right entries; its own entries need not be opened. Entries without a good index are opened one by one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from medlock.audit.blame import Truth
from medlock.audit.entries import EntrySealer
from medlock.audit.events import Position
from medlock.audit.findings import Finding, Kind
from medlock.audit.heads import INDEX_HEAD
from medlock.audit.index import RUN, IndexSealer, RunIndex
from medlock.audit.keys import LogKeys
from medlock.audit.standing import Standing
from medlock.crypto.merkle import perfect_root
from medlock.crypto.tiles import WIDTH
from medlock.errors import Tampered
from medlock.store.tables import Backend, Table

_TILES = RUN // WIDTH


class IndexCheck:
    """Checks table LOGINDEX and gathers `positions`, slot by slot, the last one wins."""

    def __init__(self, backend: Backend, keys: LogKeys, positions: dict[int, Position]) -> None:
        self._backend = backend
        self._sealer = IndexSealer(keys)
        self._entries = EntrySealer(keys)
        self._positions = positions

    async def check(self, standing: Standing, truth: Truth, size: int) -> AsyncIterator[Finding]:
        """Findings for LOGINDEX and its head, and for entries that nobody can read."""
        indexed = standing.indexed if standing.indexed is not None else len(standing.runs)
        touched = _touched(truth)
        for number in range(min(indexed, size // RUN)):
            index = await self._open(number)
            if isinstance(index, RunIndex) and index.row.root == _run_root(truth, number):
                self._positions |= {each.slot: each for each in index.positions()}
                continue
            async for finding in self._read(range(number * RUN, (number + 1) * RUN), truth):
                yield finding
            if not isinstance(index, RunIndex) or number not in touched:
                yield _index_finding(number, index)
        for finding in await self._beyond(standing, truth, indexed):
            yield finding
        async for finding in self._read(range(min(indexed, size // RUN) * RUN, size), truth):
            yield finding

    async def _open(self, number: int) -> RunIndex | bool:
        """The index of a run; otherwise whether there is a row at all."""
        row = await self._backend.get(Table.LOGINDEX, number)
        if row is None:
            return False
        try:
            return self._sealer.open(number, row)
        except Tampered:
            return True

    async def _beyond(self, standing: Standing, truth: Truth, indexed: int) -> list[Finding]:
        """Rows outside of what the index head says: put there, or the head is an old one."""
        outside = [key for key in standing.runs if not 0 <= key < indexed]
        first = await self._open(indexed) if indexed in outside else False
        if isinstance(first, RunIndex) and first.row.root == _run_root(truth, indexed):
            sentence = "The head of the log's index was put back to an earlier state."
            return [Finding(Table.TIP, INDEX_HEAD, Kind.ROLLED_BACK, sentence)]
        return [
            Finding(Table.LOGINDEX, key, Kind.INSERTED, f"Row {key} of the log's index was put there.")
            for key in outside
        ]

    async def _read(self, seqs: range, truth: Truth) -> AsyncIterator[Finding]:
        """Open entries one by one, for their positions; those already found wrong are passed over."""
        for start in range(seqs.start, seqs.stop, WIDTH):
            some = range(start, min(start + WIDTH, seqs.stop))
            rows = await self._backend.get_many(Table.LOG, some)
            for seq in self._unreadable([seq for seq in some if seq in rows and seq not in truth.wrong], rows):
                sentence = f"Entry {seq} of the log is as it was written, but does not open."
                yield Finding(Table.LOG, seq, Kind.UNREADABLE, sentence)

    def _unreadable(self, seqs: Sequence[int], rows: dict[int, bytes]) -> list[int]:
        unreadable = []
        for seq in seqs:
            try:
                position = self._entries.minimal(rows[seq]).position
            except Tampered:
                unreadable.append(seq)
                continue
            if position is not None:
                self._positions[position.slot] = position
        return unreadable


def _run_root(truth: Truth, number: int) -> bytes:
    roots = truth.roots[number * _TILES : (number + 1) * _TILES]
    return perfect_root(roots) if len(roots) == _TILES else b""


def _touched(truth: Truth) -> set[int]:
    """Runs in which something is wrong already: that their index does not fit is no news."""
    tiles = {finding.key // _TILES for finding in truth.findings if finding.table is Table.TILE}
    return tiles | {seq // RUN for seq in truth.wrong}


def _index_finding(number: int, index: RunIndex | bool) -> Finding:
    if index is False:
        return Finding(Table.LOGINDEX, number, Kind.DELETED, f"Row {number} of the log's index was deleted.")
    return Finding(Table.LOGINDEX, number, Kind.EDITED, f"Row {number} of the log's index was edited.")
