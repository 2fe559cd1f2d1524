"""Single reads of one turn of the event loop, asked together.

A round trip costs more than the rows that it brings. So a read waits for the end of the turn, and all that wait ask in
one statement for each table; while two statements are on their way, what comes next waits for one of them and is asked
together again. Nobody joins a statement that is under way already: a read that begins after a commit sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from medlock.errors import MedlockError
from medlock.store import pgstatements as sql
from medlock.store.tables import Table

IN_FLIGHT = 2
TOGETHER_MAX = 512
Proven = tuple[dict[int, bytes], set[int]]
Ask = Callable[..., Awaitable[Sequence[Any]]]


@dataclass(slots=True, eq=False)
class _Read:
    keys: Sequence[int]
    deltas: Sequence[int]
    future: asyncio.Future[Proven]


class GatheredReads:
    """Reads by key through `ask(statement, *lists of keys)`, which raises MedlockError when it cannot."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Table, list[_Read]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._woken = False

    async def get(self, table: Table, keys: Sequence[int], deltas: Sequence[int] = ()) -> Proven:
        """The rows that exist among `keys`, and which of `deltas` do, as of one moment."""
        read = _Read(keys, deltas, self._loop.create_future())
        self._waiting.setdefault(table, []).append(read)
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._send)
        return await read.future

    async def close(self) -> None:
        """Wait for what is on its way."""
        while self._asking or self._waiting:
            await asyncio.sleep(0)
            await asyncio.gather(*self._asking)

    def _send(self) -> None:
        """Ask for what waits, as far as there is room on the way."""
        self._woken = False
        while self._waiting and len(self._asking) < IN_FLIGHT:
            table = next(iter(self._waiting))
            reads = self._waiting.pop(table)
            if len(reads) > TOGETHER_MAX:
                self._waiting[table] = reads[TOGETHER_MAX:]
            task = self._loop.create_task(self._answer(table, reads[:TOGETHER_MAX]))
            self._asking.add(task)
            task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        self._send()

    async def _answer(self, table: Table, reads: Sequence[_Read]) -> None:
        try:
            found, there = await self._found(table, reads)
        except MedlockError as fault:
            for read in reads:
                if not read.future.done():
                    read.future.set_exception(fault)
            return
        for read in reads:
            if not read.future.done():
                read.future.set_result(
                    ({k: found[k] for k in read.keys if k in found}, there.intersection(read.deltas))
                )

    async def _found(self, table: Table, reads: Sequence[_Read]) -> Proven:
        keys = list({key for read in reads for key in read.keys})
        deltas = list({delta for read in reads for delta in read.deltas})
        rows = await (self._ask(sql.PROVEN[table], keys, deltas) if deltas else self._ask(sql.MANY[table], keys))
        return {key: ct for key, ct in rows if ct is not None}, {key for key, ct in rows if ct is None}
