"""Rotation of patients' data keys beside whoever reads and writes. docs/spec/store.md §9.

    1  a note that it has begun
    2  patient by patient: a new generation of the key; the index moves to it in one commit; everything else follows
    3  a note that all is sealed; a moment for reads that are under way
    4  the former keys are destroyed, both journals scrubbed; a note that it is done

Killed at any moment, it goes on when it is started again: the notes say which step, the keystore which patients have a
new key, and each row under which key it lies. Until step 4 both keys open, so nobody who reads notices. What does not
open, or is not what its index names, stops it, and nothing is destroyed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from medlock.audit.events import Action, Event, Outcome, Position
from medlock.audit.log import AuditLog
from medlock.clock import Clock
from medlock.errors import Conflict, NotFound, Raced, Tampered
from medlock.ids import random_bytes
from medlock.records.notes import Stage
from medlock.records.reseal import Resealer, pages
from medlock.records.vault import TENANT, Vault
from medlock.store.keyring import KeyDestroyed, PatientKeys
from medlock.store.opening import alone
from medlock.store.tables import Batch, Table

Turn = Callable[[int, int], None]
"""Called with done and total: patients, or the resources of one."""

ALL = (1 << 64) - 1
LOCK = "rotate.lock"
PAGE = 32  # resources in a commit: some milliseconds during which other writers wait
DRAIN_SECONDS = 2.0
_TRIES = 256
_APART_SECONDS = 0.01
_LOOK = 64


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did, this time: `patients` gone through, `rows` (bodies and older versions) sealed anew.

    `destroyed` counts former keys; `resumed` says that it went on with one that had been interrupted.
    """

    patients: int = 0
    rows: int = 0
    destroyed: int = 0
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A rotation by its notes.

    number  from 1
    scope   the slot that it is for, or ALL
    stage   how far it has come
    shared  the newest generation of slot 0 before: its first one is never destroyed, so counting does not tell
    """

    number: int
    scope: int
    stage: Stage
    shared: int


@dataclass(frozen=True, slots=True)
class Rotator:
    """Rotates keys in one data directory. `account` is whom the log names; `drain` how long reads may take."""

    vault: Vault
    log: AuditLog
    clock: Clock
    directory: Path
    account: str
    drain: float = DRAIN_SECONDS

    async def rotate(self, scope: int, turn: Turn) -> Rotated:
        """Rotate one slot's key or ALL; an interrupted rotation is finished first, and is enough if it was the same.

        Raises Conflict when another process rotates, Tampered when a row is not as it was written, Unavailable.
        """
        with alone(self.directory / LOCK, "Keys are being rotated by another process: let it end."):
            before = await self._last()
            if before is not None and before.stage is not Stage.DONE:
                done = await self._finish(before, turn)
                if before.scope == scope:
                    return replace(done, resumed=True)
            number = 1 if before is None else before.number + 1
            run = Run(number, scope, Stage.BEGUN, self.vault.keystore.generations(TENANT)[0].generation)
            await self._note(run)
            return await self._finish(run, turn)

    async def resume(self, turn: Turn) -> Rotated | None:
        """Finish an interrupted rotation; None when there is none. Raises as `rotate`."""
        with alone(self.directory / LOCK, "Keys are being rotated by another process: let it end."):
            run = await self._last()
            if run is None or run.stage is Stage.DONE:
                return None
            return replace(await self._finish(run, turn), resumed=True)

    async def slot_of(self, patient: str) -> int:
        """A patient's slot, for `rotate`. Raises NotFound."""
        slot = await self.vault.any_slot(patient)
        if slot is None:
            raise NotFound("There is no such patient.", reason="no such patient to rotate the key of")
        return slot

    async def _last(self) -> Run | None:
        """The newest rotation that the notes tell of."""
        notes, number = self.vault.notes, 0
        while True:
            keys = [notes.rotation_key(number + n, Stage.BEGUN) for n in range(1, _LOOK + 1)]
            found = await self.vault.backend.get_many(Table.JOB, keys)
            begun = [found[key] for key in keys if key in found]
            if len(begun) == _LOOK:
                number += _LOOK
                continue
            if begun:
                return await self._run(number + len(begun), begun[-1])
            return None if not number else await self._run(number, None)

    async def _run(self, number: int, ct: bytes | None) -> Run:
        notes, get = self.vault.notes, self.vault.backend.get
        key = notes.rotation_key(number, Stage.BEGUN)
        ct = ct or await get(Table.JOB, key)
        if ct is None:
            raise Tampered("the note of a rotation is gone")
        scope, shared = notes.scope(notes.open(key, ct)[1])
        reached = Stage.BEGUN
        for stage in (Stage.SEALED, Stage.DONE):
            if await get(Table.JOB, notes.rotation_key(number, stage)) is not None:
                reached = stage
        return Run(number, scope, reached, shared)

    async def _note(self, run: Run) -> None:
        """Say that a rotation has come to its stage, and write that down."""
        row = self.vault.notes.rotation(run.number, run.stage, run.scope, run.shared)
        event = self._event(f"{row[1]:016x}", TENANT, "")
        await self.vault.backend.commit(Batch(inserts=[row], entries=self.log.seal(event)))

    def _event(self, request: str, slot: int, patient: str, position: Position | None = None) -> Event:
        now = self.clock.now_ms()
        about = (Action.KEY_ROTATE, Outcome.SUCCESS, self.account, (), "", "HSYSADMIN", now, request)
        return Event(*about, slot, patient, position=position)

    async def _finish(self, run: Run, turn: Turn) -> Rotated:
        """Steps 2 to 4, from where it stands."""
        done = Rotated()
        if run.stage is Stage.BEGUN:
            done = await self._seal(run, turn)
            run = replace(run, stage=Stage.SEALED)
            await self._note(run)
        await asyncio.sleep(self.drain)
        former = [place for place in self.vault.keystore.superseded() if run.scope in {place[0], ALL}]
        self.vault.keystore.drop_generations(former)
        await self.vault.backend.scrub()
        await self._note(replace(run, stage=Stage.DONE))
        return replace(done, destroyed=len(former))

    async def _seal(self, run: Run, turn: Turn) -> Rotated:
        """Step 2. Patients who come meanwhile have keys that are new enough."""
        await self.vault.directory.refresh()
        slots = sorted({TENANT, *self.vault.directory.slots()}) if run.scope == ALL else [run.scope]
        done = Rotated()
        for at, slot in enumerate(slots):
            rows = await self._slot(run, slot, turn if len(slots) == 1 else _unseen)
            patients = done.patients + (rows is not None and slot != TENANT)
            done = replace(done, patients=patients, rows=done.rows + (rows or 0))
            if len(slots) > 1:
                turn(at + 1, len(slots))
        return done

    async def _slot(self, run: Run, slot: int, turn: Turn) -> int | None:
        """One slot; how many rows were sealed anew, None when it was erased meanwhile."""
        try:
            return await self._sealed(run, slot, turn)
        except (KeyDestroyed, Tampered):
            await self.vault.directory.refresh()
            if slot == TENANT or slot in self.vault.directory.slots():
                raise
            return None

    async def _sealed(self, run: Run, slot: int, turn: Turn) -> int:
        request = f"{self.vault.notes.rotation_key(run.number, Stage.BEGUN):016x}"

        def witness(position: Position, patient: str, line: int) -> Event:
            return self._event(f"{request}.{line}" if line else request, position.slot, patient, position)

        resealer = Resealer(self.vault, self.log, self._target(run, slot), witness)
        await self._persist(slot, resealer.move_index)
        rids, rows, done = await resealer.resources(), 0, 0
        waiting = list(pages(rids, PAGE))[::-1]
        while waiting:
            page = waiting.pop()
            count = await self._try(slot, partial(resealer.page, page))
            if count is None and len(page) > 1:  # somebody was first: less at once is quicker
                waiting += [page[len(page) // 2 :], page[: len(page) // 2]]
                continue
            rows += await self._persist(slot, partial(resealer.page, page)) if count is None else count
            done += len(page)
            turn(done, len(rids))
        return rows

    def _target(self, run: Run, slot: int) -> PatientKeys:
        """The key to move to: a new one, or the one that was begun before an interruption."""
        found = self.vault.keystore.generations(slot)
        begun = found[0].generation > run.shared if slot == TENANT else len(found) > 1
        return found[0] if begun else self.vault.keystore.new_generation(slot)

    async def _persist(self, slot: int, act: Callable[[], Awaitable[int]]) -> int:
        """A commit; again when somebody else was first."""
        for _ in range(_TRIES):
            done = await self._try(slot, act)
            if done is not None:
                return done
        raise Conflict("The record is being changed by many at once: try again.")

    async def _try(self, slot: int, act: Callable[[], Awaitable[int]]) -> int | None:
        """What was done; None when somebody was first, or was erased meanwhile.

        Then a rest as long as it took, for those who also write, and a little by chance, for those in step with us.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with self.vault.lock(slot):
                done = await act()
            await asyncio.sleep(loop.time() - began)
        except Raced:
            await asyncio.sleep(random_bytes(1)[0] / 255 * _APART_SECONDS)
            await self.vault.directory.refresh()
        except (KeyDestroyed, Tampered):
            if not await self.vault.directory.refresh():
                raise
        else:
            return done
        return None


def _unseen(_done: int, _total: int) -> None:
    """Nobody watches."""
