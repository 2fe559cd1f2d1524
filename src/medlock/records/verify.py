"""Offline verification of everything: every row is vouched for, or named in a Finding.

Trust flows down. The keystore accounts for its keys and remembers how long the log was. The log says where each
index stood after its last write, which tokens were made and what was loaded. An index says which bodies there are and
what their tags must be; a body's version, which older versions must exist. Whatever a table holds beyond that was put
there by somebody else.

It judges one snapshot, so it may run beside servers that write. It reads; it changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from medlock.audit.acts import Evidence, requests_of
from medlock.audit.events import Action, Position
from medlock.audit.findings import KEYSTORE, Finding, Kind
from medlock.audit.verify import verify_log
from medlock.errors import Tampered, Unavailable
from medlock.records.holders import consent_rows
from medlock.records.opening import Records, StoreKeys
from medlock.records.vault import TENANT, Vault
from medlock.records.verify_bodies import BodyCheck, scan
from medlock.records.verify_directory import DirectoryCheck, generations_of
from medlock.records.verify_index import IndexReader
from medlock.records.verify_notes import NoteCheck, rotations
from medlock.store.capsule import IndexRow
from medlock.store.tables import Table

Check = Callable[[Evidence], AsyncIterator[Finding]]
"""A check of a table that this package knows nothing of, against what the log says."""

ACTS = (
    *(Action.TOKEN_CREATE, Action.TOKEN_REVOKE, Action.OAUTH_ISSUE, Action.OAUTH_END),
    *(Action.OAUTH_APPROVE, Action.CLIENT_REGISTER, Action.CLIENT_CHANGE),
    *(Action.ACCOUNT_CREATE, Action.ACCOUNT_CHANGE, Action.ACCOUNT_DISABLE, Action.ACCOUNT_ENABLE),
    Action.ACCOUNT_APPROVE,
    *(Action.ACCOUNT_TAKE_UP, Action.SESSION_START, Action.SESSION_END),
    *(Action.LINK_MAKE, Action.LINK_OPEN, Action.LINK_END),
    *(Action.LOAD, Action.KEY_ROTATE),
    *(Action.GLASS_OPEN, Action.GLASS_END, Action.GLASS_REVIEW),
)
_TRIES = 4
_STRANGERS = (Table.BODY, Table.HISTORY, Table.CAPSULE, Table.DELTA, Table.DIRECTORY, Table.CHUNK)


async def verify_all(records: Records, checks: Sequence[Check] = ()) -> list[Finding]:
    """Everything that is not as it was written; nothing means that all is well.

    Raises Unavailable when a file cannot be read, or when keys are being destroyed all the while.
    """
    for _ in range(_TRIES):
        _keys_changed(records)
        found = [finding async for finding in _findings(records, checks)]
        if not found or not _keys_changed(records):
            return found
    raise Unavailable("Keys were destroyed while this was checked: run it again.")


def _keys_changed(records: Records) -> bool:
    """Whether keys were destroyed since the last call: what lay under them looks like somebody's insertion."""
    try:
        return records.keystore.refresh()
    except Tampered:
        return False  # the keystore's own check names it


async def unvouched(records: Records) -> list[tuple[Table, int]]:
    """Rows that nothing in the store vouches for. What is wrong beyond that is not told here."""
    keys = StoreKeys(records.keystore)
    async with records.backend.snapshot():
        positions: dict[int, Position] = {}
        whole = not [finding async for finding in verify_log(records.backend, keys, _watermark(records), positions)]
        verifier = StoreVerifier(records.vault)
        async for _ in verifier.findings(Evidence(positions, await requests_of(records.backend, keys, ACTS), whole)):
            pass
        return [place async for place in verifier.strangers()]


async def keyless(records: Records) -> set[int]:
    """Slots of patients in log and directory who were not erased, and whose key is not there all the same."""
    keys = StoreKeys(records.keystore)
    async with records.backend.snapshot():
        positions: dict[int, Position] = {}
        async for _ in verify_log(records.backend, keys, _watermark(records), positions):
            pass
        directory = DirectoryCheck(records.vault)
        async for _ in directory.read():
            pass
    slots = {*positions, *directory.places} - directory.erased
    return {slot for slot in slots if slot != TENANT and not generations_of(records.vault, slot)}


async def _findings(records: Records, checks: Sequence[Check]) -> AsyncIterator[Finding]:
    """One pass over one snapshot."""
    for sentence in records.keystore.verify():
        yield Finding(KEYSTORE, 0, Kind.EDITED, sentence)
    watermark = _watermark(records)
    keys = StoreKeys(records.keystore)
    async with records.backend.snapshot():
        positions: dict[int, Position] = {}
        whole = True
        async for finding in verify_log(records.backend, keys, watermark, positions):
            whole = False
            yield finding
        evidence = Evidence(positions, await requests_of(records.backend, keys, ACTS), whole)
        for check in (StoreVerifier(records.vault).findings, *checks):
            async for finding in check(evidence):
                yield finding


