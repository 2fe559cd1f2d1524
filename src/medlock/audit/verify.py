"""`medlock verify`, the part about the log: every row of its four tables is as it was written, or is named.

Four parts: what stands there (`standing`), the tree computed again (`retrace`), who is to blame (`blame`), the search
index and the last positions (`verify_index`); this module puts them together and holds the result against what is
kept elsewhere: the signed checkpoint and the keystore's watermark. docs/spec/audit.md §9 is the table of findings.

It needs the keys and the database, no running server, and may run beside one. It does not need any patient's key: a
log verifies just as well after erasures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from medlock.audit.blame import Judge, Truth, name_entries, places_of
from medlock.audit.entries import EntrySealer
from medlock.audit.events import Position
from medlock.audit.findings import Finding, Kind
from medlock.audit.heads import TREE_HEAD, HeadSealer
from medlock.audit.keys import LogKeys
from medlock.audit.retrace import Leaf, expected_tiles, leaves_of, retrace, root_of
from medlock.audit.standing import Standing, TipReader, survey
from medlock.audit.verify_index import IndexCheck
from medlock.crypto.merkle import leaf_hash
from medlock.crypto.tiles import WIDTH
from medlock.errors import Tampered
from medlock.store.tables import Backend, Table

_PAGE = 256

Watermark = tuple[int, bytes]
"""Size and root of the log, as the keystore remembers them."""


async def verify_log(
    backend: Backend,
    keys: LogKeys,
    watermark: Watermark | None,
    positions: dict[int, Position] | None = None,
) -> AsyncIterator[Finding]:
    """Everything in the log that is not as it was written, as it is found; nothing means that all is well.

    `positions`, when given, is filled with the last recorded position of each slot, for the store's own
    verification. Memory: 32 bytes per 256 entries. Raises Unavailable when the database cannot be read.
    """
    check = _Verification(backend, keys, watermark, {} if positions is None else positions)
    for part in (check.heads, check.entries, check.extras, check.index, check.anchors):
        async for finding in part():
            yield finding


class _Verification:
    """One run over the log; the parts are called in order and build on each other."""

    def __init__(
        self, backend: Backend, keys: LogKeys, watermark: Watermark | None, positions: dict[int, Position]
    ) -> None:
        self._backend = backend
        self._keys = keys
        self._watermark = watermark
        self._index = IndexCheck(backend, keys, positions)
        self._at = Standing(-1, set(), [], {})
        self._size = 0
        self._truth = Truth()
        self._clean = True

    async def heads(self) -> AsyncIterator[Finding]:
        """Table TIP, and from it how many entries there should be."""
        self._at = await survey(self._backend)
        TipReader(self._keys, self._at, self._watermark).read()
        for finding in self._at.findings:
            self._clean = self._clean and finding.key != TREE_HEAD
            yield finding
        head = self._at.head
        if head is not None and await self._is_old(head.size):
            self._at.head, self._clean = None, False
            yield Finding(
                Table.TIP, TREE_HEAD, Kind.ROLLED_BACK, "The head of the log was put back to an earlier state."
            )
        self._size = await self._count() if self._at.head is None else self._at.head.size

    async def entries(self) -> AsyncIterator[Finding]:
        """Tables LOG and TILE below the size: recompute, judge, name."""
        traced = await retrace(self._backend, self._size)
        self._truth = await Judge(self._backend, HeadSealer(self._keys), traced, self._at.head).judge()
        for finding in self._truth.findings:
            yield finding
        leaves = {leaf for leaf in self._truth.wrong.values() if leaf is not None}
        places = await places_of(self._backend, leaves, self._truth.tail, len(self._truth.roots))
        for finding in name_entries(self._truth.wrong, places, self._size):
            yield finding
        self._clean = self._clean and not self._truth.wrong and not self._truth.findings

    async def extras(self) -> AsyncIterator[Finding]:
        """Rows that should not be there at all."""
        for key in [*await self._below_zero(), *await self._beyond(self._size, self._at.log_last)]:
            yield Finding(Table.LOG, key, Kind.INSERTED, f"Entry {key} was put into the log.")
        for key in sorted(self._at.tiles - expected_tiles(self._size)):
            yield Finding(Table.TILE, key, Kind.INSERTED, f"Row {key} was put among the tiles of the log.")

    async def index(self) -> AsyncIterator[Finding]:
        """Table LOGINDEX, and the positions."""
        async for finding in self._index.check(self._at, self._truth, self._size):
            yield finding

    async def anchors(self) -> AsyncIterator[Finding]:
        """The tree at the sizes that the checkpoint and the keystore remember, when nothing explains a difference."""
        for size, root in self._remembered():
            if self._clean and size <= self._size and await self._root_at(size) != root:
                sentence = f"The log is not the one that had {size} entries at its last checkpoint: it was forked."
                yield Finding(Table.TIP, TREE_HEAD, Kind.ROLLED_BACK, sentence)
                return

    def _remembered(self) -> list[Watermark]:
        """What is known of the log from elsewhere: size and root."""
        signed = self._at.checkpoint
        anchors = [] if signed is None else [(signed.size, signed.root)]
        return anchors if self._watermark is None else [*anchors, self._watermark]

    async def _is_old(self, size: int) -> bool:
        """Whether the log was longer than its head says: known elsewhere, or shown by an entry behind it."""
        known = [anchor[0] for anchor in self._remembered()]
        return max(known, default=0) > size or (self._at.log_last >= size and await self._is_genuine(size))

    async def _is_genuine(self, seq: int) -> bool:
        """Whether this entry was sealed here and is no copy of one that the tree has already."""
        entry = await self._backend.get(Table.LOG, seq)
        if entry is None:
            return False
        try:
            EntrySealer(self._keys).minimal(entry)
        except Tampered:
            return False
        tail = [] if self._at.head is None else self._at.head.tail()
        return not await places_of(self._backend, {leaf_hash(entry)}, tail, seq // WIDTH)

    async def _count(self) -> int:
        """How many entries there are, when no head says so: complete tiles, and the entries behind the last.

        A tile counts when half of those before it are there: one that somebody put far away does not.
        """
        tiles = sorted(key for key in self._at.tiles if 0 <= key <= self._at.log_last // WIDTH)
        complete = max((key + 1 for rank, key in enumerate(tiles) if key <= 2 * rank + 1), default=0) * WIDTH
        rows = await self._backend.scan(Table.LOG, complete - 1, WIDTH)
        return max((key + 1 for key, _ in rows if key < complete + WIDTH), default=complete)

    async def _below_zero(self) -> list[int]:
        keys: list[int] = []
        while page := await self._backend.scan(Table.LOG, keys[-1] if keys else None, _PAGE):
            keys += [key for key, _ in page if key < 0]
            if page[-1][0] >= 0:
                break
        return keys

    async def _beyond(self, size: int, last: int) -> list[int]:
        keys: list[int] = []
        while page := await self._backend.scan(Table.LOG, keys[-1] if keys else size - 1, _PAGE):
            keys += [key for key, _ in page if key <= last]
            if page[-1][0] >= last:
                break
        return keys

    async def _root_at(self, size: int) -> bytes:
        """The root that the tree had at a past size; only asked when the tree is right."""
        complete = size // WIDTH
        tail: list[Leaf] = list(await leaves_of(self._backend, complete * WIDTH, size % WIDTH))
        return root_of(self._truth.roots[:complete], tail)
