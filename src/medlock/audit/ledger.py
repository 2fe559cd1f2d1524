"""The log's part in a commit: entries in, rows to put out. docs/spec/audit.md §4 and §5.

The back end's one writer drives it inside its transaction. Several processes may append to the same log, so the
truth is the sealed head on disk: when it is byte for byte what this process wrote last, the tree in memory is
right; when not, the tree is taken up from the head. A head that is older than one this process has seen committed,
or older than the watermark it was started with, means that somebody put the file back: the ledger then
refuses to append (`Tampered`), because going on would overwrite entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from medlock.audit.heads import TREE_HEAD, HeadSealer
from medlock.audit.keys import LogKeys
from medlock.crypto.tiles import TileTree
from medlock.errors import Tampered
from medlock.store.tables import Row, Table

TILE_LEVEL_BITS = 48


def tile_key(level: int, index: int) -> int:
    """Row key of a tile: level · 2^48 + index."""
    return level << TILE_LEVEL_BITS | index


class MerkleLedger:
    """`store.tables.Ledger` for one store. Not thread-safe: it belongs to the writer.

    clock_ms    tells the time that is sealed into the head
    watermark   entries that the log is known to have had (from the keystore)
    """

    def __init__(self, keys: LogKeys, clock_ms: Callable[[], int], watermark: int = 0) -> None:
        self._heads = HeadSealer(keys)
        self._clock_ms = clock_ms
        self._tree: TileTree | None = None
        self._row: bytes | None = None
        self._floor = watermark

    def resume(self, tip: bytes | None) -> range | None:
        """Take up the tree at the head on disk. Never asks for entries: the head is enough. Raises Tampered."""
        if self._tree is not None:  # not forgotten, so the last extend was committed
            self._floor = self._tree.size
        if self._tree is None or tip != self._row:
            self._tree, self._row = self._heads.open(tip).tree(), tip
        if self._tree.size < self._floor:
            self.forget()
            raise Tampered("the head of the log is older than one already seen: the file was put back")
        return None

    def load(self, entries: Sequence[bytes]) -> None:
        """Nothing to load: `resume` never asks."""

    def extend(self, entries: Sequence[bytes]) -> tuple[int, list[Row]]:
        """Append to the tree taken up by `resume`; first sequence number, and rows for LOG, TILE and TIP."""
        tree = self._tree
        if tree is None:
            raise RuntimeError("resume() comes before extend()")
        first = tree.size
        tiles = tree.extend([sha256(b"\x00" + entry).digest() for entry in entries])
        self._row = self._heads.seal(tree, self._clock_ms())
        rows: list[Row] = [(Table.LOG, seq, entry) for seq, entry in enumerate(entries, first)]
        rows += [(Table.TILE, tile_key(level, index), hashes) for level, index, hashes in tiles]
        rows.append((Table.TIP, TREE_HEAD, self._row))
        return first, rows

    def forget(self) -> None:
        """Drop the tree in memory; the next `resume` takes up what is on disk."""
        self._tree = self._row = None
