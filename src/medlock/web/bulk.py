"""Bulk exports of one process (Bulk Data Access 2.0): begun, counted in the background, fetched file by file.

Nothing of an output is ever kept, on disk or in memory: a file is made while it is sent, piece by piece through the
door, which decides, re-checks and writes down each. So a job is only its question, its principal and the types it
counted. Jobs live in the memory of this process: when it ends they are gone, and their addresses look like ones that
never were.

An account counts one export at a time and keeps four; of each, two files are sent at once. A job belongs to the same
account with the same role, scopes and patient. It is kept for an hour after it was counted, or until a DELETE.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from secrets import token_urlsafe
from typing import Any, Final

import msgspec
import orjson

from medlock.access.principal import Principal
from medlock.clock import Clock, instant
from medlock.errors import MedlockError, NotFound, TooMany
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Question
from medlock.records.deidentifying import PROVENANCE
from medlock.records.exporting import Counted
from medlock.web.ports import Door, Jobs

KEPT_SECONDS: Final = 3_600
PER_ACCOUNT: Final = 4
ALL: Final = 64
STREAMS: Final = 2
_UNKNOWN: Final = "There is no export here, or it is not yours."
_BUSY: Final = "An export of yours is being prepared or fetched: wait for it, or DELETE it."
_MANY: Final = "Too many exports are waiting to be fetched: DELETE one that is not needed any more."
Again = Callable[[], Awaitable[Principal]]


class Job(msgspec.Struct):
    """One export. `counted`: some of it is; `expires` is 0 until all is."""

    principal: Principal
    question: Question
    request: str
    began: int
    types: Counter[str]
    done: int = 0
    of: int = 0
    after: str = ""
    counted: bool = False
    deidentified: bool = False
    expires: int = 0
    streams: int = 0
    fault: MedlockError | None = None
    task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it is being counted or fetched."""
        return self.streams > 0 or (not self.expires and self.fault is None)

    @property
    def files(self) -> list[str]:
        """What there is to fetch, by the names of the files."""
        about = [PROVENANCE] if self.types and self.deidentified else []
        return [*sorted(self.types), *about]


class Bulk:
    """The exports of one process."""

    def __init__(
        self, door: Door, projects: Jobs, clock: Clock, base: str, report: Callable[[BaseException], None]
    ) -> None:
        self._door = door
        self._projects = projects
        self._now_ms = clock.now_ms
        self._base = base
        self._report = report
        self._jobs: dict[str, Job] = {}

    async def begin(self, principal: Principal, question: Question, request: str) -> str:
        """Begin an export; its name. Raises Denied, NotFound and what else the door says, and TooMany."""
        self._sweep()
        own = [job for job in self._jobs.values() if job.principal.account == principal.account]
        if any(job.running for job in own):
            raise TooMany(_BUSY)
        if len(own) >= PER_ACCOUNT or len(self._jobs) >= ALL:
            raise TooMany(_MANY)
        name, now = token_urlsafe(24), self._now_ms()
        job = Job(principal, _timed(question, now, name), request, now, Counter())
        self._jobs[name] = job
        try:
            await self._count(job)
        finally:
            if not job.counted:
                self._end(name)
        self._finish(job)
        if job.after:
            job.task = asyncio.create_task(self._count_on(job))
            job.task.add_done_callback(partial(self._settle, job))
        return name

    async def _count(self, job: Job) -> None:
        """Count in the next indexes."""
        shown = await self._door.answer(job.principal, _piece(job.question, "", job.after))
        counted = msgspec.json.decode(shown.body, type=Counted)
        job.types.update(counted.types)
        job.done, job.of, job.after = counted.done, counted.of, shown.after
        job.counted, job.deidentified = True, counted.deidentified

    async def _count_on(self, job: Job) -> None:
        while job.after:
            await self._count(job)
        self._finish(job)

    def _finish(self, job: Job) -> None:
        if not job.after:
            job.expires = self._now_ms() + KEPT_SECONDS * 1000

    def _settle(self, job: Job, task: asyncio.Task[None]) -> None:
        """Counting ended, well or not."""
        fault = None if task.cancelled() else task.exception()
        if fault is None:
            return
        job.expires = self._now_ms() + KEPT_SECONDS * 1000
        job.fault = fault if isinstance(fault, MedlockError) else MedlockError("The export failed.")
        if job.fault is not fault:
            self._report(fault)

    def job(self, principal: Principal, name: str) -> Job:
        """The caller's own export. Raises NotFound for any other name."""
        self._sweep()
        job = self._jobs.get(name)
        if job is None or job.principal != principal:
            raise NotFound(_UNKNOWN)
        return job

    def cancel(self, principal: Principal, name: str) -> None:
        """Forget an export: what is being sent of it is cut off. Raises NotFound."""
        self.job(principal, name)
        self._end(name)

    def manifest(self, job: Job, name: str) -> bytes:
        """The output manifest (Bulk Data 2.0, Response - Complete Status)."""
        where = f"{self._base}/_bulk/{name}/"
        output = [{"type": file.partition("-")[0], "url": f"{where}{file}"} for file in job.files]
        manifest: dict[str, Any] = {"transactionTime": instant(job.began), "request": job.request}
        return orjson.dumps(manifest | {"requiresAccessToken": True, "output": output, "error": []})

    async def file(self, principal: Principal, name: str, file: str, again: Again) -> AsyncGenerator[bytes, None]:
        """The pieces of a file. `again` asks before each whether the caller's token is still good.

        Raises NotFound, TooMany and what the door says; while it is sent, whatever goes wrong cuts it off.
        """
        job = self.job(principal, name)
        if file not in job.files or not job.expires:
            raise NotFound(_UNKNOWN)
        if job.streams >= STREAMS:
            raise TooMany(_BUSY)
        job.streams += 1
        try:
            after, more = "", True
            while more:
                if await again() != principal or self._jobs.get(name) is not job or self._now_ms() > job.expires:
                    raise NotFound(_UNKNOWN, reason="the export, or the right to it, ended while it was sent")
                shown = await self._door.answer(principal, _piece(job.question, file, after))
                after, more = shown.after, bool(shown.after)
                yield shown.body
        finally:
            job.streams -= 1

    def _sweep(self) -> None:
        """Forget what is over."""
        now = self._now_ms()
        for name in [name for name, job in self._jobs.items() if job.expires and now > job.expires]:
            self._end(name)

    def _end(self, name: str) -> None:
        job = self._jobs.pop(name, None)
        self._projects.end(name)
        if job is not None and job.task is not None:
            job.task.cancel()


def _timed(question: Question, now: int, name: str) -> Question:
    """The question with its transaction time and job."""
    options = question.options if isinstance(question.options, ExportOptions) else ExportOptions()
    return msgspec.structs.replace(question, options=msgspec.structs.replace(options, until=now, job=name))


def _piece(question: Question, file: str, after: str) -> Question:
    """The question for one piece; `after` is where the one before ended."""
    slot, _, rid = after.partition(".")
    options = question.options if isinstance(question.options, ExportOptions) else ExportOptions()
    part = ExportPart(file, int(slot or 0), int(rid or 0))
    return msgspec.structs.replace(question, options=msgspec.structs.replace(options, part=part))
