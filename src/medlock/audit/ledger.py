"""The log's part in a commit: entries in, rows to put out. docs/spec/audit.md §4 and §5.

The back end's one writer drives it inside its transaction. Several processes may append to the same log, so the
truth is the sealed head on disk: when it is byte for byte what this process wrote last, the tree in memory is
right; when not, it is brought up to the head by the entries that came since, or taken up from the last, incomplete
tiles; either way it must agree with the head's nodes. A head that is older than one this process has seen committed, or
older than the watermark it was started with, means that somebody put the file back: the ledger then refuses to append
(`Tampered`), because going on would overwrite entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

from medlock.audit.heads import CHECK_BYTES, EMPTY, TREE_HEAD, Head, HeadSealer, checks_of
from medlock.audit.keys import LogKeys
from medlock.audit.wire import FORMAT
from medlock.crypto.tiles import LEVEL_BITS, WIDTH, TileTree, split, widths
from medlock.errors import Tampered
from medlock.store.tables import Row, Table, Wanted

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
        self._head = EMPTY  # that of `_row`; only its checks are looked at
        self._floor = watermark

    def resume(self, tip: bytes | None) -> list[Wanted]:
        """Whether the tree in memory is that of the head on disk; if not, the rows to take it up from.

        Raises Tampered.
        """
        if self._tree is not None:  # not forgotten, so the last extend was committed
            if tip == self._row:
                return []
            self._floor = self._tree.size
        self._head, self._row = self._heads.open(tip), tip
        if self._head.size < self._floor:
            self.forget()
            raise Tampered("the head of the log is older than one already seen: the file was put back")
        if self._tree is None or self._head.size - self._tree.size > WIDTH:
            self._tree = None
            return _wanted(self._head.size)
        return [(Table.LOG, range(self._tree.size, self._head.size))]

    def load(self, rows: Sequence[Row]) -> None:
        """The rows that `resume` asked for. Raises Tampered when they do not make the tree that the head says."""
        leaves = [sha256(b"\x00" + ct).digest() for table, _, ct in rows if table is Table.LOG]
        tree = self._tree
        if tree is None:
            tree = self._taken_up(leaves, {key: ct for table, key, ct in rows if table is Table.TILE})
        else:
            tree.extend(leaves)
        if tree is None or (tree.size, tree.nodes) != (self._head.size, self._head.nodes):
            self.forget()
            raise Tampered("the last entries and tiles of the log are not those that its head says: verify the store")
        self._tree = tree

    def extend(self, entries: Sequence[bytes]) -> tuple[int, list[Row]]:
        """Append to the tree taken up by `resume`; first sequence number, and rows for LOG, TILE and TIP."""
        tree = self._tree
        if tree is None:
            raise RuntimeError("resume() comes before extend()")
        first = tree.size
        leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
        tiles = tree.extend(leaves)
        self._head = Head(FORMAT, tree.size, self._clock_ms(), tree.nodes, self._checks(leaves, tree.size))
        self._row = self._heads.seal(self._head)
        rows: list[Row] = [(Table.LOG, seq, entry) for seq, entry in enumerate(entries, first)]
        rows += [(Table.TILE, tile_key(level, index), hashes) for level, index, hashes in tiles]
        rows.append((Table.TIP, TREE_HEAD, self._row))
        return first, rows

    def forget(self) -> None:
        """Drop the tree in memory; the next `resume` takes up what is on disk."""
        self._tree = self._row = None

    def _checks(self, leaves: Sequence[bytes], size: int) -> bytes:
        """The checks of the tail that the tree has after these leaves."""
        wanted = size % WIDTH * CHECK_BYTES
        return (self._head.checks + checks_of(leaves[-WIDTH:]))[-wanted:] if wanted else b""

    def _taken_up(self, leaves: list[bytes], tiles: Mapping[int, bytes]) -> TileTree | None:
        """The tree of the last tiles; None when one of them has another length."""
        size = self._head.size
        above = [split(tiles.get(key, b"")) for key in last_tiles(size)]
        try:
            return TileTree.taken_up(size, [leaves, *above])
        except ValueError:
            return None


def last_tiles(size: int) -> list[int]:
    """Row keys of the incomplete tiles of level 1 and above, whether or not there is anything in them."""
    return [tile_key(level, size >> LEVEL_BITS * (level + 1)) for level in range(1, len(widths(size)))]


def _wanted(size: int) -> list[Wanted]:
    """The rows that tell the incomplete tile of every level; none when there is nothing at all."""
    rows = [(Table.TILE, range(key, key + 1)) for key in last_tiles(size)]
    return [(Table.LOG, range(size - size % WIDTH, size)), *rows]
