"""The first part of verification: what stands in the four tables, and what their heads claim.

The log may grow while it is verified, so the order matters: first which rows are there, then the heads. Whatever was
there before a head was read must be known to that head; what comes later is left to the next verification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from medlock.audit.checkpoints import Checkpoints, Stored
from medlock.audit.findings import Finding, Kind
from medlock.audit.heads import CHECKPOINT, FIRST_TURN, INDEX_HEAD, TREE_HEAD, Head, HeadSealer
from medlock.audit.keys import LogKeys
from medlock.crypto.notes import Checkpoint
from medlock.errors import Tampered
from medlock.store.tables import Backend, Table

_PAGE = 64
_TIP_MAX = 4_096  # one statement, so that the heads are of one moment
_Opened = TypeVar("_Opened")
_NAMES = {TREE_HEAD: "head of the log", CHECKPOINT: "last checkpoint", INDEX_HEAD: "head of the log's index"}


@dataclass(slots=True)
class Standing:
    """Rows found, and the heads as far as they open; `findings` says what is wrong with table TIP itself."""

    log_last: int
    tiles: set[int]
    runs: list[int]
    tip: dict[int, bytes]
    head: Head | None = None
    checkpoint: Checkpoint | None = None
    indexed: int | None = None
    findings: list[Finding] = field(default_factory=list)


async def survey(backend: Backend) -> Standing:
    """Which rows are there."""
    last = await backend.last_key(Table.LOG)
    tiles = await all_keys(backend, Table.TILE)
    runs = await all_keys(backend, Table.LOGINDEX)
    return Standing(-1 if last is None else last, set(tiles), runs, dict(await backend.scan(Table.TIP, None, _TIP_MAX)))


async def all_keys(backend: Backend, table: Table) -> list[int]:
    """Every key of a table, ascending."""
    keys: list[int] = []
    while page := await backend.scan(table, keys[-1] if keys else None, _PAGE):
        keys += [key for key, _ in page]
    return keys


class TipReader:
    """Opens the rows of table TIP and notes what is wrong with them."""

    def __init__(self, keys: LogKeys, standing: Standing, watermark: tuple[int, bytes] | None) -> None:
        self._heads = HeadSealer(keys)
        self._checkpoints = Checkpoints(keys)
        self._standing = standing
        self._watermark = -1 if watermark is None else watermark[0]

    def read(self) -> None:
        """Fill in head, checkpoint and indexed, and the findings."""
        at = self._standing
        at.head = self._open(TREE_HEAD, self._heads.open, wanted=at.log_last >= 0 or self._watermark > 0)
        at.indexed = self._open(INDEX_HEAD, self._heads.open_index, wanted=bool(at.runs))
        turns = [key for key in at.tip if key >= FIRST_TURN]
        opened = self._open(CHECKPOINT, self._checkpoints.open, wanted=bool(turns) or self._watermark >= 0)
        if opened is not None:
            at.checkpoint = opened[1]
            self._check_turn(opened[0], turns)
        if at.checkpoint is not None and at.checkpoint.size < self._watermark:
            self._note(CHECKPOINT, Kind.ROLLED_BACK, "The last checkpoint is older than the one the keystore knows.")
        for key in at.tip:
            if key < TREE_HEAD or (key in turns and opened is None and not self._is_turn(key)):
                self._note_stranger(key, turns)

    def _open(self, key: int, opener: Callable[[bytes], _Opened], *, wanted: bool) -> _Opened | None:
        """What is in a row; None, and a finding, when it is wanted and absent or does not open."""
        row = self._standing.tip.get(key)
        if row is None:
            if wanted:
                self._note(key, Kind.DELETED, f"The {_NAMES[key]} is gone.")
            return None
        try:
            return opener(row)
        except Tampered:
            self._note(key, Kind.EDITED, f"The {_NAMES[key]} was edited: it does not open.")
            return None

    def _check_turn(self, stored: Stored, turns: list[int]) -> None:
        """Exactly one turn, of the checkpoint's number. A later genuine one gives a rolled-back checkpoint away."""
        wanted = FIRST_TURN + stored.number
        if wanted in turns and not self._is_turn(wanted):
            self._note(wanted, Kind.EDITED, f"Turn {stored.number} of the checkpoints was edited: it does not open.")
        others = [key for key in turns if key != wanted]
        later = [key for key in others if key > wanted and self._is_turn(key)]
        if later and wanted not in turns:
            self._note(CHECKPOINT, Kind.ROLLED_BACK, "The last checkpoint is older than the last one made.")
            return
        if wanted not in turns:
            self._note(wanted, Kind.DELETED, f"Turn {stored.number} of the checkpoints is gone.")
        for key in others:
            self._note(key, Kind.INSERTED, f"Row {key} of the heads was put there by nobody of ours.")

    def _note_stranger(self, key: int, turns: list[int]) -> None:
        """A row that is no turn, while the checkpoint does not say which there should be: there is always one."""
        if turns == [key] and CHECKPOINT in self._standing.tip:
            self._note(key, Kind.EDITED, f"Turn {key - FIRST_TURN} of the checkpoints was edited: it does not open.")
            return
        self._note(key, Kind.INSERTED, f"Row {key} of the heads was put there by nobody of ours.")

    def _is_turn(self, key: int) -> bool:
        try:
            return self._checkpoints.open_turn(self._standing.tip[key]) == key - FIRST_TURN
        except Tampered:
            return False

    def _note(self, key: int, kind: Kind, sentence: str) -> None:
        self._standing.findings.append(Finding(Table.TIP, key, kind, sentence))
