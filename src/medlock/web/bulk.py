"""Bulk exports (Bulk Data Access 2.0): begun, counted in the background, fetched file by file, from any worker.

Nothing of an output is ever kept, on disk or in memory: a file is made while it is sent, piece by piece through the
door, which decides, re-checks and writes down each. So a job is only its request, whose it is and the types it counted,
in a sealed row (`records.jobs`).

An account counts one export at a time and keeps four; of each, two files are sent at once. It is kept for an hour after
something was last counted, or until a DELETE. Whoever counts or sends says so in the row for a while and again before
that ends. When a worker dies, what it said ends by itself: the next who asks for the status goes on counting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from secrets import randbits
from typing import Any, Final

import msgspec
import orjson

from medlock.access.principal import Principal
from medlock.clock import Clock, instant
from medlock.errors import MedlockError, NotFound, Problem, Raced, TooMany
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.outcome import operation_outcome
from medlock.fhir.question import Question
from medlock.fhir.request import Request
from medlock.records.deidentifying import PROVENANCE
from medlock.records.exporting import Counted
from medlock.records.jobs import PLACES, Asked, Held, Job, JobBook, Kind, Stream, asked_of, drawn_key, new_job
from medlock.web.ports import Door, Jobs

KEPT_SECONDS: Final = 3_600
CLAIM_SECONDS: Final = 30
STREAM_SECONDS: Final = 60
STREAMS: Final = 2
_NOTICE: Final = (
    "Records that patients do not share with you, or that the law keeps apart, are in no export. This note is in every "
    "one and says nothing about this one."
)
NOTICE: Final = "notice"
"""The file in `error`. It is in every export: one that came only when something is withheld would tell that it is."""
NOTICE_LINE: Final = operation_outcome((Problem("informational", _NOTICE, severity="information"),)) + b"\n"
TASKS: Final = 16
"""Exports that one process counts at once; the others are begun and go on when their status is asked for."""
_RENEW_MS: Final = STREAM_SECONDS * 500
_TRIES: Final = 8
_UNKNOWN: Final = "There is nothing here, or it is not yours."
_BUSY: Final = "An export of yours is being prepared or fetched: wait for it, or DELETE it."
_MANY: Final = "Too many exports are waiting to be fetched: DELETE one that is not needed any more."
Again = Callable[[], Awaitable[Principal]]
Reader = Callable[[Request, int], Question]
"""A request, and the time against which it is read (ms) → the question in it."""


class Bulk:
    """The exports of all accounts, as one process sees to them."""

    def __init__(  # noqa: PLR0917 - what an export is made of
        self,
        door: Door,
        projects: Jobs,
        book: JobBook,
        read: Reader,
        clock: Clock,
        base: str,
        report: Callable[[BaseException], None],
    ) -> None:
        self._door = door
        self._projects = projects
        self._book = book
        self._read = read
        self._now_ms = clock.now_ms
        self._base = base
        self._report = report
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._sent: Counter[str] = Counter()  # files of each export that this process sends

    async def begin(self, principal: Principal, request: Request) -> str:
        """Begin an export; its name. Raises Denied, NotFound and what else the door says, and TooMany."""
        now = self._now_ms()
        secret, job = new_job(principal, asked_of(request), now, now + KEPT_SECONDS * 1000)
        await self._place(principal.account)
        job = await self._count(principal, job, "")
        if job.after:
            job = msgspec.structs.replace(job, claim=now + CLAIM_SECONDS * 1000)
        for _ in range(_TRIES):
            place = await self._place(principal.account)
            with suppress(Raced):
                held = await self._book.begin(Kind.EXPORT, place, job)
                self._go_on(principal, held)
                return f"{place}{secret}"
        raise TooMany(_BUSY)

    async def _place(self, account: str) -> int:
        """Where the next export of an account goes. Raises TooMany."""
        held = await self._book.of(Kind.EXPORT, account)
        if any(each is not None and each.job.busy(self._now_ms()) for each in held):
            raise TooMany(_BUSY)
        free = [place for place in range(PLACES) if held[place] is None]
        if not free:
            raise TooMany(_MANY)
        return free[0]

    async def _count(self, principal: Principal, job: Job, name: str) -> Job:
        """The job with the next indexes counted in."""
        shown = await self._door.answer(principal, self._piece(job, name, ExportPart(), job.after))
        counted = msgspec.json.decode(shown.body, type=Counted)
        now = self._now_ms()
        return msgspec.structs.replace(
            job,
            types=dict(Counter(job.types) + Counter(counted.types)),
            done=counted.done,
            of=counted.of,
            after=shown.after,
            counted=not shown.after,
            deidentified=counted.deidentified,
            expires=now + KEPT_SECONDS * 1000,
            claim=now + CLAIM_SECONDS * 1000 if shown.after else 0,
        )

    def _go_on(self, principal: Principal, held: Held) -> None:
        """Count the rest in the background; what cannot be taken on now waits for somebody to ask."""
        if held.job.counted or held.key in self._tasks:
            return
        if len(self._tasks) < TASKS:
            task = self._tasks[held.key] = asyncio.create_task(self._count_on(principal, held))
            task.add_done_callback(partial(self._settle, held.key))

    async def _count_on(self, principal: Principal, held: Held) -> None:
        while held.job.after:
            try:
                job = await self._count(principal, held.job, "")
            except MedlockError:
                await self._release(held)  # whoever asks for the status next is told why
                return
            held = await self._book.replace(held, job)

    async def _release(self, held: Held) -> None:
        """Say that nobody counts in it any more, if it is as we left it."""
        with suppress(MedlockError):
            await self._book.replace(held, msgspec.structs.replace(held.job, claim=0))

    def _settle(self, key: int, task: asyncio.Task[None]) -> None:
        """Counting ended, well or not: cancelled by its owner, or taken on by another process, it is not ours."""
        del self._tasks[key]
        fault = None if task.cancelled() else task.exception()
        if fault is not None and not isinstance(fault, MedlockError):
            self._report(fault)

    async def status(self, principal: Principal, name: str) -> Job:
        """The caller's own export as it stands; counting goes on with whoever asks where nobody is at it.

        Raises NotFound for any other name, and what the door says.
        """
        held = await self._book.find(Kind.EXPORT, principal, name)
        now = self._now_ms()
        if held.job.counted or held.job.claim > now:
            return held.job
        try:
            held = await self._book.replace(held, msgspec.structs.replace(held.job, claim=now + CLAIM_SECONDS * 1000))
        except Raced:  # somebody else was asked at the same moment
            return held.job
        try:
            held = await self._book.replace(held, await self._count(principal, held.job, name))
        except Raced:
            raise NotFound(_UNKNOWN, reason="the export ended while it was counted") from None
        except MedlockError:
            await self._release(held)
            raise
        self._go_on(principal, held)
        return held.job

    async def files(self, principal: Principal, name: str) -> list[str]:
        """The names of the files of the caller's own export. Raises NotFound."""
        return files_of((await self._book.find(Kind.EXPORT, principal, name)).job)

    async def cancel(self, principal: Principal, name: str) -> None:
        """Forget an export: what is being sent of it is cut off, by whichever worker. Raises NotFound."""
        for _ in range(_TRIES):
            held = await self._book.find(Kind.EXPORT, principal, name)
            with suppress(Raced):
                await self._book.end(held)
                break
        else:
            raise TooMany(_BUSY)
        if held.key in self._tasks:
            self._tasks[held.key].cancel()

    def manifest(self, job: Job, name: str) -> bytes:
        """The output manifest (Bulk Data 2.0, Response - Complete Status)."""
        where = f"{self._base}/_bulk/{name}/"
        output = [{"type": file.partition("-")[0], "url": f"{where}{file}"} for file in outputs_of(job)]
        manifest: dict[str, Any] = {"transactionTime": instant(job.began), "request": self._address(job.asked)}
        error = [{"type": "OperationOutcome", "url": f"{where}{NOTICE}"}]
        return orjson.dumps(manifest | {"requiresAccessToken": True, "output": output, "error": error})

    def _address(self, asked: Asked) -> str:
        query = asked.query.decode("latin-1")
        return f"{self._base}{asked.path.decode('latin-1')}" + (f"?{query}" if query else "")

    async def file(self, principal: Principal, name: str, file: str, again: Again) -> AsyncGenerator[bytes, None]:
        """The pieces of a file. `again` asks before each whether the caller's token is still good.

        Raises NotFound, TooMany and what the door says; while it is sent, whatever goes wrong cuts it off.
        """
        held = await self._book.find(Kind.EXPORT, principal, name)
        if file not in files_of(held.job):
            raise NotFound(_UNKNOWN)
        if file == NOTICE:
            yield NOTICE_LINE
            return
        stream = randbits(62)
        held = await self._sending(held, stream, most=STREAMS)
        self._projects.lend(name, drawn_key(held.job, name))
        self._sent[name] += 1
        try:
            after, more = "", True
            while more:
                now = await self._still(held, principal, again)
                if not any(each.id == stream and each.until > self._now_ms() + _RENEW_MS for each in now.job.streams):
                    await self._sending(now, stream)
                shown = await self._door.answer(principal, self._piece(held.job, name, ExportPart(file), after))
                after, more = shown.after, bool(shown.after)
                yield shown.body
        finally:
            self._let_go(name)
            with suppress(MedlockError):
                await self._sending(held, stream, end=True)

    async def _still(self, held: Held, principal: Principal, again: Again) -> Held:
        """The job as it stands, while it and the right to it last. Raises NotFound."""
        now = await self._book.again(held)
        if now is None or await again() != principal:
            raise NotFound(_UNKNOWN, reason="the export, or the right to it, ended while it was sent")
        return now

    async def _sending(self, held: Held, stream: int, *, most: int = 0, end: bool = False) -> Held:
        """Say in the row that a file is being sent, or that it no longer is. Raises NotFound, TooMany."""
        for _ in range(_TRIES):
            found = await self._book.again(held)
            if found is None:
                raise NotFound(_UNKNOWN, reason="the export ended")
            now = self._now_ms()
            others = tuple(each for each in found.job.streams if each.until > now and each.id != stream)
            if most and len(others) >= most:
                raise TooMany(_BUSY)
            streams = others if end else (*others, Stream(stream, now + STREAM_SECONDS * 1000))
            with suppress(Raced):
                return await self._book.replace(found, msgspec.structs.replace(found.job, streams=streams))
        raise TooMany(_BUSY)

    def _piece(self, job: Job, name: str, part: ExportPart, after: str) -> Question:
        """The question for one piece, read anew from the request; `after` is where the one before ended."""
        question = self._read(job.asked.request(), job.began)
        options = question.options if isinstance(question.options, ExportOptions) else ExportOptions()
        slot, _, rid = after.partition(".")
        part = ExportPart(part.file, int(slot or 0), int(rid or 0))
        options = msgspec.structs.replace(options, until=job.began, job=name, part=part)
        return msgspec.structs.replace(question, options=options)

    def _let_go(self, name: str) -> None:
        """A file is sent, or cut off: after the last one nothing is left here that was made for the export."""
        self._sent[name] -= 1
        if not self._sent[name]:
            del self._sent[name]
            self._projects.end(name)


def files_of(job: Job) -> list[str]:
    """What there is to fetch, by the names of the files; nothing before all is counted."""
    return [*outputs_of(job), NOTICE] if job.counted else []


def outputs_of(job: Job) -> list[str]:
    """Those of them that hold records, or tell what was done to these."""
    about = [PROVENANCE] if job.types and job.deidentified else []
    return [*sorted(job.types), *about]
