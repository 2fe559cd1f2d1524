"""`Prefer: respond-async`: a question whose answer is fetched later (R4 §3.1.6, RFC 7240 §4.1; its form is R5's).

The question goes through the door like any other, once; only its answer waits. It waits in the memory of this process
and nowhere else, for whoever asked it: the same account with the same role, scopes and patient, and it is handed out
once. After ten minutes, after a DELETE, when the process ends, and when any patient is erased meanwhile, it is gone,
and its address looks like one that never was. A DELETE stops nothing: what a batch has begun is finished, for a write
that is cut off in the middle helps nobody; until then it counts as one that waits.

It is a preference: where it cannot be kept to (several workers, which share no memory; too many already waiting) the
answer comes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from secrets import token_urlsafe
from typing import Final

import msgspec

from medlock.access.principal import Principal
from medlock.errors import MedlockError, NotFound, TooLarge
from medlock.fhir.question import Interaction, Question
from medlock.records.disclosure import Disclosure
from medlock.web.ports import Door
from medlock.web.routes import ASYNC

LATER: Final = ASYNC
KEPT_SECONDS: Final = 600
PER_ACCOUNT: Final = 4
ALL: Final = 32
BYTES_MAX: Final = 64 * 1024 * 1024
CAN_WAIT: Final = frozenset(
    {
        Interaction.SEARCH,
        Interaction.SEARCH_SYSTEM,
        Interaction.HISTORY_TYPE,
        Interaction.HISTORY_SYSTEM,
        Interaction.EVERYTHING,
        Interaction.DOCREF,
        Interaction.LASTN,
        Interaction.BATCH,
    }
)
_UNKNOWN = "There is no answer waiting here, or it is not yours."
Answer = Disclosure | MedlockError


class Job(msgspec.Struct):
    """One question on its way. `erasures` is how many patients had been erased when it was asked."""

    principal: Principal
    erasures: int
    task: asyncio.Task[Disclosure] | None = None
    answer: Answer | None = None

    @property
    def size(self) -> int:
        """What it holds in memory."""
        return len(self.answer.body) if isinstance(self.answer, Disclosure) else 0


class Later:
    """The questions of one process whose answers wait."""

    def __init__(self, door: Door, erasures: Callable[[], int], report: Callable[[BaseException], None]) -> None:
        self._door = door
        self._erasures = erasures
        self._report = report
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, Job] = {}  # also those that nobody waits for any more

    def begin(self, principal: Principal, question: Question) -> str:
        """The name under which the answer will wait; "" when the question is to be answered at once."""
        counted = (self._jobs | self._running).values()
        own = sum(job.principal.account == principal.account for job in counted)
        if question.interaction not in CAN_WAIT or own >= PER_ACCOUNT or len(counted) >= ALL:
            return ""
        name = token_urlsafe(24)
        job = self._jobs[name] = self._running[name] = Job(principal, self._erasures())
        job.task = asyncio.create_task(self._door.answer(principal, question))
        job.task.add_done_callback(partial(self._settle, name))
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._jobs.pop, name, None)
        return name

    def _settle(self, name: str, task: asyncio.Task[Disclosure]) -> None:
        """The door has answered, refused or failed."""
        job = self._running.pop(name)
        if task.cancelled():
            return
        fault = task.exception()
        if fault is None:
            job.answer = task.result()
        elif isinstance(fault, MedlockError):
            job.answer = fault
        else:
            self._report(fault)
            job.answer = MedlockError("The server failed to answer.")
        if sum(each.size for each in self._jobs.values()) > BYTES_MAX:
            job.answer = TooLarge("Too much is waiting to be fetched: ask for less, or fetch what waits.")

    def fetch(self, principal: Principal, name: str) -> Answer | None:
        """The answer, which waits no longer; None while there is none. Raises NotFound."""
        job = self._own(principal, name)
        if job.answer is not None:
            del self._jobs[name]
        return job.answer

    def forget(self, principal: Principal, name: str) -> None:
        """Let go of an answer, also of one that is still to come. Raises NotFound."""
        self._own(principal, name)
        del self._jobs[name]

    def _own(self, principal: Principal, name: str) -> Job:
        job = self._jobs.get(name)
        if job is not None and job.erasures != self._erasures():
            del self._jobs[name]  # it may hold what a patient had erased since
            job = None
        if job is None or job.principal != principal:
            raise NotFound(_UNKNOWN)
        return job
