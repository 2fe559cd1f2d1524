"""Verification of table JOB: a receipt for each load in the log, notes of rotations and erasures, done or under way.

So it is with emergency accesses, each note of which an event names. Jobs (`records.jobs`), uploads and the rows of what
a person opened lately come and go without the log: of them only those that do not open are found. Of the list of
records with consents, a page that is gone is found by the others.
The notes of erasures also say where the ends lie, which table DELTA keeps in place of the erased.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from medlock.audit.acts import Evidence
from medlock.audit.events import Action
from medlock.audit.findings import KEYSTORE, Finding, Kind
from medlock.errors import Tampered
from medlock.records.glass import is_recent
from medlock.records.holders import PAGE, PARTS, is_list, listed, page_name
from medlock.records.jobs import is_job
from medlock.records.notes import SHRED, UPLOAD
from medlock.records.unclear import is_unclear
from medlock.records.vault import Vault
from medlock.records.verify_bodies import scan
from medlock.records.verify_directory import keys_of
from medlock.store.tables import Table


def rotations(evidence: Evidence) -> tuple[set[int], set[int]]:
    """What the events of rotations name: keys of notes, and lines of the directory's log."""
    named = [request.partition(".") for request in evidence.requests[Action.KEY_ROTATE]]
    return {int(note, 16) for note, _, _ in named}, {int(line) for _, _, line in named if line}


GLASS = (Action.GLASS_OPEN, Action.GLASS_END, Action.GLASS_REVIEW)


def _emergencies(evidence: Evidence) -> set[int]:
    """The notes that events of emergency accesses name."""
    return {int(request, 16) for action in GLASS for request in evidence.requests[action]}


def _passing(name: bytes) -> bool:
    """Whether a note is one of those that the log does not know."""
    named = is_job, is_list, is_recent, is_unclear
    return any(each(name) for each in named) or name.startswith(UPLOAD)


@dataclass(slots=True)
class NoteCheck:
    """Checks the notes; `read` first.

    ends      key of an end in table DELTA → the slot that ended
    arriving  keys of chunks that uploads under way may have written
    """

    vault: Vault
    ends: dict[int, int] = field(default_factory=dict)
    arriving: set[int] = field(default_factory=set)
    _opened: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    _shut: list[int] = field(default_factory=list)

    def findings(self, evidence: Evidence, erased: set[int]) -> Iterator[Finding]:
        """What is wrong with table JOB; `erased` are the slots that were shredded, as far as others know."""
        done = {self.vault.notes.erased_key(slot): slot for slot in erased}
        expected = (
            done.keys()
            | {int(request, 16) for request in evidence.requests[Action.LOAD]}
            | rotations(evidence)[0]
            | _emergencies(evidence)
        )
        working = self._working(erased)
        missing = expected - self._opened.keys() - {key for key, slot in done.items() if slot == working}
        yield from self._unwanted(expected, evidence, working)
        yield from self._shut_rows(missing)
        for key in sorted(missing - set(self._shut)):
            yield Finding(Table.JOB, key, Kind.DELETED, "a note of something done is gone")
        yield from self.gone_pages()
        for slot in sorted(erased - {working}):
            if keys_of(self.vault, slot) is not None:
                yield Finding(KEYSTORE, slot, Kind.INSERTED, f"the key of slot {slot}, which was erased, is there")

    async def read(self) -> None:
        """Open every note."""
        async for key, ct in scan(self.vault.backend, Table.JOB):
            try:
                self._opened[key] = self.vault.notes.open(key, ct)
            except Tampered:
                self._shut.append(key)
        for note in self._opened.values():
            upload = self.vault.notes.uploading(*note)
            if upload is not None:
                self.arriving.update(self.vault.chunk_keys(*upload[:2]))
        erasures = [self.vault.notes.erasure(*note) for note in self._opened.values()]
        self.ends = {found[1]: found[0] for found in erasures if found is not None}

    def gone_pages(self) -> Iterator[Finding]:
        """Pages of the list of records with consents: all parts were made at once, and a full page has one after it."""
        first = [(part, self.vault.notes.key(page_name(part))) for part in range(PARTS)]
        there = self._opened.keys() | set(self._shut)
        wanted = {key for _, key in first} if any(key in there for _, key in first) else set()
        for part, key in first:
            page = 0
            while key in self._opened and len(listed(self._opened[key][1])) >= PAGE:
                page += 1
                key = self.vault.notes.key(page_name(part, page))  # noqa: PLW2901 - the next page of the same part
                wanted.add(key)
        for key in sorted(wanted - there):
            yield Finding(Table.JOB, key, Kind.DELETED, "a page of the list of records with consents is gone")

    def unlisted(self, slot: int) -> Finding | None:
        """A record with consents that the list of those does not have, although its part is there."""
        key = self.vault.notes.key(page_name(slot))
        page, found = 0, self._opened.get(key)
        if found is None:
            return None
        while found is not None and slot not in listed(found[1]):
            page += 1
            found = self._opened.get(self.vault.notes.key(page_name(slot, page)))
        if found is not None:
            return None
        sentence = f"slot {slot} has consents, and the list of those who do does not have it"
        return Finding(Table.JOB, key, Kind.ROLLED_BACK, sentence)

    def _working(self, erased: set[int]) -> int | None:
        """The slot whose erasure is under way: noted, and not noted as done."""
        note = self._opened.get(self.vault.notes.key(SHRED))
        found = None if note is None else self.vault.notes.erasure(*note)
        if found is None or found[0] not in erased or self.vault.notes.erased_key(found[0]) in self._opened:
            return None
        return found[0]

    def _unwanted(self, expected: set[int], evidence: Evidence, working: int | None) -> Iterator[Finding]:
        """Notes of ours that should not be there: brought back, or of what the log does not know."""
        for key, (name, _) in self._opened.items():
            if name == SHRED and working is None:
                yield Finding(Table.JOB, key, Kind.INSERTED, "the note of an erasure that was done is back")
            elif name != SHRED and not _passing(name) and key not in expected and evidence.whole:
                yield Finding(Table.JOB, key, Kind.INSERTED, "a note of something that the log does not know")

    def _shut_rows(self, missing: set[int]) -> Iterator[Finding]:
        """Rows that do not open: one of ours that was edited, or somebody else's."""
        for key in self._shut:
            kind = Kind.EDITED if key in missing else Kind.INSERTED
            yield Finding(Table.JOB, key, kind, "a note does not open")
