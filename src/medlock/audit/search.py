"""Finding events in the log without any row that says what an event is about.

Complete runs are looked up in their sealed indexes, the newest run is read directly. Every candidate is opened and
held against the whole query, so a hash collision or a coarse index can cost time but never give a wrong answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from medlock.audit.entries import AnyMinimal, EntrySealer, Recorded
from medlock.audit.events import Action, Outcome
from medlock.audit.index import RUN, RunIndex, Terms
from medlock.audit.indexer import Indexer
from medlock.store.tables import Backend, Table

_FETCH_MIN, _FETCH_MAX = 16, 256  # entries at a time
_RUNS = 16  # indexes at a time


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which events, and how many. What is None does not restrict.

    patients      logical ids; matches only events whose full copy still opens
    since, until  recorded in [since_ms, until_ms), ms since 1970Z
    after_seq     go on behind this entry: with newest_first below it, else above it
    """

    slot: int | None = None
    patients: frozenset[str] | None = None
    account: str | None = None
    action: Action | None = None
    outcome: Outcome | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    request: str | None = None
    after_seq: int | None = None
    limit: int = 100
    newest_first: bool = True

    @property
    def terms(self) -> Terms:
        """What the index can look up."""
        return Terms(self.slot, self.account, self.action)

    def admits(self, minimal: AnyMinimal) -> bool:
        """Whether an event may match, by its minimal copy."""
        return (
            self.slot in {None, minimal.slot}
            and self.account in {None, minimal.account}
            and self.action in {None, minimal.action}
            and self.outcome in {None, minimal.outcome}
            and self.request in {None, minimal.request}
            and (self.since_ms is None or minimal.recorded >= self.since_ms)
            and (self.until_ms is None or minimal.recorded < self.until_ms)
        )

    def admits_full(self, recorded: Recorded) -> bool:
        """Whether the opened event matches in what only the full copy says."""
        return self.patients is None or (recorded.full and recorded.event.patient in self.patients)

    def bounds(self, size: int) -> range:
        """The sequence numbers that `after_seq` leaves of a log of `size` entries."""
        if self.after_seq is None:
            return range(size)
        return range(min(self.after_seq, size)) if self.newest_first else range(max(self.after_seq + 1, 0), size)


class LogSearch:
    """Finds events of one store."""

    def __init__(self, backend: Backend, entries: EntrySealer, indexer: Indexer) -> None:
        self._backend = backend
        self._entries = entries
        self._indexer = indexer
        self._spans: dict[int, tuple[int, int]] = {}  # run → first and last time, learnt when its index is opened

    async def find(self, query: AuditQuery, size: int, indexed: int) -> list[Recorded]:
        """At most `query.limit` events of a log of `size` entries whose first `indexed` runs have an index."""
        found: list[Recorded] = []
        async for candidates in self._candidates(query, size, indexed):
            found += await self._take(query, candidates, query.limit - len(found))
            if len(found) == query.limit:
                break
        return found

    async def _take(self, query: AuditQuery, candidates: Sequence[int], wanted: int) -> list[Recorded]:
        """The first `wanted` of the candidates that match."""
        found: list[Recorded] = []
        fetch = min(max(wanted, _FETCH_MIN), _FETCH_MAX)
        for start in range(0, len(candidates), fetch):
            found += await self._open(query, candidates[start : start + fetch])
            if len(found) >= wanted:
                break
        return found[:wanted]

    async def _candidates(self, query: AuditQuery, size: int, indexed: int) -> AsyncIterator[Sequence[int]]:
        """Sequence numbers that may match, run by run in the order wanted; the unindexed tail counts as one run."""
        bounds = query.bounds(size)
        tail = range(max(indexed * RUN, bounds.start), bounds.stop)
        runs = range(bounds.start // RUN, min(indexed, -(-bounds.stop // RUN)))
        if query.newest_first:
            yield tail[::-1]
            async for index in self._indexes(query, runs[::-1]):
                yield [seq for seq in reversed(index.matches(query.terms)) if seq in bounds]
        else:
            async for index in self._indexes(query, runs):
                yield [seq for seq in index.matches(query.terms) if seq in bounds]
            yield tail

    async def _indexes(self, query: AuditQuery, runs: range) -> AsyncIterator[RunIndex]:
        """Indexes of the runs whose time span meets the query, in the given order."""
        wanted = [run for run in runs if run not in self._spans or _meets(query, *self._spans[run])]
        for start in range(0, len(wanted), _RUNS):
            for index in await self._meeting(query, wanted[start : start + _RUNS]):
                yield index

    async def _meeting(self, query: AuditQuery, runs: Sequence[int]) -> list[RunIndex]:
        """Those of the runs' indexes whose time span, learnt now, meets the query."""
        indexes = await self._indexer.runs(runs)
        self._spans |= {index.number: (index.row.first, index.row.last) for index in indexes}
        return [index for index in indexes if _meets(query, *self._spans[index.number])]

    async def _open(self, query: AuditQuery, seqs: Sequence[int]) -> list[Recorded]:
        """Those of the entries that match. Raises Tampered when one does not open."""
        rows = await self._backend.get_many(Table.LOG, seqs)
        minimals = [(seq, self._entries.minimal(rows[seq])) for seq in seqs if seq in rows]
        opened = [self._entries.reveal(seq, rows[seq], each) for seq, each in minimals if query.admits(each)]
        return [recorded for recorded in opened if query.admits_full(recorded)]


def _meets(query: AuditQuery, first: int, last: int) -> bool:
    return (query.since_ms is None or last >= query.since_ms) and (query.until_ms is None or first < query.until_ms)
