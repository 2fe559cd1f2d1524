"""Consents that cannot be evaluated: each denies, and the privacy officer is told of it in the audit log.

A request meets them when it looks consents up; what it met goes into the log in the very commit that writes down the
request, so that the answer is no later for it, and nobody who asks can tell. One version of a consent is told of once a
day, by whichever process is first: a note (docs/spec/store.md §8) says which version was told of when, and the commit
expects it as it was read.
"""

from __future__ import annotations

import struct
from collections import OrderedDict

import msgspec

from medlock.audit.events import Action, Event, Outcome, Touched
from medlock.audit.log import AuditLog
from medlock.errors import Raced, Tampered
from medlock.records.notes import Notes
from medlock.records.scribe import Scribe, Whom
from medlock.records.vault import Vault
from medlock.store.tables import Batch, Table

UNCLEAR = b"unclear|"
_TOLD = struct.Struct(">II")
_DAY_MS = 86_400_000
_KEPT = 4_096
_TRIES = 4


def is_unclear(name: bytes) -> bool:
    """Whether a note says of which consent the privacy officer was told."""
    return name.startswith(UNCLEAR)


class Met(msgspec.Struct, frozen=True):
    """A consent that a request met: in whose record, which version, and why it cannot be evaluated."""

    whom: Whom
    id: str
    version: int
    why: str

    @property
    def touched(self) -> Touched:
        """The consent, as it is written down."""
        return Touched(f"Consent/{self.id}", self.version, "R")


class Told:
    """What requests of this process met, until it is in the log."""

    def __init__(self, vault: Vault, log: AuditLog) -> None:
        self._vault = vault
        self._log = log
        self._waiting: dict[int, Met] = {}
        self._told: OrderedDict[int, tuple[int, int]] = OrderedDict()

    def meet(self, met: Met) -> None:
        """A request met this one."""
        self._waiting[self._vault.rid(met.touched.reference)] = met

    async def append(self, scribe: Scribe, *events: Event) -> int:
        """Make the events of a request durable, and with them what is still to be told; the number of the first.

        Raises Unavailable.
        """
        if not self._waiting:
            return await self._log.append(*events)
        waiting, self._waiting = self._waiting, {}
        for _ in range(_TRIES):
            batch, told = await self._batch(waiting, scribe)
            batch.entries = self._log.seal(*events, *(self._event(scribe, waiting[rid]) for rid in told))
            try:
                first = await self._vault.backend.commit(batch)
            except Raced:  # another process has told of one of them
                continue
            self._remember(waiting, scribe.now)
            return first
        return await self._log.append(*events)

    async def _batch(self, waiting: dict[int, Met], scribe: Scribe) -> tuple[Batch, list[int]]:
        """The notes of those that nobody told of today, and which those are."""
        day, notes = scribe.now // _DAY_MS, self._vault.notes
        fresh = [rid for rid, met in waiting.items() if self._told.get(rid) != (met.version, day)]
        keys = {rid: notes.key(_name(rid)) for rid in fresh}
        rows = await self._vault.backend.get_many(Table.JOB, list(keys.values())) if keys else {}
        batch, told = Batch(), []
        for rid, key in keys.items():
            row, now = rows.get(key), (waiting[rid].version, day)
            if row is not None and _told(notes, key, row) == now:
                continue
            told.append(rid)
            sealed = notes.seal(_name(rid), _TOLD.pack(*now))
            if row is None:
                batch.inserts.append(sealed)
            else:
                batch.expects.append((Table.JOB, key, row))
                batch.puts.append(sealed)
        return batch, told

    def _remember(self, waiting: dict[int, Met], now: int) -> None:
        for rid, met in waiting.items():
            self._told[rid] = met.version, now // _DAY_MS
            self._told.move_to_end(rid)
        while len(self._told) > _KEPT:
            self._told.popitem(last=False)

    @staticmethod
    def _event(scribe: Scribe, met: Met) -> Event:
        """Told by the server of itself; whose request met it stands there as whose it was."""
        told = scribe.event(Outcome.FAILED, met.whom, [met.touched], reason=f"consent: {met.why}")
        return msgspec.structs.replace(told, action=Action.CONSENT_UNCLEAR, query="", basis="denied until it is clear")


def _told(notes: Notes, key: int, row: bytes) -> tuple[int, int]:
    """Version and day in a note; one that does not open says nothing, and is written anew."""
    try:
        version, day = _TOLD.unpack(notes.open(key, row)[1])
    except (Tampered, struct.error):
        return -1, -1
    return version, day


def _name(rid: int) -> bytes:
    return UNCLEAR + rid.to_bytes(8, "big")
