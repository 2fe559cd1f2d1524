"""`Prefer: respond-async`: a question whose answer is fetched later (R4 §3.1.6, RFC 7240 §4.1; its form is R5's).

What waits is the question, in a sealed row (`records.jobs`) that every worker finds; its answer is made when it is
fetched, through the door like any other. The two other ways are less safe. An answer that waits in a row is a copy of
records outside their patients' keys: it would outlive an erasure in the journals of the database, and it would be
given out after a consent was withdrawn, a relationship ended or a resource was corrected. One that waits in memory is
found by one worker only. So the answer is that of the moment at which it is given, and so is the event in the log.

It waits for whoever asked: the same account and app with the same role, scopes and patient. After ten minutes, after a
DELETE, and once it was given, it is gone, and its address looks like one that never was. A batch is not put off: what
it writes is done when the caller is told so, once.

It is a preference: where it cannot be kept to (four are waiting, a long question) the answer comes at once.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from medlock.access.principal import Principal
from medlock.clock import Clock
from medlock.errors import MedlockError, NotFound, Raced, TooLarge, Unavailable
from medlock.fhir.question import Interaction, Question
from medlock.fhir.request import Request
from medlock.records.disclosure import Disclosure
from medlock.records.jobs import PLACES, Held, JobBook, Kind, asked_of, new_job
from medlock.web.bulk import Reader
from medlock.web.ports import Door
from medlock.web.routes import ASYNC

LATER: Final = ASYNC
KEPT_SECONDS: Final = 600
CAN_WAIT: Final = frozenset(
    {
        Interaction.SEARCH,
        Interaction.SEARCH_SYSTEM,
        Interaction.HISTORY_TYPE,
        Interaction.HISTORY_SYSTEM,
        Interaction.EVERYTHING,
        Interaction.DOCREF,
        Interaction.LASTN,
    }
)
_TRIES: Final = 4
Answer = Disclosure | MedlockError


class Later:
    """The questions of all accounts that wait."""

    def __init__(self, door: Door, book: JobBook, read: Reader, clock: Clock) -> None:
        self._door = door
        self._book = book
        self._read = read
        self._now_ms = clock.now_ms

    async def begin(self, principal: Principal, question: Question, request: Request) -> str:
        """The name under which the answer is fetched; "" when the question is to be answered at once."""
        if question.interaction not in CAN_WAIT:
            return ""
        now = self._now_ms()
        try:
            secret, job = new_job(principal, asked_of(request), now, now + KEPT_SECONDS * 1000)
        except TooLarge:
            return ""
        for _ in range(_TRIES):
            held = await self._book.of(Kind.LATER, principal.account)
            free = [place for place in range(PLACES) if held[place] is None]
            if not free:
                return ""
            with suppress(Raced):
                await self._book.begin(Kind.LATER, free[0], job)
                return f"{free[0]}{secret}"
        return ""

    async def fetch(self, principal: Principal, name: str) -> Answer:
        """The answer, made now; then it waits no longer. Raises NotFound, and Unavailable when it has to wait on."""
        held = await self._own(principal, name)
        question = self._read(held.job.asked.request(), held.job.began)
        answer: Answer
        try:
            answer = await self._door.answer(principal, question)
        except Unavailable:
            raise
        except MedlockError as refusal:
            answer = refusal
        with suppress(Raced):
            await self._book.end(held)
        return answer

    async def look(self, principal: Principal, name: str) -> None:
        """Return when there is an answer to fetch. Raises NotFound."""
        await self._own(principal, name)

    async def forget(self, principal: Principal, name: str) -> None:
        """Let go of an answer. Raises NotFound."""
        held = await self._own(principal, name)
        try:
            await self._book.end(held)
        except Raced:
            raise NotFound("There is nothing here, or it is not yours.") from None

    async def _own(self, principal: Principal, name: str) -> Held:
        return await self._book.find(Kind.LATER, principal, name)
