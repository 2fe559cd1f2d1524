"""What a back end must do, and no more: hold sealed rows by integer key, and commit batches atomically.

Every table has the same shape, `key INTEGER → ct BLOB`. Keys are 63-bit PRF values (or plain counters where a
counter says nothing), so every table can be partitioned by hash. A back end never sees plaintext.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec.structs import astuple

from medlock.store.counting import Counters
from medlock.store.tally import Tally

_CHUNKS_ARE = 256
Row = tuple["Table", int, bytes]
Wanted = tuple["Table", range]
"""All rows of a table whose keys are in a range."""


class Table(StrEnum):
    """The sealed tables; the value is the SQL name. Public keys are counters, the others PRF values."""

    BODY = "body"  # PRF(type/id) → current body
    HISTORY = "history"  # PRF(type/id/version) → an older body
    CAPSULE = "capsule"  # PRF(patient, head | segment n) → index of one patient
    DELTA = "delta"  # PRF(patient, n) → appended change of that index
    DIRECTORY = "directory"  # PRF(slot) → one patient's population search entry
    DIROP = "dirop"  # counter → which directory entry changed
    LOG = "log"  # counter → audit entry
    TILE = "tile"  # level and index → 256 hashes of the audit tree
    TIP = "tip"  # 0 → sealed head of the audit tree
    LOGINDEX = "logindex"  # counter → sealed index of a run of audit entries
    TOKEN = "token"  # PRF(bearer secret) → sealed grant of access
    JOB = "job"  # PRF(name) → sealed state of a job
    IDENTITY = "identity"  # PRF(kind, name) → accounts, factors, sessions
    OAUTH = "oauth"  # PRF(kind, name) → clients, codes, grants
    ONCE = "once"  # PRF(kind, name) → the mark of something that may be used once
    CHUNK = "chunk"  # PRF(stream, n) → a piece of a large content

    __hash__ = str.__hash__  # an Enum's own is a function in Python, and every read looks a table up


def rows_of(table: Table, rows: int) -> int:
    """How many rows to take at a time where `rows` is right for most tables: those of CHUNK are 400 times as long."""
    return max(1, rows // _CHUNKS_ARE) if table is Table.CHUNK else rows


class Batch(msgspec.Struct):
    """Changes that happen together or not at all.

    requires  rows that must be there; if one is not, nothing is written and Raced is raised
    inserts   rows that must not exist yet; if one does, the same
    puts      rows written whether or not they exist
    deletes   rows removed; a row that is not there is no error
    entries   audit entries (already sealed), appended to the log in the same transaction
    expects   rows that must hold exactly these bytes; if one does not, nothing is written and Raced is raised

    Batches add up: what two of them say happens together or not at all.
    """

    inserts: list[Row] = []
    puts: list[Row] = []
    deletes: list[tuple[Table, int]] = []
    entries: list[bytes] = []
    requires: list[tuple[Table, int]] = []
    expects: list[Row] = []

    def __add__(self, other: Batch) -> Batch:
        """Both, as one."""
        return Batch(*[[*mine, *theirs] for mine, theirs in zip(astuple(self), astuple(other), strict=True)])


class Ledger(Protocol):
    """The audit log's part in a commit; `audit.ledger` is it. Pure between calls, so any back end can drive it.

    The back end, inside its transaction, reads row 0 of TIP; if `resume(tip)` wants rows, it reads those that there are
    and hands them to `load`; then `extend` turns entries into rows to put. After a failed commit it calls
    `forget`, and the next commit resumes from what is on disk.
    """

    def resume(self, tip: bytes | None) -> Sequence[Wanted]:
        """Take up the tree at the tip on disk; the rows that must be loaded first. Raises Tampered."""

    def load(self, rows: Sequence[Row]) -> None:
        """The rows wanted by `resume`, ascending by key in each range. Raises Tampered."""

    def extend(self, entries: Sequence[bytes]) -> tuple[int, list[Row]]:
        """Append; the sequence number of the first entry; one row of LOG for each, then the rows to put (TILE, TIP)."""

    def forget(self) -> None:
        """Drop the tree in memory: the last `extend` may not have been committed."""


class Backend(Counters, Protocol):
    """A database that holds sealed tables. One object per process; safe for one event loop."""

    @property
    def file(self) -> Path | None:
        """The file that another process here may read the same tables from (`store.reader`); None: there is none."""

    async def get(self, table: Table, key: int) -> bytes | None:
        """One row, or None."""

    async def get_many(self, table: Table, keys: Sequence[int]) -> dict[int, bytes]:
        """The rows that exist among `keys`."""

    async def get_proven(
        self, table: Table, keys: Sequence[int], deltas: Sequence[int]
    ) -> tuple[dict[int, bytes], set[int]]:
        """As `get_many`, and which of `deltas` exist in table DELTA; one question, answered as of one moment."""

    async def scan(self, table: Table, after: int | None, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` rows with key > `after` (None: from the start), ascending by key."""

    async def last_key(self, table: Table) -> int | None:
        """The greatest key, or None when the table is empty."""

    async def commit(self, batch: Batch) -> int:
        """Make the batch durable (fsync) and return the log sequence number of its first entry (-1: none).

        Raises Raced when an insert's key exists, a required one does not, or an expected row holds something else
        (nothing written), Unavailable when the disk refuses.
        Concurrent commits share one fsync.
        """

    def tally(self) -> Tally:
        """What was committed since this object was made, and how many wait."""

    def snapshot(self) -> AbstractAsyncContextManager[None]:
        """Within it every read of this object sees the store as it was on entering, whoever writes meanwhile."""

    async def scrub(self) -> None:
        """Leave no trace of deleted rows in journals (secure delete, truncating checkpoint)."""

    async def rewrite(self) -> None:
        """After much was written at once: lay the rows out by key, so that their places do not tell what came together.

        May do nothing when little was written since this object was made. Raises Unavailable; nothing is lost then.
        """

    async def close(self) -> None:
        """Finish queued commits, then let go of the database."""
