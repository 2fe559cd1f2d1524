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
    """A consent that a request met: which version, and the event that tells of it, as of whoever met it."""

    rid: int
    version: int
    event: Event

    @property
    def day(self) -> int:
        """When it was met, in days."""
        return self.event.recorded // _DAY_MS


def met(scribe: Scribe, rid: int, touched: Touched, whom: Whom, why: str) -> Met:
    """This request met a consent that cannot be evaluated; whose request that was stands beside whose record it is."""
    event = scribe.event(Outcome.FAILED, whom, [touched], reason=f"consent: {why}")
    told = msgspec.structs.replace(event, action=Action.CONSENT_UNCLEAR, query="", basis="denied until it is clear")
    return Met(rid, touched.version, told)


class Telling(msgspec.Struct, frozen=True):
    """What a commit is to tell: what was met, and the rows and entries that say so."""

    met: tuple[Met, ...] = ()
    batch: Batch = msgspec.field(default_factory=Batch)


class Told:
    """What requests of this process met, until it is in the log."""

    def __init__(self, vault: Vault, log: AuditLog) -> None:
        self._vault = vault
        self._log = log
        self._waiting: dict[int, Met] = {}
        self._told: OrderedDict[int, tuple[int, int]] = OrderedDict()

    def meet(self, met: Met) -> None:
        """A request met this one."""
        self._waiting[met.rid] = met

    async def append(self, *events: Event) -> int:
        """Make the events of a request durable, and with them what is still to be told; the number of the first.

        Without events, what no commit has taken along. Raises Unavailable.
        """
        for _ in range(_TRIES):
            if not self._waiting:
                break
            telling = await self.telling()
            if not events and not telling.batch.entries:  # told of today
                return -1
            batch = Batch(entries=self._log.seal(*events)) + telling.batch
            try:
                first = await self._vault.backend.commit(batch)
            except Raced:  # another process has told of one of them
                self.again(telling)
                continue
            self.durable(telling)
            return first
        return await self._log.append(*events) if events else -1

    async def telling(self) -> Telling:
        """What is still to be told, for a commit: `durable` says that it was made, `again` that it was not."""
        if not self._waiting:
            return Telling()
        waiting, self._waiting = self._waiting, {}
        batch, told = await self._batch(waiting)
        batch.entries = self._log.seal(*(waiting[rid].event for rid in told))
        return Telling(tuple(waiting.values()), batch)

    def again(self, telling: Telling) -> None:
        """The commit was not made: it is still to be told."""
        self._waiting = {each.rid: each for each in telling.met} | self._waiting

    def durable(self, telling: Telling) -> None:
        """The commit was made."""
        for each in telling.met:
            self._told[each.rid] = each.version, each.day
            self._told.move_to_end(each.rid)
        while len(self._told) > _KEPT:
            self._told.popitem(last=False)

    async def _batch(self, waiting: dict[int, Met]) -> tuple[Batch, list[int]]:
        """The notes of those that nobody told of today, and which those are."""
        notes = self._vault.notes
        fresh = [rid for rid, each in waiting.items() if self._told.get(rid) != (each.version, each.day)]
        keys = {rid: notes.key(_name(rid)) for rid in fresh}
        rows = await self._vault.backend.get_many(Table.JOB, list(keys.values())) if keys else {}
        batch, told = Batch(), []
        for rid, key in keys.items():
            row, now = rows.get(key), (waiting[rid].version, waiting[rid].day)
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


def _told(notes: Notes, key: int, row: bytes) -> tuple[int, int]:
    """Version and day in a note; one that does not open says nothing, and is written anew."""
    try:
        version, day = _TOLD.unpack(notes.open(key, row)[1])
    except (Tampered, struct.error):
        return -1, -1
    return version, day


def _name(rid: int) -> bytes:
    return UNCLEAR + rid.to_bytes(8, "big")
