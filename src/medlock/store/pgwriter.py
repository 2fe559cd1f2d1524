"""Group commit on PostgreSQL: many batches, one transaction, four round trips, one flush of the journal.

A group that only appends to the log, as reads do, needs no question: it is one statement that writes if the head of the
log is still the one that this process left, and otherwise nothing; then the long way is taken.

Everything that was submitted while the transaction before was on its way becomes the next one. Writers of all hosts
take turns: each transaction begins with one advisory lock, which the server lets go after the commit is visible. So
what is asked after the lock cannot change before the commit, and `store.grouping` can settle conflicts in memory; the
audit log, which only one may append to at a time, would make them take turns anyway.

It fails closed. When the connection breaks during COMMIT, a row that the transaction wrote tells what became of it,
looked up under the lock, so after its end. Entries of the log are never changed, so for them the answer is sure. (The
transaction's number is not asked for: after a crash the server may give it away again.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg

from medlock.errors import MedlockError, Raced, Tampered, Unavailable
from medlock.store import pgstatements as sql
from medlock.store.grouping import Group, Name, Piece, Write, chunked, conditions, expected
from medlock.store.pgconnect import FAULTS, Connection, Connections, put_away, said
from medlock.store.pgschema import LOCK
from medlock.store.queueing import Queue, Take, Waiting
from medlock.store.tables import Batch, Ledger, Row, Table
from medlock.store.tally import Tally

ROWS_MAX = 4096
"""In one statement; a bundle of some megabytes."""
WRITERS = LOCK + 1
FATE_SECONDS = 15.0
LONG_WAYS = 16
"""Groups that ask first after somebody else appended: where two write by turns, guessing costs a round trip each."""
_UNCHANGED = "; nothing was changed"


class _Unknown(Exception):
    """COMMIT was sent and no answer came; a row that is there if it was done, if it wrote any."""

    def __init__(self, witness: Row | None, fault: BaseException) -> None:
        super().__init__()
        self.witness, self.fault = witness, fault


class PgWriter:
    """The one writer of this process, on a connection that nobody else uses."""

    def __init__(self, connections: Connections, ledger: Ledger) -> None:
        self._connections = connections
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._db: Connection = None
        self._queue = Queue(self._commit, self._fail)
        self._tip: bytes | None = None
        """The head that this process left, so that of the ledger's tree. One that it only read would be old when it
        guesses from it, and what lies behind an old head cannot be read without the lock."""
        self._long_ways = 0
        self.short_way = False
        """Whether all rows are on one server, so that a statement may look at the head and write elsewhere."""

    def submit(self, batch: Batch) -> asyncio.Future[int]:
        """Queue a batch; the future resolves when it is durable. Raises Unavailable once closed."""
        return self._queue.submit(batch)

    def tally(self) -> Tally:
        """What was committed so far, and how many wait."""
        return self._queue.tally()

    async def close(self) -> None:
        """Finish what is queued, even when whoever waits here is cancelled; then let go of the connection."""
        await self._queue.close()
        if self._db is not None:
            await put_away(self._db)

    def _fail(self) -> Unavailable:
        """After a fault of ours; during COMMIT it is not known what became of it."""
        self._give_up()
        return Unavailable("The store failed; the operator's log says where. Look before you send it again.")

    async def _commit(self, take: Take) -> None:
        """One transaction for the whole group; on failure every member fails and the store is as before."""
        try:
            await self._transact(take)
        except _Unknown as unknown:
            self._give_up()
            refusal = await self._fate(unknown)
            if refusal is not None:
                _refuse(take(), refusal)
        except (*FAULTS, MedlockError) as fault:
            self._give_up()
            _refuse(take(), fault if isinstance(fault, MedlockError) else _unavailable(fault, _UNCHANGED))

    async def _transact(self, take: Take) -> None:
        """(1) Take the lock, (2) ask what the group depends on, (3) write what it comes to, (4) commit."""
        if self._db is None or self._db.is_closed():
            self._db = await self._connections.for_writing()
        if self._may_guess() and all(map(_only_entries, take())) and await self._extend(take()):
            return
        await self._db.execute(sql.BEGIN.format(lock=WRITERS))
        group = take()
        batches = [waiting.batch for waiting in group]
        rows, held, tip = await self._there(conditions(batches), expected(batches))
        state = Group(rows, held)
        going: list[Waiting] = []
        for waiting in group:
            if state.play(waiting.batch):
                going.append(waiting)
            else:
                waiting.result = Raced()
        if not going:
            await self._db.execute("ROLLBACK")
            return
        log = await self._append_entries(going, tip, state)
        pieces = [*log, *state.pieces()]
        await self._write(pieces)
        try:
            await self._db.execute("COMMIT")
        except FAULTS as fault:
            raise _Unknown(_witness(pieces), fault) from fault
        self._tip = state.written(Table.TIP, 0) or (tip if tip == self._tip else None)

    def _may_guess(self) -> bool:
        """Whether the head of the log is likely the one that this process left."""
        if not self.short_way or self._tip is None:
            return False
        if self._long_ways:
            self._long_ways -= 1
            return False
        return True

    async def _extend(self, group: Sequence[Waiting]) -> bool:
        """Append to the log in one statement; False, and nothing written, when somebody else appended since."""
        state = Group(())
        log = await self._append_entries(group, self._tip, state)
        pieces = [*log, *(piece for piece in state.pieces() if piece[1] is not Table.TIP)]
        if sum(len(piece[2]) for piece in pieces) > ROWS_MAX:
            self._ledger.forget()
            return False
        former, self._tip = self._tip, state.written(Table.TIP, 0)
        statement = sql.extending(sql.shape_of(pieces), WRITERS)
        try:
            done = await self._db.fetchval(statement, former, self._tip, *sql.bound_for(pieces))
        except asyncpg.UniqueViolationError as fault:
            raise _doubled(fault) from fault
        except FAULTS as fault:
            raise _Unknown(_witness(pieces), fault) from fault
        if not done:
            self._ledger.forget()
            self._tip = None
            self._long_ways = LONG_WAYS
        return bool(done)

    async def _there(
        self, asked: dict[Table, set[int]], compared: dict[Table, set[int]]
    ) -> tuple[list[Name], dict[Name, bytes], bytes | None]:
        """Which rows exist, what others hold, and the head of the log."""
        tables, whole = tuple(sorted(asked)), tuple(sorted(compared))
        keys = [*(list(asked[table]) for table in tables), *(list(compared[table]) for table in whole)]
        rows, held, tip = list[Name](), dict[Name, bytes](), None
        for place, key, ct in await self._db.fetch(sql.there(tables, whole), *keys):
            if place == sql.TIP_AT:
                tip = ct
            elif place < len(tables):
                rows.append((tables[place], key))
            else:
                held[whole[place - len(tables)], key] = ct
        return rows, held, tip

    async def _append_entries(self, group: Sequence[Waiting], tip: bytes | None, state: Group) -> list[Piece]:
        """The new rows of the log; what else the ledger writes goes into `state`. Tells each batch its number."""
        entries = [entry for waiting in group for entry in waiting.batch.entries]
        if not entries:
            return []
        wanted = self._ledger.resume(tip)
        if wanted:
            self._ledger.load([row for table, keys in wanted for row in await self._within(table, keys)])
        sequence, rows = self._ledger.extend(entries)
        state.put(rows[len(entries) :])
        for waiting in group:
            if waiting.batch.entries:
                waiting.result = sequence
                sequence += len(waiting.batch.entries)
        log = rows[: len(entries)]
        return [(Write.INSERT, Table.LOG, [key for _, key, _ in log], [ct for _, _, ct in log])]

    async def _within(self, table: Table, keys: range) -> list[Row]:
        """The rows that there are of a range of keys."""
        return [(table, key, ct) for key, ct in await self._db.fetch(sql.WITHIN[table], keys.start, keys.stop)]

    async def _write(self, pieces: Sequence[Piece]) -> None:
        """Raises Tampered when a row of the log is there that its head does not know."""
        for portion in chunked(pieces, ROWS_MAX):
            try:
                await self._db.execute(sql.writing(sql.shape_of(portion)), *sql.bound_for(portion))
            except asyncpg.UniqueViolationError as fault:
                raise _doubled(fault) from fault

    async def _fate(self, unknown: _Unknown) -> MedlockError | None:
        """What became of a commit that nobody answered: None when it is durable."""
        gives_up = self._loop.time() + FATE_SECONDS
        while unknown.witness is not None and self._loop.time() < gives_up:
            try:
                done = await self._is_there(unknown.witness)
            except (*FAULTS, MedlockError):
                await asyncio.sleep(0.2)
                continue
            if done:
                return None
            if unknown.witness[0] is Table.LOG:
                return _unavailable(unknown.fault, _UNCHANGED)
            break  # not done, or done and written over since
        return _unavailable(unknown.fault, "; whether this was written is not known: look before you send it again")

    async def _is_there(self, witness: Row) -> bool:
        """Whether the row is there as it was written, once the transaction that wrote it has ended."""
        table, key, ct = witness
        async with self._connections.alone() as db:
            await db.execute(sql.BEGIN.format(lock=WRITERS))
            return bool(await db.fetchval(sql.GET[table], key) == ct)

    def _give_up(self) -> None:
        """Hang up, and the server undoes what was not committed; the ledger's tree may be ahead of the store now."""
        self._ledger.forget()
        self._tip = None
        if self._db is not None:
            self._db.terminate()
            self._db = None


def _doubled(fault: asyncpg.UniqueViolationError) -> Exception:
    """A row that is there and should not be: in the log that is tampering."""
    return Tampered("the log holds entries that its head does not know") if fault.table_name == Table.LOG else fault


def _only_entries(waiting: Waiting) -> bool:
    batch = waiting.batch
    return bool(batch.entries) and not (batch.inserts or batch.puts or batch.deletes or batch.requires or batch.expects)


def _witness(pieces: Sequence[Piece]) -> Row | None:
    """A row that a transaction writes; one of the log, which comes first, if there is any. Nonces make rows unique."""
    for how, table, keys, cts in pieces:
        if how is not Write.DELETE:
            return table, keys[0], cts[0]
    return None


def _refuse(group: Sequence[Waiting], refusal: MedlockError) -> None:
    for waiting in group:
        if not isinstance(waiting.result, Raced):
            waiting.result = refusal


def _unavailable(fault: BaseException, remark: str) -> Unavailable:
    return Unavailable(f"The store cannot be written now ({said(fault)}){remark}.")
