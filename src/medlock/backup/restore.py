"""A store from a backup: built beside its place, judged row by row, moved there when all is well.

The order matters: keys of the erased never get into the new keystore; nothing lies in the place before everything was
verified; a process that is killed leaves a directory that nobody takes for a store. docs/spec/backup.md §7.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from medlock.access.principal import Principal
from medlock.audit.events import Action, Event, Outcome
from medlock.backup.fill import compare, demand_empty, fill
from medlock.backup.fitting import Fit, stale
from medlock.backup.given import end_given
from medlock.backup.shelf import Shelf, sync
from medlock.clock import Clock
from medlock.errors import SetupError, Tampered
from medlock.records.bury import Burial
from medlock.records.opening import Records, open_records, open_tables
from medlock.records.verify import Check, keyless, unvouched, verify_all
from medlock.settings import Settings
from medlock.store.backends import open_backend
from medlock.store.kek.provider import KekProvider
from medlock.store.keycopy import create_from
from medlock.store.opening import KEYS, NAME, alone, make_directory
from medlock.store.tables import Row, Wanted

_LOCK = "restore.lock"
_BUSY = "Another process restores into this place: wait until it is done."
_SHOWN = 5

Checks = Callable[[Records], Sequence[Check]]


@dataclass(frozen=True, slots=True)
class Restored:
    """The report of a restore or drill.

    backups   the backup and its ancestors, the full one first
    rows      rows compared with the backup's index
    log       entries of the log, root included in the signed manifest
    erased    patients who were erased since the backup, and were erased again
    swept     rows of theirs that were taken out
    tokens    tokens, approvals of apps, sessions and invitations that were ended
    remarks   what the operator must know
    """

    store: str
    backups: tuple[str, ...]
    made: int
    rows: int
    log: int
    erased: int
    swept: int
    tokens: int
    remarks: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where and for whom a store is made.

    settings  name the directory that it is built in
    provider  guards the new keystore
    officer   the Principal that buries the erased
    by        who is at the keyboard
    """

    settings: Settings
    provider: KekProvider
    clock: Clock
    checks: Checks
    officer: Principal
    by: str


