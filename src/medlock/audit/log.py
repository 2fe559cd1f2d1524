"""The audit log as everybody above uses it: append, find, prove, sign.

"No log, no data": `append` returns when the events are durable, and raises `Unavailable` when they cannot be. For a
write the door calls `seal` and puts the entry into the same `Batch` as the records, so that neither exists without
the other. Reading back never changes anything but the index, which anybody may rebuild. The format
is docs/spec/audit.md; `audit.verify` is the judge of it all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from medlock.audit.checkpoints import Checkpoints, Stored, Witness
from medlock.audit.entries import EntrySealer, Recorded
from medlock.audit.events import Event
from medlock.audit.heads import CHECKPOINT, FIRST_TURN, INDEX_HEAD, TREE_HEAD, Head, HeadSealer
from medlock.audit.indexer import Indexer
from medlock.audit.keys import LogKeys
from medlock.audit.search import AuditQuery, LogSearch
from medlock.audit.tree import ConsistencyProof, InclusionProof, TreeReader
from medlock.clock import Clock
from medlock.crypto.notes import Checkpoint, NoteVerifier
from medlock.errors import Conflict, NotFound, Tampered, Unavailable
from medlock.store.tables import Backend, Batch, Table


def _nobody(size: int, root: bytes) -> None:
    """No keystore remembers the watermark."""


class AuditLog:
    """The log of one store, in one process; others may append to the same log.

    set_watermark  told size and root of every checkpoint once it is durable; must never move backwards
    witnesses      told of every checkpoint before it is stored
    """

    def __init__(
        self,
        backend: Backend,
        keys: LogKeys,
        clock: Clock,
        set_watermark: Callable[[int, bytes], None] = _nobody,
        witnesses: Sequence[Witness] = (),
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._set_watermark = set_watermark
        self._witnesses = witnesses
        self._entries = EntrySealer(keys)
        self._heads = HeadSealer(keys)
        self._checkpoints = Checkpoints(keys)
        self._indexer = Indexer(backend, keys, self._entries)
        self._search = LogSearch(backend, self._entries, self._indexer)

    @property
    def verifier(self) -> NoteVerifier:
        """Checks signatures of this log's checkpoints."""
        return self._checkpoints.verifier

    def seal(self, *events: Event) -> list[bytes]:
        """The entries for events, to be put into `Batch.entries` beside the rows that they are about."""
        return self._entries.seal(*events)

    async def append(self, *events: Event) -> int:
        """Make events durable, together; the sequence number of the first. Raises Unavailable when it cannot."""
        return await self._backend.commit(Batch(entries=self.seal(*events)))

    async def size(self) -> int:
        """How many entries the log has."""
        return (await self._head()).size

    async def event(self, seq: int) -> Recorded:
        """One event. Raises NotFound, or Tampered when the entry does not open."""
        entry = await self._backend.get(Table.LOG, seq)
        if entry is None:
            raise NotFound("There is no such entry in the audit log.")
        return self._entries.open(seq, entry)

    async def find(self, query: AuditQuery) -> list[Recorded]:
        """The events that match, in the order and number asked for. Indexes what is not indexed yet."""
        before = None
        while (number := await self._indexer.index_next()) not in {None, before}:
            before = number  # the same number twice: the disk confirms what it does not keep; do without
        rows = await self._backend.get_many(Table.TIP, [TREE_HEAD, INDEX_HEAD])
        size = self._heads.open(rows.get(TREE_HEAD)).size
        return await self._search.find(query, size, self._heads.open_index(rows.get(INDEX_HEAD)))

    async def index_run(self) -> int | None:
        """Index the next complete run of entries; its number, or None when all are. For the background."""
        return await self._indexer.index_next()

    async def checkpoint(self) -> str:
        """A signed checkpoint of the log as it is now; not stored."""
        head = await self._head()
        return self._checkpoints.sign(head.size, head.root())

    async def seal_checkpoint(self) -> str:
        """Sign the log as it is, show it to the witnesses, store it, and move the watermark; the signed note.

        To be called every ten seconds and at close. Raises Tampered when a witness remembers another log.
        """
        # The last checkpoint is read before the head, and its turn inserted: checkpoints cannot go backwards.
        last = await self._last_checkpoint()
        head = await self._head()
        if last is not None:
            await self._demand_continuation(last[1], head)
        if last is not None and last[1].size == head.size:
            note = last[0].note
        else:
            note = self._checkpoints.sign(head.size, head.root())
            await self._show(head, note)
            if not await self._store(last[0].number + 1 if last else 0, note):
                return note
        self._set_watermark(head.size, head.root())
        return note

    async def inclusion_proof(self, seq: int, size: int | None = None) -> InclusionProof:
        """Proof that entry `seq` is in the log of `size` entries (default: now). Raises NotFound."""
        head = await self._head()
        size = head.size if size is None else size
        if not 0 <= seq < size <= head.size:
            raise NotFound("There is no such entry in the audit log.")
        return await TreeReader(self._backend, head).inclusion(seq, size)

    async def consistency_proof(self, old: int, new: int) -> ConsistencyProof:
        """Proof that the log of `old` entries is a prefix of that of `new`. Raises NotFound for unknown sizes."""
        head = await self._head()
        if not 0 <= old <= new <= head.size:
            raise NotFound("The audit log was never of this size.")
        return await TreeReader(self._backend, head).consistency(old, new)

    async def _head(self) -> Head:
        return self._heads.open(await self._backend.get(Table.TIP, TREE_HEAD))

    async def _last_checkpoint(self) -> tuple[Stored, Checkpoint] | None:
        turn = await self._backend.last_key(Table.TIP) or TREE_HEAD  # before the row: turns come with their row
        row = await self._backend.get(Table.TIP, CHECKPOINT)
        if row is None and turn >= FIRST_TURN:
            raise Tampered("the last checkpoint was taken away")
        return None if row is None else self._checkpoints.open(row)

    async def _demand_continuation(self, last: Checkpoint, head: Head) -> None:
        """A log never signs what contradicts an earlier checkpoint of its own (tlog-checkpoint)."""
        if last.size > head.size or last.root != await TreeReader(self._backend, head).root(last.size):
            raise Tampered("the log no longer contains what its last checkpoint says")

    async def _show(self, head: Head, note: str) -> None:
        """Let every witness that can be reached see the checkpoint and its proof."""
        for witness in self._witnesses:
            with suppress(Unavailable):
                old = await witness.size(self.verifier.name)
                proof = await TreeReader(self._backend, head).consistency(old, head.size)
                await witness.observe(old, proof.path, note)

    async def _store(self, number: int, note: str) -> bool:
        """Store checkpoint `number`; False when another process has just stored one of this number."""
        row = self._checkpoints.seal(number, self._clock.now_ms(), note)
        turn = FIRST_TURN + number
        batch = Batch(
            inserts=[(Table.TIP, turn, self._checkpoints.seal_turn(number))],
            puts=[(Table.TIP, CHECKPOINT, row)],
            deletes=[(Table.TIP, turn - 1)] if number else [],
        )
        try:
            await self._backend.commit(batch)
        except Conflict:
            return False
        return True