def _watermark(records: Records) -> tuple[int, bytes] | None:
    """What the keystore remembers of the log; nothing when its own account is damaged, which is named already."""
    try:
        return records.keystore.watermark()
    except Tampered:
        return None


class StoreVerifier:
    """One pass over bodies, history, indexes, directory and notes.

    lost    slots whose key cannot be had although nobody erased them
    blind   slots whose index cannot be read whole
    unsaid  erased slots of whose erasure the directory's log does not tell
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: dict[Table, set[int]] = {Table.CAPSULE: set(), Table.DELTA: set()}
        self._lost: set[int] = set()
        self._blind: set[int] = set()
        self._unsaid: set[int] = set()
        self._directory = DirectoryCheck(vault)
        self._bodies = BodyCheck(vault, self._lost)
        self._notes = NoteCheck(vault)

    async def findings(self, evidence: Evidence) -> AsyncIterator[Finding]:
        """Everything that is wrong, row by row."""
        await self._notes.read()
        async for finding in self._directory.read():
            yield finding
        slots = {TENANT, *evidence.positions, *self._directory.places} - self._directory.erased
        for slot in sorted(slots):
            async for finding in self._slot(slot, evidence):
                yield finding
        for finding in self._notes.findings(evidence, self._directory.erased | self._unsaid):
            yield finding
        async for finding in self._ends():
            yield finding
        async for finding in self._bodies.unnamed(self._blind):
            yield finding
        for finding in self._directory.findings(self._bodies.patients, len(self._unsaid), rotations(evidence)[1]):
            yield finding
        async for table, key in self.strangers():
            yield self._stranger(table, key)

    async def _slot(self, slot: int, evidence: Evidence) -> AsyncIterator[Finding]:
        """One patient: the key, the index, and everything that the index names."""
        keys = generations_of(self._vault, slot)
        if not keys:
            for finding in self._keyless(slot):
                yield finding
            return
        position = evidence.positions.get(slot)
        report = await IndexReader(self._vault.backend, keys, position, whole=evidence.whole).read()
        for table, key in report.known:
            self._known[table].add(key)
        for finding in report.findings:
            yield finding
        if report.capsule is None:
            self._blind.add(slot)
            return
        missing = self._notes.unlisted(slot) if slot != TENANT and consent_rows(report.capsule) else None
        if missing is not None:
            yield missing
        rows = list(report.capsule.rows())
        self._note_patient(slot, rows)
        async for finding in self._bodies.named(slot, rows):
            yield finding

    def _note_patient(self, slot: int, rows: Sequence[IndexRow]) -> None:
        """The row of the Patient resource, as the directory names it: the body may be damaged."""
        entry = self._directory.entries.get(slot)
        if entry is None:
            return
        for row in rows:
            if row.rid == entry.rid:
                self._bodies.patients[slot] = row

    def _keyless(self, slot: int) -> list[Finding]:
        """A key that is gone without a word: it was taken away, or the line about the erasure was."""
        if slot not in self._directory.places:
            self._unsaid.add(slot)
            return []
        self._lost.add(slot)
        self._directory.known.add(self._directory.places[slot])
        return [Finding(KEYSTORE, slot, Kind.DELETED, f"the key of slot {slot} is gone or damaged; nobody erased it")]

    async def _ends(self) -> AsyncIterator[Finding]:
        """What keeps the place of erased patients' next change."""
        found = await self._vault.backend.get_many(Table.DELTA, list(self._notes.ends))
        self._known[Table.DELTA] |= self._notes.ends.keys()
        for key, slot in self._notes.ends.items():
            if key not in found:
                yield Finding(Table.DELTA, key, Kind.DELETED, f"the end of erased slot {slot} is gone")
            elif self._vault.notes.ends(key, found[key]) != slot:
                yield Finding(Table.DELTA, key, Kind.EDITED, f"the end of erased slot {slot} was edited")

    def _is_end(self, key: int, ct: bytes) -> bool:
        """Whether a row is the end of an erased patient whose note is damaged."""
        return self._vault.notes.ends(key, ct) in self._directory.erased | self._unsaid

    async def strangers(self) -> AsyncIterator[tuple[Table, int]]:
        """Rows that nothing vouches for; after all else."""
        known = {**self._known, **self._bodies.known, Table.DIRECTORY: self._directory.known}
        known[Table.CHUNK] |= self._notes.arriving
        for table in _STRANGERS:
            async for key, ct in scan(self._vault.backend, table):
                if key not in known[table] and not (table is Table.DELTA and self._is_end(key, ct)):
                    yield table, key

    def _stranger(self, table: Table, key: int) -> Finding:
        """A row that nothing vouches for. These do not say whose they are: with a lost key, they may be its."""
        if self._bodies.silent and table is Table.CHUNK:
            return Finding(table, key, Kind.UNREADABLE, "a chunk that nothing but a damaged body may vouch for")
        if self._lost and table in {Table.BODY, Table.CAPSULE, Table.DELTA, Table.CHUNK}:
            return Finding(table, key, Kind.UNREADABLE, f"a row of {table} that nothing but a lost key may vouch for")
        return Finding(table, key, Kind.INSERTED, f"a row of {table} that nothing vouches for")