class Restorer:
    """Makes one store."""

    def __init__(self, ground: Ground, shelf: Shelf, fit: Fit) -> None:
        self._ground = ground
        self._shelf = shelf
        self._fit = fit
        self._seconds: dict[str, float] = {}

    async def restore(self) -> Restored:
        """Build and judge it. Raises SetupError saying what does not fit, Unavailable."""
        manifest = self._fit.held.manifest
        with self._timed("rows"):
            rows = await self._fill()
        with self._explained():
            erased, swept, tokens = await self._settle()
        with self._timed("verification"):
            await self._demand_well()
        names = tuple(held.name for held in self._fit.chain)
        return Restored(
            manifest.store, names, manifest.made, rows, manifest.size, erased, swept, tokens, self._fit.remarks,
            self._seconds,
        )  # fmt: skip

    async def _fill(self) -> int:
        """Keystore and rows; how many rows there are. Nothing in them was opened yet."""
        ground, fit, manifest = self._ground, self._fit, self._fit.held.manifest
        directory = ground.settings.data_dir
        log = (manifest.size, manifest.root)
        create_from(directory / KEYS, ground.provider, fit.exported, log, ground.clock.now_ms())
        (directory / NAME).touch(mode=0o600)
        (directory / NAME).write_text(manifest.store)
        backend = await open_backend(ground.settings, _NoLedger(), fit.exported.store_id)
        try:
            await demand_empty(backend)
            await fill(backend, fit.chain, fit.keys)
            rows = await compare(backend, fit.held, fit.keys, fit.exported.tenant.backup_rows)
            await backend.rewrite()
        except Tampered as fault:
            raise SetupError(f"The backup is damaged: {fault.reason}. Use another copy of it.") from fault
        finally:
            await backend.close()
        return rows

    async def _settle(self) -> tuple[int, int, int]:
        """What a restore must not bring back is ended; erased, rows taken out, tokens."""
        ground = self._ground
        async with open_tables(ground.settings, ground.clock, provider=ground.provider) as records:
            with self._timed("erasures"):
                dead = await keyless(records)
            self._demand_erased(dead)
            await self._demand_known(records)
        async with open_records(ground.settings, ground.clock, provider=ground.provider) as records:
            await records.log.append(self._event())
            tokens = await end_given(records, ground.by)
            swept = 0
            if dead:
                with self._timed("burial"):
                    burial = Burial(records.vault, records.log, records.clock)
                    swept = await burial.bury(ground.officer, dead)
                    swept += await burial.sweep(await unvouched(records))
            await records.backend.scrub()
        return len(dead), swept, tokens

    def _demand_erased(self, dead: set[int]) -> None:
        """A missing key was destroyed, if the copy of the keystore knew of all patients. Raises SetupError."""
        exported, held = self._fit.exported, self._fit.held
        lacking = dead - self._fit.erased
        if lacking and exported.log_size < held.manifest.size:
            raise stale(len(lacking), held, self._shelf.held, exported)

    async def _demand_known(self, records: Records) -> None:
        """Raises SetupError when the log is not the one that a checkpoint kept elsewhere was of."""
        known, size = self._fit.known, self._fit.held.manifest.size
        if known is None or known.size > size:
            return
        proof = await records.log.consistency_proof(known.size, size)
        if proof.old_root != known.root:
            raise SetupError(
                f"Forked: the log in backup {self._fit.held.name} is not the one that had {known.size} entries at the "
                "checkpoint. Somebody made these backups from another history of this store."
            )

    async def _demand_well(self) -> None:
        """All of `medlock verify`. Raises SetupError."""
        ground = self._ground
        async with open_tables(ground.settings, ground.clock, provider=ground.provider) as records:
            findings = await verify_all(records, ground.checks(records))
        if not findings:
            return
        shown = "; ".join(f"{each.table} {each.key} {each.kind}: {each.sentence}" for each in findings[:_SHOWN])
        raise self._refusal(f"is not whole: {len(findings)} findings ({shown})")

    def _refusal(self, what: str) -> SetupError:
        """What was restored, and why that is likely so."""
        exported, held = self._fit.exported, self._fit.held
        cause = (
            "the copy of the keystore is older than the backup: use a newer one, or an older backup"
            if exported.log_size < held.manifest.size
            else "keys were rotated after the backup, so that it does not open any more, or the store was damaged when "
            "it was made: use a newer backup, or an older one"
        )
        return SetupError(f"What was restored from backup {held.name} {what}. Likely {cause}.")

    def _event(self) -> Event:
        held, now = self._fit.held, self._ground.clock.now_ms()
        about = f"restored from backup {held.manifest.id}, made {held.manifest.made}"
        told = " ".join((about, *self._fit.remarks))[:200]
        return Event(
            Action.RESTORE, Outcome.SUCCESS, self._ground.by, (), "", "HSYSADMIN", now, held.manifest.id, query=told
        )

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds[what] = round(time.monotonic() - began, 3)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Tampered as fault:
            raise self._refusal(f"does not open ({fault.reason})") from fault


@contextmanager
def building(place: Path) -> Iterator[Path]:
    """A directory beside `place` to build in; it becomes `place` on leaving, and is gone after any error.

    Raises SetupError when something lies in `place`, Conflict when another process builds there.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise SetupError(f"{place} is not empty: restore into a directory that is not there yet.")
    partial = place.parent / f".{place.name}.partial"
    make_directory(partial)
    _demand_ours(partial)
    with alone(partial / _LOCK, _BUSY):
        try:
            _clear(partial)
            yield partial
            (partial / _LOCK).unlink()
            partial.rename(place)
            sync(place.parent)
        finally:  # nothing is there any more when all went well
            shutil.rmtree(partial, ignore_errors=True)


def _demand_ours(directory: Path) -> None:
    """Raises SetupError unless nobody else can have put it there: it is emptied, and keys are written to it."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise SetupError(f"{directory} is not a directory of this account. Find out who put it there, and remove it.")


@contextmanager
def passing(place: Path) -> Iterator[Path]:
    """A directory for a drill, which is gone afterwards. Raises Conflict while another drill is under way there."""
    make_directory(place)
    with alone(place / _LOCK, "Another drill is under way here: wait until it is done."):
        _clear(place)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _clear(directory: Path) -> None:
    """What a process that was killed left there."""
    for each in directory.iterdir():
        if each.name == _LOCK:
            continue
        shutil.rmtree(each) if each.is_dir() else each.unlink()


class _NoLedger:
    """Rows of the log are put back as they were, so nothing is ever appended here."""

    def resume(self, tip: bytes | None) -> Sequence[Wanted]:
        """Never asked."""
        raise _appended(tip)

    def load(self, rows: Sequence[Row]) -> None:
        """Never asked."""
        raise _appended(rows)

    def extend(self, entries: Sequence[bytes]) -> tuple[int, list[Row]]:
        """Never asked."""
        raise _appended(entries)

    def forget(self) -> None:
        """There is no tree."""


def _appended(what: object) -> RuntimeError:
    del what
    return RuntimeError("a restore appends nothing while it puts rows back")
