"""Keeps table LOGINDEX one row behind every complete run of the log, whoever gets to it first.

Nothing waits for the index: an append only writes entries, and what is not indexed yet is read directly. A run is
indexed only after its leaves were compared with their tiles, so an index never describes entries that were moved. What
this process sealed itself it still knows and need not open; then reading and hashing are all that an entry costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256

from medlock.audit.entries import EntrySealer
from medlock.audit.heads import INDEX_HEAD, TREE_HEAD, HeadSealer
from medlock.audit.index import RUN, IndexSealer, RunBuilder, RunIndex
from medlock.audit.keys import LogKeys
from medlock.audit.ledger import tile_key
from medlock.crypto.merkle import perfect_root
from medlock.crypto.tiles import WIDTH
from medlock.errors import Conflict, Tampered
from medlock.store.tables import Backend, Batch, Table

_TILES = RUN // WIDTH


class Indexer:
    """Makes and reads run indexes of one store."""

    def __init__(self, backend: Backend, keys: LogKeys, entries: EntrySealer) -> None:
        self._backend = backend
        self._entries = entries
        self._heads = HeadSealer(keys)
        self._sealer = IndexSealer(keys)

    async def index_next(self) -> int | None:
        """Index the first complete run that has no index yet; its number, or None when there is none.

        Raises Tampered when the run does not agree with its tiles, or rows with the index head.
        """
        heads = await self._backend.get_many(Table.TIP, [TREE_HEAD, INDEX_HEAD])
        number = self._heads.open_index(heads.get(INDEX_HEAD))
        if (number + 1) * RUN > self._heads.open(heads.get(TREE_HEAD)).size:
            return None
        row = self._sealer.seal(await self.build(number))
        head = self._heads.seal_index(number + 1)
        batch = Batch(inserts=[(Table.LOGINDEX, number, row)], puts=[(Table.TIP, INDEX_HEAD, head)])
        try:
            await self._backend.commit(batch)  # the insert decides between two processes: the head only moves on
        except Conflict:
            if self._heads.open_index(await self._backend.get(Table.TIP, INDEX_HEAD)) <= number:
                raise Tampered("the head of the log's index is older than the index") from None
        return number

    async def runs(self, numbers: Sequence[int]) -> list[RunIndex]:
        """The indexes of these complete runs; one that has no row is built from its entries. Raises Tampered."""
        rows = await self._backend.get_many(Table.LOGINDEX, numbers)
        return [
            self._sealer.open(number, rows[number]) if number in rows else await self.build(number)
            for number in numbers
        ]

    async def build(self, number: int) -> RunIndex:
        """The index of one complete run, from its entries. Raises Tampered."""
        builder, roots = RunBuilder(), []
        tiles = await self._backend.get_many(Table.TILE, [tile_key(0, number * _TILES + i) for i in range(_TILES)])
        for first in range(number * RUN, (number + 1) * RUN, WIDTH):
            entries = [entry for _, entry in await self._backend.scan(Table.LOG, first - 1, WIDTH)]
            leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
            if tiles.get(tile_key(0, first // WIDTH)) != b"".join(leaves):
                raise Tampered(f"entries {first} to {first + WIDTH - 1} of the log do not agree with their tile")
            builder.add(self._entries.noted(entries))
            roots.append(perfect_root(leaves))
            await asyncio.sleep(0)  # a tile takes a millisecond; others may go between two
        return builder.index(number, perfect_root(roots))
